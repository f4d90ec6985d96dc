"""Weighs how well one number follows another: 4 after 3, 2.1 after 1.14, 120-1 after 120."""

from __future__ import annotations

import math

from difyrpc_services.documents.clauses.numbering import Step

Steps = tuple[Step, ...]


def is_first(step: Step) -> bool:
    """Whether a list may begin with it."""
    return step.value <= 1 and step.inserted == 0


def is_above(steps: Steps, other: Steps) -> bool:
    """Whether one number stands anywhere after the other."""
    return steps > other


def rise(before: Step, step: Step) -> float | None:
    """Answers how well a figure follows another: best by one, worse with a gap; None if it does not rise."""
    if step.follows(before):
        return 3.0
    if step.above(before):
        return -1.0 - math.log2(max(1, step.value - before.value))
    return None


def late_start(step: Step) -> float:
    """Answers how much a list that begins with this figure has lost, in doublings."""
    return math.log2(max(1, step.value))


def exhibit_step(previous: Steps | None, steps: Steps) -> float:
    """Answers how well an exhibit follows the one before it; exhibits may be left out."""
    if not steps:
        return -1.0
    if not previous:
        return 1.0 if is_first(steps[-1]) else -1.0
    if is_above(steps, previous):
        return 2.0 if steps[-1].follows(previous[-1]) else 0.0
    return -4.0


def unit_step(previous: tuple[str, Steps, int] | None, steps: Steps, parent: tuple[Steps, int] | None) -> float | None:
    """Answers how well a number follows the last of its style; None if it cannot.

    `previous` is a style, its last number and the node it stood under; `parent` the number and the node above now.
    """
    bonus = _prefix_bonus(steps, parent)
    if previous is None:
        return (2.0 if is_first(steps[-1]) else -1.0 - 0.3 * late_start(steps[-1])) + bonus  # an excerpt starts late
    before = previous[1]
    if steps[:-1] == before[:-1]:
        step = -4.0 if steps[-1] == before[-1] else rise(before[-1], steps[-1])
        if step is not None:
            return step + bonus
    elif is_above(steps[:-1], before[:-1]):
        close = len(steps) > 1 and steps[-2].follows(before[-2])
        return (2.0 if close else -1.0) + (0.5 if is_first(steps[-1]) else -3.0) + bonus
    reopened = parent is not None and parent[1] != previous[2]
    if is_first(steps[-1]):
        return (1.5 if reopened else -6.0) + bonus
    lost_first = reopened and previous[0].startswith(("group", "chapter", "subpart"))
    return bonus - 0.5 * steps[-1].value if lost_first else None


def _prefix_bonus(steps: Steps, parent: tuple[Steps, int] | None) -> float:
    if len(steps) < 2 or parent is None or not parent[0]:
        return 0.0
    return 1.0 if steps[: len(parent[0])] == parent[0] else -2.5
