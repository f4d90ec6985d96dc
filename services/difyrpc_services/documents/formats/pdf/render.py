"""Renders a PDF page as PNG with boxes highlighted."""

from __future__ import annotations

import ctypes
import struct
import zlib
from dataclasses import dataclass
from typing import Any, Final

import pypdfium2
import pypdfium2.raw as pdfium

from difyrpc_services.documents.formats.pdf.opening import open_pdf, page_of
from difyrpc_services.documents.formats.pdf.view import View
from difyrpc_services.runtime.errors import InvalidArgument, OutOfRange

MOST_PIXELS: Final = 25_000_000
YELLOW: Final = 0xFFE94B99  # RRGGBBAA


@dataclass(frozen=True, kw_only=True)
class Mark:
    """A place to highlight, in points from the top left of the page as shown."""

    left: float
    top: float
    right: float
    bottom: float
    color: int = YELLOW
    """0xRRGGBBAA."""


@dataclass(frozen=True, kw_only=True)
class Picture:
    """A rendered page."""

    png: bytes
    width: int
    height: int
    scale: float
    """Pixels a point."""
    page_count: int


def render(
    content: memoryview, *, password: str, page: int, dpi: float, max_width: int, marks: tuple[Mark, ...]
) -> Picture:
    """Renders one page; PAGE_NOT_FOUND, BAD_OPTION, ENCRYPTED, CORRUPT."""
    document = open_pdf(content, password).document
    try:
        count = len(document)
        if page > count:
            raise OutOfRange(
                "PAGE_NOT_FOUND", "page {page} is past the last page {last}", field="page", page=page, last=count
            )
        return _picture(document, page, dpi, max_width, marks)
    finally:
        document.close()


def _picture(
    document: pypdfium2.PdfDocument, number: int, dpi: float, max_width: int, marks: tuple[Mark, ...]
) -> Picture:
    page = page_of(document, number)
    try:
        scale = _scale(page, dpi, max_width)
        for mark in marks:
            _highlight(page, mark)
        bitmap = page.render(
            scale=scale, rev_byteorder=True, may_draw_forms=False, force_bitmap_format=pdfium.FPDFBitmap_BGR
        )
        png = _png(bitmap)
        return Picture(png=png, width=bitmap.width, height=bitmap.height, scale=scale, page_count=len(document))
    finally:
        page.close()


def _scale(page: Any, dpi: float, max_width: int) -> float:
    width, height = page.get_size()
    scale = dpi / 72
    if max_width and width * scale > max_width:
        scale = max_width / width
    pixels = width * height * scale * scale
    if pixels > MOST_PIXELS:
        raise InvalidArgument(
            "BAD_OPTION",
            "the picture would have {pixels} pixels, more than {limit}",
            field="dpi",
            pixels=round(pixels),
            limit=MOST_PIXELS,
        )
    return float(scale)


def _highlight(page: Any, mark: Mark) -> None:
    """Puts a translucent rectangle on the page; it is blended so that text stays black."""
    left, bottom, right, top = View.of(page).back((mark.left, mark.top, mark.right, mark.bottom))
    rectangle = pdfium.FPDFPageObj_CreateNewRect(left, bottom, right - left, top - bottom)
    red, green, blue, alpha = struct.pack(">I", mark.color)
    pdfium.FPDFPageObj_SetFillColor(rectangle, red, green, blue, alpha)
    pdfium.FPDFPath_SetDrawMode(rectangle, pdfium.FPDF_FILLMODE_WINDING, 0)
    pdfium.FPDFPageObj_SetBlendMode(rectangle, b"Multiply")
    pdfium.FPDFPage_InsertObject(page.raw, rectangle)


def _png(bitmap: Any) -> bytes:
    """Encodes an RGB bitmap."""
    width, height, stride = bitmap.width, bitmap.height, bitmap.stride
    pixels = memoryview((ctypes.c_ubyte * (stride * height)).from_address(ctypes.addressof(bitmap.buffer))).cast("B")
    packer = zlib.compressobj(6)
    data = bytearray()
    for row in range(height):
        data += packer.compress(b"\0")
        data += packer.compress(pixels[row * stride : row * stride + width * 3])
    data += packer.flush()
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + _piece(b"IHDR", header) + _piece(b"IDAT", bytes(data)) + _piece(b"IEND", b"")


def _piece(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
