"""Certificates that are replaced on both sides while calls run."""

from __future__ import annotations

import asyncio
import gc
import os
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest
from issued import SOON, Issuer, Mount, server_env
from scripted import Scene, Scripted, scene
from serving import running

from difyrpc.files.v1 import files_pb2, files_pb2_grpc
from difyrpc_client import TLS, Retry, Unauthenticated, Unavailable, channel, channel_async, connect, connect_async
from difyrpc_client import _tls as client_tls
from difyrpc_client._download import DOWNLOAD
from difyrpc_client._grpc import GrpcTransport
from difyrpc_client._grpc_async import AsyncGrpcTransport
from difyrpc_client._methods import rpc
from difyrpc_client._pool import Pool
from difyrpc_client._settings import Endpoint
from difyrpc_client._x509 import Certificate, read_der
from difyrpc_services.runtime.database import Database

PATIENCE_SECONDS = 30.0
ONCE = Retry(attempts=1)


class Both:
    """A server's mount and a client's, and the authority that both trust at first."""

    def __init__(self, folder: Path) -> None:
        self.issuer = Issuer()
        self.server, self.client = Mount(folder / "server"), Mount(folder / "client")
        self.server.write(client_ca=self.issuer.pem, **self.issuer.pair())
        self.client.write(ca=self.issuer.pem, **self.issuer.pair(common_name="caller-7"))
        self.tls = TLS(ca=self.client["ca.pem"], certificate=self.client["cert.pem"], key=self.client["key.pem"])

    @asynccontextmanager
    async def serving(self, servicer: Scripted | None = None) -> AsyncIterator[Scene]:
        async with scene(env=server_env(self.server, mutual=True), servicer=servicer) as at:
            yield at

    def rotate_client(self) -> None:
        """Gives the client a new certificate."""
        self.client.write(ca=self.issuer.pem, **self.issuer.pair(common_name="caller-7"))


@pytest.fixture
def both(tmp_path: Path) -> Both:
    return Both(tmp_path)


@pytest.fixture
def _eager_clients(monkeypatch: pytest.MonkeyPatch) -> None:
    """Clients look at their files before each call."""
    monkeypatch.setattr(client_tls, "LOOK_SECONDS", 0.0)


def shown(target: str) -> Certificate | None:
    """The certificate that a server shows to a new connection."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    host, _, port = target.rpartition(":")
    with socket.create_connection((host, int(port)), 10) as plain, context.wrap_socket(plain) as secure:
        return read_der(secure.getpeercert(binary_form=True))


async def until(happened: Callable[[], Awaitable[bool]]) -> None:
    """Asks again and again; TimeoutError after half a minute."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while not await happened():
            await asyncio.sleep(0.02)


async def until_shown(target: str, last: str) -> None:
    async def is_shown() -> bool:
        seen = await asyncio.to_thread(shown, target)
        return seen is not None and f"{seen.last:%F}" == last

    await until(is_shown)


def get(target: str, tls: TLS) -> str:
    with connect(target, tls=tls, retry=ONCE, breaker=False, timeout=10, env={}) as dify:
        return dify.files.get("files/a").name


async def is_let_in(target: str, tls: TLS) -> bool:
    try:
        return await asyncio.to_thread(get, target, tls) == "files/a"
    except Unavailable:  # a TLSError, or at the moment of a change what the connection before it ended with
        return False


def stream(over: grpc.aio.Channel) -> grpc.aio.UnaryStreamCall:
    return files_pb2_grpc.FileStorageStub(over).DownloadFile(files_pb2.DownloadFileRequest(name="files/a"))


async def test_new_connections_get_the_new_certificate_and_running_calls_go_on(both: Both) -> None:
    async with both.serving() as at:
        plain = grpc.aio.secure_channel(at.target, both.tls.load().credentials())
        at.servicer.release.clear()
        running_call = stream(plain)
        await running_call.read()
        both.server.write(client_ca=both.issuer.pem, **both.issuer.pair(until=SOON))
        await until_shown(at.target, f"{SOON:%F}")
        at.servicer.release.set()
        assert (await running_call.read()).chunk.data == b"bytes"
        assert await running_call.code() is grpc.StatusCode.OK
        await plain.close()


async def test_a_pair_that_does_not_fit_leaves_the_server_as_it_was(
    both: Both, caplog: pytest.LogCaptureFixture
) -> None:
    async with both.serving() as at:
        before = await asyncio.to_thread(shown, at.target)
        both.server.write(
            client_ca=both.issuer.pem, **both.issuer.pair(until=SOON) | {"key": both.issuer.pair()["key"]}
        )

        async def is_counted() -> bool:
            return at.registry.get_sample_value("difyrpc_files_unusable", {"files": "certificates"}) == 1

        await until(is_counted)
        assert await asyncio.to_thread(shown, at.target) == before
        assert await is_let_in(at.target, both.tls)
        assert [record.levelname for record in caplog.records if "does not fit" in record.message] == ["ERROR"]
        both.server.write(client_ca=both.issuer.pem, **both.issuer.pair(until=SOON))
        await until_shown(at.target, f"{SOON:%F}")


