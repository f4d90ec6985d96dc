"""Metrics: what model calls cost, recorded exactly once and asked for by label and time."""

from __future__ import annotations

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
from difyrpc_client._recording import RECORD, Ledger, deliver, deliver_async, refuses, writer_is_full
from difyrpc_client._shape import read
from difyrpc_client._usage import (
    CalendarStep,
    Observation,
    Quantity,
    Recorded,
    UsageReport,
    read_report,
    usage_request,
    write_batch,
)

QUERY_USAGE = rpc("MetricsCollector.QueryUsage", pb.QueryUsageRequest, pb.QueryUsageResponse)


class Writer:
    """Collects observations and records each exactly once, in batches; may be shared by threads.

    While one thread sends, the others only add; what has come together meanwhile goes by one stream. After an error
    that may pass the batches are kept and sent again as they were by the next `flush`; a batch that the server
    refuses is dropped and the error raised, in whichever thread sends.
    """

    def __init__(self, calls: Calls) -> None:
        self._calls = calls
        self._ledger = Ledger()
        self._lock = threading.Lock()
        self._sending = threading.Lock()

    def add(self, *observations: Observation) -> None:
        """Takes observations; sends when 500 have come together and no one else does, waits when 5,000 have.

        ResourceExhausted `WRITER_FULL` where 20,000 are held that cannot be sent: these ones are not taken.
        """
        if self._ledger.full():
            try:
                self.flush()
            except DifyrpcError as error:
                raise writer_is_full(error) from error
        with self._lock:
            self._ledger.add(observations)
            due, crowded = self._ledger.due(), self._ledger.crowded()
        if due and self._sending.acquire(blocking=crowded):
            try:
                self._send(None)
            finally:
                self._sending.release()

    def flush(self, *, timeout: float | None = None) -> None:
        """Sends what has been collected; returns when it is durable. `timeout` is for each batch or stream."""
        with self._sending:
            self._send(timeout)

    def close(self) -> None:
        """Sends what has been collected."""
        self.flush()

    def _send(self, timeout: float | None) -> None:
        wanted = self._ledger.added
        while self._ledger.gone < wanted:
            with self._lock:
                batches = self._ledger.next_batches()
            try:
                deliver(self._calls, batches, self._settle, timeout)
            except DifyrpcError as error:
                if refuses(error):
                    with self._lock:
                        self._ledger.refused()
                raise

    def _settle(self, committed: int) -> None:
        with self._lock:
            self._ledger.settled(committed)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class AsyncWriter:
    """Collects observations and records each exactly once, in batches; the same as Writer, for tasks."""

    def __init__(self, calls: AsyncCalls) -> None:
        import asyncio

        self._calls = calls
        self._ledger = Ledger()
        self._sending = asyncio.Lock()

    async def add(self, *observations: Observation) -> None:
        """Takes observations; sends when 500 have come together and no one else does, waits when 5,000 have.

        ResourceExhausted `WRITER_FULL` where 20,000 are held that cannot be sent: these ones are not taken.
        """
        if self._ledger.full():
            try:
                await self.flush()
            except DifyrpcError as error:
                raise writer_is_full(error) from error
        self._ledger.add(observations)
        if self._ledger.due() and (self._ledger.crowded() or not self._sending.locked()):
            async with self._sending:
                await self._send(None)

    async def flush(self, *, timeout: float | None = None) -> None:
        """Sends what has been collected; returns when it is durable. `timeout` is for each batch or stream."""
        async with self._sending:
            await self._send(timeout)

    async def close(self) -> None:
        """Sends what has been collected."""
        await self.flush()

    async def _send(self, timeout: float | None) -> None:
        wanted = self._ledger.added
        while self._ledger.gone < wanted:
            batches = self._ledger.next_batches()
            try:
                await deliver_async(self._calls, batches, self._ledger.settled, timeout)
            except DifyrpcError as error:
                if refuses(error):
                    self._ledger.refused()
                raise

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
