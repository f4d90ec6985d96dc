"""Finds where in an outline a marker may stand: beside its predecessor, below an open level, as a new list."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from difyrpc_services.documents.clauses.markers import FREE, RANKS, Marker, Slot
from difyrpc_services.documents.clauses.numbering import Step
from difyrpc_services.documents.clauses.rising import (
    Steps,
    exhibit_step,
    is_above,
    is_first,
    late_start,
    rise,
    unit_step,
)

UNCOUNTED = frozenset({"closing", "preamble", "recitals", "agreed", "whereas", "supplement", "definition"})
"""Styles without numbers."""
PASSED = frozenset({"agreed", "supplement"})
"""Rows that end what is open and hold nothing themselves."""
_PASSING = frozenset({"closing", "preamble", "recitals", "agreed", "whereas"})
"""Parts that end where the next clause of a fixed place begins."""
_NATURAL = ("一、", "(一)", "dotted1", "(1)", "①")
"""The order in which Chinese lists nest."""


class Frame(NamedTuple):
    """One open level of an outline."""

    style: str
    rank: int
    steps: Steps
    node: int
    titled: bool
    indent: float
    text: str
    path: int
    """Hash of its style and number and of those of the levels above it."""


class Levels(NamedTuple):
    """What an outline knows when the next marker comes."""

    stack: tuple[Frame, ...]
    """The open levels, the highest first."""
    last: tuple[tuple[str, Steps, int], ...]
    """The last number of each style of a fixed place, and the node above it; `old …` are those before the exhibits."""
    state: tuple[int, int]
    """What tells these levels from others: path of the lowest, and a hash of the last numbers."""


NOTHING_OPEN = Levels((), (), (0, 0))


def places(outline: Levels, marker: Marker, slot: Slot) -> Iterator[tuple[int, float]]:
    """Yields where the marker may stand, as the number of levels above it, and how well it fits there."""
    if marker.style in UNCOUNTED:
        yield from _uncounted(outline, marker)
    elif marker.rank < FREE:
        yield from _fixed(outline, marker, slot)
    elif marker.dotted and len(marker.steps) > 1:
        yield from _dotted(outline, marker, slot)
    else:
        yield from _free(outline, marker, slot)


def _uncounted(outline: Levels, marker: Marker) -> Iterator[tuple[int, float]]:
    stack = outline.stack
    opened = {frame.style for frame in stack}
    if marker.style in ("recitals", "preamble", "whereas"):
        started = any(style.startswith(("unit", "group", "chapter")) for style, _, _ in outline.last)
        if not started or (stack and stack[0].rank == 0):
            inside = marker.style == "whereas" and bool(stack) and stack[0].style == "recitals"
            yield 1 if inside else _above(stack, marker.rank), 1.0
    elif marker.style == "supplement":
        if "unit" in {style for style, _, _ in outline.last}:
            yield _above(stack, marker.rank), 1.0
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


def _fixed(outline: Levels, marker: Marker, slot: Slot) -> Iterator[tuple[int, float]]:
    depth = _above(outline.stack, marker.rank)
    above = outline.stack[:depth]
    if _reprinted(outline.stack, marker, slot):
        return
    exhibit = marker.rank == RANKS["exhibit"]
    parent = above[-1] if above else None
    previous = next((entry for entry in outline.last if entry[0] == marker.style), None)
    if exhibit:
        yield 0, exhibit_step(previous[1] if previous else None, marker.steps)
        return
    step = unit_step(previous, marker.steps, (parent.steps, parent.node) if parent else None)
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


def _dotted(outline: Levels, marker: Marker, slot: Slot) -> Iterator[tuple[int, float]]:
    """Places 2.1 below 2, beside 2.0, after 1.14."""
    steps = marker.steps
    if _reprinted(outline.stack, marker, slot):
        return
    placed = False
    for depth in range(len(outline.stack), 0, -1):
        frame = outline.stack[depth - 1]
        if frame.style == marker.style and frame.steps[:-1] == steps[:-1]:
            step = rise(frame.steps[-1], steps[-1])
            if step is not None:
                yield depth - 1, step + _likeness(frame, marker, slot)
            elif frame.steps == steps:
                yield depth - 1, -4.0
            placed = True
            break
        if frame.steps == steps[:-1] and frame.rank in (FREE, RANKS["unit"], RANKS["group"]) and _numeric(frame):
            yield depth, 3.0 if is_first(steps[-1]) else -1.0 - 0.5 * late_start(steps[-1])
            placed = True
            break
    if not placed:
        yield from _dotted_without_parent(outline.stack, marker)


def _numeric(frame: Frame) -> bool:
    return frame.rank < FREE or frame.style == "一、" or frame.style.startswith("dotted")


def _dotted_without_parent(stack: Sequence[Frame], marker: Marker) -> Iterator[tuple[int, float]]:
    steps = marker.steps
    for depth in range(len(stack), 0, -1):
        frame = stack[depth - 1]
        if frame.style == marker.style:
            rises = is_above(steps[:-1], frame.steps[:-1])
            first = is_first(steps[-1])
            if rises:
                close = steps[-2].follows(frame.steps[-2])
                yield depth - 1, (0.5 if close else -2.5) + (0.0 if first else -3.0)
            elif first and all(is_first(step) for step in steps):
                yield depth - 1, -6.0
            return
    depth = _above(stack, RANKS["unit"])
    first = all(is_first(step) for step in steps)
    yield depth, 1.0 if first else -1.0 if is_first(steps[-1]) else -3.0


def _free(outline: Levels, marker: Marker, slot: Slot) -> Iterator[tuple[int, float]]:
    """Places (b) after (a), (i) below (a), a new list below whatever is open."""
    stack = outline.stack
    step = marker.steps[0]
    if stack and stack[-1].style == "closing":
        stack = ()
    after_recitals = next((depth for depth, frame in enumerate(stack) if frame.style in ("recitals", "whereas")), None)
    yield from _above_lost_parent(stack, marker, step)
    if marker.dotted and after_recitals is not None:
        yield after_recitals, (2.0 if is_first(step) else -2.0) + (0.5 if marker.heading else -1.0)
    passed = 0
    nested = False
    for depth in range(len(stack), 0, -1):
        frame = stack[depth - 1]
        if frame.style == marker.style:
            nested = True
            risen = rise(frame.steps[-1], step)
            if risen is not None and not (frame.text == slot.text and risen < 0):
                yield depth - 1, risen + _likeness(frame, marker, slot) - 0.1 * passed
            elif frame.steps[-1] == step and frame.text != slot.text and not is_first(step):
                yield depth - 1, -4.0
            if passed == 0 and is_first(step):
                yield depth - 1, -1.5 if not marker.dotted else -3.0
            passed += 1
        if passed >= 3 or (frame.rank < FREE and frame.style != "definition" and not _is_under(stack, depth, marker)):
            break
    if not stack or stack[-1].style != marker.style:
        yield len(stack), _new_list(stack, marker, step) - (2.0 if nested else 0.0)


def _above_lost_parent(stack: Sequence[Frame], marker: Marker, step: Step) -> Iterator[tuple[int, float]]:
    """Places 2. after 1.9 where the heading 1. was not seen."""
    if not marker.dotted or not marker.heading or any(frame.style == marker.style for frame in stack):
        return
    for depth, frame in enumerate(stack):
        if frame.style.startswith("dotted") and step.above(frame.steps[0]):
            yield depth, 2.5 if step.follows(frame.steps[0]) else -1.5
            return


def _is_under(stack: Sequence[Frame], depth: int, marker: Marker) -> bool:
    """Whether the articles at this depth stand under headings such as 一、 or I., of which `marker` may be the next."""
    return marker.heading and any(frame.style == marker.style and frame.titled for frame in stack[: depth - 1])


def _new_list(stack: Sequence[Frame], marker: Marker, step: Step) -> float:
    score = 2.0 if is_first(step) else -0.5 - step.value
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
