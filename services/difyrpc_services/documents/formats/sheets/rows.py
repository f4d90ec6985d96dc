"""Makes elements of a sheet's rows: a table for each block of rows, cut where it grows large."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from typing import Final

from difyrpc_services.documents.elements import Element
from difyrpc_services.documents.formats.reading import too_large
from difyrpc_services.documents.formats.sheets.tables import MOST_CELLS, MOST_WIDTH, spoken, table_of
from difyrpc_services.documents.formats.sheets.values import BOLD, NUMERIC, Hints, Row

MOST_CHARACTERS: Final = 250_000  # of one table
LONGEST_ROW: Final = 16 * 1024 * 1024  # characters
MOST_BESIDE: Final = 10  # empty columns between tables in one run of rows
MOST_HEADERS: Final = 3  # rows
LONGEST_TITLE: Final = 120  # characters
_SAMPLE: Final = 30  # rows under a header that tell whether it is one


def elements_of(rows: Iterable[Row], hints: Hints) -> Iterator[Element]:
    """Answers tables, and paragraphs for cells that stand alone, row by row."""
    block = _Block(hints)
    for row in rows:
        if not block.holds(row.number):
            yield from block.end()
            block = _Block(hints)
        block.add(row)
        if block.is_full:
            yield from block.flush()
    yield from block.end()


class _Block:
    """Rows that stand together."""

    def __init__(self, hints: Hints) -> None:
        self._hints = hints
        self._rows: list[Row] = []
        self._headers: list[Row] | None = None
        """Known once the first rows were written."""
        self._bottom = -1
        """Last row that surely belongs here: the next one, or the end of a merged cell or of a declared table."""
        self._clear()

    def _clear(self) -> None:
        self._rows = []
        self._cells = self._characters = 0
        self._left, self._right = 1 << 30, 0

    def holds(self, number: int) -> bool:
        """Answers whether a row belongs to the block."""
        return self._bottom < 0 or number <= self._bottom

    def add(self, row: Row) -> None:
        """Takes the next row."""
        bottoms = [row.number + 1]
        if self._bottom < 0:
            bottoms += [area.bottom for area in self._hints.tables if area.top <= row.number <= area.bottom]
        for area in self._hints.merged.get(row.number, ()):
            if area.left in row.columns:
                bottoms.append(area.bottom)
        self._bottom = max(self._bottom, *bottoms)
        self._rows.append(row)
        self._cells += len(row.columns)
        self._characters += sum(map(len, row.texts))
        if self._characters > LONGEST_ROW:
            raise too_large("row_characters", LONGEST_ROW)
        self._left = min(self._left, row.columns[0])
        self._right = max(self._right, row.columns[-1])

    @property
    def is_full(self) -> bool:
        """Whether it is time to write what was gathered."""
        area = min(self._right - self._left + 1, self._cells) * len(self._rows)
        return area >= MOST_CELLS or self._characters >= MOST_CHARACTERS

    def flush(self) -> Iterator[Element]:
        """Writes what was gathered; the block goes on."""
        if self._headers is None:
            yield from self._titles()
            count = header_rows(self._rows, self._hints) if self._rows else 0
            self._headers = self._rows[:count] if count < len(self._rows) else []
            if self._rows:
                yield table_of((), self._rows, count, self._hints)
        else:
            yield table_of(self._headers, self._rows, 0, self._hints)
        self._clear()

    def end(self) -> Iterator[Element]:
        """Writes the rest."""
        if not self._rows:
            return
        parts = side_by_side(self._rows, self._hints) if self._headers is None else []
        alone = len(self._rows) == 1 and len(self._rows[0].columns) == 1
        if parts:
            for part in parts:
                yield from elements_of(part, self._hints)
        elif alone and self._headers is None:
            yield _words(self._rows[0])
        else:
            yield from self.flush()

    def _titles(self) -> Iterator[Element]:
        """Writes a first row of one cell that stands over a table as its title, not as its header."""
        while len(self._rows) > 2 and self._is_title(self._rows[0], self._rows[1]):
            yield _words(self._rows.pop(0))

    def _is_title(self, row: Row, below: Row) -> bool:
        if len(row.columns) > 1 or row.columns[0] > self._left or row.looks[0] & NUMERIC or len(below.columns) < 2:
            return False
        areas = [area for area in self._hints.merged.get(row.number, ()) if area.left == row.columns[0]]
        return not areas or (areas[0].right >= self._right and areas[0].bottom < below.number)


def side_by_side(rows: Sequence[Row], hints: Hints) -> list[list[Row]]:
    """Answers the rows of tables that stand beside each other, empty columns between them; nothing for one table."""
    if hints.separated:
        return []
    used = {column for row in rows for column in row.columns}
    for row in rows:
        for area in spoken(row, hints):
            used.update(range(area.left, min(area.right, area.left + MOST_WIDTH) + 1))
    ordered = sorted(used)
    gaps = [right for left, right in pairwise(ordered) if right > left + 1]
    if not gaps or len(gaps) > MOST_BESIDE:
        return []
    parts = [_between(rows, left, right) for left, right in pairwise([0, *gaps, 1 << 30])]
    return parts if all(map(_is_solid, parts)) else []


def _between(rows: Sequence[Row], left: int, right: int) -> list[Row]:
    found = []
    for row in rows:
        begin, end = bisect_left(row.columns, left), bisect_left(row.columns, right)
        if begin < end:
            found.append(Row(row.number, row.columns[begin:end], row.texts[begin:end], row.looks[begin:end]))
    return found


def _is_solid(rows: Sequence[Row]) -> bool:
    """Answers whether rows are surely a table of their own: two rows and columns at least, hardly a place empty."""
    left, right = min(row.columns[0] for row in rows), max(row.columns[-1] for row in rows)
    places = (right - left + 1) * len(rows)
    return len(rows) > 1 and right > left and sum(len(row.columns) for row in rows) * 10 >= places * 7


def _words(row: Row) -> Element:
    """Answers a cell that stands alone: a title if it is bold and short."""
    text = row.texts[0]
    bold = bool(row.looks[0] & BOLD)
    if bold and len(text) <= LONGEST_TITLE and not row.looks[0] & NUMERIC:
        return Element(id="", kind="title", text=text, level=2, bold=True)
    return Element(id="", kind="paragraph", text=text, bold=bold)


def header_rows(rows: Sequence[Row], hints: Hints) -> int:
    """Answers how many of the first rows are the header: as declared, frozen, bold, or words over numbers."""
    first = rows[0]
    if first.number in hints.headers:
        return 1
    frozen = sum(row.number < hints.frozen for row in rows[: MOST_HEADERS + 1])
    if 0 < frozen <= MOST_HEADERS and frozen < len(rows):
        return frozen
    if len(rows) < 2 or any(look & NUMERIC for look in first.looks):
        return 0
    below = rows[1:_SAMPLE]
    if all(look & BOLD for look in first.looks):
        looks = [look for row in below for look in row.looks]
        if sum(look & BOLD > 0 for look in looks) * 2 < len(looks):
            return 1
    if len(first.columns) < 2 or len(set(first.texts)) < len(first.texts):
        return 0
    if len(first.columns) * 2 < max(len(row.columns) for row in below):
        return 0
    return int(hints.separated or _numbers_below(first, below))


def _numbers_below(first: Row, below: Sequence[Row]) -> bool:
    """Answers whether a column of words at its head has nothing but numbers."""
    for column in first.columns:
        looks = [look for row in below for place, look in zip(row.columns, row.looks, strict=True) if place == column]
        if looks and all(look & NUMERIC for look in looks):
            return True
    return False
