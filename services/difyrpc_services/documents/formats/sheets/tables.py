"""Makes a table of rows: its columns, spans and text."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from difyrpc_services.documents.elements import Cell, Element, GridCells, Table
from difyrpc_services.documents.formats.sheets.values import Area, Hints, Row

MOST_CELLS: Final = 10_000  # places of one table; more rows make the next table under the same header
MOST_WIDTH: Final = 1_000  # columns that a merged cell may add to its table
SPARSE: Final = 4  # places for each cell with text, above which empty columns are left out
MOST_GAP: Final = 3  # empty rows in a table that merged cells go over


def table_of(headers: Sequence[Row], rows: Sequence[Row], count: int, hints: Hints) -> Element:
    """Answers a table of rows: under `headers`, which its text does not repeat, or under its own first `count`."""
    areas = [area for row in rows for area in hints.merged.get(row.number, ())]
    columns = _columns([*headers, *rows], [area for row in rows for area in spoken(row, hints)])
    numbers = [row.number for row in (*headers, *rows)]
    grid = [_filled(row, columns) for row in (*headers, *rows)]
    if areas:
        grid, numbers = _with_gaps(grid, numbers, len(columns))
    shown = len(headers) or count
    cells: Sequence[Cell] = GridCells(grid, headers=shown)
    if areas:
        cells = _spanned(grid, numbers, columns, areas, headers=shown)
    table = Table(cells=cells, rows=len(grid), columns=len(columns))
    return Element(id="", kind="table", text="\n".join(map(line, grid[len(headers) :])), table=table)


def spoken(row: Row, hints: Hints) -> list[Area]:
    """Answers the merged cells that begin in a row and have text."""
    return [area for area in hints.merged.get(row.number, ()) if area.left in row.columns]


def _columns(rows: Sequence[Row], areas: Sequence[Area]) -> range | list[int]:
    """Answers the columns of a table; where few places of it have text, those that have."""
    left = min(row.columns[0] for row in rows)
    right = max(row.columns[-1] for row in rows)
    wide = max((area.right for area in areas if area.left >= left), default=right)
    right = max(right, min(wide, right + MOST_WIDTH))
    if (right - left + 1) * len(rows) > MOST_CELLS // 8:
        cells = sum(len(row.columns) for row in rows)
        if (right - left + 1) * len(rows) > SPARSE * cells:
            return sorted({column for row in rows for column in row.columns})
    return range(left, right + 1)


def _filled(row: Row, columns: range | list[int]) -> list[str]:
    if len(row.columns) == len(columns):
        return row.texts
    known = dict(zip(row.columns, row.texts, strict=True))
    return [known.get(column, "") for column in columns]


def line(texts: Sequence[str]) -> str:
    """Answers a row as text: a tab between columns, what would look like one or like a new row a space."""
    joined = "\t".join(texts)
    if "\n" in joined or joined.count("\t") >= len(texts):
        return "\t".join(text.replace("\n", " ").replace("\t", " ") for text in texts)
    return joined


def _with_gaps(grid: list[list[str]], numbers: list[int], width: int) -> tuple[list[list[str]], list[int]]:
    """Puts empty rows where merged cells go over rows without a cell of their own."""
    found: list[list[str]] = []
    places: list[int] = []
    for texts, number in zip(grid, numbers, strict=True):
        while places and places[-1] + 1 < number <= places[-1] + MOST_GAP:
            found.append([""] * width)
            places.append(places[-1] + 1)
        found.append(texts)
        places.append(number)
    return found, places


def _spanned(
    grid: list[list[str]], numbers: list[int], columns: range | list[int], areas: Sequence[Area], *, headers: int
) -> tuple[Cell, ...]:
    """Answers the cells with their spans; covered places have none."""
    rows = {number: place for place, number in enumerate(numbers)}
    places = {column: place for place, column in enumerate(columns)}
    spans: dict[tuple[int, int], tuple[int, int]] = {}
    covered: set[tuple[int, int]] = set()
    for area in areas:
        row, column = rows.get(area.top), places.get(area.left)
        if row is None or column is None or (row, column) in covered:
            continue
        below = next((place for place in range(row, len(numbers)) if numbers[place] > area.bottom), len(numbers))
        beside = next((place for place in range(column, len(columns)) if columns[place] > area.right), len(columns))
        spans[row, column] = (below - row, beside - column)
        covered.update((y, x) for y in range(row, below) for x in range(column, beside) if (y, x) != (row, column))
    return tuple(
        Cell(
            row=row,
            column=column,
            text=text,
            row_span=spans.get((row, column), (1, 1))[0],
            column_span=spans.get((row, column), (1, 1))[1],
            header=row < headers,
        )
        for row, texts in enumerate(grid)
        for column, text in enumerate(texts)
        if (row, column) not in covered
    )
