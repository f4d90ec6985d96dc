"""Writers send what has come together by one stream, go on from what is durable, and count everything once."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterable
from typing import Any

import grpc
import pytest

from difyrpc.metrics.v1 import metrics_pb2 as pb
from difyrpc.metrics.v1 import metrics_pb2_grpc
from difyrpc_client import (
    ConfigurationError,
    DeadlineExceeded,
    Dify,
    InvalidArgument,
    Observation,
    ResourceExhausted,
    Retry,
    Unavailable,
    connect,
    connect_async,
)
from difyrpc_client._recording import BATCH_SIZE, MOST
from difyrpc_client.testing import FakeDifyrpc

ADD = metrics_pb2_grpc.add_MetricsCollectorServicer_to_server
LOST = grpc.StatusCode.UNAVAILABLE
WRONG = grpc.StatusCode.INVALID_ARGUMENT


class Metrics(metrics_pb2_grpc.MetricsCollectorServicer):
    """Commits each sequence of one writer once; each stream breaks after as many batches as the script says."""

    def __init__(self, *breaks: int) -> None:
        self.breaks = list(breaks)
        self.models: list[str] = []
        self.singles: list[int] = []
        self.streams: list[list[int]] = []
        self.refused: set[str] = set()
        self.lose_acks = False
        self.is_down = False
        self.committed = 0
        self.lock = threading.Lock()
        self.began, self.release = threading.Event(), threading.Event()
        self.release.set()

    def Record(self, request, context):
        self.singles.append(request.batch.sequence)
        self._commit(request.batch, context)
        return pb.RecordResponse(committed_sequence=self.committed)

    def RecordStream(self, requests, context):
        left = self.breaks.pop(0) if self.breaks else None
        self.streams.append([])
        for request in requests:
            if left == 0 and not self.lose_acks:
                context.abort(LOST, "the server goes")
            self.streams[-1].append(request.batch.sequence)
            self._commit(request.batch, context)
            if left == 0:
                context.abort(LOST, "the answer is lost")
            left = None if left is None else left - 1
            yield pb.RecordStreamResponse(committed_sequence=self.committed)

    def _commit(self, batch, context):
        self.began.set()
        self.release.wait(20)
        models = [batch.label_sets[one.label_set - 1].model for one in batch.observations]
        if self.is_down:
            context.abort(LOST, "the server is away")
        if self.refused & set(models):
            context.abort(WRONG, "not this one")
        with self.lock:
            assert batch.sequence <= self.committed + 1
            if batch.sequence > self.committed:
                self.committed = batch.sequence
                self.models += models


@pytest.fixture(params=["connect", "connect_async"])
def write(request, serve, fake_time):
    """Adds each list of observations with either client's writer, then flushes; answers what was raised."""

    def write(server: Metrics, *steps: Iterable[Observation], **options: Any) -> list[Exception]:
        target = serve((ADD, server))
        raised: list[Exception] = []
        if request.param == "connect":
            with connect(target, clock=fake_time.clock, **options) as dify:
                writer = dify.metrics.writer()
                for act in (*(lambda step=step: writer.add(*step) for step in steps), writer.flush, writer.flush):
                    try:
                        act()
                    except (Unavailable, InvalidArgument) as error:
                        raised.append(error)
            return raised

        async def work() -> None:
            async with connect_async(target, clock=fake_time.clock, **options) as dify:
                writer = dify.metrics.writer()
                for act in (*(lambda step=step: writer.add(*step) for step in steps), writer.flush, writer.flush):
                    try:
                        await act()
                    except (Unavailable, InvalidArgument) as error:
                        raised.append(error)

        asyncio.run(work())
        return raised

    return write


def seen(first: int, count: int) -> list[Observation]:
    return [Observation(model=str(number)) for number in range(first, first + count)]


def names(count: int) -> list[str]:
    return [str(number) for number in range(count)]


