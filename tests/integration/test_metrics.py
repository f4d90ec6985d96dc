"""MetricsCollector over gRPC."""

from __future__ import annotations

import asyncio
import csv
import io

import grpc
import pytest
from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp
from prometheus_client import generate_latest
from statuses import fields, info, reason

from difyrpc.metrics.v1 import metrics_pb2 as pb
from difyrpc.metrics.v1 import observation_pb2 as seen
from difyrpc.metrics.v1 import usage_pb2 as usage
from difyrpc.metrics.v1.metrics_pb2_grpc import MetricsCollectorStub


def call(**of) -> seen.Observation:
    labels = {name: of.pop(name) for name in ("app", "model", "user", "custom") if name in of}
    return seen.Observation(labels=seen.Labels(**labels), **of)


def record(*observations, writer="w", sequence=1, **of) -> pb.RecordRequest:
    return pb.RecordRequest(batch=seen.Batch(writer_id=writer, sequence=sequence, observations=observations, **of))


def by(*labels) -> list[usage.Dimension]:
    return [
        usage.Dimension(custom=label) if isinstance(label, str) else usage.Dimension(label=label) for label in labels
    ]


@pytest.fixture
async def metrics(house_server):
    async with house_server.channel() as channel:
        yield MetricsCollectorStub(channel)


async def test_what_was_recorded_is_in_the_next_answer(metrics):
    await metrics.Record(
        record(
            call(
                model="gpt",
                tokens=seen.Tokens(input=100, output=20, cached_input=30, reasoning_output=5),
                duration=Duration(seconds=2),
                time_to_first_token=Duration(nanos=250_000_000),
            ),
            call(model="gpt", status=seen.CALL_STATUS_ERROR, error_type="timeout"),
        )
    )

    answer = await metrics.QueryUsage(pb.QueryUsageRequest())

    total = answer.total
    assert (total.calls, total.errors, total.cancelled) == (2, 1, 0)
    assert (total.tokens.input, total.tokens.output) == (100, 20)
    assert (total.tokens.cached_input, total.tokens.reasoning_output) == (30, 5)
    assert total.duration.sum == Duration(seconds=2)
    assert [each.percent for each in total.duration.percentiles] == [50, 95, 99]
    assert total.duration.percentiles[0].value == Duration(seconds=2)
    assert not total.HasField("time_to_first_token")
    assert answer.series[0].total == total


async def test_only_what_was_asked_for_is_answered(metrics):
    await metrics.Record(record(call(duration=Duration(seconds=1), time_to_first_token=Duration(seconds=1))))

    answer = await metrics.QueryUsage(
        pb.QueryUsageRequest(query=usage.UsageQuery(quantities=[usage.QUANTITY_TIME_TO_FIRST_TOKEN], percentiles=[100]))
    )

    assert [field.name for field, _ in answer.total.ListFields()] == ["time_to_first_token"]
    assert answer.total.time_to_first_token.percentiles[0].value == Duration(seconds=1)


async def test_a_repeat_changes_nothing_and_a_gap_names_what_must_come(metrics):
    await metrics.Record(record(call()))
    again = await metrics.Record(record(call()))

    assert (again.committed_sequence, again.repeated) == (1, True)
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await metrics.Record(record(call(), sequence=3))
    assert caught.value.code() is grpc.StatusCode.FAILED_PRECONDITION
    assert reason(caught.value) == "SEQUENCE_GAP"
    assert info(caught.value)["expected"] == "2"


@pytest.mark.parametrize(
    ("observation", "expected", "field"),
    [
        (call(duration=Duration(seconds=-1)), "DURATION_INVALID", "duration"),
        (call(duration=Duration(seconds=1, nanos=-1)), "DURATION_INVALID", "duration"),
        (call(time_to_first_token=Duration(nanos=2**30)), "DURATION_INVALID", "time_to_first_token"),
        (call(time=Timestamp(seconds=2**40)), "TIME_INVALID", "time"),
        (call(time=Timestamp(seconds=1)), "TIME_TOO_OLD", "time"),
        (call(tokens=seen.Tokens(input=-1)), "TOKENS_INVALID", "tokens.input"),
        (seen.Observation(status=77), "STATUS_INVALID", "status"),
        (seen.Observation(label_set=9), "LABEL_SET_UNKNOWN", "label_set"),
        (call(model="\n"), "LABEL_INVALID", "labels.model"),
    ],
)
async def test_a_wrong_observation_is_named_by_its_path(metrics, observation, expected, field):
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await metrics.Record(record(call(), call(), call(), observation))

    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert reason(caught.value) == expected
    assert fields(caught.value) == [f"batch.observations[3].{field}"]


