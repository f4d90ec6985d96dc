"""Takes measurements in turn, A B A B, so that what disturbs the machine disturbs all sides alike."""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

WARM_UP_ROUNDS = 2
NANOSECONDS = 1e9


@dataclass(frozen=True, kw_only=True)
class Side:
    """One way to do the work."""

    name: str
    """What the table calls it."""
    work: Callable[[int], Sequence[float]]
    """Does the work so many times; answers the seconds of each, or nothing where only the whole counts."""
    server: int = 0
    """Process that answers; 0 for none."""


@dataclass(frozen=True, kw_only=True)
class Figures:
    """What one block of work took."""

    p50: float
    """Seconds of the middle one; nan where they were not taken singly."""
    cpu: float
    """Processor seconds of caller and server together, for each."""
    client_cpu: float
    """Those of the caller alone."""
    seconds: float
    """Seconds on the clock, for each."""


@dataclass(frozen=True, kw_only=True)
class Row:
    """Several ways to do the same work, the first of which the others are compared with."""

    title: str
    """What is done."""
    sides: Sequence[Side]
    """The ways, the one to compare with first."""
    times: int
    """How often the work is done in one block."""
    rounds: int
    """How many blocks of each side."""
    figure: str = "p50"
    """Which of the figures is compared."""
    goals: Mapping[str, str] = field(default_factory=dict)
    """What a side's ratio should be, by the side's name."""
    is_rate: bool = False
    """Compares how many a second, where more is better, instead of how long."""


@dataclass(frozen=True, kw_only=True)
class Ratio:
    """How a side stands to the first one."""

    median: float
    """The middle of all rounds."""
    low: float
    """First quartile."""
    high: float
    """Third quartile."""


def measured(row: Row, share: float = 1.0) -> dict[str, list[Figures]]:
    """Does the work of all sides in turn; `share` of the rounds, at least three."""
    found: dict[str, list[Figures]] = {side.name: [] for side in row.sides}
    for number in range(WARM_UP_ROUNDS + max(3, int(row.rounds * share))):
        turn = number % len(row.sides)  # nobody is always the one after a certain other
        for side in (*row.sides[turn:], *row.sides[:turn]):
            figures = block(side, row.times)
            if number >= WARM_UP_ROUNDS:
                found[side.name].append(figures)
    return found


def block(side: Side, times: int) -> Figures:
    """Does the work so many times and answers what it took."""
    gc.collect()
    cpu, own, began = cpu_of(side.server), time.process_time(), time.perf_counter()
    each = side.work(times)
    seconds, own = time.perf_counter() - began, time.process_time() - own
    cpu = cpu_of(side.server) - cpu
    return Figures(
        p50=statistics.median(each) if each else float("nan"),
        cpu=(cpu + own) / times,
        client_cpu=own / times,
        seconds=seconds / times,
    )


def cpu_of(process: int) -> float:
    """Answers the processor seconds of all threads of a process, to the nanosecond; Linux."""
    if not process:
        return 0.0
    clock = (~process << 3) | 2  # CPUCLOCK_SCHED of a whole process; clock_getcpuclockid(3)
    return time.clock_gettime_ns(clock) / NANOSECONDS


def ratio(row: Row, figures: Mapping[str, Sequence[Figures]], name: str) -> Ratio:
    """Compares a side with the first one, round by round."""
    pairs = zip(figures[name], figures[row.sides[0].name], strict=True)
    ratios = [getattr(one, row.figure) / getattr(first, row.figure) for one, first in pairs]
    if row.is_rate:
        ratios = [1 / each for each in ratios]
    low, median, high = statistics.quantiles(ratios, n=4, method="inclusive")
    return Ratio(median=median, low=low, high=high)
