"""What hangs beside the cells of a sheet: text boxes, pictures, charts, comments."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from lxml import etree

from difyrpc_services.documents.elements import Element
from difyrpc_services.documents.formats.office.charts import chart_elements
from difyrpc_services.documents.formats.office.drawn import A, alternative_text, paragraph_text
from difyrpc_services.documents.formats.office.parts import Package, R
from difyrpc_services.documents.formats.xlsx.styles import X
from difyrpc_services.documents.formats.xlsx.texts import plain

MOST_COMMENTS: Final = 20_000
XDR: Final = "{http://schemas.openxmlformats.org/drawingml/2006/spreadsheetDrawing}"
_THREADED: Final = "{http://schemas.microsoft.com/office/spreadsheetml/2018/threadedcomments}"
_CHARTS: Final = ("chart", "chartEx")


def beside(package: Package, part: str) -> Iterator[Element]:
    """Answers the drawings of a sheet, then its comments with the cells that they hang on."""
    for drawing in package.related(part, "drawing"):
        yield from _drawing(package, drawing)
    threads = list(_threads(package, part))
    answered = {cell for cell, _ in threads}
    for cell, text in (*_notes(package, part, answered), *threads):
        yield Element(id="", kind="footnote", text=text, number=cell, style="comment")


def _drawing(package: Package, part: str) -> Iterator[Element]:
    """Answers text boxes, pictures and charts; a chart's values stand in cells already."""
    relations = package.relations(part)
    for element in package.beside(part).iter(XDR + "txBody", XDR + "pic", A + "graphicData"):
        if element.tag == XDR + "txBody":
            for paragraph in element.iterfind(A + "p"):
                if text := paragraph_text(paragraph):
                    yield Element(id="", kind="paragraph", text=text)
        elif element.tag == XDR + "pic":
            text = alternative_text(element.find(f"{XDR}nvPicPr/{XDR}cNvPr"))
            yield Element(id="", kind="figure", text=text)
        else:
            for child in element:
                relation = relations.get(child.get(R + "id", ""))
                if relation is not None and relation.kind in _CHARTS:
                    yield from chart_elements(package.beside(relation.part), values=False)


def _notes(package: Package, part: str, answered: set[str]) -> Iterator[tuple[str, str]]:
    """Answers cells and what is noted on them; what stands for a thread is left to the thread."""
    for name in package.related(part, "comments"):
        for comment in list(package.beside(name).iter(X + "comment"))[:MOST_COMMENTS]:
            cell = comment.get("ref", "")
            text = plain("".join(piece.text or "" for piece in comment.iter(X + "t") if not _reading(piece)).encode())
            if text and cell not in answered:
                yield cell, text


def _reading(text: etree._Element) -> bool:
    parent = text.getparent()
    return parent is not None and parent.tag == X + "rPh"


def _threads(package: Package, part: str) -> Iterator[tuple[str, str]]:
    for name in package.related(part, "threadedComment"):
        for comment in list(package.beside(name).iter(_THREADED + "threadedComment"))[:MOST_COMMENTS]:
            text = comment.findtext(_THREADED + "text", "").strip()
            if text:
                yield comment.get("ref", ""), text
