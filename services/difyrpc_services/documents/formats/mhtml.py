"""Reads web archives (MHTML): the page, not its pictures, styles and frames."""

from __future__ import annotations

from collections.abc import Iterator

from difyrpc_services.documents.formats.charset import decoded
from difyrpc_services.documents.formats.eml.headers import text_of
from difyrpc_services.documents.formats.eml.parts import MOST_DEPTH, Part, part_of
from difyrpc_services.documents.formats.html import page_elements, stated_encoding
from difyrpc_services.documents.formats.reading import (
    Notice,
    Opened,
    ReadPart,
    ReadRequest,
    Yielded,
    corrupt,
    refuse_pages,
)


def read(content: memoryview, request: ReadRequest) -> Iterator[Yielded]:
    """Reads a web archive; NO_PAGES, CORRUPT."""
    refuse_pages(request)
    archive = part_of(content[_leading(content) :])
    page = _page(archive, 0)
    if page is None:
        raise corrupt("mhtml", "it holds no page")
    data = page.content()
    text, notices = decoded(data, stated=page.charset or stated_encoding(data))
    metadata, elements = page_elements(text)
    subject = text_of(archive.headers, "subject")
    yield Opened(metadata={"title": subject, **metadata} if subject else metadata, notices=notices)
    found = list(elements)
    notice = Notice(reason="PAGE_WITHOUT_TEXT", message="no text stands in the page itself")
    yield ReadPart(elements=found, notices=() if found else (notice,))


def _page(part: Part, depth: int) -> Part | None:
    """Answers the part that is the page: the one that the archive names, else the first."""
    if part.kind in ("text/html", "application/xhtml+xml"):
        return part
    if not part.kind.startswith("multipart/") or depth > MOST_DEPTH:
        return None
    children = part.children()
    start = part.parameter("start")
    first = [child for child in children if start and child.headers.get("content-id") == start]
    return next((page for child in (*first, *children) if (page := _page(child, depth + 1)) is not None), None)


def _leading(content: memoryview) -> int:
    """Answers how many empty lines and spaces stand before the archive."""
    head = bytes(content[:1000])
    return len(head) - len(head.lstrip())
