"""Gives a damaged PDF a new table of its objects, and a page tree of the pages that are left.

pdfium mends a wrong table by itself, but it wants a trailer, and that stands at the end: a file that was cut off has
none. What can be read of such a file is what pdfium then reads.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterator
from typing import Final

MOST_BYTES: Final = 64 * 1024 * 1024  # of the file; the repair needs as much again
MOST_EXPANDED: Final = 32 * 1024 * 1024  # of the objects that stand compressed in streams
MOST_OBJECTS: Final = 500_000
HEAD: Final = 2_048  # bytes of an object that are looked at for its kind
_OBJECT: Final = re.compile(rb"(?<![0-9])(\d{1,8})[ \t\r\n]+(\d{1,5})[ \t\r\n]+obj\b")
_TYPE: Final = re.compile(rb"/Type\s*/(Page|Pages|Catalog|ObjStm|XRef)(?![A-Za-z])")
_COUNT: Final = re.compile(rb"/N\s+(\d{1,6})")
_FIRST: Final = re.compile(rb"/First\s+(\d{1,8})")
_STREAM: Final = re.compile(rb"stream\r?\n")


def repaired(content: bytes) -> bytes | None:
    """Answers a file that pdfium can open; None if no page is left or the pages are encrypted."""
    if len(content) > MOST_BYTES or b"/Encrypt" in content:
        return None
    places: dict[int, int] = {}
    pages: list[int] = []
    added = bytearray()
    for number, begin, end in _objects(content):
        kind = _kind(content[begin : min(end, begin + HEAD)])
        places[number] = begin
        if kind == b"Page":
            pages.append(number)
        elif kind == b"ObjStm":
            for inner, body in _compressed(content[begin:end], MOST_EXPANDED - len(added)):
                places[inner] = len(content) + 1 + len(added)
                added += b"%d 0 obj\n%b\nendobj\n" % (inner, body)
                if _kind(body[:HEAD]) == b"Page":
                    pages.append(inner)
    if not pages:
        return None
    return _whole(content, added, places, list(dict.fromkeys(pages)))


def _objects(content: bytes) -> Iterator[tuple[int, int, int]]:
    """Yields number, begin and end of each object that is not cut off."""
    last: re.Match[bytes] | None = None
    for count, match in enumerate(_OBJECT.finditer(content)):
        if last is not None:
            yield int(last.group(1)), last.start(), match.start()
        last = match
        if count >= MOST_OBJECTS:
            return
    if last is not None and content.find(b"endobj", last.start()) >= 0:
        yield int(last.group(1)), last.start(), len(content)


def _kind(head: bytes) -> bytes:
    match = _TYPE.search(head.split(b"stream", 1)[0])
    return match.group(1) if match else b""


def _compressed(body: bytes, most: int) -> Iterator[tuple[int, bytes]]:
    """Yields number and body of the objects inside of an object stream."""
    count, first, begin = _COUNT.search(body), _FIRST.search(body), _STREAM.search(body)
    if not (count and first and begin) or most <= 0:
        return
    try:
        data = zlib.decompressobj().decompress(body[begin.end() :], most)
    except zlib.error:
        return
    head = data[: int(first.group(1))].split()[: 2 * int(count.group(1))]
    if not all(part.isdigit() for part in head):
        return
    numbers = [int(part) for part in head]
    starts = [int(first.group(1)) + start for start in numbers[1::2]]
    for number, start, end in zip(numbers[::2], starts, [*starts[1:], len(data)], strict=False):
        yield number, data[start:end]


def _whole(content: bytes, added: bytearray, places: dict[int, int], pages: list[int]) -> bytes:
    catalog = max(places) + 1
    kids = b" ".join(b"%d 0 R" % page for page in pages)
    out = bytearray(content)
    out += b"\n"
    out += added
    places = {**places, catalog: len(out)}
    out += b"%d 0 obj\n<</Type/Catalog/Pages %d 0 R>>\nendobj\n" % (catalog, catalog + 1)
    places[catalog + 1] = len(out)
    out += b"%d 0 obj\n<</Type/Pages/Count %d/Kids[%b]>>\nendobj\n" % (catalog + 1, len(pages), kids)
    table = len(out)
    out += b"xref\n0 1\n0000000000 65535 f \n"
    for number, place in sorted(places.items()):
        out += b"%d 1\n%010d 00000 n \n" % (number, place)
    out += b"trailer\n<</Size %d/Root %d 0 R>>\nstartxref\n%d\n%%%%EOF\n" % (catalog + 2, catalog, table)
    return bytes(out)
