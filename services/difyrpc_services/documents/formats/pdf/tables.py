"""Makes tables out of ruled grids."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from difyrpc_services.documents.elements import Cell, Table
from difyrpc_services.documents.formats.pdf.drawing import Drawing
from difyrpc_services.documents.formats.pdf.fragments import Fragment, rows_of, split_at
from difyrpc_services.documents.formats.words import joined

NEAR: Final = 3.0  # points between ends of lines that meet
OPEN: Final = 12.0  # points that lines reach beyond the last line that crosses them
COVERED: Final = 0.7  # of a cell's edge must be drawn to be a border
MOST_IN_FEW: Final = 25  # fragments of a cell, where there are hardly any cells
MOST_LINES: Final = 2_000  # more make a drawing, not a table
_NUMERIC: Final = re.compile(r"[\d.,%¥$€£+\-–—/:()\s]+")


@dataclass(slots=True)
class FoundTable:
    """A table and its place."""

    table: Table
    left: float
    top: float
    right: float
    bottom: float
    confidence: float = 1.0
    size: float = 0.0


@dataclass(slots=True)
class Grid:
    """Positions of the lines of one ruled table."""

    xs: list[float]
    ys: list[float]
    horizontal: list[tuple[float, float, float]]
    vertical: list[tuple[float, float, float]]

    def holds(self, fragment: Fragment) -> bool:
        """Answers whether a fragment's middle or its beginning is inside."""
        if not self.ys[0] - 1 <= fragment.middle <= self.ys[-1] + 1:
            return False
        middle = (fragment.left + fragment.right) / 2
        if self.xs[0] - 1 <= middle <= self.xs[-1] + 1:
            return True
        return self.xs[0] - 1 <= fragment.left < self.xs[-1] - 1  # too long for its cell


