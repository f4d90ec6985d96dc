"""Chooses among all slots those that make one plausible outline: numbers rise, lists begin at one, parts nest.

A beam search keeps the best few outlines while it reads on, so that a doubtful marker is judged by what follows it:
`(i)` after `(h)` is a letter if `(j)` comes and a Roman one if `(ii)` comes; a cross reference to Section 7.1 at the
start of a row loses because Section 2.4 comes next.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from operator import attrgetter
from typing import NamedTuple

from difyrpc_services.documents.clauses.markers import FREE, RANKS, Marker, Slot
from difyrpc_services.documents.clauses.places import UNCOUNTED, Frame, Levels, places

_BEAM = 10
_WORK = 300_000  # outlines times slots; a longer text is read with a narrower beam
_MARGIN = 24.0  # an outline so far behind the best is given up
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


def choose(slots: Sequence[Slot]) -> list[Choice]:
    """Answers the most plausible outline, in reading order."""
    beam = [_Outline(0.0, Levels((), ()), None, -1)]
    width = max(2, min(_BEAM, _WORK // max(1, len(slots))))
    for index, slot in enumerate(slots):
        beam = _best([*beam, *(grown for outline in beam for grown in _grown(outline, index, slot))], width)
    return _read_back(beam[0].link)


def _read_back(link: _Link | None) -> list[Choice]:
    choices = []
    while link is not None:
        choices.append(link.choice)
        link = link.before
    return choices[::-1]


def _best(outlines: list[_Outline], width: int) -> list[_Outline]:
    """Answers the best outlines, one for each state that later slots can tell apart."""
    if len(outlines) == 1:
        return outlines
    outlines.sort(key=attrgetter("score"), reverse=True)
    floor = outlines[0].score - _MARGIN
    if outlines[1].score < floor:
        return outlines[:1]
    kept: list[_Outline] = []
    seen: set[object] = set()
    for outline in outlines:
        if outline.score < floor or len(kept) == width:
            break
        stack, last = outline.levels
        state = (tuple((frame.style, frame.steps) for frame in stack), tuple(entry[:2] for entry in last))
        if state not in seen:
            seen.add(state)
            kept.append(outline)
    return kept


def _grown(outline: _Outline, index: int, slot: Slot) -> Iterator[_Outline]:
    """Yields the outlines in which the slot is a clause, one for each reading and place."""
    if slot.inline and outline.newest != index - 1:
        return
    for marker in slot.markers:
        base = slot.begins + marker.weight
        for depth, step in places(outline.levels, marker, slot):
            if base + step > 0 and depth < _DEEPEST:
                choice = Choice(index, marker, outline.levels.stack[depth - 1].node if depth else -1)
                levels = _levels_with(outline.levels, slot, choice, depth)
                score = outline.score + _worth(marker) * (base + step)
                yield _Outline(score, levels, _Link(outline.link, choice), index)


def _worth(marker: Marker) -> float:
    """Answers how much more an article weighs than an item, so that no list is joined over it."""
    if marker.rank < FREE and marker.steps:
        return 2.0
    return 1.5 if marker.dotted and len(marker.steps) > 1 else 1.0


def _levels_with(levels: Levels, slot: Slot, choice: Choice, depth: int) -> Levels:
    """Answers the levels that are open after the choice."""
    marker = choice.marker
    last = levels.last
    if marker.rank < FREE and marker.style not in UNCOUNTED:
        if marker.rank == RANKS["exhibit"]:
            last = tuple((_set_aside(style), steps, node) for style, steps, node in last)
        last = (*(entry for entry in last if entry[0] != marker.style), (marker.style, marker.steps, choice.parent))
    if marker.style == "agreed":
        return Levels(levels.stack[:depth], last)
    frame = Frame(marker.style, marker.rank, marker.steps, choice.slot, marker.heading, slot.indent, slot.text)
    return Levels((*levels.stack[:depth], frame), last)


def _set_aside(style: str) -> str:
    """Answers the name under which the numbers before the exhibits are remembered."""
    return style if style.startswith(("exhibit", "schedule", "old ")) else f"old {style}"
