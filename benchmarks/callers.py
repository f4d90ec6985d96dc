"""The ways to call that are compared: the bare stub, this client, FastAPI with requests and httpx."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc

from benchmarks.rounds import Side
from benchmarks.servers import TOKEN, Server
from difyrpc.files.v1 import files_pb2, files_pb2_grpc
from difyrpc_client import TLS, channel, connect, connect_async
from difyrpc_client._download import DOWNLOAD
from difyrpc_client._files import GET

CALL_SECONDS = 20.0  # deadline of each call, of the bare ones too
STREAM_SECONDS = 120.0
CALLERS = 64
Call = Callable[[], Any]


@dataclass(frozen=True, kw_only=True)
class Scene:
    """The servers, and where the certificates are."""

    grpc: Server
    http: Server
    folder: Path

    def tls(self, *, own: bool) -> TLS:
        """Answers how to reach the encrypted ports; `own`: with a certificate of the caller's."""
        pair = {"certificate": self.folder / "client.pem", "key": self.folder / "client.key"} if own else {}
        return TLS(ca=self.folder / "ca.pem", **pair)

    def credentials(self, *, own: bool) -> grpc.ChannelCredentials:
        """Answers the same for a plain channel."""
        return self.tls(own=own).load().credentials()

    def side(self, name: str, call: Call) -> Side:
        """Makes a side that calls again and again and takes the time of each call."""
        return Side(name=name, work=lambda times: each(call, times), server=self.grpc.process)


def each(call: Call, times: int) -> list[float]:
    """Calls so many times; answers the seconds of each."""
    clock, seconds = time.perf_counter, []
    for _ in range(times):
        began = clock()
        call()
        seconds.append(clock() - began)
    return seconds


async def each_async(call: Callable[[], Awaitable[Any]], times: int) -> list[float]:
    """Does the same in the event loop."""
    clock, seconds = time.perf_counter, []
    for _ in range(times):
        began = clock()
        await call()
        seconds.append(clock() - began)
    return seconds


