"""Watches how busy this process is, so that it refuses some new calls before all calls suffer."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from typing import Protocol

from difyrpc_services.runtime.inflow import TICK_SECONDS, Inflow

log = logging.getLogger(__name__)

CPU, MEMORY = CAUSES = ("CPU", "memory")  # what a process can be short of, as words for the caller
MEMORY_TICKS = 10  # memory is looked at once a second
MEMORY_CALM_PERCENT = 5.0  # that far below its limit memory is calm again


class LoadMetrics(Protocol):
    """Shows what is seen."""

    def show_load(self, *, wait_seconds: float, shed_share: float) -> None:
        """Takes how long new calls wait and the share of them that is refused, 0 to 1."""


class Waits(Protocol):
    """Knows how long new calls wait until they are taken up."""

    def note(self, path: str) -> None:
        """Takes the path of a call that came."""

    def look(self) -> float:
        """Answers how long new calls wait now, in seconds."""


class Load:
    """How busy this process is; looks only while there are calls."""

    def __init__(
        self,
        *,
        wait_seconds: float,
        memory_percent: float,
        metrics: LoadMetrics,
        memory_used: Callable[[], float | None],
        waits: Waits,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Takes the limits, 0 for none, and what answers the share of the memory that is used, 0 to 100."""
        self._inflow = Inflow(wait_seconds) if wait_seconds else None
        self._memory_limit = memory_percent
        self._metrics = metrics
        self._memory_used = memory_used
        self._waits = waits
        self._clock = clock
        self._is_watching = self._was_called = self._is_tight = self._is_shedding = False
        self._ticks = 0

    @property
    def cause(self) -> str:
        """What is short, one of CAUSES."""
        return MEMORY if self._is_tight else CPU

    def refuses(self, path: str, running: int) -> bool:
        """Answers whether one more call beside `running` ones is one too many."""
        self._was_called = True
        if not self._is_watching:
            self._watch()
        if self._is_tight and running:  # without a call that could give memory back, refusing would never end
            return True
        if self._inflow is None:
            return False
        self._waits.note(path)
        return not self._inflow.lets_in(self._clock())

    def see(self) -> None:
        """Looks at the wait, and at the memory now and then."""
        wait = share = 0.0
        if self._inflow is not None:
            wait = self._waits.look()
            self._inflow.tick(wait)
            share = self._inflow.shed_share
            self._tell(wait, self._inflow.rate)
        if self._memory_limit and self._ticks % MEMORY_TICKS == 0:
            self._look_at_memory()
        self._ticks += 1
        self._metrics.show_load(wait_seconds=wait, shed_share=1.0 if self._is_tight else share)

    def _watch(self) -> None:
        loop = asyncio.get_running_loop()
        self._is_watching = True
        self._ticks = 0
        loop.call_later(TICK_SECONDS, self._tick, loop)

    def _tick(self, loop: asyncio.AbstractEventLoop) -> None:
        self.see()
        self._is_watching = self._was_called or self._is_tight or self._is_shedding
        self._was_called = False
        if self._is_watching:
            loop.call_later(TICK_SECONDS, self._tick, loop)
        else:
            self._metrics.show_load(wait_seconds=0.0, shed_share=0.0)

    def _tell(self, wait: float, rate: float | None) -> None:
        """Says when refusing starts and ends; a line for each refused call would cost more than the refusal."""
        if rate is not None and not self._is_shedding:
            log.warning("new calls wait %.2f s; %.0f a second may begin, the rest is refused", wait, rate)
        if rate is None and self._is_shedding:
            log.info("new calls no longer wait; none is refused")
        self._is_shedding = rate is not None

    def _look_at_memory(self) -> None:
        used = self._memory_used()
        calm = self._memory_limit - MEMORY_CALM_PERCENT
        self._is_tight = used is not None and used >= (calm if self._is_tight else self._memory_limit)
