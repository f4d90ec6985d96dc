"""Puts fragments of a page into the order in which they are read: columns, then lines."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from difyrpc_services.documents.formats.pdf.tables import rows_of
from difyrpc_services.documents.formats.pdf.text import Fragment

MOST_DEPTH: Final = 3  # columns inside columns: up to 8 columns
LEAST_ROWS: Final = 4  # printed rows that a column must have
LEAST_FILLED: Final = 0.55  # of its width that running text fills
NARROWEST: Final = 0.14  # of the area's width


@dataclass(slots=True)
class PrintedLine:
    """Fragments that make one line of a column."""

    fragments: list[Fragment]
    text: str
    left: float
    top: float
    right: float
    bottom: float
    size: float
    bold: bool


@dataclass(slots=True)
class Block:
    """Lines of one column, from the top."""

    lines: list[PrintedLine]
    left: float
    right: float


def zones_of(fragments: list[Fragment]) -> list[list[Fragment]]:
    """Answers the fragments of a page by column, in reading order."""
    return [zone for zone in _zones(fragments, MOST_DEPTH) if zone]


def block_of(fragments: list[Fragment]) -> Block:
    """Answers one column as printed lines."""
    lines = [_line(row) for row in rows_of(fragments)]
    return Block(lines, min(line.left for line in lines), max(line.right for line in lines))


def _zones(fragments: list[Fragment], depth: int) -> list[list[Fragment]]:
    """Cuts at a gutter between columns, then each side again; what crosses the gutter separates zones."""
    if depth == 0 or len(fragments) < 2 * LEAST_ROWS:
        return [fragments]
    gutter = _gutter(fragments)
    if gutter is None:
        return [fragments]
    zones: list[list[Fragment]] = []
    left: list[Fragment] = []
    right: list[Fragment] = []
    for fragment in sorted(fragments, key=lambda f: f.top):
        if fragment.left < gutter - 1 and fragment.right > gutter + 1:
            zones += [*_sides(left, right, depth), [fragment]]
            left, right = [], []
        else:
            (left if fragment.right <= gutter + 1 else right).append(fragment)
    zones += _sides(left, right, depth)
    return _merge_crossing(zones)


def _sides(left: list[Fragment], right: list[Fragment], depth: int) -> list[list[Fragment]]:
    return [zone for side in (left, right) if side for zone in _zones(side, depth - 1)]


def _merge_crossing(zones: list[list[Fragment]]) -> list[list[Fragment]]:
    """Joins single crossing lines that follow each other, so that they can be one paragraph."""
    merged: list[list[Fragment]] = []
    single = False
    for zone in zones:
        if single and len(zone) == 1 and merged:
            merged[-1].extend(zone)
        else:
            merged.append(list(zone))
        single = len(zone) == 1
    return merged


def _gutter(fragments: list[Fragment]) -> float | None:
    """Answers the x of a vertical white band between two columns of running text; None without."""
    begin, end = min(f.left for f in fragments), max(f.right for f in fragments)
    width = end - begin
    if width < 150:
        return None
    best: tuple[int, float] | None = None
    for gutter in _candidates(fragments, begin, width):
        crossing = sum(f.left < gutter - 1 and f.right > gutter + 1 for f in fragments)
        if crossing * 4 > len(fragments) or (best is not None and crossing >= best[0]):
            continue
        left = [f for f in fragments if f.right <= gutter + 1]
        right = [f for f in fragments if f.left >= gutter - 1]
        if _is_column(left, width) and _is_column(right, width) and _side_by_side(left, right):
            best = (crossing, gutter)
    return best[1] if best else None


def _candidates(fragments: list[Fragment], begin: float, width: float) -> list[float]:
    """Answers places just left of where several fragments begin."""
    counts: dict[int, int] = {}
    for fragment in fragments:
        if begin + NARROWEST * width < fragment.left < begin + (1 - NARROWEST) * width:
            place = round(fragment.left / 3)
            counts[place] = counts.get(place, 0) + 1
    common = sorted((place for place, count in counts.items() if count >= LEAST_ROWS), key=lambda p: -counts[p])
    return [place * 3 - 3.0 for place in common[:6]]


def _is_column(side: list[Fragment], width: float) -> bool:
    """Answers whether fragments are running text: enough rows, most of them as wide as the column."""
    if len(side) < LEAST_ROWS:
        return False
    rows = rows_of(side)
    left, right = min(f.left for f in side), max(f.right for f in side)
    if len(rows) < LEAST_ROWS or right - left < NARROWEST * width:
        return False
    covered = sorted(sum(f.right - f.left for f in row) / (right - left) for row in rows)
    return covered[len(covered) // 2] >= LEAST_FILLED


def _side_by_side(left: list[Fragment], right: list[Fragment]) -> bool:
    """Answers whether two sides share some height."""
    top = max(min(f.top for f in left), min(f.top for f in right))
    bottom = min(max(f.bottom for f in left), max(f.bottom for f in right))
    return bottom - top > 2 * (left[0].bottom - left[0].top)


def _line(row: list[Fragment]) -> PrintedLine:
    longest = max(row, key=lambda f: len(f.text))
    return PrintedLine(
        row,
        " ".join(fragment.text for fragment in row),
        row[0].left,
        min(f.top for f in row),
        max(f.right for f in row),
        max(f.bottom for f in row),
        longest.size,
        all(f.bold for f in row),
    )
