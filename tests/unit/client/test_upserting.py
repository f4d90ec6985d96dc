"""Streams of points go on from what is durable, read no further than they may, and name the point that is refused."""

from __future__ import annotations

import asyncio
import itertools
import sys
import threading
import traceback
from collections.abc import Iterator
from typing import Any

import grpc
import pytest
from google.protobuf import any_pb2
from google.rpc import error_details_pb2, status_pb2

from difyrpc.vectors.v1 import point_pb2, vectors_pb2_grpc
from difyrpc.vectors.v1 import vectors_pb2 as pb
from difyrpc_client import (
    DeadlineExceeded,
    InvalidArgument,
    NotFound,
    Point,
    Retry,
    Unavailable,
    Upserted,
    connect,
    connect_async,
)
from difyrpc_client._sequenced import WINDOW
from difyrpc_client.testing import FakeDifyrpc

ADD = vectors_pb2_grpc.add_VectorSearchServicer_to_server
LOST = grpc.StatusCode.UNAVAILABLE


class Vectors(vectors_pb2_grpc.VectorSearchServicer):
    """Keeps batches by stream; each call breaks after as many new batches as the script says, None for never."""

    def __init__(self, *breaks: int | None) -> None:
        self.breaks = list(breaks)
        self.lose_acks = False
        self.batches: dict[str, list[list[str]]] = {}
        self.sent: list[list[int]] = []
        self.on_batch = lambda context, batch: None

    def UpsertPointsStream(self, requests, context):
        spec = next(requests).spec
        stored = self.batches.setdefault(spec.stream_id, [])
        self.sent.append([])
        yield pb.UpsertPointsStreamResponse(durable_sequence=len(stored))
        left = self.breaks.pop(0) if self.breaks else None
        for request in requests:
            batch = request.batch
            self.sent[-1].append(batch.sequence)
            if left == 0 and not self.lose_acks:
                context.abort(LOST, "the server goes")
            self.on_batch(context, batch)
            assert batch.sequence <= len(stored) + 1
            is_new = batch.sequence > len(stored)
            if is_new:
                stored.append([point.id for point in batch.points])
            if left == 0:
                context.abort(LOST, "the answer is lost")
            left = None if left is None else left - 1
            yield pb.UpsertPointsStreamResponse(
                durable_sequence=len(stored),
                upserted_count=len(batch.points) if is_new else 0,
                read_token=f"t{batch.sequence}" if is_new else "",
                usage=point_pb2.EmbeddingUsage(model="m", texts=len(batch.points), tokens=10) if is_new else None,
            )

    def stored(self) -> list[str]:
        (batches,) = self.batches.values()
        return [name for batch in batches for name in batch]


@pytest.fixture(params=["connect", "connect_async"])
def upsert(request, serve, fake_time):
    """Stores points on a scripted server with either client."""

    def upsert(server: Vectors, points: Any, *, retry: Retry | None = None, **options: Any) -> Upserted:
        target = serve((ADD, server))
        if request.param == "connect":
            with connect(target, clock=fake_time.clock, retry=retry) as dify:
                return dify.vectors.upsert_stream("c", points, **{"batch_size": 10, **options})

        async def work() -> Upserted:
            async with connect_async(target, clock=fake_time.clock, retry=retry) as dify:
                return await dify.vectors.upsert_stream("c", points, **{"batch_size": 10, **options})

        return asyncio.run(work())

    return upsert


def texts(count: int) -> Iterator[tuple[str, str]]:
    return ((str(number), "text") for number in range(count))


def names(count: int) -> list[str]:
    return [str(number) for number in range(count)]


def test_all_points_go_by_one_stream_in_numbered_batches(upsert) -> None:
    server, told = Vectors(), []
    stored = upsert(server, texts(95), progress=told.append)
    assert server.sent == [list(range(1, 11))]
    assert server.stored() == names(95)
    assert told == [*range(10, 91, 10), 95]
    assert (stored.count, stored.read_token) == (95, "t10")
    assert (stored.usage.texts, stored.usage.tokens) == (95, 100)


def test_no_points_are_no_batch(upsert) -> None:
    server = Vectors()
    assert upsert(server, []).count == 0
    assert server.sent == [[]]


def test_a_broken_stream_goes_on_after_the_last_ack(upsert, fake_time) -> None:
    server, told = Vectors(3, 4), []
    assert upsert(server, texts(100), progress=told.append).count == 100
    assert [sent[0] for sent in server.sent] == [1, 4, 8]
    assert server.stored() == names(100)
    assert told == list(range(10, 101, 10))
    assert len(fake_time.sleeps) == 2


