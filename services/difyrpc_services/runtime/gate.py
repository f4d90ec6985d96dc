"""Lets a call begin or refuses it: the server's load, its places, its tenant's places, its tenant's rate."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Protocol

from difyrpc_services.runtime.durations import Durations
from difyrpc_services.runtime.errors import DeadlineExceeded, ResourceExhausted
from difyrpc_services.runtime.exposition import CallMetrics
from difyrpc_services.runtime.limits import Allowance, Allowances, Limits, Rate
from difyrpc_services.runtime.load import CAUSES, Load
from difyrpc_services.runtime.methods import Method
from difyrpc_services.runtime.queueing import Queue
from difyrpc_services.runtime.shedding import Refusal

RETRY_WHEN_FULL_SECONDS = 0.5


class Rates(Protocol):
    """Counts calls over time."""

    async def take(self, key: str, rate: Rate) -> tuple[bool, float]:
        """Counts one call.

        Answers True and the seconds until its turn if calls are to begin evenly, or False and the seconds until one
        may be made.
        """


class Gate:
    """Lets calls begin, or refuses them."""

    def __init__(
        self,
        limits: Limits,
        *,
        metrics: CallMetrics,
        allowances: Allowances | None = None,
        rates: Rates | None = None,
        is_even: bool = False,
        load: Load | None = None,
        queue: Queue | None = None,
    ) -> None:
        """Takes what is counted where; `is_even` lets calls wait for their turn."""
        self._limits = limits
        self._metrics = metrics
        self._allowances = allowances or Allowances()
        self._is_by_tenant = not self._allowances.is_empty
        self._rates = rates
        self._is_even = is_even
        self._load = load
        self._queue = queue or Queue()
        self._durations = Durations()
        self._refusals = {cause: Refusal(cause) for cause in CAUSES}
        self._running: Counter[str] = Counter()

    @property
    def queue(self) -> Queue:
        """Where calls wait before they are taken up."""
        return self._queue

    def refusal(self, method: Method) -> Any:
        """Answers the handler that refuses a call that is one too many for this process; None to let it in."""
        load = self._load
        if load is None or not load.refuses(method.path, self._limits.running):
            return None
        self._metrics.count_shed(method)
        return self._refusals[load.cause].handler

    def check_time(self, method: str, seconds_left: float | None) -> None:
        """Refuses a call that cannot end in the time that its caller gives it; DeadlineExceeded says so."""
        if seconds_left is None or self._load is None:
            return
        needed = self._durations.least(method)
        if seconds_left > needed:
            return
        if needed:
            self._durations.doubt(method)
        self._metrics.count_refusal("DEADLINE_TOO_SHORT")
        raise DeadlineExceeded(
            "DEADLINE_TOO_SHORT",
            "the call had {seconds_left} s left when its work could begin, and such calls take {seconds} s now",
            seconds_left=f"{seconds_left:.3f}",
            seconds=f"{needed:.3f}",
        )

    def note_time(self, method: str, seconds: float) -> None:
        """Takes how long a call took that succeeded."""
        if self._load is not None:
            self._durations.note(method, seconds)

    @contextmanager
    def place(self, tenant: str, service: str) -> Iterator[None]:
        """Gives a call its place for as long as it runs; ResourceExhausted when there is none."""
        limits = self._limits
        if limits.running >= limits.concurrent_calls:
            raise self._refused(_full(limits.concurrent_calls))
        limits.running += 1
        try:
            if self._is_by_tenant:
                with self._place_of_tenant(tenant, service):
                    yield
            else:
                yield
        finally:
            limits.running -= 1

    async def turn(self, tenant: str, service: str, seconds_left: float | None) -> None:
        """Counts a call and waits until its turn; ResourceExhausted when it comes too early, or its turn too late."""
        if self._rates is None:
            return
        key, allowance = self._allowances.of(tenant, service)
        if allowance.rate is None:
            return
        may_begin, seconds = await self._rates.take(key, allowance.rate)
        if not may_begin or (self._is_even and seconds_left is not None and seconds > seconds_left):
            raise self._refused(_too_fast(tenant, allowance, seconds))
        if self._is_even and seconds > 0:
            await asyncio.sleep(seconds)

    @contextmanager
    def _place_of_tenant(self, tenant: str, service: str) -> Iterator[None]:
        key, allowance = self._allowances.of(tenant, service)
        most, running = allowance.concurrent_calls, self._running
        if most and running[key] >= most:
            raise self._refused(_too_many(tenant, allowance))
        running[key] += 1
        try:
            yield
        finally:
            running[key] -= 1
            if not running[key]:
                del running[key]

    def _refused(self, error: ResourceExhausted) -> ResourceExhausted:
        self._metrics.count_refusal(error.reason)
        return error


def _full(most: int) -> ResourceExhausted:
    return ResourceExhausted(
        "TOO_MANY_CALLS",
        "this server already works on {limit_value} calls; try again in a moment",
        retry_after=RETRY_WHEN_FULL_SECONDS,
        limit="DIFYRPC_MAX_CONCURRENT_CALLS",
        limit_value=most,
    )


def _too_many(tenant: str, allowance: Allowance) -> ResourceExhausted:
    return ResourceExhausted(
        "TOO_MANY_TENANT_CALLS",
        "this server already works on {limit_value} calls of the tenant {tenant}; try again in a moment",
        quota_of=f"tenants/{tenant}",
        retry_after=RETRY_WHEN_FULL_SECONDS,
        tenant=tenant,
        limit=allowance.concurrent_setting,
        limit_value=allowance.concurrent_calls,
    )


def _too_fast(tenant: str, allowance: Allowance, seconds: float) -> ResourceExhausted:
    assert allowance.rate is not None
    return ResourceExhausted(
        "RATE_LIMITED",
        "the tenant {tenant} may begin {limit_value} calls a second, {burst_calls} at once; come back in {seconds} s",
        quota_of=f"tenants/{tenant}",
        retry_after=seconds,
        tenant=tenant,
        limit=allowance.rate_setting,
        limit_value=f"{allowance.rate.calls_per_second:g}",
        burst_calls=allowance.rate.burst_calls,
        seconds=f"{seconds:.3f}",
    )
