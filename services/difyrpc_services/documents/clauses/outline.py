"""Chooses among all slots those that make one plausible outline: numbers rise, lists begin at one, parts nest.

A beam search keeps the best few outlines while it reads on, so that a doubtful marker is judged by what follows it:
`(i)` after `(h)` is a letter if `(j)` comes and a Roman one if `(ii)` comes; a cross reference to Section 7.1 at the
start of a row loses because Section 2.4 comes next.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from operator import itemgetter
from typing import NamedTuple

from difyrpc_services.documents.clauses.markers import FREE, RANKS, Marker, Slot
from difyrpc_services.documents.clauses.places import NOTHING_OPEN, PASSED, UNCOUNTED, Frame, Levels, places

_BEAM = 8
_WORK = 300_000  # outlines times slots; a longer text is read with a narrower beam
_MARGIN = 14.0  # an outline so far behind the best is given up
_DEEPEST = 12  # levels


class _Link(NamedTuple):
    before: _Link | None
    choice: Choice


class _Outline(NamedTuple):
    score: float
    levels: Levels
    link: _Link | None
    newest: int
    """The newest slot that is a clause."""


class Choice(NamedTuple):
    """One slot that is a clause."""

    slot: int
    marker: Marker
    parent: int
    """Slot of the clause that it belongs to; -1 at the top."""


_Growth = tuple[float, _Outline, Slot | None, Choice | None, int]
"""Score, outline, and the slot, choice and depth that it grows by; None where it stays as it is."""


def choose(slots: Sequence[Slot]) -> list[Choice]:
    """Answers the most plausible outline, in reading order."""
    beam = [_Outline(0.0, NOTHING_OPEN, None, -1)]
    width = max(2, min(_BEAM, _WORK // max(1, len(slots))))
    for index, slot in enumerate(slots):
        grown = [growth for outline in beam for growth in _grown(outline, index, slot)]
        if grown:
            beam = _best([*((outline.score, outline, None, None, 0) for outline in beam), *grown], width)
    return _read_back(beam[0].link)


def _read_back(link: _Link | None) -> list[Choice]:
    choices = []
    while link is not None:
        choices.append(link.choice)
        link = link.before
    return choices[::-1]


def _best(growths: list[_Growth], width: int) -> list[_Outline]:
    """Answers the best outlines, one for each state that later slots can tell apart."""
    growths.sort(key=itemgetter(0), reverse=True)
    floor = growths[0][0] - _MARGIN
    kept: list[_Outline] = []
    seen: set[tuple[int, int]] = set()
    for growth in growths:
        if growth[0] < floor or len(kept) == width:
            break
        outline = _outline(growth)
        state = outline.levels.state
        if state not in seen:
            seen.add(state)
            kept.append(outline)
    return kept


def _outline(growth: _Growth) -> _Outline:
    score, outline, slot, choice, depth = growth
    if slot is None or choice is None:
        return outline
    levels = _levels_with(outline.levels, slot, choice, depth)
    return _Outline(score, levels, _Link(outline.link, choice), choice.slot)


def _grown(outline: _Outline, index: int, slot: Slot) -> Iterator[_Growth]:
    """Yields the ways in which the slot is a clause of the outline, one for each reading and place."""
    if slot.inline and outline.newest != index - 1:
        return
    score, levels, _, _ = outline
    stack = levels.stack
    for marker in slot.markers:
        base = slot.begins + marker.weight
        for depth, step in places(levels, marker, slot):
            if base + step > 0 and depth < _DEEPEST:
                choice = Choice(index, marker, stack[depth - 1].node if depth else -1)
                yield score + _worth(marker) * (base + step), outline, slot, choice, depth


def _worth(marker: Marker) -> float:
    """Answers how much more an article weighs than an item, so that no list is joined over it."""
    if marker.rank < FREE and marker.steps:
        return 2.0
    return 1.5 if marker.dotted and len(marker.steps) > 1 else 1.0


def _levels_with(levels: Levels, slot: Slot, choice: Choice, depth: int) -> Levels:
    """Answers the levels that are open after the choice."""
    marker = choice.marker
    last, numbers = levels.last, levels.state[1]
    if marker.rank < FREE and marker.style not in UNCOUNTED:
        if marker.rank == RANKS["exhibit"]:
            last = tuple((_set_aside(style), steps, node) for style, steps, node in last)
        last = (*(entry for entry in last if entry[0] != marker.style), (marker.style, marker.steps, choice.parent))
        numbers = hash(tuple(entry[:2] for entry in last))
    above = levels.stack[:depth]
    path = above[-1].path if above else 0
    if marker.style in PASSED:
        return Levels(above, last, (path, numbers))
    path = hash((path, marker.style, marker.steps))
    frame = Frame(marker.style, marker.rank, marker.steps, choice.slot, marker.heading, slot.indent, slot.text, path)
    return Levels((*above, frame), last, (path, numbers))


def _set_aside(style: str) -> str:
    """Answers the name under which the numbers before the exhibits are remembered."""
    return style if style.startswith(("exhibit", "schedule", "old ")) else f"old {style}"