async def test_label_sets_and_headers_say_what_observations_do_not(metrics):
    await metrics.Record(
        record(
            seen.Observation(label_set=1),
            seen.Observation(label_set=1, labels=seen.Labels(app="mine")),
            label_sets=[seen.Labels(model="gpt", custom={"team": "legal"})],
        ),
        metadata=[("x-difyrpc-app", "from the header")],
    )

    query = usage.UsageQuery(group_by=by(usage.LABEL_APP, usage.LABEL_MODEL, "team"))
    answer = await metrics.QueryUsage(pb.QueryUsageRequest(query=query))

    assert sorted(tuple(series.labels) for series in answer.series) == [
        ("from the header", "gpt", "legal"),
        ("mine", "gpt", "legal"),
    ]


async def test_a_stream_acknowledges_batch_after_batch_and_ends_with_the_first_fault(metrics):
    requests = [
        pb.RecordStreamRequest(batch=record(call(), sequence=sequence, writer="w" if sequence == 1 else "").batch)
        for sequence in (1, 2, 2, 4)
    ]
    stream = metrics.RecordStream(iter(requests))

    answers = [await stream.read() for _ in range(3)]

    assert [answer.committed_sequence for answer in answers] == [1, 2, 2]
    assert [answer.repeated_batches for answer in answers] == [0, 0, 1]
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await stream.read()
    assert info(caught.value)["expected"] == "3"
    assert (await metrics.QueryUsage(pb.QueryUsageRequest())).total.calls == 2


async def test_a_stream_belongs_to_one_writer(metrics):
    requests = [pb.RecordStreamRequest(batch=record(writer=writer).batch) for writer in "ab"]

    with pytest.raises(grpc.aio.AioRpcError) as caught:
        _ = [answer async for answer in metrics.RecordStream(iter(requests))]

    assert reason(caught.value) == "WRITER_CHANGED"


async def test_many_callers_at_once_lose_and_double_nothing(metrics):
    async def write(writer):
        for sequence in range(1, 6):
            request = record(call(tokens=seen.Tokens(input=1)), writer=writer, sequence=sequence)
            await asyncio.gather(metrics.Record(request), metrics.Record(request))

    await asyncio.gather(*(write(f"w{i}") for i in range(10)))

    total = (await metrics.QueryUsage(pb.QueryUsageRequest())).total
    assert (total.calls, total.tokens.input) == (50, 50)


async def test_points_are_days_of_the_time_zone(metrics):
    await metrics.Record(record(call()))
    query = usage.UsageQuery(calendar_step=usage.CALENDAR_UNIT_DAY, time_zone="Asia/Kolkata", fill_gaps=True)

    answer = await metrics.QueryUsage(pb.QueryUsageRequest(query=query))

    points = answer.series[0].points
    assert sum(point.usage.calls for point in points) == 1
    assert points[0].period.start_time == answer.period.start_time
    assert points[-1].period.end_time == answer.period.end_time
    assert points[1].period.start_time.seconds % 86_400 == (24 * 60 - 330) * 60


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        (usage.UsageQuery(quantities=[usage.QUANTITY_UNSPECIFIED]), "QUANTITY_INVALID"),
        (usage.UsageQuery(quantities=[99]), "QUANTITY_INVALID"),
        (usage.UsageQuery(group_by=[usage.Dimension()]), "DIMENSION_INVALID"),
        (usage.UsageQuery(group_by=by("a\0b")), "DIMENSION_INVALID"),
        (usage.UsageQuery(filters=[usage.LabelFilter(dimension=by("x")[0])]), "FILTER_INVALID"),
        (usage.UsageQuery(calendar_step=99), "STEP_INVALID"),
        (usage.UsageQuery(fixed_step=Duration(seconds=-60)), "STEP_INVALID"),
        (usage.UsageQuery(end_time=Timestamp(seconds=-(2**50))), "TIME_INVALID"),
        (usage.UsageQuery(calendar_step=2, time_zone="../x"), "TIME_ZONE_UNKNOWN"),
    ],
)
async def test_a_wrong_question_is_refused(metrics, query, expected):
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await metrics.QueryUsage(pb.QueryUsageRequest(query=query))

    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert reason(caught.value) == expected


