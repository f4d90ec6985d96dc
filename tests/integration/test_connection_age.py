"""Connections that come of age: clients connect anew and find new servers, and no call notices."""

from __future__ import annotations

import asyncio
import gc
import ipaddress
import os
import struct
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Self

from scripted import Scripted, scene

from difyrpc.files.v1 import files_pb2
from difyrpc_client import Retry, connect, connect_async
from difyrpc_client._download import DOWNLOAD
from difyrpc_client._grpc import GrpcTransport
from difyrpc_client._grpc_async import AsyncGrpcTransport
from difyrpc_client._pool import Pool
from difyrpc_client._settings import Endpoint

AGED = {"DIFYRPC_MAX_CONNECTION_AGE_SECONDS": "1"}
ONCE = Retry(attempts=1)
PATIENCE_SECONDS = 60.0
WANTED = [files_pb2.DownloadFileRequest(name="files/a")]


class Held(Scripted):
    """Holds downloads until they are released, and knows the connections that other calls came by."""

    def __init__(self) -> None:
        super().__init__()
        self.peers: set[str] = set()
        self.come = asyncio.Condition()

    async def GetFile(self, request: Any, context: Any) -> files_pb2.GetFileResponse:
        async with self.come:
            self.peers.add(context.peer())
            self.come.notify_all()
        return files_pb2.GetFileResponse(file=files_pb2.File(name=request.name))

    async def until_peers(self, number: int) -> None:
        """Waits until calls have come by so many connections; TimeoutError after a minute."""
        async with asyncio.timeout(PATIENCE_SECONDS), self.come:
            await self.come.wait_for(lambda: len(self.peers) >= number)


def open_files() -> int:
    gc.collect()
    return len(os.listdir("/proc/self/fd"))


class Callers:
    """Clients of both kinds that call again and again, never twice for one call, until they are told to stop."""

    def __init__(self, target: str, *, each: int) -> None:
        self._target = target
        self._each = each
        self._over = asyncio.Event()
        self._lock = threading.Lock()
        self.calls = 0

    def _block(self) -> None:
        with connect(self._target, retry=ONCE, channels=1, breaker=False, env={}) as dify:
            while not self._over.is_set():
                dify.files.get("files/a")
                self._count()

    async def _loop(self) -> None:
        async with connect_async(self._target, retry=ONCE, channels=1, breaker=False, env={}) as dify:
            while not self._over.is_set():
                await dify.files.get("files/a")
                self._count()

    def _count(self) -> None:
        with self._lock:
            self.calls += 1

    async def __aenter__(self) -> Self:
        blocking = [asyncio.to_thread(self._block) for _ in range(self._each)]
        self._running = asyncio.gather(*blocking, *(self._loop() for _ in range(self._each)))
        return self

    async def __aexit__(self, *_: object) -> None:
        self._over.set()
        await self._running


async def test_no_call_fails_when_connections_come_of_age_under_load() -> None:
    held = Held()
    async with scene(env=AGED, servicer=held) as at, Callers(at.target, each=3) as callers:
        await held.until_peers(4)
        before = open_files()
        await held.until_peers(10)
        assert (
            open_files() <= before + 8
        )  # connections that come and go; a leak would be 12 of them, each with two ends
    assert callers.calls > 100


async def test_an_asynchronous_stream_outlives_its_connections_age_by_far() -> None:
    held = Held()
    async with scene(env=AGED, servicer=held) as at:
        transport = AsyncGrpcTransport(Endpoint(target=at.target))
        held.release.clear()
        chunks = transport.stream(DOWNLOAD, WANTED, 120, ())
        await anext(chunks)
        async with Callers(at.target, each=1):
            await held.until_peers(6)
        held.release.set()
        assert [answer.chunk.data async for answer in chunks] == [b"bytes"]
        await transport.close()


async def test_a_synchronous_stream_outlives_its_connections_age_by_far() -> None:
    held = Held()
    async with scene(env=AGED, servicer=held) as at:
        transport = GrpcTransport(Endpoint(target=at.target), Pool())
        held.release.clear()
        chunks = transport.stream(DOWNLOAD, WANTED, 120, ())
        await asyncio.to_thread(next, chunks)
        async with Callers(at.target, each=1):
            await held.until_peers(6)
        held.release.set()
        assert [answer.chunk.data for answer in await asyncio.to_thread(list, chunks)] == [b"bytes"]
        transport.close()


class Names(asyncio.DatagramProtocol):
    """A name server that answers every question for an IPv4 address with `addresses`, as a headless Service's does."""

    def __init__(self, *addresses: str) -> None:
        self.addresses = list(addresses)

    def connection_made(self, transport: Any) -> None:
        self._transport = transport

    def datagram_received(self, data: bytes, sender: Any) -> None:
        end = data.index(b"\0", 12) + 5  # of the question: its name, type and class
        asks_for_ipv4 = data[end - 4 : end - 2] == b"\0\1"
        found = self.addresses if asks_for_ipv4 else []
        records = [b"\xc0\x0c" + struct.pack("!HHIH", 1, 1, 0, 4) + ipaddress.ip_address(one).packed for one in found]
        head = data[:2] + struct.pack("!HHHHH", 0x8580, 1, len(records), 0, 0)
        self._transport.sendto(head + data[12:end] + b"".join(records), sender)


@asynccontextmanager
async def naming(*addresses: str) -> AsyncIterator[tuple[Names, int]]:
    """Serves names on a free port of loopback."""
    loop = asyncio.get_running_loop()
    transport, names = await loop.create_datagram_endpoint(lambda: Names(*addresses), local_addr=("127.0.0.1", 0))
    yield names, transport.get_extra_info("sockname")[1]
    transport.close()


async def test_a_server_that_is_added_behind_the_name_is_found() -> None:
    first, second = Held(), Held()
    async with (
        scene(env={**AGED, "DIFYRPC_LISTEN": "127.0.0.1:0"}, servicer=first) as one,
        naming("127.0.0.1") as (
            names,
            port,
        ),
    ):
        address = f"127.0.0.2:{one.server.port}"
        async with scene(env={**AGED, "DIFYRPC_LISTEN": address}, servicer=second):
            target = f"dns://127.0.0.1:{port}/files.example:{one.server.port}"
            async with Callers(target, each=1):
                await first.until_peers(2)
                assert second.peers == set()
                names.addresses.append("127.0.0.2")
                await second.until_peers(2)


async def test_a_connection_without_an_age_stays() -> None:
    held = Held()
    never = {"DIFYRPC_MAX_CONNECTION_AGE_SECONDS": "0"}
    async with (
        scene(env=never, servicer=held) as at,
        scene(env=AGED, servicer=(other := Held())) as clock,
        Callers(at.target, each=1),
        Callers(clock.target, each=1),
    ):
        await other.until_peers(6)  # two agings of another server's connections
    assert len(held.peers) == 2  # one of each client