def together(call: Call, times: int) -> Sequence[float]:
    """Calls so many times from 64 threads; only the whole counts."""
    shares = [threading.Thread(target=each, args=(call, times // CALLERS)) for _ in range(CALLERS)]
    for thread in shares:
        thread.start()
    for thread in shares:
        thread.join()
    return ()


def question(size: int) -> files_pb2.GetFileRequest:
    """Makes a request of so many bytes, which comes back."""
    return files_pb2.GetFileRequest(name="n" * size)


@contextmanager
def sync_sides(scene: Scene, size: int) -> Iterator[dict[str, Call]]:
    """Opens the ways to call from threads; the bare stub first."""
    text, request = "n" * size, question(size)
    with ExitStack() as stack:
        plain = stack.enter_context(grpc.insecure_channel(scene.grpc.target()))
        stub = files_pb2_grpc.FileStorageStub(plain)
        dify = stack.enter_context(connect(scene.grpc.target(), env={}))
        pooled = files_pb2_grpc.FileStorageStub(stack.enter_context(channel(scene.grpc.target(), env={})))
        yield {
            "bare stub": lambda: stub.GetFile(request, timeout=CALL_SECONDS),
            "client, message": lambda: dify._calls.unary(GET, request, CALL_SECONDS),
            "client, files.get": lambda: dify.files.get(text, timeout=CALL_SECONDS),
            "stub on channel()": lambda: pooled.GetFile(request, timeout=CALL_SECONDS),
        }


@contextmanager
def async_sides(scene: Scene, size: int) -> Iterator[list[Side]]:
    """Opens the same in an event loop."""
    text, request = "n" * size, question(size)
    with asyncio.Runner() as runner:
        plain = runner.run(_made(lambda: grpc.aio.insecure_channel(scene.grpc.target())))
        dify = runner.run(_made(lambda: connect_async(scene.grpc.target(), env={})))
        stub = files_pb2_grpc.FileStorageStub(plain)
        calls = {
            "bare stub": lambda: stub.GetFile(request, timeout=CALL_SECONDS),
            "client, message": lambda: dify._calls.unary(GET, request, CALL_SECONDS),
            "client, files.get": lambda: dify.files.get(text, timeout=CALL_SECONDS),
        }

        def work(call: Any) -> Callable[[int], Sequence[float]]:
            return lambda times: runner.run(each_async(call, times))

        yield [Side(name=name, work=work(call), server=scene.grpc.process) for name, call in calls.items()]
        runner.run(dify.close())
        runner.run(plain.close())


async def _made(make: Callable[[], Any]) -> Any:
    return make()  # channels belong to the loop that they are made in


@contextmanager
def http_sides(scene: Scene, size: int) -> Iterator[list[Side]]:
    """Opens the ways to call the same over HTTP and JSON, with connections that are kept."""
    import httpx
    import requests

    url, body = f"http://127.0.0.1:{scene.http.ports['plain']}/v1/files:get", {"name": "n" * size}
    with requests.Session() as session, httpx.Client(timeout=CALL_SECONDS) as client:
        calls: dict[str, Call] = {
            "requests + FastAPI": lambda: session.post(url, json=body, timeout=CALL_SECONDS).json()["display_name"],
            "httpx + FastAPI": lambda: client.post(url, json=body).json()["display_name"],
        }
        process = scene.http.process
        yield [Side(name=name, work=_each(call), server=process) for name, call in calls.items()]


def _each(call: Call) -> Callable[[int], Sequence[float]]:
    return lambda times: each(call, times)


@contextmanager
def stream_sides(scene: Scene) -> Iterator[list[Side]]:
    """Opens the ways to read a stream of small messages; the work is one message."""
    with ExitStack() as stack:
        stub = files_pb2_grpc.FileStorageStub(stack.enter_context(grpc.insecure_channel(scene.grpc.target())))
        dify = stack.enter_context(connect(scene.grpc.target(), env={}))

        def bare(request: files_pb2.DownloadFileRequest) -> Any:
            return stub.DownloadFile(request, timeout=STREAM_SECONDS)

        def messages(request: files_pb2.DownloadFileRequest) -> Any:
            return dify._calls.stream(DOWNLOAD, lambda: [request], STREAM_SECONDS)

        def pieces(request: files_pb2.DownloadFileRequest) -> Any:
            return dify.files.iter_bytes(request.name, limit=request.limit, timeout=STREAM_SECONDS)

        ways = {"bare stub": bare, "client, messages": messages, "client, files.iter_bytes": pieces}
        yield [Side(name=name, work=_reading(way), server=scene.grpc.process) for name, way in ways.items()]


def _reading(open_stream: Callable[[files_pb2.DownloadFileRequest], Any]) -> Callable[[int], Sequence[float]]:
    def work(times: int) -> Sequence[float]:
        request = files_pb2.DownloadFileRequest(name="files/measured", limit=times * len(TOKEN))
        read = sum(1 for _ in open_stream(request))
        assert read >= times, f"{read} of {times} messages"
        return ()

    return work


@contextmanager
def connection_sides(scene: Scene, size: int) -> Iterator[dict[str, Call]]:
    """Opens the ways to connect: pooled and encrypted, and a new channel for each call."""
    text = "n" * size
    with ExitStack() as stack, sync_sides(scene, size) as plain:
        tls = stack.enter_context(connect(scene.grpc.target("tls"), tls=scene.tls(own=False), env={}))
        mtls = stack.enter_context(connect(scene.grpc.target("mtls"), tls=scene.tls(own=True), env={}))
        public, own = scene.credentials(own=False), scene.credentials(own=True)
        yield {
            "bare stub": plain["bare stub"],
            "client": plain["client, files.get"],
            "client, TLS": lambda: tls.files.get(text, timeout=CALL_SECONDS),
            "client, mTLS": lambda: mtls.files.get(text, timeout=CALL_SECONDS),
            "new channel a call": lambda: alone(grpc.insecure_channel(scene.grpc.target()), size),
            "new channel a call, TLS": lambda: alone(grpc.secure_channel(scene.grpc.target("tls"), public), size),
            "new channel a call, mTLS": lambda: alone(grpc.secure_channel(scene.grpc.target("mtls"), own), size),
        }


def alone(opened: grpc.Channel, size: int) -> None:
    """Calls once over a channel of its own, as code does that has no pool."""
    with opened:
        files_pb2_grpc.FileStorageStub(opened).GetFile(question(size), timeout=CALL_SECONDS)