async def test_what_is_not_built_yet_is_named(metrics):
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await metrics.QueryUsage(pb.QueryUsageRequest(query=usage.UsageQuery(quantities=[usage.QUANTITY_COST])))
    assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED
    assert info(caught.value)["feature"] == "cost"

    request = pb.ExportUsageRequest(usage=usage.UsageQuery(), format=usage.EXPORT_FORMAT_PARQUET)
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        _ = [part async for part in metrics.ExportUsage(request)]
    assert info(caught.value)["feature"] == "parquet"


async def test_a_tail_shows_what_comes(metrics):
    tail = metrics.TailObservations(pb.TailObservationsRequest())
    await tail.initial_metadata()
    sent = call(model="gpt", tokens=seen.Tokens(input=7), duration=Duration(seconds=1), custom={"team": "x"})

    await metrics.Record(record(sent))
    message = await tail.read()

    (shown,) = message.observations
    assert shown.HasField("time")
    assert shown.status == seen.CALL_STATUS_OK
    assert (shown.labels, shown.tokens, shown.duration) == (sent.labels, sent.tokens, sent.duration)
    tail.cancel()


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ({"usage": usage.UsageQuery(group_by=by(usage.LABEL_MODEL))}, {"calls": "2"}),
        ({"observations": usage.ObservationSelection()}, {"status": "ok"}),
    ],
)
async def test_an_export_is_a_csv_file_with_its_number_of_rows(metrics, content, expected):
    await metrics.Record(record(call(model="gpt"), call(model="gpt")))

    *chunks, last = [part async for part in metrics.ExportUsage(pb.ExportUsageRequest(**content))]

    rows = list(csv.DictReader(io.StringIO(b"".join(part.chunk for part in chunks).decode(), newline="")))
    assert last.row_count == len(rows)
    assert rows[0]["model"] == "gpt"
    assert expected.items() <= rows[0].items()


async def test_an_export_of_nothing_in_particular_is_refused(metrics):
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        _ = [part async for part in metrics.ExportUsage(pb.ExportUsageRequest())]

    assert reason(caught.value) == "EXPORT_INVALID"


async def test_the_exposition_shows_what_was_recorded(metrics, house_server):
    await metrics.Record(record(call(model="gpt", tokens=seen.Tokens(input=100))))

    text = (await asyncio.to_thread(generate_latest, house_server.registry)).decode()

    assert 'gen_ai_client_token_usage_sum{error_type="",gen_ai_operation_name="",gen_ai_provider_name="",' in text
    assert 'difyrpc_usage_calls_total{error_type="",gen_ai_operation_name="",gen_ai_provider_name="",' in text


async def test_tenants_do_not_see_each_other(tenants_server):
    async with tenants_server.channel(tenant="a") as mine, tenants_server.channel(tenant="b") as theirs:
        a, b = MetricsCollectorStub(mine), MetricsCollectorStub(theirs)
        tail = b.TailObservations(pb.TailObservationsRequest())
        await tail.initial_metadata()
        await a.Record(record(call(model="secret", user="ada")))
        await b.Record(record(call(model="known", user="ada")))

        query = usage.UsageQuery(group_by=by(usage.LABEL_MODEL, usage.LABEL_USER))
        (series,) = (await b.QueryUsage(pb.QueryUsageRequest(query=query))).series
        (other,) = (await a.QueryUsage(pb.QueryUsageRequest(query=query))).series
        request = pb.ExportUsageRequest(observations=usage.ObservationSelection())
        exported = b"".join([part.chunk async for part in b.ExportUsage(request)])
        tailed = await tail.read()

        assert series.labels[0] == "known"
        assert series.labels[1] != other.labels[1]
        assert b"secret" not in exported
        assert [shown.labels.model for shown in tailed.observations] == ["known"]
        tail.cancel()
