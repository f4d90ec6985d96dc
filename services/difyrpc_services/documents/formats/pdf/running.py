"""Finds running headers and footers: what stands at the same height on neighbouring pages, page numbers aside."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final, Literal

from difyrpc_services.documents.formats.pdf.tables import rows_of
from difyrpc_services.documents.formats.pdf.text import Fragment

MARGIN: Final = 0.13  # of the page's height, at the top and at the bottom
MOST_ROWS: Final = 4  # printed rows in each margin
SAME_HEIGHT: Final = 6.0  # points
_NUMBER: Final = re.compile(r"\d+|\b[ivxlc]+\b", re.IGNORECASE)
_PAGE_NUMBER: Final = re.compile(
    r"[\s\-–—|·•]*(page|p\.|第|seite)?\s*(\d{1,4}|[ivxlc]{1,7})\s*(页|頁|ページ)?\s*"
    r"((of|/|von|，?\s*共|\|)\s*\d{1,4}\s*(页|頁)?)?[\s\-–—|·•]*",
    re.IGNORECASE,
)

Place = Literal["header", "footer"]


class Margin:
    """The rows of one page that may be running headers or footers."""

    def __init__(self, fragments: list[Fragment], height: float) -> None:
        self.rows: list[tuple[Place, str, float, list[Fragment]]] = []
        rows = rows_of(fragments)
        for place, some in (("header", rows[:MOST_ROWS]), ("footer", rows[-MOST_ROWS:])):
            for row in some:
                middle = row[0].middle
                inside = middle < MARGIN * height if place == "header" else middle > (1 - MARGIN) * height
                if inside:
                    text = "".join(fragment.text for fragment in row)
                    self.rows.append((_place(place), _pattern(text), middle, row))

    def running(self, neighbours: Iterable[Margin], *, least: int) -> dict[int, Place]:
        """Answers the fragments (by identity) that stand on at least `least` of the neighbours too."""
        others = list(neighbours)
        found: dict[int, Place] = {}
        for place, pattern, middle, row in self.rows:
            alike = sum(other.has(place, pattern, middle) for other in others)
            text = " ".join(fragment.text for fragment in row)
            if (least and alike >= least) or (pattern in ("#", "-#-", "##") or _PAGE_NUMBER.fullmatch(text)):
                found.update((id(fragment), place) for fragment in row)
        return found

    def has(self, place: Place, pattern: str, middle: float) -> bool:
        """Answers whether such a row stands at this height."""
        return any(row[0] == place and row[1] == pattern and abs(row[2] - middle) <= SAME_HEIGHT for row in self.rows)


def _place(word: str) -> Place:
    return "header" if word == "header" else "footer"


def _pattern(text: str) -> str:
    return re.sub(r"\s+", "", _NUMBER.sub("#", text)).lower()
