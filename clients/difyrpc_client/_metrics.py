"""Metrics: what model calls cost, recorded exactly once and asked for by label and time."""

from __future__ import annotations

import asyncio
import threading
import uuid
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from types import TracebackType
from typing import Literal, Self, cast

from difyrpc.metrics.v1 import metrics_pb2 as pb
from difyrpc_client._calls import AsyncCalls, Calls
from difyrpc_client._errors import DifyrpcError
from difyrpc_client._methods import rpc
from difyrpc_client._shape import read
from difyrpc_client._usage import (
    CalendarStep,
    Observation,
    Quantity,
    Recorded,
    UsageReport,
    checked,
    read_report,
    usage_request,
    write_batch,
)

RECORD = rpc("MetricsCollector.Record", pb.RecordRequest, pb.RecordResponse)
QUERY_USAGE = rpc("MetricsCollector.QueryUsage", pb.QueryUsageRequest, pb.QueryUsageResponse)

BATCH_SIZE = 500  # observations that a writer collects before it sends them; the server takes 10,000


class Ledger:
    """What a writer has still to send: batches keep their sequence until they are durable."""

    def __init__(self) -> None:
        self._writer_id = str(uuid.uuid4())
        self._sequence = 0
        self._waiting: list[Observation] = []
        self._pending: pb.RecordRequest | None = None

    def add(self, observations: Iterable[Observation]) -> None:
        """Takes more observations; InvalidArgument for what is none."""
        self._waiting.extend(map(checked, observations))

    def full(self) -> bool:
        """Answers whether it is time to send."""
        return len(self._waiting) >= BATCH_SIZE

    def next_request(self) -> pb.RecordRequest | None:
        """Answers the batch to send: the one whose answer was lost, else the next; None if nothing waits."""
        if self._pending is None and self._waiting:
            first, self._waiting = self._waiting[:BATCH_SIZE], self._waiting[BATCH_SIZE:]
            batch = write_batch(self._writer_id, self._sequence + 1, first)
            self._sequence += 1
            self._pending = pb.RecordRequest(batch=batch)
        return self._pending

    def settled(self) -> None:
        """Takes that the batch is durable."""
        self._pending = None

    def refused(self) -> None:
        """Takes that the batch will never be recorded; its sequence is used again."""
        self._pending = None
        self._sequence -= 1


def refuses(error: DifyrpcError) -> bool:
    """Answers whether the server has looked at a batch and recorded nothing of it."""
    return error.code == 3  # INVALID_ARGUMENT


class Writer:
    """Collects observations and records each exactly once, in batches; may be shared by threads.

    After an error that may pass the batch is kept and sent again as it was by the next `flush`; a batch that the
    server refuses is dropped and the error raised.
    """

    def __init__(self, calls: Calls) -> None:
        self._calls = calls
        self._ledger = Ledger()
        self._lock = threading.Lock()

    def add(self, *observations: Observation) -> None:
        """Takes observations; sends a batch when 500 have come together."""
        with self._lock:
            self._ledger.add(observations)
            if self._ledger.full():
                self._send(None)

    def flush(self, *, timeout: float | None = None) -> None:
        """Sends what has been collected; returns when it is durable. `timeout` is for each batch."""
        with self._lock:
            self._send(timeout)

    def close(self) -> None:
        """Sends what has been collected."""
        self.flush()

    def _send(self, timeout: float | None) -> None:
        while request := self._ledger.next_request():
            try:
                self._calls.unary(RECORD, request, timeout)
            except DifyrpcError as error:
                if refuses(error):
                    self._ledger.refused()
                raise
            self._ledger.settled()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class AsyncWriter:
    """Collects observations and records each exactly once, in batches; the same as Writer."""

    def __init__(self, calls: AsyncCalls) -> None:
        self._calls = calls
        self._ledger = Ledger()
        self._lock = asyncio.Lock()

    async def add(self, *observations: Observation) -> None:
        """Takes observations; sends a batch when 500 have come together."""
        async with self._lock:
            self._ledger.add(observations)
            if self._ledger.full():
                await self._send(None)

    async def flush(self, *, timeout: float | None = None) -> None:
        """Sends what has been collected; returns when it is durable. `timeout` is for each batch."""
        async with self._lock:
            await self._send(timeout)

    async def close(self) -> None:
        """Sends what has been collected."""
        await self.flush()

    async def _send(self, timeout: float | None) -> None:
        while request := self._ledger.next_request():
            try:
                await self._calls.unary(RECORD, request, timeout)
            except DifyrpcError as error:
                if refuses(error):
                    self._ledger.refused()
                raise
            self._ledger.settled()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()


