"""Shows observations while they are recorded, by this process or another."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from difyrpc_services.metrics.core.backend import Backend, Test
from difyrpc_services.metrics.core.values import Stored
from difyrpc_services.runtime.errors import ServiceError

log = logging.getLogger(__name__)

AT_ONCE = 1_000  # observations in one message; metrics.proto, TailObservationsResponse
WAITING = 10_000  # observations that wait for one reader; more are lost
LOOK = 5_000  # observations of all tenants that are read at once


class Listener:
    """One reader of the tail."""

    def __init__(self, tenant: str, tests: Sequence[Test]) -> None:
        """Takes whose observations it reads, and which."""
        self.tenant = tenant
        self._tests = tests
        self._waiting: deque[Stored] = deque()
        self._lost = 0
        self._filled = asyncio.Event()

    def offer(self, stored: Stored) -> None:
        """Keeps an observation for the reader, unless it is filtered out or too many wait."""
        if not all(test.accepts(stored.series) for test in self._tests):
            return
        if len(self._waiting) < WAITING:
            self._waiting.append(stored)
        else:
            self._lost += 1
        self._filled.set()

    def lose(self, count: int) -> None:
        """Tells the reader that it may have lost observations."""
        self._lost += count
        self._filled.set()

    async def __aiter__(self) -> AsyncIterator[tuple[list[Stored], int]]:
        """Waits for observations; answers them with the number of those that were lost before."""
        while True:
            await self._filled.wait()
            found = [self._waiting.popleft() for _ in range(min(AT_ONCE, len(self._waiting)))]
            lost, self._lost = self._lost, 0
            if not self._waiting:
                self._filled.clear()
            yield found, lost


class Tail:
    """Looks for new observations as long as somebody listens."""

    def __init__(self, backend: Backend, interval: float) -> None:
        """Takes how many seconds lie between two looks when this process records nothing."""
        self._backend = backend
        self._interval = interval
        self._listeners: set[Listener] = set()
        self._woken = asyncio.Event()
        self._watch: asyncio.Task[None] | None = None

    def wake(self) -> None:
        """Says that this process recorded something."""
        self._woken.set()

    @asynccontextmanager
    async def listen(self, tenant: str, tests: Sequence[Test]) -> AsyncIterator[Listener]:
        """Opens a listener to which everything comes that is recorded from now on."""
        listener = Listener(tenant, tests)
        self._listeners.add(listener)
        try:
            if self._watch is None:
                self._watch = asyncio.create_task(self._look(await self._backend.position()))
            yield listener
        finally:
            self._listeners.discard(listener)
            if not self._listeners:
                await self.close()

    async def close(self) -> None:
        """Stops looking."""
        watch, self._watch = self._watch, None
        if watch is not None:
            watch.cancel()
            await asyncio.gather(watch, return_exceptions=True)

    async def _look(self, position: int) -> None:
        while True:
            try:
                caught = await self._backend.since(position, LOOK)
            except ServiceError as error:
                log.warning("the live tail waits: %s", error.reason)
            else:
                position = caught.position
                self._spread(caught.found, caught.lost)
            try:
                async with asyncio.timeout(self._interval):
                    await self._woken.wait()
            except TimeoutError:
                continue
            self._woken.clear()

    def _spread(self, found: Sequence[tuple[str, Stored]], lost: int) -> None:
        for listener in self._listeners:
            for tenant, stored in found:
                if tenant == listener.tenant:
                    listener.offer(stored)
            if lost:
                listener.lose(lost)
