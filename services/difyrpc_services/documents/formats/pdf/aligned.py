"""Makes tables out of text that stands in aligned columns without lines."""

from __future__ import annotations

import re
from typing import Final

from difyrpc_services.documents.elements import Cell, Table
from difyrpc_services.documents.formats.pdf.tables import FoundTable, cell_text, header_rows, rows_of
from difyrpc_services.documents.formats.pdf.text import Fragment

ALIGNED_CONFIDENCE: Final = 0.7
_MARKER: Final = re.compile(
    r"[(（\[]?[\w一-鿿]{1,6}[)）\].、．:：]?|[•●◦▪■–—*-]|第.{1,8}[条章节]|(?:\d+\.)+\d*\.?", re.ASCII
)


def aligned_tables(fragments: list[Fragment]) -> tuple[list[FoundTable], list[Fragment]]:
    """Answers tables of text in aligned columns without lines, and the fragments that are in none."""
    found: list[FoundTable] = []
    taken: set[int] = set()
    run: list[list[Fragment]] = []
    for row in [*rows_of(fragments), []]:
        if len(row) >= 2 and (not run or _continues(run, row)):
            run.append(row)
            continue
        _close(run, found, taken)
        run = [row] if len(row) >= 2 else []
    return found, [fragment for fragment in fragments if id(fragment) not in taken]


def _continues(run: list[list[Fragment]], row: list[Fragment]) -> bool:
    """Answers whether a row stands close enough under a run of rows."""
    height = max(fragment.bottom - fragment.top for fragment in row)
    return row[0].top - max(fragment.bottom for fragment in run[-1]) <= 1.8 * height


def _close(run: list[list[Fragment]], found: list[FoundTable], taken: set[int]) -> None:
    if len(run) < 3:
        return
    columns = _columns([fragment for row in run for fragment in row])
    if len(columns) < 2 or not _tabular(run, columns):
        return
    members = [fragment for row in run for fragment in row]
    cells = []
    for number, row in enumerate(run):
        by_column: dict[int, list[Fragment]] = {}
        for fragment in row:
            by_column.setdefault(_column_of(columns, fragment), []).append(fragment)
        cells += [(number, column, cell_text(group), group) for column, group in sorted(by_column.items())]
    header = header_rows([(row, 1, text, group) for row, _, text, group in cells], len(run))
    table = Table(
        rows=len(run),
        columns=len(columns),
        cells=tuple(Cell(row=row, column=column, text=text, header=row < header) for row, column, text, _ in cells),
    )
    taken.update(id(fragment) for fragment in members)
    found.append(
        FoundTable(
            table,
            min(fragment.left for fragment in members),
            min(fragment.top for fragment in members),
            max(fragment.right for fragment in members),
            max(fragment.bottom for fragment in members),
            ALIGNED_CONFIDENCE,
            members[0].size,
        )
    )


def _columns(fragments: list[Fragment]) -> list[tuple[float, float]]:
    """Answers the horizontal ranges that text covers."""
    found: list[tuple[float, float]] = []
    for left, right in sorted((fragment.left, fragment.right) for fragment in fragments):
        if found and left <= found[-1][1] + 2:
            found[-1] = (found[-1][0], max(found[-1][1], right))
        else:
            found.append((left, right))
    return found


def _column_of(columns: list[tuple[float, float]], fragment: Fragment) -> int:
    middle = (fragment.left + fragment.right) / 2
    return min(range(len(columns)), key=lambda index: max(columns[index][0] - middle, middle - columns[index][1], 0))


def _tabular(run: list[list[Fragment]], columns: list[tuple[float, float]]) -> bool:
    """Answers whether rows are a table: neither a numbered list, nor a contents page, nor columns of running text."""
    places = len(run) * len(columns)
    if sum(len(row) for row in run) < 0.6 * places:
        return False
    if len(columns) == 2:
        firsts = [row[0].text.strip() for row in run]
        if sum(bool(_MARKER.fullmatch(text)) for text in firsts) * 2 > len(firsts):
            return False
    if sum("...." in fragment.text or "……" in fragment.text for row in run for fragment in row) * 2 > len(run):
        return False
    widths = [right - left for left, right in columns]
    lengths = [len(fragment.text) for row in run for fragment in row]
    running = sum(length > 45 for length in lengths) * 2 > len(lengths)
    return not (running and max(widths) > 150)
