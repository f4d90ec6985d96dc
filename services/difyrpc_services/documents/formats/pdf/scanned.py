"""Makes pages that are pictures of text into pages like others."""

from __future__ import annotations

import ctypes
import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final

import pypdfium2.raw as pdfium

from difyrpc_services.documents.elements import Box, Element
from difyrpc_services.documents.formats.pdf.fragments import Fragment
from difyrpc_services.documents.formats.pdf.hyphens import Vocabulary, settle
from difyrpc_services.documents.formats.pdf.page import PageContent
from difyrpc_services.documents.formats.pdf.recognised import fragments_of
from difyrpc_services.documents.formats.pdf.running import Margin
from difyrpc_services.documents.formats.reading import Notice
from difyrpc_services.documents.formats.words import HYPHEN
from difyrpc_services.documents.ocr.values import NotRecognised, OcrLine, Raster, Scans

STAMP: Final = 60  # characters
EDGE: Final = 0.12  # of the page's height
MOST_PIXELS: Final = 25_000_000  # of a page as it is looked at: A3 at 400 dpi
_BROKEN_WORD: Final = re.compile(r"[a-zà-ÿ]-$")


def with_scan(page: Any, found: PageContent, scans: Scans | None) -> PageContent:
    """Answers the content of a pypdfium2 page, recognised if it has no usable text of its own; PassedOn."""
    if scans is None or not (scans.every_page or needs_eyes(found)):
        return found
    try:
        lines = scans.lines(lambda: raster_of(page, scans.dpi))
    except NotRecognised as error:
        found.unread = str(error)
        return found
    width, height = page.get_size()
    own = [] if found.garbled or scans.every_page else found.fragments
    return recognised(found.number, width, height, lines, 1 / _scale(width, height, scans.dpi), own=own)


def needs_eyes(page: PageContent) -> bool:
    """Answers whether a page shows something and has no usable text of its own."""
    return page.garbled or (page.drawn and not page.has_text) or is_stamped(page)


def is_stamped(page: PageContent) -> bool:
    """Answers whether a page is a picture on whose edge no more than a page number or a stamp stands as text."""
    if not page.backdrop or page.recognised:
        return False
    written = [fragment for fragment in page.fragments if fragment.start >= 0]
    edge = EDGE * page.height
    at_edge = all(not edge < fragment.middle < page.height - edge for fragment in written)
    return at_edge and sum(len(fragment.text) for fragment in written) < STAMP


def recognised(
    number: int, width: float, height: float, lines: Sequence[OcrLine], points: float, *, own: Sequence[Fragment] = ()
) -> PageContent:
    """Makes the content of a page; width and height in points, `points` is the size of a pixel.

    What the page says itself (`own`) stays, and what was recognised of it goes.
    """
    written = [fragment for fragment in own if fragment.start >= 0]
    seen, confidences = fragments_of(lines, points, first=1 + max((one.start for one in written), default=-1))
    fragments = [*written, *(one for one in seen if not any(_covers(other, one) for other in written))]
    page = PageContent(number, width, height, fragments)
    page.confidences = confidences
    page.recognised = page.drawn = True
    page.has_text = bool(fragments)
    _settle_hyphens(fragments)
    for fragment in fragments:
        page.sizes[round(fragment.size * 2) / 2] += len(fragment.text)
    page.margin = Margin(fragments, height)
    return page


def _covers(written: Fragment, seen: Fragment) -> bool:
    """Answers whether a fragment stands where most of a recognised one was seen."""
    wide = min(written.right, seen.right) - max(written.left, seen.left)
    high = min(written.bottom, seen.bottom) - max(written.top, seen.top)
    return wide > 0.5 * (seen.right - seen.left) and high > 0.3 * (seen.bottom - seen.top)


def _settle_hyphens(fragments: Sequence[Fragment]) -> None:
    """Marks hyphens at ends of lines that are not the word's own; engines do not tell them apart."""
    words = Vocabulary()
    for fragment in fragments:
        words.add(fragment.text)
        if _BROKEN_WORD.search(fragment.text):
            fragment.text = fragment.text[:-1] + HYPHEN
    settle(fragments, words)


def marked(elements: Sequence[Element], page: PageContent) -> list[Element]:
    """Answers the elements of a page; those that were recognised with their source and how sure each is."""
    if not page.recognised:
        return list(elements)
    return [_marked(element, page) for element in elements]


def _marked(element: Element, page: PageContent) -> Element:
    """Answers an element with the mean over the characters in its boxes that were recognised, if any were."""
    total = count = 0.0
    for fragment in page.fragments:
        sure = page.confidences.get(fragment.start)
        if sure is not None and any(_holds(box, fragment) for box in element.boxes):
            total += sure * len(fragment.text)
            count += len(fragment.text)
    return replace(element, source="ocr", confidence=round(total / count, 3)) if count else element


def _holds(box: Box, fragment: Fragment) -> bool:
    middle = (fragment.left + fragment.right) / 2
    return box.top - 1 <= fragment.middle <= box.bottom + 1 and box.left - 1 <= middle <= box.right + 1


def notices_of(page: PageContent) -> tuple[Notice, ...]:
    """Answers what is to be said of a page that is a picture."""
    found = []
    if page.unread:
        found.append(("OCR_FAILED", f"this page could not be recognised: {page.unread}"))
    if is_stamped(page) and page.has_text:
        found.append(("PAGE_WITHOUT_TEXT", "this page is a picture with a few signs of text on it"))
    elif page.drawn and not page.has_text and not page.garbled:
        what = "nothing was recognised on this page" if page.recognised else "this page is a picture"
        found.append(("PAGE_WITHOUT_TEXT", what))
    return tuple(Notice(reason=reason, message=message, page=page.number) for reason, message in found)


def raster_of(page: Any, dpi: float) -> Raster:
    """Renders a pypdfium2 page in shades of grey; pages of many pixels at fewer an inch."""
    width, height = page.get_size()
    scale = _scale(width, height, dpi)
    bitmap = page.render(scale=scale, grayscale=True, may_draw_forms=True, fill_color=(255, 255, 255, 255))
    try:
        if bitmap.format != pdfium.FPDFBitmap_Gray:
            raise ValueError("pdfium rendered another format than was asked for")
        stride = bitmap.stride
        pixels = bytes((ctypes.c_ubyte * (stride * bitmap.height)).from_address(ctypes.addressof(bitmap.buffer)))
        if stride != bitmap.width:
            pixels = b"".join(pixels[row * stride : row * stride + bitmap.width] for row in range(bitmap.height))
        return Raster(width=bitmap.width, height=bitmap.height, dpi=scale * 72, pixels=pixels)
    finally:
        bitmap.close()


def _scale(width: float, height: float, dpi: float) -> float:
    """Answers pixels a point."""
    most = (MOST_PIXELS / max(1.0, width * height)) ** 0.5
    return float(min(dpi / 72, most))