def ruled_tables(drawing: Drawing, fragments: list[Fragment]) -> tuple[list[FoundTable], list[Fragment]]:
    """Answers the tables drawn with lines, and the fragments that are in none."""
    found = []
    for grid in grids(drawing):
        inside = [fragment for fragment in fragments if grid.holds(fragment)]
        if not inside:
            continue
        taken = {id(fragment) for fragment in inside}
        pieces = [piece for fragment in inside for piece in split_at(fragment, grid.xs)]
        table = _filled(grid, pieces)
        if table is None:
            continue
        fragments = [fragment for fragment in fragments if id(fragment) not in taken]
        size = sorted(piece.size for piece in pieces)[len(pieces) // 2]
        found.append(FoundTable(table, grid.xs[0], grid.ys[0], grid.xs[-1], grid.ys[-1], size=size))
    return found, fragments


def grids(drawing: Drawing) -> list[Grid]:
    """Groups lines that meet; answers the groups that enclose at least two cells."""
    count = len(drawing.horizontal) + len(drawing.vertical)
    if not drawing.horizontal or not drawing.vertical or count > MOST_LINES:
        return []
    groups = _groups(drawing)
    found = []
    for horizontal, vertical in groups:
        if not horizontal or not vertical:
            continue
        xs = _clusters([line[0] for line in vertical])
        ys = _clusters([line[0] for line in horizontal])
        xs, ys = _opened(xs, horizontal), _opened(ys, vertical)
        if len(xs) >= 3 and len(ys) >= 2:
            found.append(Grid(xs, ys, horizontal, vertical))
    return sorted(found, key=lambda grid: (grid.ys[0], grid.xs[0]))


def _opened(places: list[float], across: list[tuple[float, float, float]]) -> list[float]:
    """Adds the borders of a table that is open at its sides: where most of the lines across end."""
    begins, ends = sorted(line[1] for line in across), sorted(line[2] for line in across)
    begin, end = begins[len(begins) // 2], ends[len(ends) // 2]
    if len(across) >= 2 and begin < places[0] - OPEN:
        places = [begin, *places]
    if len(across) >= 2 and end > places[-1] + OPEN:
        places = [*places, end]
    return places


def _groups(
    drawing: Drawing,
) -> list[tuple[list[tuple[float, float, float]], list[tuple[float, float, float]]]]:
    """Answers the connected groups of lines, by crossing."""
    lines = [(True, *line) for line in drawing.horizontal] + [(False, *line) for line in drawing.vertical]
    parent = list(range(len(lines)))

    def root(index: int) -> int:
        while parent[index] != index:
            parent[index] = parent[parent[index]]
            index = parent[index]
        return index

    flat = len(drawing.horizontal)
    for one in range(flat):
        _, y, left, right = lines[one]
        for other in range(flat, len(lines)):
            _, x, top, bottom = lines[other]
            if left - NEAR <= x <= right + NEAR and top - NEAR <= y <= bottom + NEAR:
                parent[root(one)] = root(other)
    groups: dict[int, tuple[list[tuple[float, float, float]], list[tuple[float, float, float]]]] = {}
    for index, (is_flat, *line) in enumerate(lines):
        group = groups.setdefault(root(index), ([], []))
        group[0 if is_flat else 1].append((line[0], line[1], line[2]))
    return list(groups.values())


def _clusters(values: list[float]) -> list[float]:
    """Answers the positions with those nearer than NEAR made one."""
    found: list[list[float]] = []
    for value in sorted(values):
        if found and value - found[-1][-1] <= NEAR:
            found[-1].append(value)
        else:
            found.append([value])
    return [sum(group) / len(group) for group in found]


def _filled(grid: Grid, pieces: list[Fragment]) -> Table | None:
    """Makes the table of a grid: places without a border between them are one cell."""
    rows, columns = len(grid.ys) - 1, len(grid.xs) - 1
    owner = _spans(grid, rows, columns)
    texts: dict[tuple[int, int], list[Fragment]] = {}
    for piece in pieces:
        row = _slot(grid.ys, piece.middle)
        column = _slot(grid.xs, (piece.left + piece.right) / 2)
        texts.setdefault(owner[row][column], []).append(piece)
    if len(texts) < 2 or _is_layout(list(texts.values())):
        return None
    cells = []
    for row in range(rows):
        for column in range(columns):
            if owner[row][column] == (row, column):
                height, width = _extent(owner, row, column)
                content = cell_text(texts.get((row, column), []))
                cells.append((row, column, height, width, content, texts.get((row, column), [])))
    header = header_rows([(row, height, content, members) for row, _, height, _, content, members in cells], rows)
    return Table(
        rows=rows,
        columns=columns,
        cells=tuple(
            Cell(row=row, column=column, row_span=height, column_span=width, text=content, header=row < header)
            for row, column, height, width, content, _ in cells
        ),
    )


def _is_layout(cells: list[list[Fragment]]) -> bool:
    """Answers whether lines frame the columns of a page, not the cells of a table."""
    return len(cells) <= 4 and any(len(cell) > MOST_IN_FEW for cell in cells)


def _spans(grid: Grid, rows: int, columns: int) -> list[list[tuple[int, int]]]:
    """Answers for each place the upper left place of the cell that it belongs to."""
    flat = [[line for line in grid.horizontal if abs(line[0] - y) <= NEAR] for y in grid.ys]
    upright = [[line for line in grid.vertical if abs(line[0] - x) <= NEAR] for x in grid.xs]
    owner = [[(row, column) for column in range(columns)] for row in range(rows)]
    for row in range(rows):
        for column in range(columns):
            here = owner[row][column]
            if here == (row, column) and row and not _drawn(flat[row], grid.xs[column], grid.xs[column + 1]):
                owner[row][column] = owner[row - 1][column]
            elif column and not _drawn(upright[column], grid.ys[row], grid.ys[row + 1]):
                left = owner[row][column - 1]
                if left[0] == row or owner[row][column] == (row, column):
                    owner[row][column] = left
    return owner


def _drawn(lines: list[tuple[float, float, float]], begin: float, end: float) -> bool:
    """Answers whether lines of one position cover most of the way from `begin` to `end`."""
    covered = sum(max(0.0, min(end, line[2]) - max(begin, line[1])) for line in lines)
    return covered >= COVERED * (end - begin)


def _extent(owner: list[list[tuple[int, int]]], row: int, column: int) -> tuple[int, int]:
    height = 1
    while row + height < len(owner) and owner[row + height][column] == (row, column):
        height += 1
    width = 1
    while column + width < len(owner[row]) and owner[row][column + width] == (row, column):
        width += 1
    return height, width


def _slot(positions: list[float], value: float) -> int:
    slot = sum(value >= position for position in positions) - 1
    return min(max(slot, 0), len(positions) - 2)


def cell_text(fragments: Sequence[Fragment]) -> str:
    """Answers the text of a cell, its lines joined."""
    return joined([" ".join(fragment.text for fragment in row) for row in rows_of(list(fragments))])


def header_rows(cells: list[tuple[int, int, str, list[Fragment]]], rows: int) -> int:
    """Guesses how many rows are header: the first, if it is bold alone, or words above numbers."""
    if rows < 2:
        return 0
    first = [(height, text, members) for row, height, text, members in cells if row == 0 and text]
    rest = [(text, members) for row, _, text, members in cells if row > 0 and text]
    if not first or not rest:
        return 0
    bold = all(fragment.bold for _, _, members in first for fragment in members)
    bold_below = sum(all(fragment.bold for fragment in members) for _, members in rest)
    words = all(not _NUMERIC.fullmatch(text) for _, text, _ in first)
    numbers_below = any(_NUMERIC.fullmatch(text) for text, _ in rest)
    if (bold and bold_below * 2 < len(rest)) or (words and numbers_below):
        return min(max(height for height, _, _ in first), rows - 1)
    return 0
