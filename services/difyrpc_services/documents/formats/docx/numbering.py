"""Word's automatic numbering: the numbers that stand in no text."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Final

from lxml import etree

from difyrpc_services.documents.formats.docx.names import W, switched, value, whole
from difyrpc_services.documents.formats.docx.numerals import written

LEVELS: Final = 9
_PLACE: Final = re.compile(r"%([1-9])")


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


class Numbering:
    """Counts the paragraphs of all lists of a document, in the order of the text."""

    def __init__(self, root: etree._Element | None) -> None:
        self._levels: dict[str, dict[int, Level]] = {}
        self._lists: dict[str, _List] = {}
        self._counts: dict[str, list[int | None]] = {}
        if root is not None:
            self._read(root)

    def level_of_style(self, list_id: str, style: str) -> int:
        """Answers the level that a paragraph style is tied to; 0 if none is."""
        found = self._lists.get(list_id)
        levels = self._levels.get(found.abstract, {}) if found else {}
        return next((index for index, level in levels.items() if level.style == style), 0)

    def next(self, list_id: str, level: int) -> Number | None:
        """Counts one paragraph and answers its number; None for a list that does not exist."""
        found = self._lists.get(list_id)
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
        return found.levels.get(level) or self._levels.get(found.abstract, {}).get(level) or Level()

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
            restart = self._described(found, deeper).restart
            if restart is None or (restart and level < restart):
                counts[deeper] = None

    def _text(self, found: _List, counts: list[int | None], level: int) -> str:
        legal = self._described(found, level).legal

        def number(match: re.Match[str]) -> str:
            place = int(match.group(1)) - 1
            described = self._described(found, place)
            count = counts[place]
            return written(described.start if count is None else count, "decimal" if legal else described.number_format)

        return _PLACE.sub(number, self._described(found, level).text)

    def _read(self, root: etree._Element) -> None:
        links: dict[str, str] = {}
        styles: dict[str, str] = {}
        for abstract in root.iterfind(W + "abstractNum"):
            name = abstract.get(W + "abstractNumId", "")
            self._levels[name] = dict(map(_level, abstract.iterfind(W + "lvl")))
            if (link := value(abstract, "numStyleLink")) is not None:
                links[name] = link
            if (style := value(abstract, "styleLink")) is not None:
                styles[style] = name
        for name, link in links.items():
            if link in styles:
                self._levels[name] = self._levels[styles[link]]
        for element in root.iterfind(W + "num"):
            self._lists[element.get(W + "numId", "")] = _list(element)


def _level(element: etree._Element) -> tuple[int, Level]:
    properties = element.find(W + "pPr")
    indent = None if properties is None else properties.find(W + "ind")
    left = None if indent is None else whole(indent.get(W + "left", indent.get(W + "start")))
    start = whole(value(element, "start"))
    return whole(element.get(W + "ilvl")) or 0, Level(
        start=1 if start is None else start,
        number_format=value(element, "numFmt") or "decimal",
        text=value(element, "lvlText") or "",
        legal=switched(element, "isLgl") or False,
        restart=whole(value(element, "lvlRestart")),
        style=value(element, "pStyle") or "",
        left=None if left is None else left / 20,
    )


def _list(element: etree._Element) -> _List:
    found = _List(abstract=value(element, "abstractNumId") or "")
    for override in element.iterfind(W + "lvlOverride"):
        level = whole(override.get(W + "ilvl")) or 0
        start = whole(value(override, "startOverride"))
        if start is not None:
            found.starts[level] = start
        described = override.find(W + "lvl")
        if described is not None:
            found.levels[level] = _level(described)[1]
    return found
