"""What a PDF says of itself: metadata, page labels, outline, files inside."""

from __future__ import annotations

import ctypes
import re
from collections.abc import Iterator
from itertools import islice
from typing import Any, Final

import pypdfium2
import pypdfium2.raw as pdfium

from difyrpc_services.documents.formats.reading import Enclosed

MOST_BOOKMARKS: Final = 1_000
MOST_DEPTH: Final = 6  # of bookmarks; as many levels of titles
MOST_FILES: Final = 200
LONGEST_VALUE: Final = 1_000  # characters
LONGEST_LABEL: Final = 64  # characters
_METADATA: Final = {
    "Title": "title",
    "Author": "author",
    "Subject": "subject",
    "Keywords": "keywords",
    "Creator": "creator",
    "Producer": "producer",
    "CreationDate": "created",
    "ModDate": "modified",
}
_UNSET: Final = frozenset({"unspecified", "anonymous", "untitled"})  # what programs write for want of a value
_DATE: Final = re.compile(r"D:(\d{4})(\d\d)?(\d\d)?(\d\d)?(\d\d)?(\d\d)?(?:([+-])(\d\d)'?(\d\d)?|Z)?")
_INSIGNIFICANT: Final = re.compile(r"[\W_]+")

Outline = dict[int, dict[str, int]]
"""Levels of titles by page from 1 and `signature`."""


def metadata(document: pypdfium2.PdfDocument) -> dict[str, str]:
    """Answers what the file states of itself by lower-case names; dates as RFC 3339."""
    found = {}
    for key, name in _METADATA.items():
        value = document.get_metadata_value(key).strip("\x00 \t\r\n")
        if value and value.strip("()").lower() not in _UNSET:
            found[name] = _date(value) if name in ("created", "modified") else value[:LONGEST_VALUE]
    return {name: value for name, value in found.items() if value}


def _date(value: str) -> str:
    """Answers a PDF date as RFC 3339; empty if it is none."""
    match = _DATE.match(value)
    if match is None:
        return ""
    year, month, day, hour, minute, second, sign, zone_hours, zone_minutes = match.groups()
    zone = f"{sign}{zone_hours}:{zone_minutes or '00'}" if sign else "Z"
    return f"{year}-{month or '01'}-{day or '01'}T{hour or '00'}:{minute or '00'}:{second or '00'}{zone}"


def page_labels(document: pypdfium2.PdfDocument, count: int) -> tuple[str, ...]:
    """Answers the printed page numbers; empty if there are none, or they are the numbers from 1."""
    if not _label(document, 0):
        return ()
    labels = tuple(_label(document, index) for index in range(count))
    return () if labels == tuple(map(str, range(1, count + 1))) else labels


def _label(document: pypdfium2.PdfDocument, index: int) -> str:
    buffer = ctypes.create_string_buffer(2 * LONGEST_LABEL + 2)
    length = pdfium.FPDF_GetPageLabel(document.raw, index, buffer, len(buffer))
    return buffer.raw[: length - 2].decode("utf-16-le", "replace") if 2 < length <= len(buffer) else ""


def outline(document: pypdfium2.PdfDocument) -> Outline:
    """Answers the levels of the titles that bookmarks name."""
    found: Outline = {}
    for bookmark in islice(document.get_toc(max_depth=MOST_DEPTH), MOST_BOOKMARKS):
        target = bookmark.get_dest()
        index = target.get_index() if target is not None else None
        name = signature(bookmark.get_title())
        if index is not None and name:
            found.setdefault(index + 1, {}).setdefault(name, min(6, bookmark.level + 1))
    return found


def signature(title: str) -> str:
    """Answers the letters and digits of a title, which its bookmark has too."""
    return _INSIGNIFICANT.sub("", title).lower()


def files_inside(document: pypdfium2.PdfDocument, most_bytes: int) -> Iterator[Enclosed]:
    """Yields the files that the document holds, as many as `most_bytes` admits."""
    for index in range(min(pdfium.FPDFDoc_GetAttachmentCount(document.raw), MOST_FILES)):
        handle = pdfium.FPDFDoc_GetAttachment(document.raw, index)
        if not handle:
            continue
        content = _content(handle, most_bytes)
        most_bytes -= len(content)
        yield Enclosed(name=_name(handle), content=memoryview(content), read=False)


def _name(handle: Any) -> str:
    length = pdfium.FPDFAttachment_GetName(handle, None, 0)
    buffer = ctypes.create_string_buffer(max(2, min(length, 2048)))
    pdfium.FPDFAttachment_GetName(handle, ctypes.cast(buffer, ctypes.POINTER(ctypes.c_ushort)), len(buffer))
    return buffer.raw.decode("utf-16-le", "replace").rstrip("\x00")


def _content(handle: Any, most_bytes: int) -> bytes:
    length = ctypes.c_ulong()
    if not pdfium.FPDFAttachment_GetFile(handle, None, 0, length) or not 0 < length.value <= most_bytes:
        return b""
    buffer = ctypes.create_string_buffer(length.value)
    pdfium.FPDFAttachment_GetFile(handle, buffer, length.value, length)
    return buffer.raw