def test_batches_whose_acks_were_lost_are_stored_once(upsert) -> None:
    server = Vectors(0, 1, 2)
    server.lose_acks = True
    assert upsert(server, texts(80)).count == 80
    assert server.stored() == names(80)


def test_every_stream_that_makes_progress_is_given_new_tries(upsert) -> None:
    server = Vectors(*[1] * 9)
    assert upsert(server, texts(100)).count == 100
    assert server.stored() == names(100)


def test_a_stream_that_ends_well_and_too_early_is_gone_on_from(upsert, fake_time) -> None:
    class Early(Vectors):
        def UpsertPointsStream(self, requests, context):
            answers = super().UpsertPointsStream(requests, context)
            for _ in range(3 if not self.sent else 100):
                if (answer := next(answers, None)) is None:
                    return
                yield answer

    server = Early()
    assert upsert(server, texts(70)).count == 70
    assert server.stored() == names(70)
    assert len(fake_time.sleeps) == 1


def test_no_more_is_read_than_the_window_holds(upsert) -> None:
    pulled, seen = [], []

    def points():
        for number in range(100):
            pulled.append(number)
            yield str(number), "text"

    class Slow(Vectors):
        def UpsertPointsStream(self, requests, context):
            spec = next(requests)
            yield pb.UpsertPointsStreamResponse()
            first = [next(requests) for _ in range(WINDOW)]
            seen.append(len(pulled))
            answers = super().UpsertPointsStream(itertools.chain([spec], first, requests), context)
            next(answers)
            yield from answers

    assert upsert(Slow(), points()).count == 100
    assert seen == [10 * WINDOW + 1]


def test_points_are_read_where_the_caller_is(serve) -> None:
    threads = set()

    def points():
        for number in range(60):
            threads.add(threading.get_ident())
            yield str(number), "text"

    with connect(serve((ADD, Vectors(2)))) as dify:
        dify.vectors.upsert_stream("c", points(), batch_size=10)
    assert threads == {threading.get_ident()}


def refuse_point(context: grpc.ServicerContext, batch: pb.UpsertBatch) -> None:
    if batch.sequence == 3:
        found = error_details_pb2.BadRequest()
        found.field_violations.add(field="batch.points[4].text", description="is blank")
        packed = any_pb2.Any()
        packed.Pack(found)
        status = status_pb2.Status(code=3, message="the point is empty", details=[packed])
        context.set_trailing_metadata((("grpc-status-details-bin", status.SerializeToString()),))
        context.abort(grpc.StatusCode.INVALID_ARGUMENT, "the point is empty")


def test_a_refused_point_is_named_by_its_place_among_all_points(upsert) -> None:
    server = Vectors()
    server.on_batch = refuse_point
    with pytest.raises(InvalidArgument) as caught:
        upsert(server, texts(100), stream_id="load-7")
    error = caught.value
    assert error.metadata == {"stream_id": "load-7", "durable_points": "20", "index": "24"}
    assert [one.field for one in error.field_violations] == ["points[24].text"]
    assert error.message == "the point is empty; this is points[24], and the first 20 points are stored"
    assert server.stored() == names(20)


def test_what_is_no_point_is_named_by_its_place(upsert) -> None:
    server = Vectors()
    with pytest.raises(InvalidArgument, match=r"points\[23\]: a int is no point") as caught:
        upsert(server, [*texts(23), 7])
    assert caught.value.metadata["index"] == "23"


@pytest.mark.parametrize("size", [0, 1001, "10"])
def test_a_batch_holds_what_the_contract_allows(upsert, size) -> None:
    with pytest.raises(InvalidArgument, match="batch_size"):
        upsert(Vectors(), texts(1), batch_size=size)


def test_a_stream_without_progress_is_given_up_and_can_be_taken_up_later(upsert, fake_time) -> None:
    server = Vectors(3, *[0] * 5)
    with pytest.raises(Unavailable) as caught:
        upsert(server, texts(100), retry=Retry(attempts=4))
    error = caught.value
    assert error.metadata["durable_points"] == "30"
    assert error.attempts == 4
    assert "the first 30 points are stored: go on with stream_id=" in error.message
    server.breaks = []
    before = len(server.sent)
    assert upsert(server, texts(100), stream_id=error.metadata["stream_id"]).count == 100
    assert server.sent[before:] == [list(range(4, 11))]
    assert server.stored() == names(100)


def test_batches_of_another_size_are_those_of_another_stream(upsert) -> None:
    server = Vectors()
    upsert(server, texts(30), stream_id="load")
    assert upsert(server, texts(30), stream_id="load", batch_size=15).count == 30
    assert [len(sent) for sent in server.sent] == [3, 2]


