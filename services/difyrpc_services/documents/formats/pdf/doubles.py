"""Drops text that is printed twice in one place: shadows, bold by overprinting, a hidden layer under printed text."""

from __future__ import annotations

from typing import Final

from difyrpc_services.documents.formats.pdf.fragments import Fragment

BAND: Final = 12.0  # points: twins are looked for in a band of a page and its neighbours
SHIFT: Final = 0.35  # of the height that a shadow is away


def without_doubles(fragments: list[Fragment]) -> list[Fragment]:
    """Answers the fragments, of those with the same text in the same place the first."""
    seen: dict[tuple[str, int], list[Fragment]] = {}
    kept = []
    for fragment in fragments:
        band = int(fragment.top // BAND)
        near = [one for place in (band - 1, band, band + 1) for one in seen.get((fragment.text, place), ())]
        if not near or not any(_same_place(one, fragment) for one in near):
            seen.setdefault((fragment.text, band), []).append(fragment)
            kept.append(fragment)
    return kept


def _same_place(one: Fragment, other: Fragment) -> bool:
    least = SHIFT * (one.bottom - one.top)
    return abs(one.left - other.left) < least and abs(one.top - other.top) < least
