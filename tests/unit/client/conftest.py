"""Servers whose answers a test scripts, and time that nobody waits for."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
import pytest
from google.protobuf import any_pb2, duration_pb2
from google.rpc import error_details_pb2, status_pb2

from difyrpc_client import Clock
from difyrpc_client._pool import PROCESS_POOL
from difyrpc_client._route import PROCESS_ROUTES


class FakeTime:
    """A clock that moves only when somebody sleeps."""

    def __init__(self) -> None:
        self.time = 1000.0
        self.sleeps: list[float] = []
        self.clock = Clock(now=lambda: self.time, sleep=self.sleep, sleep_async=self.sleep_async)

    def sleep(self, seconds: float) -> None:
        self.sleeps.append(seconds)
        self.time += seconds

    async def sleep_async(self, seconds: float) -> None:
        self.sleep(seconds)


@pytest.fixture(autouse=True)
def _no_channels_of_other_tests() -> Iterator[None]:
    """A port may come again, and a kept channel to the server that was there first would wait before it reconnects."""
    yield
    PROCESS_POOL.forget()
    PROCESS_ROUTES.forget()


@pytest.fixture
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """Calls go straight to their server, whatever the environment says."""
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.fixture
def fake_time() -> FakeTime:
    return FakeTime()


def _details(
    code: grpc.StatusCode, message: str, *, reason: str = "", retry_after: float | None = None, **metadata: str
) -> bytes:
    status = status_pb2.Status(code=code.value[0], message=message)
    messages: list[Any] = []
    if reason:
        messages.append(error_details_pb2.ErrorInfo(reason=reason, domain="difyrpc", metadata=metadata))
    if retry_after is not None:
        delay = duration_pb2.Duration()
        delay.FromNanoseconds(int(retry_after * 1e9))
        messages.append(error_details_pb2.RetryInfo(retry_delay=delay))
    for message_ in messages:
        packed = any_pb2.Any()
        packed.Pack(message_)
        status.details.append(packed)
    return status.SerializeToString()


@pytest.fixture
def details() -> Callable[..., bytes]:
    """Makes the bytes of a google.rpc.Status."""
    return _details


@pytest.fixture
def refuse() -> Callable[..., None]:
    """Ends a call of a servicer with a status and its details."""

    def refuse(context: grpc.ServicerContext, code: grpc.StatusCode, message: str = "no", **options: Any) -> None:
        context.set_trailing_metadata((("grpc-status-details-bin", _details(code, message, **options)),))
        context.abort(code, message)

    return refuse


@pytest.fixture
def serve() -> Iterator[Callable[..., str]]:
    """Starts a server with `(add_X_to_server, servicer)` pairs; answers its address."""
    servers: list[grpc.Server] = []

    def serve(*pairs: tuple[Callable[..., None], object], credentials: grpc.ServerCredentials | None = None) -> str:
        server = grpc.server(ThreadPoolExecutor(8), options=[("grpc.so_reuseport", 0)])
        for add, servicer in pairs:
            add(servicer, server)
        if credentials is None:
            port = server.add_insecure_port("127.0.0.1:0")
        else:
            port = server.add_secure_port("127.0.0.1:0", credentials)
        server.start()
        servers.append(server)
        return f"localhost:{port}"

    yield serve
    for server in servers:
        server.stop(None).wait()
