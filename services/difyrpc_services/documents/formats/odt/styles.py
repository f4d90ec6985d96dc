"""Styles of an OpenDocument text: paragraphs, letters, lists and the outline."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Final

from difyrpc_services.documents.formats.docx.numerals import written

MOST_PARENTS: Final = 20  # of a style; more is a circle
LEVELS: Final = 10
_CODED: Final = re.compile(r"_([0-9a-fA-F]{2,4})_")
_PLACE: Final = re.compile(r"%(\d{1,2})%")
_LENGTH: Final = re.compile(r"(-?[\d.]+)(cm|mm|in|pt|pc|px)?")
_POINTS: Final = {"cm": 72 / 2.54, "mm": 72 / 25.4, "in": 72.0, "pt": 1.0, "pc": 12.0, "px": 0.75}
_FORMATS: Final = {
    "1": "decimal",
    "a": "lowerLetter",
    "A": "upperLetter",
    "i": "lowerRoman",
    "I": "upperRoman",
    "": "none",
    "一, 二, 三, ...": "chineseCountingThousand",
    "壹, 贰, 叁, ...": "chineseLegalSimplified",
    "壹, 貳, 參, ...": "ideographLegalTraditional",
    "甲, 乙, 丙, ...": "ideographTraditional",
    "子, 丑, 寅, ...": "ideographZodiac",
    "①, ②, ③, ...": "decimalEnclosedCircle",
    "１, ２, ３, ...": "decimalFullWidth",
    "ア, イ, ウ, ...": "aiueo",
    "イ, ロ, ハ, ...": "iroha",
    "가, 나, 다, ...": "ganada",
    "ㄱ, ㄴ, ㄷ, ...": "chosung",
    "1st": "ordinal",
    "01, 02, 03, ...": "decimalZero",
}


@dataclass(slots=True)
class Style:
    """One style of paragraphs, of letters or of what is drawn."""

    name: str = ""
    """As people see it."""
    parent: str = ""
    family: str = ""
    bold: bool | None = None
    hidden: bool | None = None
    centred: bool | None = None
    size: float = 0.0
    """Points; 0 = not stated."""
    indent: float | None = None
    """Points of the first line."""
    outline: int | None = None
    """Level of a heading from 1."""
    list_style: str | None = None
    """Empty = its headings have no numbers."""
    named: bool = False
    """It is one that people choose, not one that a program made for some properties."""


@dataclass(slots=True)
class ListLevel:
    """How one level of a list is numbered."""

    number_format: str = ""
    """`none` for bullets."""
    prefix: str = ""
    suffix: str = ""
    shown: int = 1
    """How many levels its number shows."""
    start: int = 1
    template: str = ""
    """`%1%.%2%`; it counts instead of the four above."""


@dataclass(slots=True)
class Styles:
    """All styles of a document."""

    known: dict[tuple[str, str], Style] = field(default_factory=dict)
    """By family and name."""
    lists: dict[str, dict[int, ListLevel]] = field(default_factory=dict)
    """Levels from 1, by the name of a list's style; the outline's is the empty name."""
    _resolved: dict[tuple[str, str], Style] = field(default_factory=dict)

    def get(self, family: str, name: str) -> Style:
        """Answers a style with what it inherits."""
        key = (family, name)
        if key not in self._resolved:
            self._resolved[key] = self._made(key)
        return self._resolved[key]

    def _made(self, key: tuple[str, str]) -> Style:
        chain = self._chain(key)
        named = next((style for style in chain if style.named), None)
        return Style(
            name=named.name if named else "",
            family=key[0],
            bold=next((style.bold for style in chain if style.bold is not None), None),
            hidden=next((style.hidden for style in chain if style.hidden is not None), None),
            centred=next((style.centred for style in chain if style.centred is not None), None),
            size=next((style.size for style in chain if style.size), 0.0),
            indent=next((style.indent for style in chain if style.indent is not None), None),
            outline=next((style.outline for style in chain if style.outline is not None), None),
            list_style=next((style.list_style for style in chain if style.list_style is not None), None),
        )

    def _chain(self, key: tuple[str, str]) -> list[Style]:
        chain: list[Style] = []
        style = self.known.get(key)
        while style is not None and len(chain) < MOST_PARENTS:
            chain.append(style)
            style = self.known.get((key[0], style.parent)) if style.parent else None
        return chain

    def label(self, list_style: str, counts: list[int], level: int) -> str | None:
        """Answers the number that stands before an item; empty for bullets, None for a list without levels."""
        levels = self.lists.get(list_style)
        described = levels.get(level) if levels else None
        if levels is None or described is None:
            return None
        if described.number_format == "none":
            return ""
        if described.template:
            return _PLACE.sub(lambda match: _count(levels, counts, int(match.group(1))), described.template).strip()
        first = max(1, level - described.shown + 1)
        numbers = [_count(levels, counts, place) for place in range(first, level + 1)]
        return f"{described.prefix}{'.'.join(number for number in numbers if number)}{described.suffix}".strip()


def _count(levels: dict[int, ListLevel], counts: list[int], level: int) -> str:
    described = levels.get(level)
    if described is None or not 0 < level < len(counts):
        return ""
    return written(max(counts[level], 0) or described.start, described.number_format)


class StyleReader:
    """Takes the styles out of the events of a part."""

    def __init__(self, styles: Styles) -> None:
        self._styles = styles
        self._style: Style | None = None
        self._levels: dict[int, ListLevel] | None = None

    def begin(self, name: str, attributes: dict[str, str]) -> None:
        """Takes the beginning of an element."""
        if name == "style:style":
            self._begin_style(attributes)
        elif name in ("style:paragraph-properties", "style:text-properties", "style:properties"):
            if self._style is not None:
                _describe(self._style, attributes)
        elif name in ("text:list-style", "text:outline-style"):
            self._levels = {}
            key = "" if name == "text:outline-style" else attributes.get("style:name", "")
            self._styles.lists[key] = self._levels
        elif name in _LEVELS and self._levels is not None:
            level = _whole(attributes.get("text:level"), 1)
            self._levels[level] = _list_level(attributes, bullet=name.endswith(("bullet", "image")))

    def end(self, name: str) -> None:
        """Takes the end of an element."""
        if name == "style:style":
            self._style = None
        elif name in ("text:list-style", "text:outline-style"):
            self._levels = None

    def _begin_style(self, attributes: dict[str, str]) -> None:
        family, name = attributes.get("style:family", ""), attributes.get("style:name", "")
        outline = attributes.get("style:default-outline-level")
        self._style = Style(
            name=attributes.get("style:display-name") or decoded(name),
            parent=attributes.get("style:parent-style-name", ""),
            outline=_whole(outline, 0) or None,
            list_style=attributes.get("style:list-style-name"),
        )
        self._styles.known[family, name] = self._style

    def choose(self) -> None:
        """Marks the styles that were read so far as those that people choose."""
        for style in self._styles.known.values():
            style.named = True


_LEVELS: Final = frozenset(
    (
        *("text:list-level-style-number", "text:list-level-style-bullet", "text:list-level-style-image"),
        "text:outline-level-style",
    )
)


def decoded(name: str) -> str:
    """Answers a name whose odd characters are coded: `Heading_20_1`."""
    return _CODED.sub(lambda match: chr(int(match.group(1), 16)), name)


def _describe(style: Style, attributes: dict[str, str]) -> None:
    weight = attributes.get("fo:font-weight")
    if weight is not None:
        style.bold = weight == "bold" or (weight.isdigit() and int(weight) >= 600)
    if "text:display" in attributes:
        style.hidden = attributes["text:display"] == "none"
    if "fo:text-align" in attributes:
        style.centred = attributes["fo:text-align"] == "center"
    style.size = points(attributes.get("fo:font-size")) or style.size
    left, first = attributes.get("fo:margin-left"), attributes.get("fo:text-indent")
    if left is not None or first is not None:
        style.indent = points(left) + points(first)


def _list_level(attributes: dict[str, str], *, bullet: bool) -> ListLevel:
    stated = attributes.get("style:num-format", "")
    return ListLevel(
        number_format="none" if bullet else _FORMATS.get(stated, "decimal"),
        prefix=attributes.get("style:num-prefix", ""),
        suffix=attributes.get("style:num-suffix", "") if bullet or stated else "",
        shown=_whole(attributes.get("text:display-levels"), 1),
        start=_whole(attributes.get("text:start-value"), 1),
        template="" if bullet or not stated else attributes.get("loext:num-list-format", ""),
    )


def points(text: str | None) -> float:
    """Answers a length in points; 0 for none and for percentages."""
    match = _LENGTH.fullmatch(text) if text else None
    try:
        return float(match.group(1)) * _POINTS.get(match.group(2) or "pt", 1.0) if match else 0.0
    except ValueError:
        return 0.0


def _whole(text: str | None, usual: int) -> int:
    return int(text) if text and text.isascii() and text.isdigit() and len(text) < 7 else usual