def test_a_stream_that_was_whole_already_sends_nothing_and_counts_all(upsert) -> None:
    server, told = Vectors(), []
    upsert(server, texts(55), stream_id="load")
    assert upsert(server, texts(55), stream_id="load", progress=told.append).count == 55
    assert server.sent == [[1, 2, 3, 4, 5, 6], []]
    assert told == [10, 20, 30, 40, 50, 55]


def test_no_stream_begins_after_the_deadline(upsert, fake_time) -> None:
    with pytest.raises(Unavailable):
        upsert(Vectors(*[0] * 9), texts(100), timeout=1, retry=Retry(attempts=9))
    assert sum(fake_time.sleeps) < 1


def test_a_server_that_does_not_answer_is_waited_for_until_the_timeout(serve) -> None:
    ended = threading.Event()

    class Stuck(Vectors):
        def UpsertPointsStream(self, requests, context):
            context.add_callback(ended.set)
            yield pb.UpsertPointsStreamResponse()
            ended.wait(20)

    with connect(serve((ADD, Stuck()))) as dify, pytest.raises(DeadlineExceeded, match="the first 0 points"):
        dify.vectors.upsert_stream("c", texts(100), batch_size=10, timeout=0.3)
    assert ended.is_set()


def test_a_collection_that_is_not_there_is_told_before_anything_is_read(upsert) -> None:
    class Empty(Vectors):
        def UpsertPointsStream(self, requests, context):
            context.abort(grpc.StatusCode.NOT_FOUND, "no such collection")

    points = texts(10)
    with pytest.raises(NotFound):
        upsert(Empty(), points)
    assert next(points) == ("0", "text")


def test_a_source_that_breaks_raises_its_own_error_and_ends_the_stream(upsert) -> None:
    ended = threading.Event()

    class Watched(Vectors):
        def UpsertPointsStream(self, requests, context):
            context.add_callback(ended.set)
            yield from super().UpsertPointsStream(requests, context)

    def points():
        yield from texts(25)
        raise OSError("the disk is gone")

    with pytest.raises(OSError, match="the disk is gone"):
        upsert(Watched(), points())
    assert ended.wait(20)


async def test_points_may_come_asynchronously(serve) -> None:
    async def points():
        for number in range(75):
            yield Point(id=str(number), text="text")

    server = Vectors(2)
    async with connect_async(serve((ADD, server))) as dify:
        assert (await dify.vectors.upsert_stream("c", points(), batch_size=10)).count == 75
    assert server.stored() == names(75)


async def test_a_cancelled_stream_ends_on_the_server_too(serve) -> None:
    began, ended = threading.Event(), threading.Event()

    class Stuck(Vectors):
        def UpsertPointsStream(self, requests, context):
            context.add_callback(ended.set)
            yield pb.UpsertPointsStreamResponse()
            began.set()
            ended.wait(20)

    async with connect_async(serve((ADD, Stuck()))) as dify:
        task = asyncio.create_task(dify.vectors.upsert_stream("c", texts(100), batch_size=10))
        assert await asyncio.to_thread(began.wait, 10)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert await asyncio.to_thread(ended.wait, 10)


def test_no_thread_waits_for_batches_when_the_streams_have_ended(serve) -> None:
    with connect(serve((ADD, Vectors(1, 1, 0)))) as dify:
        dify.vectors.upsert_stream("c", texts(100), batch_size=10)
        for thread in threads_in("_sequenced.py"):
            thread.join(10)
        assert threads_in("_sequenced.py") == []


def threads_in(file: str) -> list[threading.Thread]:
    frames = sys._current_frames()
    return [
        thread
        for thread in threading.enumerate()
        if any(frame.f_code.co_filename.endswith(file) for frame, _ in traceback.walk_stack(frames.get(thread.ident)))
    ]


async def test_a_transport_that_answers_only_after_all_messages_takes_the_points_in_several_streams() -> None:
    fake = FakeDifyrpc()
    fake.vectors.create_collection("a")
    assert fake.vectors.upsert_stream("a", texts(105), batch_size=10).count == 105
    assert fake.vectors.count("a") == 105
    assert (await fake.asynchronous.vectors.upsert_stream("a", texts(205), batch_size=10)).count == 205
    assert fake.vectors.count("a") == 205
    assert fake.waits == []


def test_the_fake_goes_on_after_a_failure() -> None:
    fake = FakeDifyrpc()
    fake.fail("vectors.UpsertPointsStream", Unavailable("gone"), times=2)
    assert fake.vectors.upsert_stream("default", texts(50), batch_size=10).count == 50
    assert fake.vectors.count("default") == 50
    assert len(fake.waits) == 2
