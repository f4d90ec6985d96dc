"""Word's automatic numbering: the numbers that stand in no text."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Final

from difyrpc_services.documents.formats.docx.markup import attribute, slices, switched, value, whole
from difyrpc_services.documents.formats.docx.numerals import written

LEVELS: Final = 9
_PLACE: Final = re.compile(r"%([1-9])")
_INDENT: Final = re.compile(rb'<w:ind\s[^>]*?w:(?:left|start)\s*=\s*"(-?\d{1,9})"')
_CUSTOM: Final = re.compile(rb'<w:numFmt\s[^>]*?w:format\s*=\s*"(0+1)[,"]')


@dataclass(frozen=True, slots=True)
class Level:
    """How one level of a list is numbered (w:lvl)."""

    start: int = 1
    number_format: str = "decimal"
    text: str = ""
    legal: bool = False
    """All its numbers are written in decimal digits (w:isLgl)."""
    restart: int | None = None
    """It restarts after this level (1 = the highest); 0 = never; None = after any higher one."""
    style: str = ""
    left: float | None = None
    """Indent in points."""


@dataclass(frozen=True, slots=True)
class Number:
    """What the numbering prints before one paragraph."""

    text: str
    """Empty for bullets and for the format `none`."""
    level: int
    """From 0."""
    bullet: bool
    left: float | None


@dataclass(slots=True)
class _List:
    """One w:num: a list that may share its counters with others."""

    abstract: str
    starts: dict[int, int] = field(default_factory=dict)
    levels: dict[int, Level] = field(default_factory=dict)
    begun: set[int] = field(default_factory=set)


_NONE: Final = Level()


class Numbering:
    """Counts the paragraphs of all lists of a document, in the order of the text."""

    def __init__(self, data: bytes) -> None:
        """Takes the XML of the part; definitions are read when a paragraph first uses them."""
        self._data = data
        self._read = False
        self._abstract: dict[str, bytes] = {}
        self._of_style: dict[str, str] = {}
        self._levels: dict[str, dict[int, Level]] = {}
        self._numbers: dict[str, bytes] = {}
        self._lists: dict[str, _List | None] = {}
        self._counts: dict[str, list[int | None]] = {}

    def level_of_style(self, list_id: str, style: str) -> int:
        """Answers the level that a paragraph style is tied to; 0 if none is."""
        found = self._list(list_id)
        levels = self._levels_of(found.abstract) if found else {}
        return next((index for index, level in levels.items() if level.style == style), 0)

    def next(self, list_id: str, level: int) -> Number | None:
        """Counts one paragraph and answers its number; None for a list that does not exist."""
        found = self._list(list_id)
        if found is None or not 0 <= level < LEVELS:
            return None
        described = self._described(found, level)
        counts = self._counts.setdefault(found.abstract, [None] * LEVELS)
        self._count(found, counts, level)
        text = ""
        if described.number_format not in ("bullet", "none") or "%" in described.text:
            text = self._text(found, counts, level)
        bullet = described.number_format == "bullet"
        return Number(text="" if bullet else text.strip(), level=level, bullet=bullet, left=described.left)

    def _described(self, found: _List, level: int) -> Level:
        return found.levels.get(level) or self._levels_of(found.abstract).get(level) or _NONE

    def _count(self, found: _List, counts: list[int | None], level: int) -> None:
        if level in found.starts and level not in found.begun:
            counts[level] = None
        found.begun.add(level)
        start = found.starts.get(level, self._described(found, level).start)
        current = counts[level]
        counts[level] = start if current is None else current + 1
        for higher in range(level):
            if counts[higher] is None:
                counts[higher] = found.starts.get(higher, self._described(found, higher).start)
        for deeper in range(level + 1, LEVELS):
            if counts[deeper] is not None:
                restart = self._described(found, deeper).restart
                if restart is None or (restart and level < restart):
                    counts[deeper] = None

    def _text(self, found: _List, counts: list[int | None], level: int) -> str:
        own = self._described(found, level)

        def number(match: re.Match[str]) -> str:
            place = int(match.group(1)) - 1
            described = self._described(found, place)
            count = counts[place]
            return written(
                described.start if count is None else count, "decimal" if own.legal else described.number_format
            )

        return _PLACE.sub(number, own.text)

    def _list(self, list_id: str) -> _List | None:
        if list_id not in self._lists:
            self._index()
            data = self._numbers.get(list_id)
            self._lists[list_id] = None if data is None else _list(data)
        return self._lists[list_id]

    def _levels_of(self, abstract: str) -> dict[int, Level]:
        if abstract not in self._levels:
            self._levels[abstract] = self._read_levels(abstract)
        return self._levels[abstract]

    def _read_levels(self, abstract: str) -> dict[int, Level]:
        data = self._abstract.get(abstract, b"")
        link = value(data, "w:numStyleLink")
        if link in self._of_style:
            data = self._abstract[self._of_style[link]]
        return dict(_level(own, content) for own, content in slices(data, b"w:lvl"))

    def _index(self) -> None:
        """Finds where definitions stand, once."""
        if self._read:
            return
        self._read = True
        for own, content in slices(self._data, b"w:abstractNum"):
            name = attribute(own, "w:abstractNumId") or ""
            self._abstract[name] = content
            if (style := value(content, "w:styleLink")) is not None:
                self._of_style[style] = name
        for own, content in slices(self._data, b"w:num"):
            self._numbers[attribute(own, "w:numId") or ""] = content
        self._data = b""


def _level(own: bytes, content: bytes) -> tuple[int, Level]:
    indent = _INDENT.search(content)
    start = whole(value(content, "w:start"))
    return whole(attribute(own, "w:ilvl")) or 0, Level(
        start=1 if start is None else start,
        number_format=_format(content),
        text=value(content, "w:lvlText") or "",
        legal=switched(content, "w:isLgl") or False,
        restart=whole(value(content, "w:lvlRestart")),
        style=value(content, "w:pStyle") or "",
        left=None if indent is None else int(indent.group(1)) / 20,
    )


def _format(content: bytes) -> str:
    """Answers the format; `001, 002, …` is stated as an example of its own."""
    stated = value(content, "w:numFmt") or "decimal"
    custom = _CUSTOM.search(content) if stated == "custom" else None
    return f"zeros{len(custom.group(1))}" if custom else stated


def _list(data: bytes) -> _List:
    found = _List(abstract=value(data, "w:abstractNumId") or "")
    for own, content in slices(data, b"w:lvlOverride"):
        level = whole(attribute(own, "w:ilvl")) or 0
        start = whole(value(content, "w:startOverride"))
        if start is not None:
            found.starts[level] = start
        for stated, described in slices(content, b"w:lvl"):
            found.levels[level] = _level(stated, described)[1]
    return found
