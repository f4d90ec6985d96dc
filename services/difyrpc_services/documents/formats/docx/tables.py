"""Tables of a Word document, with spans and header rows, put together cell by cell."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from difyrpc_services.documents.elements import Cell, Element, Table
from difyrpc_services.documents.formats.docx.properties import CellLook, RowLook
from difyrpc_services.documents.formats.reading import too_large

MOST_COLUMNS: Final = 1_000
MOST_PLACES: Final = 2_000_000  # rows times columns
MOST_CELLS: Final = 200_000
_PLAIN: Final = RowLook()
_CELL: Final = CellLook()
_APART: Final = frozenset(("figure", "footnote"))


@dataclass(slots=True)
class _Open:
    """A cell that further rows may go on."""

    row: int
    column: int
    width: int
    text: str
    bold: bool
    height: int = 1


@dataclass(slots=True)
class TableBuilder:
    """A table that is being read."""

    cells: list[_Open] = field(default_factory=list)
    marked: list[bool] = field(default_factory=list)
    """Which rows are marked as header rows."""
    row: RowLook = _PLAIN
    cell: CellLook = _CELL
    after: list[Element] = field(default_factory=list)
    """Figures and notes of its cells, which stand behind it."""
    first: list[Element] = field(default_factory=list)
    """The elements of its first cell, which are text if there is no other."""
    columns: int = 0
    opened: bool = False
    """A row has begun and not ended."""
    _column: int = 0
    _above: dict[int, _Open] = field(default_factory=dict)
    _current: dict[int, _Open] = field(default_factory=dict)
    _last: _Open | None = None

    def begin_row(self) -> None:
        """Begins a row."""
        self.row = _PLAIN
        self.opened = True
        self._column = 0
        self._current = {}
        self._last = None

    def describe_row(self, look: RowLook) -> None:
        """Takes what the row states."""
        self.row = look
        self._column = min(look.before, MOST_COLUMNS)

    def begin_cell(self) -> None:
        """Begins a cell."""
        self.cell = _CELL

    def end_cell(self, elements: list[Element]) -> None:
        """Takes the content of a cell."""
        look = self.cell
        if self.row.deleted:
            return
        if not self.cells:
            self.first = elements
        width = look.width if self._column + look.width <= MOST_COLUMNS else 1
        opened = self._above.get(self._column) if look.below else None
        if look.beside and self._last is not None:
            self._last.width += width
        elif opened is not None and opened.width == width:
            opened.height += 1
            self._current[self._column] = opened
        else:
            self._open(width, elements)
        self._column += width
        self.columns = max(self.columns, self._column)

    def _open(self, width: int, elements: list[Element]) -> None:
        if len(self.cells) >= MOST_CELLS:
            raise too_large("table_cells", MOST_CELLS)
        self.after += [element for element in elements if element.kind in _APART]
        texts = [element for element in elements if element.kind not in _APART and element.text]
        text = "\n".join(element.written for element in texts)
        bold = bool(texts) and all(element.bold for element in texts)
        self._last = _Open(len(self.marked), self._column, width, text, bold)
        self.cells.append(self._last)
        self._current[self._column] = self._last

    def end_row(self) -> None:
        """Ends a row; TOO_LARGE."""
        self.opened = False
        if self.row.deleted:
            return
        self.marked.append(self.row.header)
        self._above = self._current
        if len(self.marked) * self.columns > MOST_PLACES:
            raise too_large("table_places", MOST_PLACES)

    def elements(self) -> list[Element]:
        """Answers the table and what stands behind it; the content of its only cell, if it has but one."""
        if len(self.cells) == 1 and len(self.marked) == 1:
            return self.first  # a frame around text
        if not self.cells:
            return []
        table = self._table()
        rows = ("\t".join(" ".join(text.split("\n")) for text in row) for row in table.grid())
        return [Element(id="", kind="table", text="\n".join(rows), table=table), *self.after]

    def _table(self) -> Table:
        header = _header_rows(self.cells, self.marked)
        return Table(
            rows=len(self.marked),
            columns=self.columns,
            cells=tuple(
                Cell(
                    row=cell.row,
                    column=cell.column,
                    row_span=cell.height,
                    column_span=cell.width,
                    text=cell.text,
                    header=cell.row < header,
                )
                for cell in self.cells
            ),
        )


def _header_rows(cells: list[_Open], marked: list[bool]) -> int:
    """Answers how many rows are marked as header, else 1 if the first row alone is bold, else 0."""
    count = next((index for index, mark in enumerate(marked) if not mark), len(marked))
    if count or len(marked) < 2:
        return min(count, len(marked))
    first = [cell for cell in cells if cell.row == 0 and cell.text]
    rest = [cell for cell in cells if cell.row > 0 and cell.text]
    bold = bool(first) and all(cell.bold for cell in first)
    return 1 if bold and rest and sum(cell.bold for cell in rest) * 2 < len(rest) else 0
