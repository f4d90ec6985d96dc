"""Reads OpenDocument spreadsheets in one pass over their XML, a sheet a page."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from html import unescape
from itertools import chain
from typing import Final

from lxml import etree

from difyrpc_services.documents.elements import Element
from difyrpc_services.documents.formats.opendocument import (
    OFFICE,
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
from difyrpc_services.documents.formats.reading import (
    Opened,
    ReadPart,
    ReadRequest,
    chosen_pages,
    too_large,
)
from difyrpc_services.documents.formats.sheets.number_formats import general
from difyrpc_services.documents.formats.sheets.pages import Budget, parts_of, under
from difyrpc_services.documents.formats.sheets.rows import elements_of
from difyrpc_services.documents.formats.sheets.values import NUMERIC, Area, Hints, Row
from difyrpc_services.documents.formats.zipped import Container

MOST_COLUMNS: Final = 16_384
MOST_REPEATED: Final = 100_000  # times that one row with text stands in a sheet
_SHEET: Final = re.compile(rb"<table:table\s[^>]*?table:name=[\"']([^\"']*)[\"']")
_NUMERIC: Final = frozenset(("float", "percentage", "currency", "date", "time"))


def read(content: memoryview, request: ReadRequest) -> Iterator[Opened | ReadPart]:
    """Reads an ODS; CORRUPT, ENCRYPTED, TOO_LARGE, PAGE_NOT_FOUND."""
    container = Container(content, format_name="ods", limit=request.max_expanded_bytes)
    refuse_encrypted(container, format_name="ods")
    names = _names(container)
    pages = chosen_pages(request, len(names))
    yield Opened(page_count=len(names), pages_asked=len(pages), metadata=metadata(container), page_labels=tuple(names))
    budget = Budget()
    wanted = set(pages)
    for page, sheet in enumerate(_sheets(container), start=1):
        if page not in wanted:
            continue
        title = Element(id="", kind="title", text=sheet.name, level=1)
        found = chain(elements_of(sheet.rows(), Hints(merged=sheet.merged)), sheet.beside)
        yield from parts_of(under(title, found), budget, page=page)


def _names(container: Container) -> list[str]:
    """Answers the names of the sheets before any is read."""
    found = found_in_content(container, _SHEET, format_name="ods")
    return [unescape(name.decode("utf-8", "replace")) for name in found]


def _sheets(container: Container) -> Iterator[_Sheet]:
    """Answers the sheets one after the other; the rows of one that was not read are passed over."""
    passing = events(container, (TABLE + "table", TABLE + "table-row", TABLE + "shapes"), format_name="ods")
    for event, element in passing:
        if event == "start" and element.tag == TABLE + "table":
            sheet = _Sheet(element.get(TABLE + "name", ""), passing)
            yield sheet
            for _ in sheet.rows():
                pass


@dataclass(slots=True)
class _Sheet:
    """One sheet, whose rows are read as they come."""

    name: str
    events: Iterator[tuple[str, etree._Element]]
    merged: dict[int, list[Area]] = field(default_factory=dict)
    beside: list[Element] = field(default_factory=list)
    """Known once the rows were read: text boxes and comments."""
    ended: bool = False

    def rows(self) -> Iterator[Row]:
        """Answers the rows that have text; TOO_LARGE."""
        number = inner = 0
        while not self.ended:
            event, element = next(self.events, ("end", None))
            if element is None or element.tag == TABLE + "table":
                inner += 1 if event == "start" else -1
                self.ended = inner < 0
            elif event == "end" and element.tag == TABLE + "shapes":
                self.beside += [
                    Element(id="", kind="paragraph", text=text)
                    for paragraph in element.iter(TEXT + "p")
                    if (text := text_of(paragraph))
                ]
                element.clear()
            elif event == "end" and element.tag == TABLE + "table-row":
                times = max(1, whole(element.get(TABLE + "number-rows-repeated")))
                row = self._row(element, number)
                if row.columns:
                    yield from _repeated(row, times)
                number += times
                forget(element)

    def _row(self, element: etree._Element, number: int) -> Row:
        row = Row(number)
        column = 0
        for cell in element:
            times = max(1, whole(cell.get(TABLE + "number-columns-repeated")))
            text = cell_text(cell) if cell.tag == TABLE + "table-cell" and len(cell) else ""
            if text:
                numeric = NUMERIC if cell.get(OFFICE + "value-type") in _NUMERIC else 0
                for place in range(column, min(column + times, MOST_COLUMNS)):
                    row.columns.append(place)
                    row.texts.append(text)
                    row.looks.append(numeric)
                self._span(cell, number, column)
            self._comment(cell, number, column)
            column += times
        return row

    def _span(self, cell: etree._Element, row: int, column: int) -> None:
        height = max(1, whole(cell.get(TABLE + "number-rows-spanned")))
        width = max(1, whole(cell.get(TABLE + "number-columns-spanned")))
        if height * width > 1:
            area = Area(top=row, left=column, bottom=row + height - 1, right=column + width - 1)
            self.merged.setdefault(row, []).append(area)

    def _comment(self, cell: etree._Element, row: int, column: int) -> None:
        note = cell.find(OFFICE + "annotation")
        if note is not None:
            text = "\n".join(text for paragraph in note.iter(TEXT + "p") if (text := text_of(paragraph)))
            if text:
                place = f"{_letters(column)}{row + 1}"
                self.beside.append(Element(id="", kind="footnote", text=text, number=place, style="comment"))


def cell_text(cell: etree._Element) -> str:
    """Answers what a cell shows; its value where it shows nothing."""
    found = [text for paragraph in cell.iterfind(TEXT + "p") if (text := text_of(paragraph))]
    if not found and cell.get(OFFICE + "value"):
        try:
            return general(float(cell.get(OFFICE + "value", "")))
        except ValueError:
            return ""
    return "\n".join(found)


def _repeated(row: Row, times: int) -> Iterator[Row]:
    if times > MOST_REPEATED:
        raise too_large("repeated_rows", MOST_REPEATED)
    yield row
    for further in range(1, times):
        yield Row(row.number + further, row.columns, row.texts, row.looks)


def _letters(column: int) -> str:
    text = ""
    column += 1
    while column:
        column, rest = divmod(column - 1, 26)
        text = chr(65 + rest) + text
    return text
