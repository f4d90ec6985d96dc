"""Metrics: recorded exactly once, asked for by label and time."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import grpc
import pytest

from difyrpc.metrics.v1 import metrics_pb2 as pb
from difyrpc.metrics.v1 import metrics_pb2_grpc, observation_pb2, usage_pb2
from difyrpc_client import InvalidArgument, Observation, Retry, Unavailable, connect, connect_async
from difyrpc_client._recording import BATCH_SIZE

ADD = metrics_pb2_grpc.add_MetricsCollectorServicer_to_server


class Metrics(metrics_pb2_grpc.MetricsCollectorServicer):
    """Commits each sequence of a writer once; loses or refuses answers as told."""

    def __init__(self, refuse) -> None:
        self.refuse = refuse
        self.committed: dict[str, int] = {}
        self.models: list[str] = []
        self.batches: list[observation_pb2.Batch] = []
        self.before: list[grpc.StatusCode] = []
        self.after: list[grpc.StatusCode] = []
        self.query = usage_pb2.UsageQuery()

    def Record(self, request, context):
        if self.before:
            self.refuse(context, self.before.pop(0))
        batch = request.batch
        self.batches.append(batch)
        known = self.committed.get(batch.writer_id, 0)
        assert batch.sequence in (known, known + 1)
        if batch.sequence > known:
            self.committed[batch.writer_id] = batch.sequence
            self.models += [batch.label_sets[one.label_set - 1].model for one in batch.observations]
        if self.after:
            self.refuse(context, self.after.pop(0))
        return pb.RecordResponse(committed_sequence=batch.sequence, repeated=batch.sequence <= known)

    def RecordStream(self, requests, context):
        for request in requests:
            committed = self.Record(request, context).committed_sequence
            yield pb.RecordStreamResponse(committed_sequence=committed)

    def QueryUsage(self, request, context):
        self.query = request.query
        series = usage_pb2.UsageSeries(labels=["m"], total=usage_pb2.Usage(calls=2))
        series.total.duration.sum.FromMilliseconds(1500)
        series.total.duration.percentiles.add(percent=95).value.FromMilliseconds(900)
        return pb.QueryUsageResponse(series=[series], total=usage_pb2.Usage(calls=2, errors=0), left_out_series=1)


@pytest.fixture
def metrics(refuse) -> Metrics:
    return Metrics(refuse)


@pytest.fixture
def dify(serve, metrics, fake_time):
    with connect(serve((ADD, metrics)), clock=fake_time.clock) as dify:
        yield dify


LOST = grpc.StatusCode.UNAVAILABLE


def test_a_record_whose_answer_was_lost_counts_once(dify, metrics) -> None:
    metrics.after = [LOST]
    recorded = dify.metrics.record(Observation(model="m"))
    assert recorded.repeated
    assert metrics.models == ["m"]


def test_two_records_are_two_writers(dify, metrics) -> None:
    dify.metrics.record(Observation(model="a"))
    dify.metrics.record(Observation(model="b"))
    assert metrics.models == ["a", "b"]
    assert len(metrics.committed) == 2


def test_everything_that_was_observed_is_sent(dify, metrics) -> None:
    when = datetime(2026, 1, 2, tzinfo=UTC)
    one = Observation(
        app="crm",
        model="m",
        user="u",
        labels={"team": "x"},
        input_tokens=5,
        output_tokens=2,
        seconds=1.5,
        first_token_seconds=0.25,
        status="error",
        error_type="timeout",
        time=when,
    )
    dify.metrics.record(one, one, Observation(app="crm"))
    batch = metrics.batches[0]
    assert (len(batch.observations), len(batch.label_sets)) == (3, 2)
    labels, sent = batch.label_sets[0], batch.observations[0]
    assert (labels.app, labels.model, labels.user, dict(labels.custom)) == ("crm", "m", "u", {"team": "x"})
    assert (sent.tokens.input, sent.tokens.output, sent.error_type) == (5, 2, "timeout")
    assert sent.status == observation_pb2.CALL_STATUS_ERROR
    assert (sent.duration.ToTimedelta(), sent.time.ToDatetime(tzinfo=UTC)) == (timedelta(seconds=1.5), when)
    assert not batch.observations[2].HasField("duration")


def test_a_writer_sends_full_batches_and_the_rest_at_the_end(dify, metrics) -> None:
    with dify.metrics.writer() as writer:
        for number in range(BATCH_SIZE + 2):
            writer.add(Observation(model=str(number)))
        assert [len(batch.observations) for batch in metrics.batches] == [BATCH_SIZE]
    assert [len(batch.observations) for batch in metrics.batches] == [BATCH_SIZE, 2]
    assert metrics.models == [str(number) for number in range(BATCH_SIZE + 2)]
    assert [batch.sequence for batch in metrics.batches] == [1, 2]


def test_a_writer_keeps_what_could_not_be_sent_and_counts_it_once(dify, metrics) -> None:
    once = dify.with_options(retry=Retry(attempts=1))
    writer = once.metrics.writer()
    writer.add(Observation(model="a"))
    metrics.after = [LOST]
    with pytest.raises(Unavailable):
        writer.flush()
    metrics.before = [LOST]
    writer.add(Observation(model="b"))
    with pytest.raises(Unavailable):
        writer.flush()
    writer.flush()
    assert metrics.models == ["a", "b"]


def test_a_writer_goes_on_after_a_batch_that_was_refused(dify, metrics) -> None:
    writer = dify.metrics.writer()
    writer.add(Observation(model="a"))
    metrics.before = [grpc.StatusCode.INVALID_ARGUMENT]
    with pytest.raises(InvalidArgument):
        writer.flush()
    writer.add(Observation(model="b"))
    writer.flush()
    assert metrics.models == ["b"]


async def test_the_asynchronous_writer_counts_once(serve, metrics, fake_time) -> None:
    async with connect_async(serve((ADD, metrics)), clock=fake_time.clock) as dify:
        metrics.after = [LOST]
        async with dify.metrics.writer() as writer:
            for number in range(BATCH_SIZE + 1):
                await writer.add(Observation(model=str(number)))
    assert metrics.models == [str(number) for number in range(BATCH_SIZE + 1)]


def test_usage_is_asked_for_and_answered_in_values(dify, metrics) -> None:
    report = dify.metrics.query_usage(
        quantities=["calls", "duration"],
        step="day",
        time_zone="Asia/Shanghai",
        group_by=["model", "team"],
        where={"app": "crm"},
        where_not={"status": ["error", "cancelled"]},
        percentiles=[95],
        rank_by="errors",
    )
    query = metrics.query
    assert list(query.quantities) == [usage_pb2.QUANTITY_CALLS, usage_pb2.QUANTITY_DURATION]
    assert query.calendar_step == usage_pb2.CALENDAR_UNIT_DAY
    assert (query.group_by[0].label, query.group_by[1].custom) == (usage_pb2.LABEL_MODEL, "team")
    assert (query.filters[0].dimension.label, list(query.filters[0].any_of.values)) == (usage_pb2.LABEL_APP, ["crm"])
    assert list(query.filters[1].none_of.values) == ["error", "cancelled"]
    assert not query.HasField("start_time")
    series = report.series[0]
    assert (series.labels, series.total.calls, series.total.tokens) == (("m",), 2, None)
    assert (series.total.duration.sum, series.total.duration.percentiles[0].seconds) == (1.5, 0.9)
    assert (report.total.errors, report.left_out_series) == (0, 1)


def test_a_step_may_be_a_length(dify, metrics) -> None:
    dify.metrics.query_usage(step=timedelta(minutes=5))
    assert metrics.query.fixed_step.seconds == 300


def test_a_quantity_that_is_not_known_is_answered_with_the_choices(dify) -> None:
    with pytest.raises(InvalidArgument, match="rank_by='money' is not one of calls, tokens, cost"):
        dify.metrics.query_usage(rank_by="money")