class Metrics:
    """Usage of models and tools. `timeout` is in seconds and covers repetitions; None for the client's."""

    def __init__(self, calls: Calls) -> None:
        self._calls = calls

    def record(self, *observations: Observation, timeout: float | None = None) -> Recorded:
        """Records up to 10,000 observations and returns when they are durable; exactly once across repetitions.

        After an error it is not known whether they were recorded. Where that matters, use a `writer`.
        """
        batch = write_batch(str(uuid.uuid4()), 1, observations)
        answer = self._calls.unary(RECORD, pb.RecordRequest(batch=batch), timeout)
        return cast("Recorded", read(answer))

    def writer(self) -> Writer:
        """Answers what collects observations and sends them in batches; use it in a `with` block, or flush it."""
        return Writer(self._calls)

    def query_usage(
        self,
        *,
        quantities: Iterable[Quantity] = (),
        start: datetime | None = None,
        end: datetime | None = None,
        step: timedelta | CalendarStep | None = None,
        time_zone: str = "",
        group_by: Iterable[str] = (),
        where: Mapping[str, str | Sequence[str]] | None = None,
        where_not: Mapping[str, str | Sequence[str]] | None = None,
        percentiles: Iterable[float] = (),
        limit: int = 0,
        rank_by: Quantity | Literal[""] = "",
        fill_gaps: bool = False,
        currency_code: str = "",
        timeout: float | None = None,
    ) -> UsageReport:
        """Sums usage over a period, by default calls, tokens and durations of the last 24 hours.

        `group_by` and the keys of `where` and `where_not` are app, workflow, node, operation, provider, model, user,
        status, error_type, token_type, or names of your own labels. `step` cuts the period into points: a length, or
        hour, day, week, month in `time_zone` (IANA; empty for UTC). `limit` is 1 to 1,000 series, 0 for 100.
        """
        request = usage_request(
            quantities=quantities,
            start=start,
            end=end,
            step=step,
            time_zone=time_zone,
            group_by=group_by,
            where=where,
            where_not=where_not,
            percentiles=percentiles,
            limit=limit,
            rank_by=rank_by,
            fill_gaps=fill_gaps,
            currency_code=currency_code,
        )
        return read_report(self._calls.unary(QUERY_USAGE, request, timeout))


class AsyncMetrics:
    """Usage of models and tools, in the event loop; the same as Metrics."""

    def __init__(self, calls: AsyncCalls) -> None:
        self._calls = calls

    async def record(self, *observations: Observation, timeout: float | None = None) -> Recorded:
        """Records up to 10,000 observations and returns when they are durable; exactly once across repetitions.

        After an error it is not known whether they were recorded. Where that matters, use a `writer`.
        """
        batch = write_batch(str(uuid.uuid4()), 1, observations)
        answer = await self._calls.unary(RECORD, pb.RecordRequest(batch=batch), timeout)
        return cast("Recorded", read(answer))

    def writer(self) -> AsyncWriter:
        """Answers what collects observations and sends them in batches; use it in a `with` block, or flush it."""
        return AsyncWriter(self._calls)

    async def query_usage(
        self,
        *,
        quantities: Iterable[Quantity] = (),
        start: datetime | None = None,
        end: datetime | None = None,
        step: timedelta | CalendarStep | None = None,
        time_zone: str = "",
        group_by: Iterable[str] = (),
        where: Mapping[str, str | Sequence[str]] | None = None,
        where_not: Mapping[str, str | Sequence[str]] | None = None,
        percentiles: Iterable[float] = (),
        limit: int = 0,
        rank_by: Quantity | Literal[""] = "",
        fill_gaps: bool = False,
        currency_code: str = "",
        timeout: float | None = None,
    ) -> UsageReport:
        """Sums usage over a period, by default calls, tokens and durations of the last 24 hours.

        `group_by` and the keys of `where` and `where_not` are app, workflow, node, operation, provider, model, user,
        status, error_type, token_type, or names of your own labels. `step` cuts the period into points: a length, or
        hour, day, week, month in `time_zone` (IANA; empty for UTC). `limit` is 1 to 1,000 series, 0 for 100.
        """
        request = usage_request(
            quantities=quantities,
            start=start,
            end=end,
            step=step,
            time_zone=time_zone,
            group_by=group_by,
            where=where,
            where_not=where_not,
            percentiles=percentiles,
            limit=limit,
            rank_by=rank_by,
            fill_gaps=fill_gaps,
            currency_code=currency_code,
        )
        return read_report(await self._calls.unary(QUERY_USAGE, request, timeout))
