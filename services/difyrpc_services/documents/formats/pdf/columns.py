"""Puts fragments of a page into the order in which they are read: columns, then lines.

A gutter is a place where the lines of a stretch of the page begin again. It separates columns where both sides are
running text: the file writes one side after the other, or both are as full as columns of prose are. Lines that run
across the gutter separate stretches.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from operator import attrgetter
from typing import Final

from difyrpc_services.documents.formats.pdf.fragments import Fragment, rows_of, split_at

MOST_DEPTH: Final = 4  # columns inside columns
LEAST_ROWS: Final = 3  # printed rows that a column must have
LEAST_EDGES: Final = 3  # rows that begin again at a gutter
LEAST_FILLED: Final = 0.68  # of its width that running text fills, where the file does not tell columns
LEAST_LETTERS: Final = 16  # in a line of running text, likewise; a Chinese sign counts two
NARROWEST: Final = 0.12  # of the area's width
LEAST_GAP: Final = 0.7  # of a word's height, inside a line of pdfium's that runs across a gutter
CLOSE: Final = 0.08  # of the height, between fragments without a space
EDGE: Final = 2.5  # points between lines that begin at the same place
MOST_EDGES: Final = 8  # places that are tried

_START: Final = attrgetter("start")

Span = tuple[float, float]


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
    mono: bool = False


@dataclass(slots=True)
class Block:
    """Lines of one column, from the top."""

    lines: list[PrintedLine]
    left: float
    right: float


@dataclass(slots=True)
class _Row:
    """One printed row, cut at its wide gaps."""

    fragments: list[Fragment]
    spans: list[Span]

    def crosses(self, x: float) -> bool:
        """Answers whether text stands at `x`."""
        return any(left < x - 1 and right > x + 1 for left, right in self.spans)


@dataclass(slots=True)
class _Stretch:
    """Rows between such as run across a gutter, or such rows themselves."""

    split: bool
    rows: list[_Row] = field(default_factory=list)


def zones_of(fragments: list[Fragment]) -> list[list[Fragment]]:
    """Answers the fragments of a page by column, in reading order."""
    return [zone for zone in _zones(fragments, MOST_DEPTH) if zone]


def block_of(rows: list[list[Fragment]]) -> Block:
    """Answers the printed rows of one column as lines."""
    lines = [_line(row) for row in rows]
    return Block(lines, min(line.left for line in lines), max(line.right for line in lines))


def _zones(fragments: list[Fragment], depth: int) -> list[list[Fragment]]:
    if depth == 0 or len(fragments) < 2 * LEAST_ROWS:
        return [fragments]
    rows = [_Row(row, _spans(row)) for row in rows_of(fragments)]
    cut = _best_cut(rows)
    if cut is None:
        return [fragments]
    gutter, stretches = cut
    zones: list[list[Fragment]] = []
    for stretch in stretches:
        members = [fragment for row in stretch.rows for fragment in row.fragments]
        if stretch.split:
            for side in _parts(members, gutter):
                zones += _zones(side, depth - 1)
        else:
            zones += _zones(members, depth - 1)
    return zones


def _spans(row: Sequence[Fragment]) -> list[Span]:
    """Answers from where to where text stands in a row."""
    spans: list[Span] = []
    for fragment in row:
        left = fragment.left
        words = fragment.words if fragment.gap >= LEAST_GAP * (fragment.bottom - fragment.top) * 0.7 else ()
        for one, other in pairwise(words):
            if other[1] - one[3] >= LEAST_GAP * (other[4] - other[2]):
                spans.append((left, one[3]))
                left = other[1]
        spans.append((left, fragment.right))
    return spans


def _sides(fragments: list[Fragment], gutter: float) -> tuple[list[Fragment], list[Fragment]]:
    left: list[Fragment] = []
    right: list[Fragment] = []
    for fragment in fragments:
        for piece in split_at(fragment, [gutter]):
            (left if (piece.left + piece.right) / 2 <= gutter else right).append(piece)
    return left, right


def _parts(fragments: list[Fragment], gutter: float) -> list[list[Fragment]]:
    """Answers both sides; where the file begins on the left anew below all that it wrote, a new part begins."""
    parts: list[list[Fragment]] = []
    part: list[Fragment] = []
    bottom = 0.0
    was_right = False
    for fragment in sorted((one for one in fragments if one.start >= 0), key=_START):
        is_right = fragment.left >= gutter
        if was_right and not is_right and fragment.top >= bottom - 1:
            parts.append(part)
            part = []
        part.append(fragment)
        bottom = max(bottom, fragment.bottom)
        was_right = is_right
    parts.append(part)
    if len(parts) > 1 and not (_rising(parts) and all(len(one) > LEAST_ROWS for one in parts)):
        parts = [fragments]
    else:
        for sign in (one for one in fragments if one.start < 0):
            _part_at(parts, sign.middle).append(sign)
    return [side for one in parts for side in _sides(one, gutter) if side]


def _part_at(parts: list[list[Fragment]], middle: float) -> list[Fragment]:
    """Answers the last part that begins above a height."""
    above = [part for part in parts if part and min(fragment.top for fragment in part) <= middle]
    return above[-1] if above else parts[0]


def _rising(parts: list[list[Fragment]]) -> bool:
    """Answers whether each part stands below the one before it."""
    ends = [(min(f.top for f in part), max(f.bottom for f in part)) for part in parts]
    return all(above[1] <= below[0] + 1 for above, below in pairwise(ends))


def _best_cut(rows: list[_Row]) -> tuple[float, list[_Stretch]] | None:
    """Answers the gutter with the most rows beside it, and the stretches that it makes; None without one."""
    begin = min(span[0] for row in rows for span in row.spans)
    end = max(span[1] for row in rows for span in row.spans)
    if end - begin < 150:
        return None
    best: tuple[int, float, list[_Stretch]] | None = None
    for gutter in _candidates(rows, begin, end - begin):
        stretches = _stretches(rows, gutter, (begin, end))
        score = sum(len(row.spans) for stretch in stretches if stretch.split for row in stretch.rows)
        if score and (best is None or score > best[0]):
            best = score, gutter, stretches
    return best[1:] if best else None


def _candidates(rows: list[_Row], begin: float, width: float) -> list[float]:
    """Answers places just left of where several rows begin, or begin again behind a gap."""
    least, most = begin + NARROWEST * width, begin + (1 - NARROWEST) * width
    edges = sorted(span[0] for row in rows for span in row.spans if least < span[0] < most)
    groups: list[list[float]] = []
    for edge in edges:
        if groups and edge - groups[-1][-1] <= EDGE and edge - groups[-1][0] <= 2 * EDGE:
            groups[-1].append(edge)
        else:
            groups.append([edge])
    groups = [group for group in groups if len(group) >= LEAST_EDGES]
    groups.sort(key=len, reverse=True)
    return [group[0] - 1.5 for group in groups[:MOST_EDGES]]


def _stretches(rows: list[_Row], gutter: float, ends: Span) -> list[_Stretch]:
    """Cuts the rows into stretches; those that hold columns are marked."""
    found: list[_Stretch] = []
    for row in rows:
        split = not row.crosses(gutter)
        if not found or found[-1].split != split:
            found.append(_Stretch(split))
        found[-1].rows.append(row)
    sure = [stretch.split and _holds_columns(stretch.rows, gutter, ends) for stretch in found]
    if not any(sure):
        return []
    joined: list[_Stretch] = []
    for stretch, columns in zip(found, sure, strict=True):
        split = columns or (stretch.split and _has_both(stretch.rows, gutter, LEAST_ROWS - 1))
        if joined and not split and not joined[-1].split:
            joined[-1].rows.extend(stretch.rows)
        else:
            joined.append(_Stretch(split, stretch.rows))
    return joined


def _has_both(rows: list[_Row], gutter: float, least: int) -> bool:
    left = sum(row.spans[0][0] < gutter for row in rows)
    right = sum(row.spans[-1][1] > gutter for row in rows)
    return left >= least and right >= least


def _holds_columns(rows: list[_Row], gutter: float, ends: Span) -> bool:
    """Answers whether both sides of a gutter are running text."""
    if len(rows) < LEAST_ROWS or not _has_both(rows, gutter, LEAST_ROWS):
        return False
    fragments = [fragment for row in rows for fragment in row.fragments]
    left, right = _sides(fragments, gutter)
    least = NARROWEST * (ends[1] - ends[0])
    if not left or not right or _width(left) < least or _width(right) < least:
        return False
    if not _side_by_side(left, right):
        return False
    if len(left) + len(right) == len(fragments) and _one_after_the_other(fragments, gutter, min(len(left), len(right))):
        return _is_wordy(left) and _is_wordy(right)
    return _is_column(left) and _is_column(right)


def _width(side: list[Fragment]) -> float:
    return max(f.right for f in side) - min(f.left for f in side)


def _side_by_side(left: list[Fragment], right: list[Fragment]) -> bool:
    """Answers whether two sides share some height."""
    top = max(min(f.top for f in left), min(f.top for f in right))
    bottom = min(max(f.bottom for f in left), max(f.bottom for f in right))
    return bottom - top > 2 * (left[0].bottom - left[0].top)


def _one_after_the_other(fragments: list[Fragment], gutter: float, fewer: int) -> bool:
    """Answers whether the file writes one side and then the other, not row by row."""
    sides = [f.left >= gutter for f in sorted(fragments, key=lambda f: f.start) if f.start >= 0]
    switches = sum(one != other for one, other in pairwise(sides))
    return switches <= 1 + 0.2 * fewer


def _is_wordy(side: list[Fragment]) -> bool:
    """Answers whether lines are longer than words and numbers in a table are."""
    letters = [_letters(fragment.text) for fragment in side if fragment.start >= 0]
    return not letters or sum(letters) / len(letters) >= LEAST_LETTERS * 0.6


def _is_column(side: list[Fragment]) -> bool:
    """Answers whether fragments are running text: most rows full, and of more than a few letters."""
    rows = rows_of(side)
    if len(rows) < LEAST_ROWS:
        return False
    width = _width(side)
    covered = sorted(sum(f.right - f.left for f in row) / width for row in rows)
    letters = sorted(sum(_letters(f.text) for f in row) for row in rows)
    middle = len(rows) // 2
    return covered[middle] >= LEAST_FILLED and letters[middle] >= LEAST_LETTERS


def _letters(text: str) -> int:
    return len(text) if text.isascii() else sum(2 if "\u2e80" <= sign <= "\uffef" else 1 for sign in text)


def _line(row: list[Fragment]) -> PrintedLine:
    if len(row) == 1:
        one = row[0]
        return PrintedLine(row, one.text, one.left, one.top, one.right, one.bottom, one.size, one.bold, one.face.mono)
    longest = max(row, key=lambda f: len(f.text))
    return PrintedLine(
        row,
        _text_of(row),
        min(f.left for f in row),
        min(f.top for f in row),
        max(f.right for f in row),
        max(f.bottom for f in row),
        longest.size,
        all(f.bold for f in row),
        all(f.face.mono for f in row),
    )


def _text_of(row: list[Fragment]) -> str:
    """Joins fragments; a comma behind a raised number stands close to it."""
    text = row[0].text
    for last, fragment in pairwise(row):
        close = abs(fragment.left - last.right) < CLOSE * (fragment.bottom - fragment.top)
        text += fragment.text if close and not fragment.text[0].isalnum() else " " + fragment.text
    return text
