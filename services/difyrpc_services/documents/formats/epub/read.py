"""Reads EPUB books: the chapters in reading order, a part each."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Final

from difyrpc_services.documents.elements import Element
from difyrpc_services.documents.formats.charset import decoded
from difyrpc_services.documents.formats.epub.package import Chapter, Package, locked, package_of
from difyrpc_services.documents.formats.html import page_elements, stated_encoding
from difyrpc_services.documents.formats.reading import (
    Notice,
    Opened,
    ReadPart,
    ReadRequest,
    Yielded,
    encrypted,
    refuse_pages,
)
from difyrpc_services.documents.formats.zipped import Container
from difyrpc_services.runtime.errors import FailedPrecondition

_HEAD: Final = 8  # elements at the beginning of a chapter among which its title stands


def read(content: memoryview, request: ReadRequest) -> Iterator[Yielded]:
    """Reads a book; NO_PAGES, CORRUPT, ENCRYPTED, TOO_LARGE, NEEDS_OCR (nothing but pictures)."""
    refuse_pages(request)
    container = Container(content, format_name="epub", limit=request.max_expanded_bytes)
    package = package_of(container)
    hidden = locked(container)
    if any(chapter.path in hidden for chapter in package.chapters):
        raise encrypted("epub", given=False)
    yield Opened(metadata=package.metadata)
    empty = True
    for chapter in package.chapters:
        part = _chapter(container, package, chapter)
        empty = empty and not any(element.kind != "figure" for element in part.elements)
        if part.elements or part.notices:
            yield part
    if empty:
        raise FailedPrecondition(
            "NEEDS_OCR", "the book has no text, only pictures; it needs optical character recognition"
        )


def _chapter(container: Container, package: Package, chapter: Chapter) -> ReadPart:
    if chapter.path not in container:
        message = f"the book has no part {chapter.path}, which its reading order names"
        return ReadPart(notices=(Notice(reason="MISSING_PART", message=message),))
    data = container.read(chapter.path)
    text, notices = decoded(data, stated=stated_encoding(data))
    elements = list(page_elements(text)[1])
    if chapter.contents:
        elements = [replace(element, contents_entry=True) for element in elements]
    else:
        elements = _titled(elements, package.titles.get(chapter.path, ()))
    return ReadPart(elements=elements, notices=notices)


def _titled(elements: list[Element], titles: Sequence[tuple[int, str]]) -> list[Element]:
    """Makes a paragraph a title that the table of contents calls so, in a chapter that marks none."""
    if not titles or any(element.kind == "title" for element in elements):
        return elements
    levels = {_key(title): depth for depth, title in titles}
    found = []
    for place, element in enumerate(elements):
        depth = levels.get(_key(element.text), 0) if element.kind == "paragraph" else 0
        if depth and (place < _HEAD or len(titles) > 1):
            found.append(replace(element, kind="title", level=min(6, depth)))
        else:
            found.append(element)
    return found


def _key(text: str) -> str:
    return "".join(text.split()).casefold()
