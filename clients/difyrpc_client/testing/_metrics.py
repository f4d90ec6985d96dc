"""MetricsCollector in memory: exact sums, without steps."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta

from difyrpc.metrics.v1 import metrics_pb2 as pb
from difyrpc.metrics.v1 import observation_pb2, usage_pb2
from difyrpc_client._errors import FailedPrecondition, InvalidArgument, Unimplemented
from difyrpc_client._values import read_seconds, write_seconds

Observations = Sequence[observation_pb2.Observation]
DEFAULT_PERCENTILES = (50.0, 95.0, 99.0)


class MetricsInMemory:
    """Keeps observations; each method is the rpc of its name."""

    def __init__(self) -> None:
        self._committed: dict[str, int] = {}
        self._observations: list[observation_pb2.Observation] = []

    def Record(self, request: pb.RecordRequest) -> pb.RecordResponse:  # noqa: N802
        """Records a batch once."""
        batch = request.batch
        committed = self._committed.get(batch.writer_id, 0)
        if batch.sequence < 1:
            raise InvalidArgument(f"sequence={batch.sequence} is not 1 or more", reason="SEQUENCE_INVALID")
        if batch.sequence > committed + 1:
            expected = str(committed + 1)
            raise FailedPrecondition("batches are missing", reason="SEQUENCE_GAP", metadata={"expected": expected})
        if batch.sequence <= committed:
            return pb.RecordResponse(committed_sequence=committed, repeated=True)
        self._observations.extend(_whole(one, batch) for one in batch.observations)
        self._committed[batch.writer_id] = batch.sequence
        return pb.RecordResponse(committed_sequence=batch.sequence)

    def RecordStream(self, requests: Iterable[pb.RecordStreamRequest]) -> Iterator[pb.RecordStreamResponse]:  # noqa: N802
        """Records batch after batch."""
        for request in requests:
            committed = self.Record(pb.RecordRequest(batch=request.batch)).committed_sequence
            yield pb.RecordStreamResponse(committed_sequence=committed)

    def QueryUsage(self, request: pb.QueryUsageRequest) -> pb.QueryUsageResponse:  # noqa: N802
        """Sums what was recorded."""
        query = request.query
        if query.WhichOneof("step"):
            raise Unimplemented("the fake sums without steps", reason="FEATURE_NOT_SUPPORTED")
        period = _period(query)
        found = [one for one in self._observations if _inside(one, period) and _let_through(one, query.filters)]
        groups: dict[tuple[str, ...], list[observation_pb2.Observation]] = {} if query.group_by else {(): found}
        for one in found if query.group_by else ():
            groups.setdefault(tuple(_label(one, by) for by in query.group_by), []).append(one)
        ranked = sorted(groups.items(), key=lambda group: (-len(group[1]), group[0]))
        limit = query.limit or 100
        return pb.QueryUsageResponse(
            series=[usage_pb2.UsageSeries(labels=key, total=_usage(part, query)) for key, part in ranked[:limit]],
            total=_usage(found, query),
            period=period,
            left_out_series=max(0, len(ranked) - limit),
        )


def _whole(one: observation_pb2.Observation, batch: observation_pb2.Batch) -> observation_pb2.Observation:
    labels = observation_pb2.Labels()
    labels.MergeFrom(batch.defaults)
    if one.label_set:
        labels.MergeFrom(batch.label_sets[one.label_set - 1])
    labels.MergeFrom(one.labels)
    one.labels.CopyFrom(labels)
    if not one.HasField("time"):
        one.time.FromDatetime(datetime.now(UTC))
    if not one.status:
        one.status = observation_pb2.CALL_STATUS_ERROR if one.error_type else observation_pb2.CALL_STATUS_OK
    return one


def _period(query: usage_pb2.UsageQuery) -> usage_pb2.Period:
    period = usage_pb2.Period()
    end = query.end_time.ToDatetime(tzinfo=UTC) if query.HasField("end_time") else datetime.now(UTC) + timedelta(1 / 24)
    start = query.start_time.ToDatetime(tzinfo=UTC) if query.HasField("start_time") else end - timedelta(days=1)
    period.start_time.FromDatetime(start)
    period.end_time.FromDatetime(end)
    return period


def _inside(one: observation_pb2.Observation, period: usage_pb2.Period) -> bool:
    return period.start_time.ToNanoseconds() <= one.time.ToNanoseconds() < period.end_time.ToNanoseconds()


def _let_through(one: observation_pb2.Observation, filters: Iterable[usage_pb2.LabelFilter]) -> bool:
    for test in filters:
        value = _label(one, test.dimension)
        if value not in test.any_of.values if test.HasField("any_of") else value in test.none_of.values:
            return False
    return True


def _label(one: observation_pb2.Observation, dimension: usage_pb2.Dimension) -> str:
    if dimension.WhichOneof("kind") == "custom":
        return one.labels.custom.get(dimension.custom, "")
    if dimension.label == usage_pb2.LABEL_STATUS:
        return observation_pb2.CallStatus.Name(one.status).removeprefix("CALL_STATUS_").lower()
    if dimension.label == usage_pb2.LABEL_ERROR_TYPE:
        return one.error_type
    return str(getattr(one.labels, usage_pb2.Label.Name(dimension.label).removeprefix("LABEL_").lower(), ""))


def _usage(found: Observations, query: usage_pb2.UsageQuery) -> usage_pb2.Usage:
    percents = query.percentiles or DEFAULT_PERCENTILES
    return usage_pb2.Usage(
        calls=len(found),
        errors=sum(one.status == observation_pb2.CALL_STATUS_ERROR for one in found),
        cancelled=sum(one.status == observation_pb2.CALL_STATUS_CANCELLED for one in found),
        tokens=observation_pb2.Tokens(
            input=sum(one.tokens.input for one in found),
            output=sum(one.tokens.output for one in found),
            cached_input=sum(one.tokens.cached_input for one in found),
            reasoning_output=sum(one.tokens.reasoning_output for one in found),
        ),
        duration=_summary([read_seconds(one.duration) for one in found if one.HasField("duration")], percents),
    )


def _summary(seconds: list[float], percents: Iterable[float]) -> usage_pb2.DurationSummary:
    seconds.sort()
    if not seconds:
        return usage_pb2.DurationSummary()
    ranks = [(percent, math.ceil(percent / 100 * len(seconds)) - 1) for percent in percents]
    return usage_pb2.DurationSummary(
        count=len(seconds),
        sum=write_seconds(sum(seconds)),
        min=write_seconds(seconds[0]),
        max=write_seconds(seconds[-1]),
        percentiles=[usage_pb2.Percentile(percent=one, value=write_seconds(seconds[at])) for one, at in ranks],
    )
