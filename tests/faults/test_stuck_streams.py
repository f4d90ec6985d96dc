"""What is stuck ends on both sides, and nothing is sent after its deadline."""

from __future__ import annotations

import asyncio
import signal
import socket
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import grpc
import pytest
from scripted import Scene, scene
from watched import BUSY, STUCK, Watched, idle

from difyrpc.files.v1 import files_pb2 as pb
from difyrpc.files.v1 import files_pb2_grpc as rpc
from difyrpc_client import (
    Clock,
    DeadlineExceeded,
    DifyrpcError,
    Retry,
    Unavailable,
    channel,
    connect,
    connect_async,
)

HANGING = Path(__file__).with_name("hanging.py")
SECONDS = 2.0
SLACK_SECONDS = 1.0  # a server counts from a call's arrival; what every try gets anew would end up to SECONDS later
MANY = 10**6


@pytest.fixture
async def watched() -> Watched:
    return Watched()


@pytest.fixture
async def at(watched: Watched) -> AsyncIterator[Scene]:
    async with scene(servicer=watched) as served:
        yield served


def blocking(target: str, work: Callable[[Any], Any], **options: Any) -> Awaitable[Any]:
    """Runs work with a synchronous client in a thread, beside the server's loop."""

    def run() -> Any:
        with connect(target, env={}, **options) as dify:
            return work(dify)

    return asyncio.to_thread(run)


async def consumed(pieces: AsyncIterator[bytes]) -> list[bytes]:
    return [piece async for piece in pieces]


async def test_the_deadline_ends_a_stream_whose_server_stopped_sending(at: Scene, watched: Watched) -> None:
    with pytest.raises(DeadlineExceeded):
        await blocking(at.target, lambda dify: list(dify.files.iter_bytes(STUCK, timeout=1)))
    await watched.until(lambda: watched.ended["CANCELLED"] == 1)
    await idle(at)


async def test_the_deadline_ends_an_asynchronous_stream_whose_server_stopped_sending(
    at: Scene, watched: Watched
) -> None:
    async with connect_async(at.target, env={}) as dify:
        with pytest.raises(DeadlineExceeded):
            await consumed(dify.files.iter_bytes(STUCK, timeout=1))
    await watched.until(lambda: watched.ended["CANCELLED"] == 1)
    await idle(at)


async def test_the_deadline_ends_an_upload_whose_server_stopped_reading(at: Scene, watched: Watched) -> None:
    """The stream's window fills up, and the sender waits in the middle of its messages."""

    def upload() -> None:
        with channel(at.target, env={}) as opened:
            rpc.FileStorageStub(opened).UploadFile(endless(), timeout=1)

    with pytest.raises(grpc.RpcError) as caught:
        await asyncio.to_thread(upload)
    assert caught.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    await watched.until(lambda: watched.ended["CANCELLED"] == 1)
    await idle(at)


def endless() -> Any:
    yield pb.UploadFileRequest(spec=pb.FileSpec(display_name="stuck"))
    while True:
        yield pb.UploadFileRequest(chunk=pb.Chunk(data=bytes(1 << 18)))


async def test_a_stream_that_is_left_early_is_cancelled_on_the_server(at: Scene, watched: Watched) -> None:
    watched.steps = 1000

    def leave(dify: Any) -> None:
        pieces = dify.files.iter_bytes("files/steps")
        dify.files.get("files/step")
        assert next(pieces) == b"x"
        pieces.close()

    await blocking(at.target, leave)
    await watched.until(lambda: watched.ended["CANCELLED"] == 1)
    await idle(at)


async def test_a_cancelled_task_cancels_its_calls_on_the_server(at: Scene, watched: Watched) -> None:
    async with connect_async(at.target, env={}) as dify:
        waiting = [
            asyncio.ensure_future(dify.files.get(STUCK)),
            asyncio.ensure_future(consumed(dify.files.iter_bytes(STUCK))),
        ]
        await watched.until(lambda: watched.running[STUCK] == 2)
        for task in waiting:
            task.cancel()
        ended = await asyncio.gather(*waiting, return_exceptions=True)
        assert all(isinstance(each, asyncio.CancelledError) for each in ended)
        await watched.until(lambda: watched.ended["CANCELLED"] == 2)
        await idle(at)
    assert len(watched.arrivals) == 2, "what its caller cancelled is not sent again"


