"""Makes tables out of text that stands in aligned columns without lines."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Final

from difyrpc_services.documents.elements import Cell, Table
from difyrpc_services.documents.formats.pdf.fragments import Fragment, split_at
from difyrpc_services.documents.formats.pdf.tables import FoundTable, cell_text, header_rows
from difyrpc_services.documents.formats.pdf.view import Place as Rectangle

ALIGNED_CONFIDENCE: Final = 0.7
FARTHEST: Final = 3.2  # row heights of white between rows of one table
CLOSE: Final = 0.62  # of a row's height: the next line of a cell stands no farther below
LEAST_FULL: Final = 0.5  # of the cells have text
LEAST_GAP: Final = 0.5  # of the height, between words of two columns
LONG: Final = 45  # characters; cells of running text have more
_MARKER: Final = re.compile(
    r"[(（\[]?[\w一-鿿]{1,6}[)）\].、．:：]?|[•●◦▪■–—*-]|第.{1,8}[条章节]|(?:\d+\.)+\d*\.?", re.ASCII
)

Column = tuple[float, float]


@dataclass(slots=True)
class _Run:
    """Rows that may be a table, and the ranges across that their text covers."""

    rows: list[list[Fragment]]
    columns: list[Column]
    originals: list[list[Fragment]] = field(default_factory=list)
    """The fragments as they were before they were cut at columns."""

    @property
    def bottom(self) -> float:
        return max(fragment.bottom for fragment in self.rows[-1])


def aligned_tables(rows: list[list[Fragment]]) -> tuple[list[FoundTable], set[int]]:
    """Answers tables of text in aligned columns without lines, and which fragments (by identity) are in them."""
    found: list[FoundTable] = []
    taken: set[int] = set()
    run: _Run | None = None
    for row in filter(None, rows):
        if run is not None and _joined(run, row):
            continue
        if run is not None:
            _close(run, found, taken)
        run = _Run([row], _fine_ranges(row), [row]) if len(row) >= 2 else None
    if run is not None:
        _close(run, found, taken)
    return found, taken


def _joined(run: _Run, row: list[Fragment]) -> bool:
    """Adds a row to a run if it stands close under it and in its columns."""
    height = max(fragment.bottom - fragment.top for fragment in row)
    if min(fragment.top for fragment in row) - run.bottom > FARTHEST * height:
        return False
    pieces = row
    if len(row) < len(run.columns):
        pieces = [piece for fragment in row for piece in _cut(fragment, run.columns)]
    columns = _merged([*run.columns, *_fine_ranges(pieces)])
    if len(columns) < max(2, min(len(run.columns), len(pieces))):
        return False
    if len(columns) < len(run.columns) - (len(run.rows) < 3):
        return False
    run.rows.append(pieces)
    run.originals.append(row)
    run.columns = columns
    return True


def _cut(fragment: Fragment, columns: Sequence[Column]) -> list[Fragment]:
    """Cuts a fragment where the white between two columns runs through a gap of it."""
    borders = []
    for one, other in pairwise(fragment.words):
        if other[1] - one[3] >= LEAST_GAP * (other[4] - other[2]):
            middles = ((left[1] + right[0]) / 2 for left, right in pairwise(columns))
            borders += [(one[3] + other[1]) / 2 for x in middles if one[3] - 2 <= x <= other[1] + 2][:1]
    return split_at(fragment, borders) if borders else [fragment]


def _fine_ranges(fragments: Sequence[Fragment]) -> list[Column]:
    """Answers from where to where text stands without a gap that may separate columns."""
    found: list[Column] = []
    for fragment in fragments:
        left = fragment.left
        words = fragment.words if fragment.gap >= LEAST_GAP * (fragment.bottom - fragment.top) * 0.7 else ()
        for one, other in pairwise(words):
            if other[1] - one[3] >= LEAST_GAP * (other[4] - other[2]):
                found.append((left, one[3]))
                left = other[1]
        found.append((left, fragment.right))
    return _merged(found)


def _merged(ranges: Sequence[Column]) -> list[Column]:
    """Answers the horizontal ranges that text covers."""
    found: list[Column] = []
    for left, right in sorted(ranges):
        if found and left <= found[-1][1] + 2:
            found[-1] = (found[-1][0], max(found[-1][1], right))
        else:
            found.append((left, right))
    return found


def _close(run: _Run, found: list[FoundTable], taken: set[int]) -> None:
    """Makes a table of a run, without the single lines at its end, unless it is something else."""
    while run.rows and len(run.rows[-1]) < 2 and not _is_inner(run):
        run.rows.pop()
        run.originals.pop()
    columns = _merged([span for row in run.rows for span in _fine_ranges(row)])
    run.rows = [[piece for fragment in row for piece in _cut(fragment, columns)] for row in run.rows]
    if len(columns) < 2 or sum(len(row) >= 2 for row in run.rows) < 3:
        return
    rows = _logical(run.rows, columns)
    if not _tabular(rows, columns):
        return
    taken.update(id(fragment) for row in run.originals for fragment in row)
    found.append(_table(rows, columns))


def _is_inner(run: _Run) -> bool:
    """Answers whether the last line goes on in a cell: close below it, and not in the first column."""
    last = run.rows[-1][0]
    if len(run.rows) < 2 or last.left <= run.columns[0][1]:
        return False
    return last.top - max(f.bottom for f in run.rows[-2]) <= CLOSE * (last.bottom - last.top)


def _logical(rows: list[list[Fragment]], columns: list[Column]) -> list[list[Fragment]]:
    """Joins printed rows that are lines of the same cells."""
    spaces = sorted(
        min(f.top for f in below) - max(f.bottom for f in above)
        for above, below in pairwise(rows)
        if len(below) * 2 > len(columns)
    )
    usual = spaces[len(spaces) // 2] if spaces else 0.0
    found: list[list[Fragment]] = []
    bottom = 0.0
    for row in rows:
        if found and _is_continued(found[-1], row, columns, bottom, usual):
            found[-1] = found[-1] + row
        else:
            found.append(row)
        bottom = max(fragment.bottom for fragment in row)
    return found


def _is_continued(
    above: list[Fragment], row: list[Fragment], columns: list[Column], bottom: float, usual: float
) -> bool:
    """Answers whether a printed row holds further lines of the cells above it."""
    latest = max(fragment.start for fragment in above)
    if any(fragment.start < latest for fragment in row):
        return True  # the file writes cell after cell: this line comes before a later cell of the row above
    if _column_of(columns, row[0]) == 0 or len(row) * 2 > len(columns):
        return False
    space = min(fragment.top for fragment in row) - bottom
    height = row[0].bottom - row[0].top
    return space <= CLOSE * height and (space < usual - 1 or len(row) == 1)


def _table(rows: list[list[Fragment]], columns: list[Column]) -> FoundTable:
    cells = []
    for number, row in enumerate(rows):
        by_column: dict[int, list[Fragment]] = {}
        for fragment in row:
            by_column.setdefault(_column_of(columns, fragment), []).append(fragment)
        cells += [(number, column, cell_text(group), group) for column, group in sorted(by_column.items())]
    header = header_rows([(row, 1, text, group) for row, _, text, group in cells], len(rows))
    table = Table(
        rows=len(rows),
        columns=len(columns),
        cells=tuple(Cell(row=row, column=column, text=text, header=row < header) for row, column, text, _ in cells),
    )
    left, top, right, bottom = _around([fragment for row in rows for fragment in row])
    return FoundTable(table, left, top, right, bottom, ALIGNED_CONFIDENCE, rows[0][0].size)


def _around(members: list[Fragment]) -> Rectangle:
    return (
        min(fragment.left for fragment in members),
        min(fragment.top for fragment in members),
        max(fragment.right for fragment in members),
        max(fragment.bottom for fragment in members),
    )


def _column_of(columns: Sequence[Column], fragment: Fragment) -> int:
    middle = (fragment.left + fragment.right) / 2
    return min(range(len(columns)), key=lambda index: max(columns[index][0] - middle, middle - columns[index][1], 0))


def _tabular(rows: list[list[Fragment]], columns: list[Column]) -> bool:
    """Answers whether rows are a table: neither a numbered list, nor a contents page, nor columns of running text."""
    if len(rows) < 3:
        return False
    full = [len({_column_of(columns, fragment) for fragment in row}) for row in rows]
    if sum(full) < LEAST_FULL * len(rows) * len(columns) or sum(count >= 2 for count in full) < 0.6 * len(rows):
        return False
    if len(columns) == 2:
        firsts = [row[0].text.strip() for row in rows]
        if sum(bool(_MARKER.fullmatch(text)) for text in firsts) * 2 > len(firsts):
            return False
    if sum("...." in fragment.text or "……" in fragment.text for row in rows for fragment in row) * 2 > len(rows):
        return False
    widths = [right - left for left, right in columns]
    lengths = [len(fragment.text) for row in rows for fragment in row]
    running = sum(length > LONG for length in lengths) * 2 > len(lengths)
    return not (running and max(widths) > 150)
