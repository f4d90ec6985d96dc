"""Reads the tables of a page: which hold data and which only lay it out, their cells and spans."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from difyrpc_services.documents.elements import Cell, Table
from difyrpc_services.documents.formats.html.kinds import is_hidden
from difyrpc_services.documents.formats.html.tokens import Tokens, attributes

MOST_SPAN: Final = 1_000  # of a cell
MOST_CELLS: Final = 200_000
_GROUPS: Final = frozenset(("thead", "tbody", "tfoot"))
_DATA_MARKS: Final = frozenset(("th", "thead", "caption"))
_HEADINGS: Final = frozenset(("h1", "h2", "h3", "h4", "nav", "article", "section", "form"))


@dataclass(slots=True)
class _Found:
    """One table, as far as its tags tell."""

    begin: int
    end: int = 0
    cells: int = 0
    rows: int = 0
    inner: int = 0
    marked: bool = False
    page_like: bool = False


@dataclass(slots=True)
class _Cell:
    first: int
    last: int
    height: int
    width: int
    header: bool


@dataclass(slots=True)
class _Row:
    group: int
    head: bool
    cells: list[_Cell] = field(default_factory=list)


class Tables:
    """The tables of a page by the places where they begin."""

    def __init__(self, tokens: Tokens) -> None:
        """Takes a page."""
        self._tokens = tokens
        self._found = _survey(tokens) if "table" in tokens.tags else {}

    def inside(self) -> Tables:
        """Answers these tables as the content of a cell sees them: none holds data of its own."""
        inner = Tables.__new__(Tables)
        inner._tokens, inner._found = self._tokens, {}
        return inner

    def is_data(self, place: int) -> bool:
        """Answers whether a table holds data, not the layout of a page."""
        found = self._found.get(place)
        if found is None or found.cells <= 1 or (found.rows <= 1 and not found.marked):
            return False
        if attributes(self._tokens.attributes[place]).get("role") in ("presentation", "none"):
            return False
        if found.page_like:
            return found.marked and not found.inner
        if found.inner:
            return found.rows >= 2 and found.cells >= 2 * found.rows and found.inner * 3 <= found.cells
        return True

    def end(self, place: int) -> int:
        """Answers the place of the tag that closes a table."""
        return self._found[place].end

    def read(self, place: int, end: int, inner: Callable[[int, int], str]) -> tuple[str, Table | None]:
        """Answers the caption and the table; `inner` answers the text between two places. None without cells."""
        caption, rows = self._rows(place, end, inner)
        cells: list[Cell] = []
        covered: set[tuple[int, int]] = set()
        columns = 0
        headed = True
        ends = {row.group: number + 1 for number, row in enumerate(rows)}
        for number, row in enumerate(rows):
            headed = headed and (row.head or all(cell.header for cell in row.cells))
            column = 0
            left = ends[row.group] - number
            for cell in row.cells:
                while (number, column) in covered:
                    column += 1
                height, width = min(cell.height or left, left), cell.width
                if len(covered) + height * width > MOST_CELLS:
                    height = width = 1
                if height > 1 or width > 1:
                    covered.update((number + down, column + right) for down in range(height) for right in range(width))
                cells.append(
                    Cell(
                        row=number,
                        column=column,
                        row_span=height,
                        column_span=width,
                        text=inner(cell.first, cell.last),
                        header=headed,
                    )
                )
                column += width
            columns = max(columns, column)
        if not cells:
            return caption, None
        return caption, _trimmed(cells, len(rows), columns)

    def _rows(self, place: int, end: int, inner: Callable[[int, int], str]) -> tuple[str, list[_Row]]:
        rows: list[_Row] = []
        caption = ""
        group = 0
        head = False
        count = 0
        at = place + 1
        while at < end:
            tag = self._tokens.tags[at]
            if tag in _GROUPS:
                group, head = group + 1, tag == "thead"
            elif tag in ("tr", "caption", "td", "th"):
                written = self._tokens.attributes[at]
                if written and is_hidden(tag, written, attributes(written)):
                    at = self._tokens.end(at)
                elif tag == "tr":
                    rows.append(_Row(group, head))
                elif tag == "caption":
                    last = self._tokens.end(at)
                    caption, at = inner(at + 1, last), last
                elif rows and count < MOST_CELLS:
                    cell = self._cell(at, tag)
                    rows[-1].cells.append(cell)
                    at = cell.last
                    count += 1
            at += 1
        return caption, [row for row in rows if row.cells]

    def _cell(self, place: int, tag: str) -> _Cell:
        written = self._tokens.attributes[place]
        last = self._end_of_cell(place, tag)
        if not written or "span" not in written:
            return _Cell(place + 1, last, 1, 1, tag == "th")
        found = attributes(written)
        height, width = _span(found.get("rowspan", "1"), least=0), _span(found.get("colspan", "1"), least=1)
        return _Cell(place + 1, last, height, width, tag == "th")

    def _end_of_cell(self, place: int, tag: str) -> int:
        closing = f"/{tag}"
        if self._tokens.tags[place + 1] == closing:
            return place + 1
        return self._tokens.end(place)


def grid_text(table: Table) -> str:
    """Answers a table as text: tabs between columns, newlines between rows."""
    return "\n".join("\t".join(" ".join(cell.split("\n")) for cell in row) for row in table.grid())


def _survey(tokens: Tokens) -> dict[int, _Found]:
    """Finds all tables in one pass."""
    found: dict[int, _Found] = {}
    stack: list[_Found] = []
    for place, tag in enumerate(tokens.tags):
        if tag is None:
            continue
        if tag == "table":
            if stack:
                stack[-1].inner += 1
            stack.append(_Found(place))
            found[place] = stack[-1]
        elif not stack:
            continue
        elif tag == "/table":
            stack.pop().end = place
        elif tag in ("td", "th"):
            stack[-1].cells += 1
            stack[-1].marked = stack[-1].marked or tag == "th"
        elif tag == "tr":
            stack[-1].rows += 1
        elif tag in _DATA_MARKS:
            stack[-1].marked = True
        elif tag in _HEADINGS:
            stack[-1].page_like = True
    for table in stack:
        table.end = len(tokens) - 1
    return found


def _span(text: str, *, least: int) -> int:
    text = text.strip()
    if not (text.isascii() and text.isdigit()):
        return 1
    return min(max(least, int(text[:6])), MOST_SPAN)


def _trimmed(cells: list[Cell], rows: int, columns: int) -> Table:
    """Answers the table with spans that end where it ends."""
    kept = tuple(
        cell
        if cell.row + cell.row_span <= rows and cell.column + cell.column_span <= columns
        else Cell(
            row=cell.row,
            column=cell.column,
            row_span=min(cell.row_span, rows - cell.row),
            column_span=min(cell.column_span, columns - cell.column),
            text=cell.text,
            header=cell.header,
        )
        for cell in cells
    )
    return Table(cells=kept, rows=rows, columns=columns)
