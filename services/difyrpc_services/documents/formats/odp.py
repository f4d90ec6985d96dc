"""Reads OpenDocument presentations in one pass over their XML, a slide a page."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Final

from lxml import etree

from difyrpc_services.documents.elements import Box, Cell, Element, Table
from difyrpc_services.documents.formats.opendocument import (
    DRAW,
    PRESENTATION,
    SVG,
    TABLE,
    TEXT,
    events,
    forget,
    found_in_content,
    metadata,
    refuse_encrypted,
    text_of,
    whole,
)
from difyrpc_services.documents.formats.pptx.order import Placed, in_order
from difyrpc_services.documents.formats.reading import Opened, ReadPart, ReadRequest, chosen_pages
from difyrpc_services.documents.formats.sheets.tables import line
from difyrpc_services.documents.formats.zipped import Container

MOST_DEPTH: Final = 30  # groups in groups, lists in lists
MOST_CELLS: Final = 50_000
LONGEST_SUBTITLE: Final = 150  # characters
_PAGE: Final = re.compile(rb"<draw:page[\s>/]")
_LENGTH: Final = re.compile(r"(-?\d+(?:\.\d+)?)(cm|mm|in|pt|pc)")
_POINTS: Final = {"cm": 72 / 2.54, "mm": 72 / 25.4, "in": 72.0, "pt": 1.0, "pc": 12.0}
_RUNNING: Final = frozenset(("header", "footer", "date-time", "page-number"))


def read(content: memoryview, request: ReadRequest) -> Iterator[Opened | ReadPart]:
    """Reads an ODP; CORRUPT, ENCRYPTED, TOO_LARGE, PAGE_NOT_FOUND."""
    container = Container(content, format_name="odp", limit=request.max_expanded_bytes)
    refuse_encrypted(container, format_name="odp")
    count = len(found_in_content(container, _PAGE, format_name="odp"))
    pages = chosen_pages(request, count)
    yield Opened(page_count=count, pages_asked=len(pages), metadata=metadata(container))
    wanted = set(pages)
    page = 0
    for event, element in events(container, (DRAW + "page",), format_name="odp"):
        if event == "end":
            page += 1
            if page in wanted:
                yield ReadPart(page=page, elements=_slide(element, page))
            forget(element)


def _slide(element: etree._Element, page: int) -> list[Element]:
    """Answers the elements of a slide, then its notes."""
    found = in_order(list(_shapes(element, page, 0)))
    for notes in element.iterfind(PRESENTATION + "notes"):
        for frame in notes.iter(DRAW + "text-box"):
            texts = (text_of(paragraph) for paragraph in frame.iter(TEXT + "p"))
            found += [Element(id="", kind="footnote", text=text, style="notes") for text in texts if text]
    return [replace(one, page=page) for one in found]


def _shapes(parent: Sequence[etree._Element], page: int, depth: int) -> Iterator[Placed]:
    for shape in parent:
        if not isinstance(shape.tag, str) or not shape.tag.startswith(DRAW):
            continue
        if shape.tag == DRAW + "g":
            inside = list(_shapes(shape, page, depth + 1)) if depth < MOST_DEPTH else []
            if inside:
                yield _group(inside)
            continue
        elements = list(_elements(shape))
        if elements:
            yield _placed(shape, elements, page)


def _group(inside: list[Placed]) -> Placed:
    return Placed(
        left=min(one.left for one in inside),
        top=min(one.top for one in inside),
        right=max(one.right for one in inside),
        bottom=max(one.bottom for one in inside),
        inside=inside,
        title=any(one.title for one in inside),
    )


def _placed(shape: etree._Element, elements: list[Element], page: int) -> Placed:
    left, top = _points(shape.get(SVG + "x")), _points(shape.get(SVG + "y"))
    right, bottom = left + _points(shape.get(SVG + "width")), top + _points(shape.get(SVG + "height"))
    box = Box(page=page, left=left, top=top, right=max(left, right), bottom=max(top, bottom))
    title = any(element.kind == "title" and element.level == 1 for element in elements)
    boxed = [replace(element, boxes=(box,)) for element in elements]
    return Placed(left=left, top=top, right=box.right, bottom=box.bottom, elements=boxed, title=title)


def _elements(shape: etree._Element) -> Iterator[Element]:
    kind = shape.get(PRESENTATION + "class", "")
    found: list[Element] = []
    for child in shape:
        if child.tag == TABLE + "table":
            table = _table(child)
            found += [] if table is None else [table]
        elif child.tag in (DRAW + "text-box", TEXT + "p", TEXT + "list"):
            found += _texts(child if child.tag == DRAW + "text-box" else [child], 0)
    if kind in ("title", "subtitle") and found:
        text = "\n".join(element.text for element in found)
        if kind == "title" or len(text) <= LONGEST_SUBTITLE:
            found = [Element(id="", kind="title", text=text, level=1 if kind == "title" else 2)]
    elif kind in _RUNNING:
        found = [Element(id="", kind="footer", text=element.text) for element in found]
    yield from found
    text = " ".join((shape.findtext(SVG + "desc") or shape.findtext(SVG + "title") or "").split())
    if not found and (text or shape.find(DRAW + "image") is not None):
        yield Element(id="", kind="figure", text=text)


def _texts(parent: Sequence[etree._Element], level: int) -> Iterator[Element]:
    """Answers paragraphs, and items of lists with their depth."""
    for child in parent:
        if child.tag in (TEXT + "p", TEXT + "h"):
            text = text_of(child)
            if text:
                yield Element(id="", kind="list_item" if level else "paragraph", text=text, level=level)
        elif child.tag == TEXT + "list" and level < MOST_DEPTH:
            for item in child:
                yield from _texts(item, level + 1)


def _table(element: etree._Element) -> Element | None:
    cells: list[Cell] = []
    columns = 0
    rows = list(element.iter(TABLE + "table-row"))
    for row, one in enumerate(rows):
        column = 0
        for cell in one:
            if cell.tag == TABLE + "table-cell" and len(cells) < MOST_CELLS:
                cells.append(_cell(cell, row, column))
            column += max(1, min(whole(cell.get(TABLE + "number-columns-repeated")), 1_000))
        columns = max(columns, column)
    if not any(cell.text for cell in cells):
        return None
    within = (
        replace(
            cell,
            row_span=min(cell.row_span, len(rows) - cell.row),
            column_span=min(cell.column_span, columns - cell.column),
        )
        for cell in cells
    )
    table = Table(cells=tuple(within), rows=len(rows), columns=columns)
    return Element(id="", kind="table", text="\n".join(map(line, table.grid())), table=table)


def _cell(cell: etree._Element, row: int, column: int) -> Cell:
    texts = (text_of(paragraph) for paragraph in cell.iter(TEXT + "p"))
    return Cell(
        row=row,
        column=column,
        text="\n".join(text for text in texts if text),
        row_span=max(1, whole(cell.get(TABLE + "number-rows-spanned"))),
        column_span=max(1, whole(cell.get(TABLE + "number-columns-spanned"))),
    )


def _points(length: str | None) -> float:
    match = _LENGTH.fullmatch(length or "")
    return float(match.group(1)) * _POINTS[match.group(2)] if match else 0.0
