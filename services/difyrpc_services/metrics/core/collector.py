"""The metrics service as one thing: what its five methods do."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass

from difyrpc_services.metrics.core.backend import Backend, Test
from difyrpc_services.metrics.core.recording import Clock, Recorder, Users
from difyrpc_services.metrics.core.tail import Listener, Tail
from difyrpc_services.metrics.core.usage import Accountant, Answer, Query, check_tests
from difyrpc_services.metrics.core.values import Batch, Limits, Receipt, Retention, Stored


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """Which single observations to read."""

    start: int | None = None
    end: int | None = None
    tests: Sequence[Test] = ()


class Collector:
    """Records usage and answers questions about it."""

    def __init__(
        self, backend: Backend, *, clock: Clock, limits: Limits, retention: Retention, tail_seconds: float
    ) -> None:
        """Takes the store, the clock and the rules."""
        users = Users(backend)
        self._backend = backend
        self._recorder = Recorder(backend, limits, users, clock)
        self._accountant = Accountant(backend, retention, users, clock)
        self._tail = Tail(backend, tail_seconds)

    async def record(self, tenant: str, batch: Batch) -> Receipt:
        """Commits a batch exactly once."""
        receipt = await self._recorder.record(tenant, batch)
        self._tail.wake()
        return receipt

    async def query(self, tenant: str, query: Query) -> Answer:
        """Sums usage over a period."""
        return await self._accountant.query(tenant, query)

    def listen(self, tenant: str, tests: Sequence[Test]) -> AbstractAsyncContextManager[Listener]:
        """Opens a listener to the tenant's observations; InvalidArgument for filters that cannot be."""
        check_tests(tests, "filters")
        return self._tail.listen(tenant, tests)

    async def observations(self, tenant: str, wanted: Wanted) -> AsyncIterator[Stored]:
        """Answers the tenant's single observations of a period, in the order of time."""
        check_tests(wanted.tests, "observations.filters")
        start, end = self._accountant.period(wanted.start, wanted.end, "observations.end_time")
        tests = await self._accountant.hashed_tests(tenant, wanted.tests)
        return self._backend.observations(tenant, start, end, tests)

    async def close(self) -> None:
        """Ends the live tail."""
        await self._tail.close()
