"""Finds running headers and footers: what stands at the same height on neighbouring pages, page numbers aside."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import Final, Literal

from difyrpc_services.documents.formats.pdf.fragments import Fragment, rows_of

MARGIN: Final = 0.13  # of the page's height, at the top and at the bottom
EDGE: Final = 0.075  # of the height: where two pages are all there is, only this far do repeated rows run
MOST_ROWS: Final = 4  # printed rows in each margin
NEXT: Final = 0.06  # of the height beyond the margin, where the next row is looked for
SAME_HEIGHT: Final = 6.0  # points
LEAST_GAP: Final = 0.6  # of a row's height, between a running row and the text
_NUMBER: Final = re.compile(r"\d+|\b[ivxlc]+\b", re.IGNORECASE)
_PAGE_NUMBER: Final = re.compile(
    r"[\s\-–—|·•]*(page|p\.|第|seite)?\s*(\d{1,4}|[ivxlc]{1,7})\s*(页|頁|ページ)?\s*"
    r"((of|/|von|，?\s*共|\|)\s*\d{1,4}\s*(页|頁)?)?[\s\-–—|·•]*",
    re.IGNORECASE,
)

Place = Literal["header", "footer"]


@dataclass(slots=True)
class _Row:
    """A printed row in a margin."""

    place: Place
    pattern: str
    middle: float
    fragments: list[Fragment]
    apart: bool
    """A gap separates it from the next row towards the middle of the page."""

    def repeats(self, others: Sequence[Margin], least: int) -> bool:
        """Answers whether it stands on `least` other pages, or is a page number."""
        if _PAGE_NUMBER.fullmatch(" ".join(fragment.text for fragment in self.fragments)):
            return True
        return least > 0 and sum(other.has(self.place, self.pattern, self.middle) for other in others) >= least


class Margin:
    """The rows of one page that may be running headers or footers."""

    def __init__(self, fragments: list[Fragment], height: float) -> None:
        reach = (MARGIN + NEXT) * height
        self._height = height
        self._count = len(fragments)
        self._headers = _margin("header", rows_of([f for f in fragments if f.top < reach]), height)
        footers = rows_of([f for f in fragments if f.bottom > height - reach])
        self._footers = _margin("footer", footers[::-1], height)

    def running(self, neighbours: Iterable[Margin], *, least: int) -> dict[int, Place]:
        """Answers the fragments (by identity) that stand on at least `least` of the neighbours too.

        What is all that a page holds is its text, page numbers aside.
        """
        others = list(neighbours)
        found = self._repeated(others, least)
        return found if len(found) < self._count else self._repeated((), 0)

    def _repeated(self, others: Sequence[Margin], least: int) -> dict[int, Place]:
        found: dict[int, Place] = {}
        for rows in (self._headers, self._footers):
            alike: list[_Row] = []
            for row in rows:  # from the edge inwards
                if not row.repeats(others, least) or (least == 1 and not self._at_edge(row)):
                    break
                alike.append(row)
                if row.apart:
                    found.update((id(fragment), each.place) for each in alike for fragment in each.fragments)
        return found

    def _at_edge(self, row: _Row) -> bool:
        return not EDGE < row.middle / self._height < 1 - EDGE

    def has(self, place: Place, pattern: str, middle: float) -> bool:
        """Answers whether such a row stands at this height."""
        rows = self._headers if place == "header" else self._footers
        return any(row.pattern == pattern and abs(row.middle - middle) <= SAME_HEIGHT for row in rows)


def _margin(place: Place, rows: list[list[Fragment]], height: float) -> list[_Row]:
    """Answers the rows of one margin from the edge inwards."""
    found: list[_Row] = []
    for row, following in zip_longest(rows[:MOST_ROWS], rows[1 : MOST_ROWS + 1]):
        if row is None:
            break
        middle = row[0].middle
        if not (middle < MARGIN * height if place == "header" else middle > (1 - MARGIN) * height):
            break
        text = "".join(fragment.text for fragment in row)
        found.append(_Row(place, _pattern(text), middle, row, _apart(row, following)))
    return found


def _apart(row: list[Fragment], following: list[Fragment] | None) -> bool:
    if following is None:
        return True
    tall = max(row[0].bottom - row[0].top, following[0].bottom - following[0].top)
    return max(following[0].top - row[0].bottom, row[0].top - following[0].bottom) > LEAST_GAP * tall


def _pattern(text: str) -> str:
    return re.sub(r"\s+", "", _NUMBER.sub("#", text)).lower()
