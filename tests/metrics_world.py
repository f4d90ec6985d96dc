"""A metrics collector for tests: any store, a clock in the test's hand, short ways to say what was observed."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import datetime
from zoneinfo import ZoneInfo

from difyrpc_services.metrics.backends.memory import MemoryUsage
from difyrpc_services.metrics.core.backend import Backend, Field, Test
from difyrpc_services.metrics.core.collector import Collector
from difyrpc_services.metrics.core.usage import Answer, Query
from difyrpc_services.metrics.core.values import DAY, MICROS, Batch, Labels, Limits, Observation, Receipt, Retention

NOW = 1_790_000_000 * MICROS


class World:
    """Everything around a collector."""

    def __init__(self, backend: Backend | None = None, **limits: int) -> None:
        self.time = NOW
        self.backend: Backend = backend or MemoryUsage()
        self.limits = Limits(**limits)
        self.collector = self.restarted()

    def restarted(self) -> Collector:
        """A collector that remembers nothing, over the same store."""
        self.collector = Collector(
            self.backend, clock=lambda: self.time, limits=self.limits, retention=Retention(), tail_seconds=60
        )
        return self.collector

    async def record(
        self, *seen: Observation, tenant: str = "a", writer: str = "w", sequence: int = 1, **of
    ) -> Receipt:
        return await self.collector.record(tenant, batch(*seen, writer=writer, sequence=sequence, **of))

    async def query(self, tenant: str = "a", **asked) -> Answer:
        asked.setdefault("start", self.time - DAY)
        asked.setdefault("end", self.time + DAY)
        return await self.collector.query(tenant, Query(**asked))

    async def calls(self, tenant: str = "a", **asked) -> int:
        return (await self.query(tenant, **asked)).total.calls


def batch(
    *seen: Observation,
    writer: str = "w",
    sequence: int = 1,
    defaults: Labels = Labels(),  # noqa: B008  # a tuple
    label_sets: Sequence[Labels] = (),
) -> Batch:
    fingerprint = hashlib.sha256(repr((defaults, label_sets, seen)).encode()).digest()
    return Batch(
        writer_id=writer,
        sequence=sequence,
        fingerprint=fingerprint,
        defaults=defaults,
        label_sets=label_sets,
        observations=seen,
    )


def by(*names: str) -> list[Field]:
    return [Field(name=name) for name in names]


def only(name: str, *values: str) -> Test:
    return Test(field=Field(name=name), values=frozenset(values))


def without(name: str, *values: str) -> Test:
    return Test(field=Field(name=name), values=frozenset(values), is_exclusion=True)


def lines(answer: Answer) -> dict[tuple[str, ...], int]:
    """Calls by labels."""
    return {line.labels: line.total.calls for line in answer.lines}


def at(zone: str, *moment: int) -> int:
    """Microseconds since 1970 of a wall clock's time."""
    return round(datetime(*moment, tzinfo=ZoneInfo(zone)).timestamp()) * MICROS