async def test_the_authority_of_clients_may_be_replaced(both: Both) -> None:
    other = Issuer()
    theirs = other.pair(common_name="caller-8")
    stranger = TLS(ca=both.issuer.pem, certificate=theirs["cert"], key=theirs["key"])
    async with both.serving() as at:
        assert await is_let_in(at.target, both.tls)
        assert not await is_let_in(at.target, stranger)
        both.server.write(client_ca=other.pem, **both.issuer.pair())
        await until(lambda: is_let_in(at.target, stranger))
        text = both.tls.load()
        fresh = TLS(ca=text.ca, certificate=text.certificate + b"\n", key=text.key)  # no channel that is open already
        assert not await is_let_in(at.target, fresh)


async def test_the_tenants_of_certificates_may_be_replaced(both: Both, database: Database, tmp_path: Path) -> None:
    file = tmp_path / "tenants"
    file.write_text("caller-7 acme files:read\n")
    env = {**server_env(both.server, mutual=True), "DIFYRPC_CERTIFICATE_TENANTS": str(file)}
    async with (
        running(database, tmp_path, names=["files"], env=env) as server,
        connect_async(server.target, tls=both.tls, env={}) as dify,
    ):
        await anext(dify.files.list(), None)
        file.write_text("caller-8 acme files:read\n")

        async def is_refused() -> bool:
            try:
                await anext(dify.files.list(), None)
            except Unauthenticated as error:
                return error.reason == "CERTIFICATE_UNKNOWN"
            return False

        await until(is_refused)


@pytest.mark.usefixtures("_eager_clients")
async def test_certificates_and_authorities_are_rotated_on_both_sides_without_a_failed_call(both: Both) -> None:
    """As an operator does it: both authorities are trusted, certificates change, the old authority goes."""
    new = Issuer()
    trusted = both.issuer.pem + new.pem
    steps = [
        (both.issuer.pair(until=SOON), trusted, both.issuer.pair(common_name="caller-7"), trusted, f"{SOON:%F}"),
        (new.pair(), trusted, new.pair(common_name="caller-7"), trusted, "3000-01-01"),
        (new.pair(until=SOON), new.pem, new.pair(common_name="caller-7"), new.pem, f"{SOON:%F}"),
    ]
    async with both.serving() as at, connect_async(at.target, tls=both.tls, retry=ONCE, env={}) as dify:
        over = asyncio.Event()

        def call_again_and_again() -> int:
            with connect(at.target, tls=both.tls, retry=ONCE, env={}) as blocking:
                calls = 0
                while not over.is_set():
                    calls += blocking.files.get("files/a").name == "files/a"
                return calls

        caller = asyncio.create_task(asyncio.to_thread(call_again_and_again))
        for pair, client_ca, mine, ca, last in steps:
            both.client.write(ca=ca, **mine)
            both.server.write(client_ca=client_ca, **pair)
            await until_shown(at.target, last)
            for _ in range(50):
                assert (await dify.files.get("files/a")).name == "files/a"
        over.set()
        assert await caller > 0


@pytest.mark.parametrize("kind", ["sync", "async"])
async def test_a_failed_connection_has_the_clients_files_read_at_once(both: Both, kind: str) -> None:
    """Nobody trusted two authorities for a while: the first call after the change fails to connect, and is repeated."""
    new = Issuer()
    both.client.write(ca=both.issuer.pem, **both.issuer.pair(common_name="caller-7"))

    async def once(target: str) -> str:
        if kind == "sync":
            return await asyncio.to_thread(get_repeated, target, both.tls, change)
        async with connect_async(target, tls=both.tls, timeout=20, env={}) as dify:
            change()
            return (await dify.files.get("files/a")).name

    def change() -> None:
        both.client.write(ca=new.pem, **new.pair(common_name="caller-7"))

    both.server.write(client_ca=new.pem, **new.pair())
    async with both.serving() as at:
        assert await once(at.target) == "files/a"


def get_repeated(target: str, tls: TLS, before: Callable[[], None]) -> str:
    with connect(target, tls=tls, timeout=20, env={}) as dify:
        before()
        return dify.files.get("files/a").name


class Held(Scripted):
    """Holds downloads until they are released, and notes which connection each call came by."""

    def __init__(self) -> None:
        super().__init__()
        self.peers: list[str] = []

    async def GetFile(self, request: Any, context: Any) -> files_pb2.GetFileResponse:
        self.peers.append(context.peer())
        return files_pb2.GetFileResponse(file=files_pb2.File(name=request.name))

    async def DownloadFile(self, request: Any, context: Any) -> AsyncIterator[files_pb2.DownloadFileResponse]:
        self.peers.append(context.peer())
        async for answer in super().DownloadFile(request, context):
            yield answer