def test_many_batches_go_by_one_stream_and_single_ones_by_single_calls(write) -> None:
    server = Metrics()
    assert write(server, seen(0, 6 * BATCH_SIZE + 1), seen(6 * BATCH_SIZE + 1, 3)) == []
    assert server.streams == [[1, 2, 3, 4, 5, 6, 7]]
    assert server.singles == [8]
    assert server.models == names(6 * BATCH_SIZE + 4)


def test_a_broken_stream_goes_on_after_the_last_ack(write) -> None:
    server = Metrics(2, 1)
    assert write(server, seen(0, 6 * BATCH_SIZE)) == []
    assert [stream[0] for stream in server.streams] == [1, 3, 4]
    assert server.models == names(6 * BATCH_SIZE)


def test_batches_whose_acks_were_lost_count_once(write) -> None:
    server = Metrics(0, 1, 0)
    server.lose_acks = True
    assert write(server, seen(0, 6 * BATCH_SIZE)) == []
    assert server.models == names(6 * BATCH_SIZE)


def test_what_a_stream_could_not_bring_is_sent_by_the_next_flush(write) -> None:
    server = Metrics(2, 0)
    (error,) = write(server, seen(0, 5 * BATCH_SIZE), retry=Retry(attempts=2))
    assert isinstance(error, Unavailable)
    assert server.streams[-1] == [3, 4, 5]
    assert server.models == names(5 * BATCH_SIZE)


def test_a_batch_that_is_refused_in_a_stream_is_dropped_and_those_after_it_are_recorded(write) -> None:
    server = Metrics()
    server.refused = {str(BATCH_SIZE + 3)}
    (error,) = write(server, seen(0, 4 * BATCH_SIZE))
    assert isinstance(error, InvalidArgument)
    assert server.streams == [[1, 2], [2, 3]]
    wanted = names(4 * BATCH_SIZE)
    assert server.models == wanted[:BATCH_SIZE] + wanted[2 * BATCH_SIZE :]


def test_an_observation_that_fits_into_no_message_takes_only_its_batch_with_it(write) -> None:
    server = Metrics()
    (error,) = write(server, [*seen(0, BATCH_SIZE), Observation(model="x", input_tokens="many")], seen(BATCH_SIZE, 2))
    assert "input_tokens" in str(error)
    assert server.models == names(BATCH_SIZE + 2)


@pytest.fixture
def server() -> Metrics:
    return Metrics()


@pytest.fixture
def dify(serve, server, fake_time):
    with connect(serve((ADD, server)), clock=fake_time.clock) as dify:
        yield dify


@pytest.fixture
def beside():
    """Runs something in another thread; ends when it has ended."""
    threads: list[threading.Thread] = []

    def beside(work: Callable[[], Any]) -> None:
        threads.append(threading.Thread(target=work))
        threads[-1].start()

    yield beside
    for thread in threads:
        thread.join(20)


def test_threads_add_without_waiting_for_the_one_that_sends(dify, server, beside) -> None:
    writer = dify.metrics.writer()
    server.release.clear()
    beside(lambda: writer.add(*seen(0, BATCH_SIZE)))
    assert server.began.wait(20)
    for number in range(3 * BATCH_SIZE):
        writer.add(Observation(model=str(BATCH_SIZE + number)))
    assert server.models == []
    server.release.set()
    writer.flush()
    assert server.models == names(4 * BATCH_SIZE)
    assert (server.singles, server.streams) == ([1], [[2, 3, 4]])


async def test_tasks_add_without_waiting_for_the_one_that_sends(serve, server) -> None:
    async with connect_async(serve((ADD, server))) as dify:
        writer = dify.metrics.writer()
        server.release.clear()
        sending = asyncio.create_task(writer.add(*seen(0, BATCH_SIZE)))
        assert await asyncio.to_thread(server.began.wait, 20)
        for number in range(3 * BATCH_SIZE):
            await writer.add(Observation(model=str(BATCH_SIZE + number)))
        server.release.set()
        await sending
        await writer.flush()
    assert server.models == names(4 * BATCH_SIZE)
    assert (server.singles, server.streams) == ([1], [[2, 3, 4]])


