"""Chooses among all slots those that make one plausible outline: numbers rise, lists begin at one, parts nest.

A beam search keeps the best few outlines while it reads on, so that a doubtful marker is judged by what follows it:
`(i)` after `(h)` is a letter if `(j)` comes and a Roman one if `(ii)` comes; a cross reference to Section 7.1 at the
start of a row loses because Section 2.4 comes next.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from difyrpc_services.documents.clauses.markers import FREE, RANKS, Marker, Slot
from difyrpc_services.documents.clauses.numbering import Step

_BEAM = 16
_WORK = 300_000  # outlines times slots; a longer text is read with a narrower beam
_MARGIN = 30.0  # an outline so far behind the best is given up
_DEEPEST = 12  # levels
_UNCOUNTED = frozenset({"closing", "preamble", "recitals", "agreed", "whereas", "definition"})
_PASSING = frozenset({"closing", "preamble", "recitals", "agreed", "whereas"})
"""Parts that end where the next clause of a fixed place begins."""
_NATURAL = ("一、", "(一)", "dotted1", "(1)", "①")

Steps = tuple[Step, ...]


class Frame(NamedTuple):
    """One open level of an outline."""

    style: str
    rank: int
    steps: Steps
    node: int
    titled: bool
    indent: float
    text: str


class _Link(NamedTuple):
    before: _Link | None
    slot: int
    marker: Marker
    parent: int


class _Outline(NamedTuple):
    score: float
    stack: tuple[Frame, ...]
    last: tuple[tuple[str, Steps, int], ...]  # style, number, node of the parent
    link: _Link | None
    accepted: int  # the newest slot that is a clause


class Choice(NamedTuple):
    """One slot that is a clause."""

    slot: int
    marker: Marker
    parent: int
    """Slot of the clause that it belongs to; -1 at the top."""


def choose(slots: Sequence[Slot]) -> list[Choice]:
    """Answers the most plausible outline, in reading order."""
    beam = [_Outline(0.0, (), (), None, -1)]
    width = max(2, min(_BEAM, _WORK // max(1, len(slots))))
    for index, slot in enumerate(slots):
        beam = _best([*beam, *(grown for outline in beam for grown in _grown(outline, index, slot))], width)
    return _read_back(beam[0].link)


def _read_back(link: _Link | None) -> list[Choice]:
    choices = []
    while link is not None:
        choices.append(Choice(link.slot, link.marker, link.parent))
        link = link.before
    return choices[::-1]


def _best(outlines: list[_Outline], width: int) -> list[_Outline]:
    if len(outlines) == 1:
        return outlines
    outlines.sort(key=lambda outline: -outline.score)
    floor = outlines[0].score - _MARGIN
    kept: list[_Outline] = []
    seen: set[object] = set()
    for outline in outlines:
        if outline.score < floor or len(kept) == width:
            break
        state = (
            tuple((frame.style, frame.steps) for frame in outline.stack),
            tuple(entry[:2] for entry in outline.last),
        )
        if state not in seen:
            seen.add(state)
            kept.append(outline)
    return kept


def _grown(outline: _Outline, index: int, slot: Slot) -> Iterator[_Outline]:
    """Yields the outlines in which the slot is a clause, one for each reading and place."""
    if slot.inline and outline.accepted != index - 1:
        return
    for marker in slot.markers:
        base = slot.begins + marker.weight
        for depth, step in _places(outline, marker, slot):
            score = base + step
            if score <= 0 or depth >= _DEEPEST:
                continue
            yield _with(outline, index, slot, marker, depth, score)


def _with(outline: _Outline, index: int, slot: Slot, marker: Marker, depth: int, score: float) -> _Outline:
    parent = outline.stack[depth - 1].node if depth else -1
    frame = Frame(marker.style, marker.rank, marker.steps, index, marker.heading, slot.indent, slot.text)
    last = outline.last
    if marker.rank < FREE and marker.style not in _UNCOUNTED:
        if marker.rank == RANKS["exhibit"]:
            last = tuple(("old " + style.removeprefix("old "), steps, node) if not style.startswith("exhibit") and not style.startswith("schedule")
                         else (style, steps, node) for style, steps, node in last)  # fmt: skip
        last = (*(entry for entry in last if entry[0] != marker.style), (marker.style, marker.steps, parent))
    link = _Link(outline.link, index, marker, parent)
    stack = outline.stack[:depth] if marker.style == "agreed" else (*outline.stack[:depth], frame)
    return _Outline(outline.score + score, stack, last, link, index)


def _places(outline: _Outline, marker: Marker, slot: Slot) -> Iterator[tuple[int, float]]:
    """Yields where the marker may stand, as the number of levels above it, and how well it fits there."""
    if marker.style in _UNCOUNTED:
        yield from _uncounted(outline, marker)
    elif marker.rank < FREE:
        yield from _fixed(outline, marker, slot)
    elif marker.dotted and len(marker.steps) > 1:
        yield from _dotted(outline, marker, slot)
    else:
        yield from _free(outline, marker, slot)


def _uncounted(outline: _Outline, marker: Marker) -> Iterator[tuple[int, float]]:
    stack = outline.stack
    opened = {frame.style for frame in stack}
    if marker.style in ("recitals", "preamble", "whereas"):
        started = any(style.startswith(("unit", "group", "chapter")) for style, _, _ in outline.last)
        if not started or (stack and stack[0].rank == 0):
            inside = marker.style == "whereas" and bool(stack) and stack[0].style == "recitals"
            yield 1 if inside else _above(stack, marker.rank), 1.0
    elif marker.style == "agreed":
        if opened & {"recitals", "whereas"}:
            yield _above(stack, marker.rank), 1.0
    elif marker.style == "closing":
        if stack and stack[0].style != "closing":
            yield 0, 0.0
    elif stack and stack[0].style not in ("closing", "recitals", "whereas"):
        yield _above_free(stack), 0.5


def _above(stack: Sequence[Frame], rank: int) -> int:
    """Answers how many levels stay open above a marker of a fixed rank."""
    for depth, frame in enumerate(stack):
        if frame.rank >= rank or frame.style in _PASSING:
            return depth
    return len(stack)


def _above_free(stack: Sequence[Frame]) -> int:
    """Answers how many levels stay open above a definition: numbered ones, not the lists in another definition."""
    for depth, frame in enumerate(stack):
        if frame.style == "definition" or (frame.rank == FREE and not frame.style.startswith("dotted")):
            return depth
    return len(stack)


def _fixed(outline: _Outline, marker: Marker, slot: Slot) -> Iterator[tuple[int, float]]:
    depth = _above(outline.stack, marker.rank)
    above = outline.stack[:depth]
    if _reprinted(outline.stack, marker, slot):
        return
    exhibit = marker.rank == RANKS["exhibit"]
    parent = above[-1] if above else None
    previous = next((entry for entry in outline.last if entry[0] == marker.style), None)
    if exhibit:
        yield 0, _exhibit_step(previous[1] if previous else None, marker.steps)
        return
    step = _rising(previous, marker.steps, parent)
    if step is None:
        return
    if parent is not None and parent.rank == RANKS["exhibit"] and previous is None:
        old = next((entry[1] for entry in outline.last if entry[0] == "old " + marker.style), None)
        if old is not None and old[:-1] == marker.steps[:-1] and marker.steps[-1].above(old[-1]):
            step -= 5.0
    yield depth, step


def _reprinted(stack: Sequence[Frame], marker: Marker, slot: Slot) -> bool:
    return any(
        frame.style == marker.style and frame.steps == marker.steps and frame.text == slot.text for frame in stack
    )


def _exhibit_step(previous: Steps | None, steps: Steps) -> float:
    if not steps:
        return -1.0
    if previous is None or not previous:
        return 1.0 if _is_first(steps[-1]) else -1.0
    if _tuple_above(steps, previous):
        return 2.0 if steps[-1].follows(previous[-1]) else 0.0
    return -4.0


def _rising(previous: tuple[str, Steps, int] | None, steps: Steps, parent: Frame | None) -> float | None:
    """Answers how well a number follows the last of its style; None if it cannot."""
    bonus = _prefix_bonus(steps, parent)
    if previous is None:
        if _is_first(steps[-1]):
            return 2.0 + bonus
        return -1.5 - math.log2(max(1, steps[-1].value)) * 0.5 + bonus
    before = previous[1]
    if steps[:-1] == before[:-1]:
        step = _after(before[-1], steps[-1])
        if step is not None:
            return step + bonus
        if steps[-1] == before[-1]:
            return -4.0 + bonus
    elif _tuple_above(steps[:-1], before[:-1]):
        close = len(steps) > 1 and steps[-2].follows(before[-2])
        return (2.0 if close else -1.0) + (0.5 if _is_first(steps[-1]) else -3.0) + bonus
    if not _is_first(steps[-1]):
        return None
    reopened = parent is not None and parent.node != previous[2]
    return (1.5 if reopened else -6.0) + bonus


def _prefix_bonus(steps: Steps, parent: Frame | None) -> float:
    if len(steps) < 2 or parent is None or not parent.steps:
        return 0.0
    return 1.0 if _starts_with(steps, parent.steps) else -2.5


def _starts_with(steps: Steps, prefix: Steps) -> bool:
    return steps[: len(prefix)] == prefix


def _tuple_above(steps: Steps, other: Steps) -> bool:
    return [(step.value, step.inserted) for step in steps] > [(step.value, step.inserted) for step in other]


def _is_first(step: Step) -> bool:
    return step.value <= 1 and step.inserted == 0


def _after(before: Step, step: Step) -> float | None:
    if step.follows(before):
        return 3.0
    if step.above(before):
        return -1.0 - math.log2(max(1, step.value - before.value))
    return None


def _dotted(outline: _Outline, marker: Marker, slot: Slot) -> Iterator[tuple[int, float]]:
    """Places 2.1 below 2, beside 2.0, after 1.14."""
    steps = marker.steps
    if _reprinted(outline.stack, marker, slot):
        return
    placed = False
    for depth in range(len(outline.stack), 0, -1):
        frame = outline.stack[depth - 1]
        if frame.style == marker.style and frame.steps[:-1] == steps[:-1]:
            step = _after(frame.steps[-1], steps[-1])
            if step is not None:
                yield depth - 1, step + _likeness(frame, marker, slot)
            elif frame.steps == steps:
                yield depth - 1, -4.0
            placed = True
            break
        if frame.steps == steps[:-1] and frame.rank in (FREE, RANKS["unit"], RANKS["group"]) and _numeric(frame):
            yield depth, 3.0 if _is_first(steps[-1]) else -1.0 - 0.5 * math.log2(steps[-1].value)
            placed = True
            break
    if not placed:
        yield from _dotted_without_parent(outline.stack, marker)


def _numeric(frame: Frame) -> bool:
    return frame.rank < FREE or frame.style.startswith("dotted")


def _dotted_without_parent(stack: Sequence[Frame], marker: Marker) -> Iterator[tuple[int, float]]:
    steps = marker.steps
    for depth in range(len(stack), 0, -1):
        frame = stack[depth - 1]
        if frame.style == marker.style:
            rises = _tuple_above(steps[:-1], frame.steps[:-1])
            first = _is_first(steps[-1])
            if rises:
                close = steps[-2].follows(frame.steps[-2])
                yield depth - 1, (0.5 if close else -2.5) + (0.0 if first else -3.0)
            elif first and all(_is_first(step) for step in steps):
                yield depth - 1, -6.0
            return
    depth = _above(stack, RANKS["unit"])
    first = all(_is_first(step) for step in steps)
    yield depth, 1.0 if first else -1.0 if _is_first(steps[-1]) else -3.0


def _free(outline: _Outline, marker: Marker, slot: Slot) -> Iterator[tuple[int, float]]:
    """Places (b) after (a), (i) below (a), a new list below whatever is open."""
    stack = outline.stack
    step = marker.steps[0]
    if stack and stack[-1].style == "closing":
        stack = ()
    after_recitals = next((depth for depth, frame in enumerate(stack) if frame.style in ("recitals", "whereas")), None)
    if marker.dotted and after_recitals is not None:
        yield after_recitals, (2.0 if _is_first(step) else -2.0) + (0.5 if marker.heading else -1.0)
    passed = 0
    nested = False
    for depth in range(len(stack), 0, -1):
        frame = stack[depth - 1]
        if frame.style == marker.style:
            nested = True
            rise = _after(frame.steps[-1], step)
            if rise is not None and not (frame.text == slot.text and rise < 0):
                yield depth - 1, rise + _likeness(frame, marker, slot) - 0.1 * passed
            elif frame.steps[-1] == step and frame.text != slot.text and not _is_first(step):
                yield depth - 1, -4.0
            if passed == 0 and _is_first(step):
                yield depth - 1, -1.5 if not marker.dotted else -3.0
            passed += 1
        if passed >= 3 or (frame.rank < FREE and frame.style != "definition" and not _is_under(stack, depth, marker)):
            break
    if not stack or stack[-1].style != marker.style:
        yield len(stack), _new_list(stack, marker, step) - (2.0 if nested else 0.0)


def _is_under(stack: Sequence[Frame], depth: int, marker: Marker) -> bool:
    """Whether the articles at this depth stand under headings such as 一、 or I., of which `marker` may be the next."""
    return marker.heading and any(frame.style == marker.style and frame.titled for frame in stack[: depth - 1])


def _new_list(stack: Sequence[Frame], marker: Marker, step: Step) -> float:
    score = 2.0 if _is_first(step) else -0.5 - step.value
    if not stack and not marker.dotted and marker.style != "一、":
        score -= 1.0
    order = [_NATURAL.index(frame.style) for frame in stack if frame.style in _NATURAL]
    if order and marker.style in _NATURAL and _NATURAL.index(marker.style) < order[-1]:
        score -= 1.5
    return score


def _likeness(frame: Frame, marker: Marker, slot: Slot) -> float:
    """Answers how much a marker looks like the one before it in its list."""
    score = 0.3 if frame.titled == marker.heading else -0.3
    return score + (0.3 if abs(frame.indent - slot.indent) < 3 else -0.3)
