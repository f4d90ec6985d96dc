"""Runs of characters on a printed line, which everything else on a page is made of."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from operator import attrgetter
from typing import Final

from difyrpc_services.documents.elements import Box

_RIGHT_TO_LEFT: Final = re.compile("[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufefc]")

Word = tuple[str, float, float, float, float]
"""Text without spaces, left, top, right, bottom."""


_MIDDLE: Final = attrgetter("middle")
_LEFT: Final = attrgetter("left")


@dataclass(frozen=True, slots=True)
class Face:
    """How characters look."""

    size: float = 10.0
    """Points, as printed."""
    bold: bool = False
    mono: bool = False
    """All characters are of one width."""


@dataclass(slots=True, eq=False)
class Fragment:
    """A run of words without a wide gap."""

    text: str
    left: float
    top: float
    right: float
    bottom: float
    face: Face
    start: int
    """Place in the order of the file; what stands for a table or picture has a negative one."""
    words: Sequence[Word] = field(default=(), repr=False)
    gap: float = math.inf
    """The widest one between its words; infinite = it was not measured."""
    middle: float = field(init=False)
    """Vertical middle."""

    def __post_init__(self) -> None:
        """Keeps what is asked for often."""
        self.middle = (self.top + self.bottom) / 2

    @property
    def size(self) -> float:
        """Points."""
        return self.face.size

    @property
    def bold(self) -> bool:
        """Whether it is bold."""
        return self.face.bold

    def box(self, page: int) -> Box:
        """Answers its place."""
        return Box(
            page=page,
            left=round(self.left, 2),
            top=round(self.top, 2),
            right=round(self.right, 2),
            bottom=round(self.bottom, 2),
        )


def fragment_of(words: Sequence[Word], face: Face, start: int, gap: float = math.inf) -> Fragment:
    """Makes a fragment of words in the order of reading."""
    if len(words) == 1:
        return Fragment(*words[0], face, start, words, 0.0)
    texts, lefts, tops, rights, bottoms = zip(*words, strict=True)
    return Fragment(" ".join(texts), min(lefts), min(tops), max(rights), max(bottoms), face, start, words, gap)


def split_at(fragment: Fragment, borders: Sequence[float]) -> list[Fragment]:
    """Cuts a fragment at vertical lines that cross it; a word that a line crosses is cut in proportion."""
    inside = [x for x in borders if fragment.left + 1 < x < fragment.right - 1]
    if not inside or not fragment.words:
        return [fragment]
    parts: list[list[Word]] = [[] for _ in range(len(inside) + 1)]
    for word in fragment.words:
        for piece in _pieces(word, inside):
            middle = (piece[1] + piece[3]) / 2
            parts[sum(middle > x for x in inside)].append(piece)
    return [fragment_of(part, fragment.face, fragment.start) for part in parts if part]


def _pieces(word: Word, borders: Sequence[float]) -> list[Word]:
    text, left, top, right, bottom = word
    width = (right - left) / max(1, len(text))
    cuts = sorted({round((x - left) / width) for x in borders if left + width / 2 < x < right - width / 2})
    if not cuts or width <= 0:
        return [word]
    ends = [0, *cuts, len(text)]
    return [
        (text[begin:end], left + begin * width, top, left + end * width, bottom)
        for begin, end in pairwise(ends)
        if begin < end
    ]


def is_right_to_left(text: str) -> bool:
    """Answers whether a text holds Arabic or Hebrew letters."""
    return not text.isascii() and _RIGHT_TO_LEFT.search(text) is not None


def rows_of(fragments: Sequence[Fragment]) -> list[list[Fragment]]:
    """Answers the fragments by printed row from the top, each row in the order of reading."""
    rows: list[list[Fragment]] = []
    row: list[Fragment] = []
    top = bottom = 0.0
    for fragment in sorted(fragments, key=_MIDDLE):
        shared = (fragment.bottom if fragment.bottom < bottom else bottom) - (
            fragment.top if fragment.top > top else top
        )
        if row and (shared >= 0.5 * (fragment.bottom - fragment.top) or shared >= 0.5 * (bottom - top)):
            row.append(fragment)
        else:
            row = [fragment]
            rows.append(row)
        top, bottom = fragment.top, fragment.bottom
    for row in rows:
        if len(row) > 1:
            if any(is_right_to_left(fragment.text) for fragment in row):
                row.sort(key=lambda f: -f.right)
            else:
                row.sort(key=_LEFT)
    return rows