def test_a_flush_returns_when_what_another_thread_is_sending_is_durable(dify, server, beside) -> None:
    writer = dify.metrics.writer()
    server.release.clear()
    beside(lambda: writer.add(*seen(0, BATCH_SIZE)))
    assert server.began.wait(20)
    beside(server.release.set)
    writer.flush()
    assert server.models == names(BATCH_SIZE)


def test_many_threads_count_everything_once(serve, beside) -> None:
    server = Metrics(1, 0, 2, 1)
    done = threading.Barrier(9)
    with connect(serve((ADD, server)), retry=Retry(wait_min=0.01, wait_max=0.02)) as dify:
        writer = dify.metrics.writer()

        def work(first: int) -> None:
            for number in range(first, 8000, 8):
                writer.add(Observation(model=str(number)))
            done.wait(20)

        for first in range(8):
            beside(lambda first=first: work(first))
        done.wait(20)
        writer.close()
    assert sorted(server.models, key=int) == names(8000)


def fill(dify: Dify) -> Any:
    writer = dify.metrics.writer()
    with pytest.raises(Unavailable):
        writer.add(*seen(0, MOST))
    return writer


def test_a_writer_takes_no_more_than_it_may_hold_and_says_so(serve, server) -> None:
    server.is_down = True
    with connect(serve((ADD, server)), retry=Retry(attempts=1)) as dify:
        writer = fill(dify)
        with pytest.raises(ResourceExhausted, match="holds 20000 observations") as caught:
            writer.add(Observation(model="not taken"))
        assert caught.value.reason == "WRITER_FULL"
        assert isinstance(caught.value.__cause__, Unavailable)
        server.is_down = False
        writer.add(Observation(model=str(MOST)))
        writer.close()
    assert server.models == names(MOST + 1)


async def test_the_asynchronous_writer_takes_no_more_either(serve, server) -> None:
    server.is_down = True
    async with connect_async(serve((ADD, server)), retry=Retry(attempts=1)) as dify:
        writer = dify.metrics.writer()
        with pytest.raises(Unavailable):
            await writer.add(*seen(0, MOST))
        with pytest.raises(ResourceExhausted):
            await writer.add(Observation(model="not taken"))
        server.is_down = False
        await writer.close()
    assert server.models == names(MOST)


def test_a_client_that_is_set_up_wrongly_loses_nothing(serve, server) -> None:
    async def token() -> str:
        return "x"

    tokens: list[Any] = [token]
    with connect(serve((ADD, server)), token=lambda: tokens[0] if isinstance(tokens[0], str) else tokens[0]()) as dify:
        writer = dify.metrics.writer()
        writer.add(Observation(model="0"))
        with pytest.raises(ConfigurationError):
            writer.flush()
        tokens[0] = "x"
        writer.flush()
    assert server.models == ["0"]


def test_a_stream_ends_with_the_timeout_and_the_next_one_goes_on(serve, server) -> None:
    server.release.clear()
    with connect(serve((ADD, server)), timeout=0.3) as dify:
        writer = dify.metrics.writer()
        with pytest.raises(DeadlineExceeded):
            writer.add(*seen(0, 2 * BATCH_SIZE))
        server.release.set()
        writer.flush(timeout=20)
    assert server.models == names(2 * BATCH_SIZE)


async def test_the_fake_takes_streams_too() -> None:
    fake = FakeDifyrpc()
    with fake.metrics.writer() as writer:
        writer.add(*seen(0, 5 * BATCH_SIZE + 1))
    async with fake.asynchronous.metrics.writer() as writer:
        await writer.add(*seen(0, 5 * BATCH_SIZE + 1))
    assert fake.metrics.query_usage().total.calls == 2 * (5 * BATCH_SIZE + 1)
    assert {call.name for call in fake.calls} == {"metrics.RecordStream", "metrics.QueryUsage"}
