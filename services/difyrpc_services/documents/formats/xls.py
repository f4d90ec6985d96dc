"""Reads old Excel workbooks (BIFF in a compound file), a sheet a page."""

from __future__ import annotations

import io
import struct
from collections.abc import Iterable, Iterator
from itertools import chain
from typing import Final

import xlrd
from xlrd.biffh import (
    XL_CELL_BOOLEAN,
    XL_CELL_DATE,
    XL_CELL_ERROR,
    XL_CELL_NUMBER,
    XL_CELL_TEXT,
    XLRDError,
    error_text_from_code,
)
from xlrd.book import Book
from xlrd.compdoc import CompDocError
from xlrd.formula import FormulaError
from xlrd.sheet import Sheet

from difyrpc_services.documents.elements import Element
from difyrpc_services.documents.formats.reading import (
    Opened,
    ReadPart,
    ReadRequest,
    chosen_pages,
    corrupt,
    encrypted,
)
from difyrpc_services.documents.formats.sheets.number_formats import BUILT_IN, Show, general, shown
from difyrpc_services.documents.formats.sheets.pages import Budget, parts_of, under
from difyrpc_services.documents.formats.sheets.rows import elements_of
from difyrpc_services.documents.formats.sheets.values import BOLD, NUMERIC, Area, Hints, Row

MOST_MERGED: Final = 100_000
_LOCAL: Final = (14, 22)  # formats that follow the reader's locale, whatever the writer's was
_BROKEN: Final = (
    XLRDError,
    CompDocError,
    FormulaError,
    struct.error,
    AssertionError,
    AttributeError,
    LookupError,
    NotImplementedError,
    OverflowError,
    TypeError,
    ValueError,
)
"""What the library answers to records that are not what they should be."""


def read(content: memoryview, request: ReadRequest) -> Iterator[Opened | ReadPart]:
    """Reads an XLS; CORRUPT, ENCRYPTED, TOO_LARGE, PAGE_NOT_FOUND."""
    book = _opened(content)
    names = book.sheet_names()
    pages = chosen_pages(request, len(names))
    author = (book.user_name or "").strip()
    yield Opened(
        page_count=len(names),
        pages_asked=len(pages),
        metadata={"last_modified_by": author} if author else {},
        page_labels=tuple(names),
    )
    budget = Budget()
    looks = _Looks(book)
    for page in pages:
        sheet = _sheet(book, page - 1)
        title = Element(id="", kind="title", text=sheet.name, level=1)
        rows = elements_of(_rows(sheet, looks), _hints(sheet))
        yield from parts_of(under(title, chain(rows, _notes(sheet))), budget, page=page)
        book.unload_sheet(page - 1)


def _opened(content: memoryview) -> Book:
    try:
        return xlrd.open_workbook(
            file_contents=bytes(content),
            logfile=_Nowhere(),
            on_demand=True,
            formatting_info=True,
            ragged_rows=True,
            ignore_workbook_corruption=True,
        )
    except _BROKEN as error:
        if "encrypted" in str(error).lower():
            raise encrypted("xls", given=False) from error
        raise corrupt("xls", "its records are broken or truncated") from error


def _sheet(book: Book, index: int) -> Sheet:
    try:
        return book.sheet_by_index(index)
    except _BROKEN as error:
        raise corrupt("xls", f"the records of its sheet {index + 1} are broken or truncated") from error


class _Nowhere(io.TextIOBase):
    """Takes the library's remarks."""

    def write(self, text: str) -> int:
        """Answers the length."""
        return len(text)


class _Looks:
    """How the cell formats of a workbook show numbers, and which are bold."""

    def __init__(self, book: Book) -> None:
        self._book = book
        self._epoch_1904 = book.datemode == 1
        self._known: dict[int, tuple[Show | None, int]] = {}

    def of(self, index: int) -> tuple[Show | None, int]:
        """Answers how a cell format shows numbers, and BOLD or 0."""
        if index not in self._known:
            self._known[index] = self._made(index)
        return self._known[index]

    def _made(self, index: int) -> tuple[Show | None, int]:
        try:
            form = self._book.xf_list[index]
            font = self._book.font_list[form.font_index]
        except IndexError:
            return None, 0
        stated = self._book.format_map.get(form.format_key)
        code = "" if stated is None or form.format_key in _LOCAL else stated.format_str
        bold = BOLD if font.bold or font.weight >= 600 else 0
        return shown(code or BUILT_IN.get(form.format_key, ""), self._epoch_1904), bold


def _rows(sheet: Sheet, looks: _Looks) -> Iterator[Row]:
    for number in range(sheet.nrows):
        if not sheet.row_len(number):
            continue
        types, values = sheet.row_types(number), sheet.row_values(number)
        row = Row(number)
        for column, (kind, value) in enumerate(zip(types, values, strict=True)):
            if not kind or kind > XL_CELL_ERROR:
                continue
            show, bold = looks.of(sheet.cell_xf_index(number, column))
            text = _text(kind, value, show)
            if text:
                row.columns.append(column)
                row.texts.append(text)
                row.looks.append(bold | (NUMERIC if kind in (XL_CELL_NUMBER, XL_CELL_DATE) else 0))
        if row.columns:
            yield row


def _text(kind: int, value: object, show: Show | None) -> str:
    if kind == XL_CELL_TEXT:
        return str(value).replace("\r\n", "\n").replace("\r", "\n").strip()
    if kind == XL_CELL_BOOLEAN:
        return "TRUE" if value else "FALSE"
    if kind == XL_CELL_ERROR:
        return error_text_from_code.get(value, "") if isinstance(value, int) else ""
    if not isinstance(value, float):
        return str(value)
    return general(value) if show is None else show(value)


def _hints(sheet: Sheet) -> Hints:
    merged: dict[int, list[Area]] = {}
    for top, below, left, beside in sheet.merged_cells[:MOST_MERGED]:
        merged.setdefault(top, []).append(Area(top=top, left=left, bottom=below - 1, right=beside - 1))
    frozen = sheet.horz_split_pos if getattr(sheet, "panes_are_frozen", 0) else 0
    return Hints(merged=merged, frozen=int(frozen))


def _notes(sheet: Sheet) -> Iterable[Element]:
    """Answers the notes with the cells that they hang on."""
    for (row, column), note in sorted(sheet.cell_note_map.items()):
        text = (note.text or "").replace("\r", "\n").strip()
        if text:
            yield Element(id="", kind="footnote", text=text, number=xlrd.cellname(row, column), style="comment")
