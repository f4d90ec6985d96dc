"""Reads a presentation: its slides in their order, hidden ones too, each a page with its notes and comments."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Final

from lxml import etree

from difyrpc_services.documents.elements import Element
from difyrpc_services.documents.formats.office.drawn import A, body_text, paragraph_text
from difyrpc_services.documents.formats.office.parts import Package, R
from difyrpc_services.documents.formats.pptx.inherited import Layouts, P, holder_of
from difyrpc_services.documents.formats.pptx.order import in_order
from difyrpc_services.documents.formats.pptx.shapes import Shapes
from difyrpc_services.documents.formats.reading import (
    Notice,
    Opened,
    ReadPart,
    ReadRequest,
    chosen_pages,
    corrupt,
)
from difyrpc_services.documents.formats.zipped import Container

MOST_COMMENTS: Final = 1_000  # of a slide
_MODERN: Final = "{http://schemas.microsoft.com/office/powerpoint/2018/8/main}"
_NO_NOTES: Final = frozenset(("sldImg", "sldNum", "dt", "ftr", "hdr"))


def read(content: memoryview, request: ReadRequest) -> Iterator[Opened | ReadPart]:
    """Reads a PPTX; CORRUPT, ENCRYPTED, TOO_LARGE, PAGE_NOT_FOUND."""
    container = Container(content, format_name="pptx", limit=request.max_expanded_bytes)
    package = Package(container, format_name="pptx")
    slides = _slides(package)
    pages = chosen_pages(request, len(slides))
    yield Opened(page_count=len(slides), pages_asked=len(pages), metadata=package.metadata())
    layouts = Layouts(package)
    for page in pages:
        yield _page(package, layouts, slides[page - 1], page)


def _slides(package: Package) -> list[str]:
    """Answers the parts with the slides in their order; empty for one that is missing."""
    main = package.main("ppt/presentation.xml")
    root = package.xml(main)
    if root.tag != P + "presentation":
        raise corrupt("pptx", "its main part is no presentation")
    relations = package.relations(main)
    names = (element.get(R + "id", "") for element in root.iterfind(f"{P}sldIdLst/{P}sldId"))
    return [relations[name].part if name in relations else "" for name in names]


def _page(package: Package, layouts: Layouts, part: str, page: int) -> ReadPart:
    if not part:
        notice = Notice(reason="SLIDE_MISSING", message=f"the slide {page} is not in the file", page=page)
        return ReadPart(page=page, notices=(notice,))
    tree = package.xml(part).find(f"{P}cSld/{P}spTree")
    found: list[Element] = []
    if tree is not None:
        found = in_order(Shapes(package, part, layouts.above(part), page=page).read(tree))
    found += _notes(package, part)
    found += _comments(package, part)
    elements = [replace(element, page=page) for element in found]
    return ReadPart(page=page, elements=elements, notices=package.notices(page=page))


def _notes(package: Package, part: str) -> Iterator[Element]:
    """Answers what the speaker has noted."""
    for notes in package.related(part, "notesSlide"):
        for shape in package.beside(notes).iter(P + "sp"):
            holder, body = holder_of(shape), shape.find(P + "txBody")
            if body is None or (holder is not None and holder.type in _NO_NOTES):
                continue
            for paragraph in body.iterfind(A + "p"):
                if text := paragraph_text(paragraph):
                    yield Element(id="", kind="footnote", text=text, style="notes")


def _comments(package: Package, part: str) -> Iterator[Element]:
    """Answers the comments on a slide and the answers to them."""
    for name in package.related(part, "comments"):
        for comment in list(package.beside(name).iter(P + "cm", _MODERN + "cm", _MODERN + "reply"))[:MOST_COMMENTS]:
            text = _comment(comment)
            if text:
                yield Element(id="", kind="footnote", text=text, style="comment")


def _comment(comment: etree._Element) -> str:
    body = comment.find(_MODERN + "txBody")
    return body_text(body) if body is not None else (comment.findtext(P + "text") or "").strip()
