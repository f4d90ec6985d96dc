"""Tables of a slide, with spans and a header row."""

from __future__ import annotations

from typing import Final

from lxml import etree

from difyrpc_services.documents.elements import Cell, Element, Table
from difyrpc_services.documents.formats.office.drawn import A, body_text
from difyrpc_services.documents.formats.office.parts import is_on, whole
from difyrpc_services.documents.formats.sheets.tables import line

MOST_CELLS: Final = 50_000


def table_element(element: etree._Element) -> Element | None:
    """Reads an a:tbl; None for a table without text."""
    lines = element.findall(A + "tr")
    properties = element.find(A + "tblPr")
    header = properties is not None and is_on(properties.get("firstRow")) and len(lines) > 1
    columns = max((len(one.findall(A + "tc")) for one in lines), default=0)
    cells: list[Cell] = []
    for row, one in enumerate(lines):
        for column, cell in enumerate(one.iterfind(A + "tc")):
            if is_on(cell.get("hMerge")) or is_on(cell.get("vMerge")) or len(cells) >= MOST_CELLS:
                continue
            cells.append(_cell(cell, row, column, (len(lines), columns), header=header and row == 0))
    if not any(cell.text for cell in cells):
        return None
    table = Table(cells=tuple(cells), rows=len(lines), columns=columns)
    return Element(id="", kind="table", text="\n".join(map(line, table.grid())), table=table)


def _cell(cell: etree._Element, row: int, column: int, size: tuple[int, int], *, header: bool) -> Cell:
    body = cell.find(A + "txBody")
    return Cell(
        row=row,
        column=column,
        text=body_text(body) if body is not None else "",
        row_span=max(1, min(whole(cell.get("rowSpan"), 1), size[0] - row)),
        column_span=max(1, min(whole(cell.get("gridSpan"), 1), size[1] - column)),
        header=header,
    )
