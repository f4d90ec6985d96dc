"""Tables of RTF: rows of cells that state where they end, put onto one grid."""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass, field
from typing import Final

from difyrpc_services.documents.elements import Cell, Element, Table
from difyrpc_services.documents.formats.reading import too_large

MOST_CELLS: Final = 200_000
MOST_PLACES: Final = 2_000_000  # rows times columns
MOST_COLUMNS: Final = 1_000
CLOSE: Final = 25  # twips between edges that are meant to be one
_APART: Final = frozenset(("figure", "footnote"))


@dataclass(slots=True)
class CellLook:
    """What a row says of one cell."""

    right: int = 0
    """Twips."""
    beside: bool = False
    """It goes on the cell before it."""
    below: bool = False
    """It goes on the cell above it."""


@dataclass(slots=True)
class RowLook:
    """What is said of the rows that follow."""

    left: int = 0
    header: bool = False
    cells: list[CellLook] = field(default_factory=list)
    next_cell: CellLook = field(default_factory=CellLook)

    def close_cell(self, right: int) -> None:
        """Takes where a cell ends."""
        self.next_cell.right = right
        if len(self.cells) < MOST_COLUMNS:
            self.cells.append(self.next_cell)
        self.next_cell = CellLook()


@dataclass(slots=True)
class _Row:
    look: RowLook
    cells: list[list[Element]]


@dataclass(slots=True)
class TableState:
    """A table that is open."""

    rows: list[_Row] = field(default_factory=list)
    cells: list[list[Element]] = field(default_factory=list)
    """Of the row that is open."""
    content: list[Element] = field(default_factory=list)
    """Of the cell that is open."""
    count: int = 0

    def end_cell(self) -> None:
        """Ends a cell; TOO_LARGE."""
        self.count += 1
        if self.count > MOST_CELLS:
            raise too_large("table_cells", MOST_CELLS)
        self.cells.append(self.content)
        self.content = []

    def end_row(self, look: RowLook) -> None:
        """Ends a row."""
        if self.content:
            self.end_cell()
        if self.cells:
            self.rows.append(_Row(look, self.cells))
        self.cells = []

    def elements(self) -> list[Element]:
        """Answers the table and what stands behind it; the content of its only cell, if it has but one."""
        if self.cells or self.content:
            self.end_row(RowLook())
        if len(self.rows) == 1 and len(self.rows[0].cells) == 1:
            return self.rows[0].cells[0]  # a frame around text
        table = _table(self.rows)
        if table is None:
            return [element for row in self.rows for cell in row.cells for element in cell]
        after = [element for row in self.rows for cell in row.cells for element in cell if element.kind in _APART]
        rows = ("\t".join(" ".join(text.split("\n")) for text in row) for row in table.grid())
        return [Element(id="", kind="table", text="\n".join(rows), table=table), *after]


@dataclass(slots=True)
class _Open:
    row: int
    column: int
    width: int
    text: str
    header: bool
    height: int = 1


def _table(rows: list[_Row]) -> Table | None:
    edges = _edges(rows)
    cells: list[_Open] = []
    above: dict[int, _Open] = {}
    columns = 0
    header = True
    for place, row in enumerate(rows):
        header = header and row.look.header
        current: dict[int, _Open] = {}
        last: _Open | None = None
        column = 0
        for index, elements in enumerate(row.cells):
            look = row.look.cells[index] if index < len(row.look.cells) else None
            width = _width(edges, row.look, index, column)
            opened = above.get(column) if look is not None and look.below else None
            if look is not None and look.beside and last is not None:
                last.width += width
            elif opened is not None:
                opened.height += 1
                last = current[column] = opened
            else:
                text = "\n".join(one.written for one in elements if one.kind not in _APART and one.text)
                last = current[column] = _Open(place, column, width, text, header)
                cells.append(last)
            column += width
        above = current
        columns = max(columns, column)
    if not any(cell.text for cell in cells):
        return None
    if columns * len(rows) > MOST_PLACES:
        raise too_large("table_places", MOST_PLACES)
    return Table(
        rows=len(rows),
        columns=columns,
        cells=tuple(
            Cell(
                row=cell.row,
                column=cell.column,
                row_span=cell.height,
                column_span=cell.width,
                text=cell.text,
                header=cell.header,
            )
            for cell in cells
        ),
    )


def _edges(rows: list[_Row]) -> list[int]:
    """Answers where columns end, over all rows; edges that are close are one."""
    stated = sorted({cell.right for row in rows for cell in row.look.cells})
    edges: list[int] = []
    for edge in stated:
        if not edges or edge - edges[-1] > CLOSE:
            edges.append(edge)
    return edges


def _width(edges: list[int], look: RowLook, index: int, column: int) -> int:
    """Answers how many columns a cell spans."""
    if index >= len(look.cells):
        return 1
    end = bisect_left(edges, look.cells[index].right - CLOSE) + 1
    return max(1, end - column)
