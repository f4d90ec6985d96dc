"""Rows of a sheet, and what a sheet says of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

NUMERIC: Final = 1
BOLD: Final = 2


@dataclass(slots=True)
class Row:
    """The cells of one row that have text."""

    number: int
    """From 0."""
    columns: list[int] = field(default_factory=list)
    """From 0, rising."""
    texts: list[str] = field(default_factory=list)
    looks: list[int] = field(default_factory=list)
    """NUMERIC and BOLD of each cell."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Area:
    """A rectangle of places, its last ones included."""

    top: int
    left: int
    bottom: int
    right: int


@dataclass(frozen=True, kw_only=True)
class Hints:
    """What a sheet says of its rows."""

    merged: Mapping[int, Sequence[Area]] = field(default_factory=dict)
    """Merged cells by their first row."""
    tables: Sequence[Area] = ()
    """Declared tables and filtered ranges: an empty row does not end them."""
    headers: frozenset[int] = frozenset()
    """Rows declared as header."""
    frozen: int = 0
    """Rows from the top that stay when the rest is scrolled."""
    separated: bool = False
    """Separated values: one table, whatever columns are empty, and a first row of words alone is its header."""
