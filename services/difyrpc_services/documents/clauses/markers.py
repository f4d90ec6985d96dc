"""What a row may begin with: a marker, the number of a clause or the word that opens a part of the document."""

from __future__ import annotations

from typing import NamedTuple

from difyrpc_services.documents.clauses.numbering import Step

CONTRADICTED = -9.0
"""Weight of a rest that only a cross reference, an amount or a date has."""

RANKS = {
    "closing": 0,
    "exhibit": 0,
    "schedule": 0,
    "preamble": 1,
    "part": 1,
    "supplement": 1,
    "subpart": 2,
    "chapter": 3,
    "recitals": 4,
    "agreed": 4,
    "whereas": 5,
    "group": 4,  # ARTICLE above Section, 节 above 条
    "subgroup": 5,  # 款 as a heading between 节 and 条
    "unit": 6,  # what the text counts through: Section 2.1, 条
    "definition": 50,
}
"""How high the markers of a fixed place stand, 0 the highest."""
FREE = 100
"""Rank of markers whose depth only the order of the text tells: (a), 1., （一）."""


class Marker(NamedTuple):
    """One reading of what a row begins with."""

    style: str
    """What it is compared with: markers of one style count in one sequence."""
    rank: int
    """Out of `RANKS`, or `FREE`."""
    steps: tuple[Step, ...]
    """Its number; empty for markers that do not count."""
    written: str
    """The number as written, without the sign that ends it."""
    end: int
    """Where the text after it begins."""
    weight: float
    """How much its writing and the rest of the row speak for it (above 0) or against it."""
    heading: bool = False
    """The rest of the row reads as a heading, or is empty."""

    @property
    def dotted(self) -> bool:
        """Whether it is a bare figure: `1.`, `2.1`."""
        return self.style.startswith("dotted")


class Slot(NamedTuple):
    """One place where a clause may begin, with the readings of its marker."""

    row: int
    """Index into the rows."""
    offset: int
    """Where in the row's text it stands; above 0 for `(a)` after `Section 2.1 Delivery.`"""
    markers: tuple[Marker, ...]
    begins: float
    """How likely a paragraph begins here."""
    indent: float
    inline: bool = False
    """Can only be a clause if the slot before it, in the same row, is one."""
    text: str = ""
    """The row, to tell the reprint of a heading from a second use of its number."""