GET = rpc("FileStorage.GetFile", files_pb2.GetFileRequest, files_pb2.GetFileResponse)
REQUEST, WANTED = files_pb2.GetFileRequest(name="files/a"), [files_pb2.DownloadFileRequest(name="files/a")]


@pytest.mark.usefixtures("_eager_clients")
@pytest.mark.parametrize("rotations", [1, 3])
async def test_an_asynchronous_stream_ends_on_the_connection_that_it_began_on(both: Both, rotations: int) -> None:
    held = Held()
    async with both.serving(held) as at:
        transport = AsyncGrpcTransport(Endpoint(target=at.target, tls=both.tls.load(), channels=1))
        held.release.clear()
        chunks = transport.stream(DOWNLOAD, WANTED, 60, ())
        await anext(chunks)
        for _ in range(rotations):
            both.rotate_client()
            await transport.unary(GET, REQUEST, 20, ())
        gc.collect()
        held.release.set()
        assert [answer.chunk.data async for answer in chunks] == [b"bytes"]
        await transport.close()
    assert len(set(held.peers)) == rotations + 1


@pytest.mark.usefixtures("_eager_clients")
@pytest.mark.parametrize("rotations", [1, 3])
async def test_a_synchronous_stream_ends_on_the_connection_that_it_began_on(both: Both, rotations: int) -> None:
    held = Held()
    async with both.serving(held) as at:
        loop = asyncio.get_running_loop()
        held.release.clear()

        def work() -> list[bytes]:
            transport = GrpcTransport(Endpoint(target=at.target, tls=both.tls.load(), channels=1), Pool())
            chunks = transport.stream(DOWNLOAD, WANTED, 60, ())
            next(chunks)
            for _ in range(rotations):
                both.rotate_client()
                transport.unary(GET, REQUEST, 20, ())
            gc.collect()
            loop.call_soon_threadsafe(held.release.set)
            rest = [answer.chunk.data for answer in chunks]
            transport.close()
            return rest

        assert await asyncio.to_thread(work) == [b"bytes"]
    assert len(set(held.peers)) == rotations + 1


@pytest.mark.usefixtures("_eager_clients")
async def test_the_channels_of_generated_stubs_follow_the_files_too(both: Both) -> None:
    held = Held()
    async with both.serving(held) as at, channel_async(at.target, tls=both.tls, env={}) as looping:
        slow, quick = files_pb2_grpc.FileStorageStub(looping), files_pb2_grpc.FileStorageStub(looping)
        with channel(at.target, tls=both.tls, channels=1, env={}) as blocking:
            stub = files_pb2_grpc.FileStorageStub(blocking)
            held.release.clear()
            running_call = slow.DownloadFile(WANTED[0])
            await running_call.read()
            for _ in range(3):
                both.rotate_client()
                late = quick.GetFile(REQUEST)  # an interceptor begins it, after the next rotation
                both.rotate_client()
                assert (await quick.GetFile(REQUEST)).file.name == (await late).file.name == "files/a"
                await asyncio.to_thread(stub.GetFile, REQUEST, 20)
            held.release.set()
            assert (await running_call.read()).chunk.data == b"bytes"
            assert await running_call.code() is grpc.StatusCode.OK
    assert len(set(held.peers)) == 10


def open_files() -> int:
    gc.collect()
    return len(os.listdir("/proc/self/fd"))


@pytest.mark.usefixtures("_eager_clients")
@pytest.mark.parametrize("kind", ["sync", "async"])
async def test_a_hundred_rotations_leave_no_connection_behind(both: Both, kind: str) -> None:
    held = Held()
    async with both.serving(held) as at:
        endpoint = Endpoint(target=at.target, tls=both.tls.load(), channels=1)

        async def rotate(times: int) -> None:
            for _ in range(times):
                both.rotate_client()
                await call()

        pool = Pool()
        blocking, looping = GrpcTransport(endpoint, pool), AsyncGrpcTransport(endpoint)

        async def call() -> None:
            if kind == "sync":
                await asyncio.to_thread(blocking.unary, GET, REQUEST, 20, ())
            else:
                await looping.unary(GET, REQUEST, 20, ())

        await rotate(5)
        before = open_files()
        await rotate(100)

        async def are_gone() -> bool:
            return open_files() <= before + 10  # a hundred that stayed would be two hundred ends

        await until(are_gone)
        assert len(set(held.peers)) == 105
        assert pool.size() == (kind == "sync")
        blocking.close()
        await looping.close()
