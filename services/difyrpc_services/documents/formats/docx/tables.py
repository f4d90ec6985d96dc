"""Tables of a Word document, with spans and header rows."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from lxml import etree

from difyrpc_services.documents.elements import Cell, Table
from difyrpc_services.documents.formats.docx.names import W, switched, value, whole

MOST_COLUMNS: Final = 1_000
MOST_CELLS: Final = 200_000

CellText = Callable[[etree._Element], tuple[str, bool]]


@dataclass(slots=True)
class _Open:
    """A cell that further rows may go on."""

    row: int
    column: int
    width: int
    text: str
    bold: bool
    height: int = 1


def table_of(element: etree._Element, text_of: CellText) -> Table | None:
    """Reads a w:tbl; `text_of` answers a cell's text and whether it is bold. None for a table without cells."""
    cells: list[_Open] = []
    above: dict[int, _Open] = {}
    marked: list[bool] = []
    columns = 0
    for row, line in enumerate(rows_of(element)):
        properties = line.find(W + "trPr")
        marked.append(bool(switched(properties, "tblHeader")))
        column = whole(value(properties, "gridBefore")) or 0
        current: dict[int, _Open] = {}
        for cell in cells_of(line):
            width, goes_on = _shape(cell)
            if column + width > MOST_COLUMNS or len(cells) > MOST_CELLS:
                break
            opened = above.get(column)
            if goes_on and opened is not None and opened.width == width:
                opened.height += 1
            else:
                text, bold = text_of(cell)
                opened = _Open(row, column, width, text, bold)
                cells.append(opened)
            current[column] = opened
            column += width
        above = current
        columns = max(columns, column)
    if not cells:
        return None
    header = _header_rows(cells, marked)
    return Table(
        rows=len(marked),
        columns=columns,
        cells=tuple(
            Cell(
                row=cell.row,
                column=cell.column,
                row_span=cell.height,
                column_span=cell.width,
                text=cell.text,
                header=cell.row < header,
            )
            for cell in cells
        ),
    )


def rows_of(element: etree._Element) -> Iterator[etree._Element]:
    """Answers the rows, those inside content controls too."""
    for child in element:
        if child.tag == W + "tr":
            yield child
        elif child.tag in (W + "sdt", W + "sdtContent", W + "ins", W + "customXml"):
            yield from rows_of(child)


def cells_of(row: etree._Element) -> Iterator[etree._Element]:
    """Answers the cells of a row, those inside content controls too."""
    for child in row:
        if child.tag == W + "tc":
            yield child
        elif child.tag in (W + "sdt", W + "sdtContent", W + "ins", W + "customXml"):
            yield from cells_of(child)


def _shape(cell: etree._Element) -> tuple[int, bool]:
    """Answers how many columns a cell spans and whether it goes on the one above."""
    properties = cell.find(W + "tcPr")
    merge = None if properties is None else properties.find(W + "vMerge")
    goes_on = merge is not None and merge.get(W + "val", "continue") == "continue"
    return max(1, whole(value(properties, "gridSpan")) or 1), goes_on


def _header_rows(cells: list[_Open], marked: list[bool]) -> int:
    """Answers how many rows are marked as header, else 1 if the first row alone is bold, else 0."""
    count = next((index for index, mark in enumerate(marked) if not mark), len(marked))
    if count or len(marked) < 2:
        return min(count, len(marked))
    first = [cell for cell in cells if cell.row == 0 and cell.text]
    rest = [cell for cell in cells if cell.row > 0 and cell.text]
    bold = bool(first) and all(cell.bold for cell in first)
    return 1 if bold and rest and sum(cell.bold for cell in rest) * 2 < len(rest) else 0
