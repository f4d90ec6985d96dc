"""Merges and sweeps in the background."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

from difyrpc_services.metrics.core.backend import Backend
from difyrpc_services.metrics.core.recording import Clock
from difyrpc_services.metrics.core.values import Retention
from difyrpc_services.runtime.errors import ServiceError

log = logging.getLogger(__name__)


class Housekeeping:
    """Keeps the store small. Answers are right without it; they only take longer."""

    def __init__(
        self, backend: Backend, *, retention: Retention, clock: Clock, compact_seconds: float, sweep_seconds: float
    ) -> None:
        """Takes the seconds between two merges and between two sweeps."""
        self._backend = backend
        self._retention = retention
        self._clock = clock
        self._intervals = ((compact_seconds, self.compact), (sweep_seconds, self.sweep))
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Begins; the first merge and the first sweep come after one interval."""
        self._tasks = [asyncio.create_task(_every(seconds, work)) for seconds, work in self._intervals]
        for task in self._tasks:
            task.add_done_callback(_tell)

    async def stop(self) -> None:
        """Ends, in the midst of a merge if need be: it is one transaction."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks = []

    async def compact(self) -> None:
        """Merges until nothing is left."""
        while await self._backend.compact():
            log.debug("more was recorded than one merge takes")

    async def sweep(self) -> None:
        """Deletes what is older than its retention."""
        await self._backend.sweep(self._retention, self._clock())


async def _every(seconds: float, work: Callable[[], Awaitable[None]]) -> None:
    while True:
        await asyncio.sleep(seconds)
        try:
            await work()
        except ServiceError as error:
            log.warning("usage is merged or swept later: %s", error.reason)


def _tell(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and task.exception() is not None:
        log.error("usage is not merged or swept any more", exc_info=task.exception())
