"""One long text made of passages, and what is known of each place in it: page, element, clause, titles."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

Path = tuple[str, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Mark:
    """What is known of a text from one place on."""

    offset: int = 0
    headings: Path = ()
    """Titles above it; of a title, with itself."""
    above: Path = ()
    """Titles above it, without itself."""
    pages: tuple[int, ...] = ()
    element: str = ""
    clause: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Passage:
    """A run of text that stands together if it fits: a paragraph, a list item, a table."""

    text: str
    marks: tuple[Mark, ...]
    """Rising; the first at the beginning of the text."""
    begins: bool = False
    """A chunk begins with it."""
    keeps: bool = False
    """A title: it goes with what follows it."""
    close: bool = False
    """Follows the passage before it on the next line, without an empty one between them."""
    verbatim: bool = False
    """Program text: cut at lines alone, its indents are kept."""
    head: str = ""
    """Of a table: its header rows with the line break behind them, which each part repeats."""


@dataclass(frozen=True, slots=True)
class Place:
    """A passage in its sheet."""

    start: int
    end: int
    after: int
    """Where the next passage begins."""
    passage: Passage


@dataclass(frozen=True, slots=True)
class Slice:
    """A part of a sheet that becomes a chunk."""

    start: int
    end: int
    head: str = ""
    """What is repeated before it."""


@dataclass(slots=True)
class Sheet:
    """Passages joined."""

    text: str
    places: list[Place]
    marks: list[Mark]
    _offsets: list[int] = field(init=False)

    def __post_init__(self) -> None:
        self._offsets = [mark.offset for mark in self.marks]

    def within(self, start: int, end: int) -> Sequence[Mark]:
        """Answers the marks of a part of the text, one at least."""
        first = max(0, bisect_right(self._offsets, start) - 1)
        return self.marks[first : max(first + 1, bisect_left(self._offsets, end))]

    def at(self, start: int) -> Mark:
        """Answers the mark of one place."""
        return self.marks[max(0, bisect_right(self._offsets, start) - 1)]

    def trimmed(self, start: int, end: int) -> tuple[int, int]:
        """Answers the part without space at its ends; program text keeps the indent of its first line."""
        text = self.text[start:end]
        body = text.lstrip()
        begin = end - len(body)
        if self._is_verbatim(begin):
            begin = max(start, self.text.rfind("\n", 0, begin) + 1)
        return begin, begin + len(self.text[begin:end].rstrip())

    def _is_verbatim(self, offset: int) -> bool:
        index = bisect_right(self.places, offset, key=lambda place: place.start) - 1
        return index >= 0 and self.places[index].passage.verbatim


def sheet_of(passages: Iterable[Passage]) -> Sheet:
    """Joins passages; an empty line stands between two."""
    parts: list[str] = []
    places: list[Place] = []
    marks: list[Mark] = []
    length = 0
    for passage in passages:
        if parts:
            parts.append("\n" if passage.close else "\n\n")
            length += len(parts[-1])
            last = places[-1]
            places[-1] = Place(last.start, last.end, length, last.passage)
        end = length + len(passage.text)
        places.append(Place(length, end, end, passage))
        marks += (_moved(mark, length) for mark in passage.marks)
        parts.append(passage.text)
        length = end
    return Sheet("".join(parts), places, marks or [Mark()])


def _moved(mark: Mark, by: int) -> Mark:
    return Mark(
        offset=mark.offset + by,
        headings=mark.headings,
        above=mark.above,
        pages=mark.pages,
        element=mark.element,
        clause=mark.clause,
    )


def shared(marks: Sequence[Mark]) -> Path:
    """Answers the titles that all marks stand under; those of the first where they share none."""
    path = marks[0].headings
    for mark in marks[1:]:
        count = 0
        while count < min(len(path), len(mark.headings)) and path[count] == mark.headings[count]:
            count += 1
        path = path[:count]
    return path or marks[0].headings[:1]