@pytest.mark.parametrize("kind", ["unary", "stream", "upload", "unary_async", "stream_async"])
async def test_a_client_that_is_killed_leaves_nothing_on_the_server(at: Scene, watched: Watched, kind: str) -> None:
    process = await asyncio.create_subprocess_exec(sys.executable, str(HANGING), kind, at.target)
    try:
        await watched.until(lambda: watched.running[STUCK] == 1)
        assert at.limits.running == 1
    finally:
        process.send_signal(signal.SIGKILL)
        await process.wait()
    await watched.until(lambda: watched.running[STUCK] == 0)
    assert watched.ended["CANCELLED"] == 1
    await idle(at)


@pytest.mark.parametrize("wait_for_ready", [False, True])
async def test_every_try_carries_what_is_left_of_the_deadline(
    at: Scene, watched: Watched, wait_for_ready: bool
) -> None:
    watched.busy = MANY
    deadline = time.monotonic() + SECONDS
    with pytest.raises(DifyrpcError):
        await blocking(at.target, lambda dify: dify.files.get(BUSY, timeout=SECONDS), retry=patient(wait_for_ready))
    check_deadlines(watched, deadline)


@pytest.mark.parametrize("wait_for_ready", [False, True])
async def test_every_asynchronous_try_carries_what_is_left_of_the_deadline(
    at: Scene, watched: Watched, wait_for_ready: bool
) -> None:
    watched.busy = MANY
    deadline = time.monotonic() + SECONDS
    async with connect_async(at.target, retry=patient(wait_for_ready), env={}) as dify:
        with pytest.raises(DifyrpcError):
            await dify.files.get(BUSY, timeout=SECONDS)
    check_deadlines(watched, deadline)


def check_deadlines(watched: Watched, deadline: float) -> None:
    assert len(watched.arrivals) > 3
    assert max(each.at + each.left_seconds for each in watched.arrivals) < deadline + SLACK_SECONDS


class Oversleeping:
    """A clock on which every wait lasts an hour longer than was asked for, as when the machine was suspended."""

    def __init__(self) -> None:
        self.time = 0.0
        self.clock = Clock(now=lambda: self.time, sleep=self.sleep, sleep_async=self.sleep_async)

    def sleep(self, seconds: float) -> None:
        self.time += seconds + 3600

    async def sleep_async(self, seconds: float) -> None:
        self.sleep(seconds)


async def test_no_try_begins_when_the_wait_for_it_outlasted_the_deadline(at: Scene, watched: Watched) -> None:
    watched.busy = MANY
    with pytest.raises(Unavailable) as caught:
        await blocking(at.target, lambda dify: dify.files.get(BUSY), clock=Oversleeping().clock)
    assert caught.value.attempts == 1
    assert len(watched.arrivals) == 1


async def test_no_asynchronous_try_begins_when_the_wait_for_it_outlasted_the_deadline(
    at: Scene, watched: Watched
) -> None:
    watched.busy = MANY
    async with connect_async(at.target, clock=Oversleeping().clock, env={}) as dify:
        with pytest.raises(Unavailable) as caught:
            await dify.files.get(BUSY)
    assert caught.value.attempts == 1
    assert len(watched.arrivals) == 1


async def test_what_waited_for_a_server_is_not_sent_when_it_comes_after_the_deadline(watched: Watched) -> None:
    address = free_address()
    retry = patient(True)
    with connect(address, retry=retry, env={}) as dify:
        async with connect_async(address, retry=retry, env={}) as both:
            with pytest.raises(DifyrpcError):
                await asyncio.to_thread(dify.files.get, "files/late", timeout=0.5)
            with pytest.raises(DifyrpcError):
                await both.files.get("files/late", timeout=0.5)
            async with scene(servicer=watched, env={"DIFYRPC_LISTEN": address}):
                await asyncio.to_thread(dify.files.get, "files/in-time", timeout=30)
                await both.files.get("files/in-time", timeout=30)
    assert [each.name for each in watched.arrivals] == ["files/in-time"] * 2


def patient(wait_for_ready: bool) -> Retry:
    return Retry(attempts=MANY, wait_min=0.05, wait_max=0.1, wait_for_ready=wait_for_ready)


def free_address() -> str:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return f"127.0.0.1:{taken.getsockname()[1]}"
