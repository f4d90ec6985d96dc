"""Server streams that the caller's thread reads alone: nothing of one that is left early stays behind."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import closing

import grpc
import psutil
import pytest

from difyrpc.files.v1 import files_pb2, files_pb2_grpc
from difyrpc_client import DeadlineExceeded, Dify, NotFound, Retry, channel, connect
from difyrpc_client._download import DOWNLOAD

SECONDS = 30.0
ENDLESS, FAILING, MISSING, SILENT = "files/endless", "files/failing", "files/missing", "files/silent"


class Downloads(files_pb2_grpc.FileStorageServicer):
    """Streams three messages, and then as the file's name says."""

    def __init__(self) -> None:
        self.ended = threading.Semaphore(0)

    def DownloadFile(
        self, request: files_pb2.DownloadFileRequest, context: grpc.ServicerContext
    ) -> Iterator[files_pb2.DownloadFileResponse]:
        ended = threading.Event()
        context.add_callback(ended.set)
        context.add_callback(self.ended.release)
        if request.name == MISSING:
            context.abort(grpc.StatusCode.NOT_FOUND, "none")
        for number in range(3):
            yield files_pb2.DownloadFileResponse(chunk=files_pb2.Chunk(data=b"%d" % number))
        if request.name == FAILING:
            context.abort(grpc.StatusCode.NOT_FOUND, "gone")
        if request.name == SILENT:
            ended.wait(SECONDS)
        while request.name == ENDLESS and not ended.is_set():
            yield files_pb2.DownloadFileResponse(chunk=files_pb2.Chunk(data=b"more"))


@pytest.fixture
def downloads() -> Downloads:
    return Downloads()


@pytest.fixture
def target(serve: Callable[..., str], downloads: Downloads) -> str:
    return serve((files_pb2_grpc.add_FileStorageServicer_to_server, downloads))


@pytest.fixture
def dify(target: str) -> Iterator[Dify]:
    with connect(target, retry=Retry(attempts=1), env={}) as dify:
        yield dify


def stream(dify: Dify, name: str = "files/short", timeout: float = SECONDS) -> Iterator[bytes]:
    answers = dify._calls.stream(DOWNLOAD, lambda: [files_pb2.DownloadFileRequest(name=name)], timeout)
    with closing(answers):
        for answer in answers:
            yield answer.chunk.data


def test_a_whole_stream_is_read(dify: Dify):
    assert list(stream(dify)) == [b"0", b"1", b"2"]


def test_a_stream_takes_no_thread(dify: Dify):
    before = callers_threads()
    with closing(stream(dify, ENDLESS)) as reading:
        next(reading)
        assert callers_threads() == before


def callers_threads() -> set[threading.Thread]:
    return {thread for thread in threading.enumerate() if "ThreadPoolExecutor" not in thread.name}


def test_a_stream_that_is_left_early_ends_on_the_server(dify: Dify, downloads: Downloads):
    reading = stream(dify, ENDLESS)
    next(reading)
    reading.close()
    assert downloads.ended.acquire(timeout=SECONDS)


def test_a_stream_that_is_forgotten_ends_on_the_server(dify: Dify, downloads: Downloads):
    reading = stream(dify, ENDLESS)
    next(reading)
    del reading
    assert downloads.ended.acquire(timeout=SECONDS)


def test_an_error_after_some_messages_is_ours(dify: Dify):
    reading = stream(dify, FAILING)
    assert [next(reading), next(reading), next(reading)] == [b"0", b"1", b"2"]
    with pytest.raises(NotFound, match="gone"):
        next(reading)


def test_the_deadline_ends_a_silent_stream_on_both_sides(dify: Dify, downloads: Downloads):
    with pytest.raises(DeadlineExceeded):
        list(stream(dify, SILENT, timeout=0.3))
    assert downloads.ended.acquire(timeout=SECONDS)


def test_streams_that_are_left_early_keep_no_memory(dify: Dify, downloads: Downloads):
    leave_early(dify, downloads, 100)
    before = psutil.Process().memory_info().rss
    leave_early(dify, downloads, 600)
    assert psutil.Process().memory_info().rss - before < 4_000_000  # bytes; 12 million when grpc keeps what is left


def leave_early(dify: Dify, downloads: Downloads, times: int) -> None:
    for _ in range(times):
        reading = stream(dify, ENDLESS)
        next(reading)
        reading.close()
        assert downloads.ended.acquire(timeout=SECONDS)


def test_a_generated_stub_on_our_channel_keeps_the_usual_streams(dify: Dify, target: str):
    list(stream(dify))
    with channel(target, env={}) as ours:
        stub = files_pb2_grpc.FileStorageStub(ours)
        call = stub.DownloadFile(files_pb2.DownloadFileRequest(name=MISSING), timeout=SECONDS)
        assert call.code() is grpc.StatusCode.NOT_FOUND  # waits for it, which a stream of one thread cannot
