"""Limits of tenants, a busy server, and callers who do not read or send, over a real port."""

from __future__ import annotations

import asyncio
import base64
import itertools
import time
from collections import Counter
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import grpc
import pytest
from google.rpc import error_details_pb2, status_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc
from prometheus_client import generate_latest
from raw_http2 import RawPeer, data, framed, grants, raw_peer
from scripted import Scene, Scripted, scene
from serving import running
from statuses import details, info, reason, retry_seconds

from difyrpc.documents.v1 import documents_pb2, documents_pb2_grpc
from difyrpc.files.v1 import files_pb2, files_pb2_grpc
from difyrpc_services.runtime.access import Doorkeeper
from difyrpc_services.runtime.database import Database
from difyrpc_services.runtime.keys import Key
from difyrpc_services.runtime.limits import Limits

GET = files_pb2.GetFileRequest(name="files/a")
DOWNLOAD = files_pb2.DownloadFileRequest(name="files/a")
DOWNLOAD_PATH = "/difyrpc.files.v1.FileStorage/DownloadFile"
UPLOAD_PATH = "/difyrpc.files.v1.FileStorage/UploadFile"
HUGE = 1 << 24  # bytes of window, more than any answer here
WAIT_SECONDS = 60.0


class AnyTenant:
    """Takes the token for the tenant's name."""

    async def verify(self, token: str) -> Key:
        return Key(
            id="k1",
            tenant=token,
            name="",
            scopes=("*:admin",),
            secret_sha256=b"",
            created_at=datetime(2026, 1, 1, tzinfo=UTC),
        )


def by_tenant() -> Doorkeeper:
    return Doorkeeper(verifier=AnyTenant())


def get(channel: grpc.aio.Channel, tenant: str = "", **options: Any) -> Any:
    metadata = (("authorization", f"Bearer {tenant}"),) if tenant else ()
    return files_pb2_grpc.FileStorageStub(channel).GetFile(GET, metadata=metadata, **options)


async def failure(call: Any) -> grpc.aio.AioRpcError:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    return caught.value


def metrics(at: Scene) -> str:
    return generate_latest(at.registry).decode()


async def until(is_so: Any) -> None:
    """Lets the loop run until a condition holds."""
    async with asyncio.timeout(WAIT_SECONDS):
        while not is_so():
            await asyncio.sleep(0.01)


async def test_a_tenant_that_calls_too_fast_is_told_when_to_come_back_and_others_are_not():
    env = {"DIFYRPC_TENANT_CALLS_PER_SECOND": "0.01", "DIFYRPC_TENANT_BURST_CALLS": "2"}
    async with scene(env=env, doorkeeper=by_tenant()) as at, at.channel() as channel:
        for _ in range(2):
            await get(channel, "acme")
        error = await failure(get(channel, "acme"))
        assert (error.code(), reason(error)) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "RATE_LIMITED")
        assert info(error)["limit"] == "DIFYRPC_TENANT_CALLS_PER_SECOND"
        assert info(error)["limit_value"] == "0.01"
        assert 90 < retry_seconds(error) <= 100
        (violation,) = details(error, error_details_pb2.QuotaFailure).violations
        assert violation.subject == "tenants/acme"
        assert (await get(channel, "other")).file.name == "files/a"
        assert at.servicer.calls == 3
        shown = metrics(at)
    assert 'difyrpc_calls_refused_total{reason="RATE_LIMITED"} 1.0' in shown
    assert "acme" not in shown


async def test_labels_that_a_caller_may_choose_do_not_change_whose_rate_counts():
    env = {"DIFYRPC_TENANT_CALLS_PER_SECOND": "0.01"}
    async with scene(env=env, doorkeeper=by_tenant()) as at, at.channel() as channel:
        await get(channel, "acme")
        named = (("authorization", "Bearer acme"), ("x-difyrpc-tenant", "other"), ("x-difyrpc-app", "other"))
        files = files_pb2_grpc.FileStorageStub(channel)
        assert reason(await failure(files.GetFile(GET, metadata=named))) == "RATE_LIMITED"


async def test_a_file_of_limits_overrides_the_settings(tmp_path: Path):
    file = tmp_path / "limits"
    file.write_text("acme files calls_per_second=0.01 burst_calls=3\n")
    env = {"DIFYRPC_TENANT_LIMITS": str(file), "DIFYRPC_TENANT_CALLS_PER_SECOND": "0.01"}
    async with scene(env=env, doorkeeper=by_tenant()) as at, at.channel() as channel:
        for _ in range(3):
            await get(channel, "acme")
        assert info(await failure(get(channel, "acme")))["limit"] == "DIFYRPC_TENANT_LIMITS"
        await get(channel, "other")
        assert info(await failure(get(channel, "other")))["limit"] == "DIFYRPC_TENANT_CALLS_PER_SECOND"


async def test_a_leaky_bucket_lets_a_burst_begin_evenly():
    env = {
        "DIFYRPC_TENANT_CALLS_PER_SECOND": "10",
        "DIFYRPC_TENANT_BURST_CALLS": "4",
        "DIFYRPC_TENANT_ALGORITHM": "leaky_bucket",
    }
    begun: list[float] = []

    class Noting(Scripted):
        async def GetFile(self, request: Any, context: Any) -> files_pb2.GetFileResponse:
            begun.append(time.monotonic())
            return await super().GetFile(request, context)

    async with scene(env=env, servicer=Noting()) as at, at.channel() as channel:
        await asyncio.gather(*(get(channel) for _ in range(4)))
    assert begun[-1] - begun[0] > 0.25
    assert min(later - earlier for earlier, later in itertools.pairwise(begun)) > 0.03


async def test_a_tenant_with_all_its_places_taken_leaves_the_rest_to_others():
    env = {"DIFYRPC_TENANT_CONCURRENT_CALLS": "2"}
    async with scene(env=env, doorkeeper=by_tenant()) as at, at.channel() as channel:
        at.servicer.release.clear()
        calls = [asyncio.ensure_future(get(channel, "acme")) for _ in range(2)]
        await until(lambda: at.servicer.calls == 2)
        error = await failure(get(channel, "acme"))
        assert (error.code(), reason(error)) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "TOO_MANY_TENANT_CALLS")
        assert info(error)["limit"] == "DIFYRPC_TENANT_CONCURRENT_CALLS"
        assert retry_seconds(error) > 0
        calls.append(asyncio.ensure_future(get(channel, "other")))
        await until(lambda: at.servicer.calls == 3)
        at.servicer.release.set()
        await asyncio.gather(*calls)
        assert (await get(channel, "acme")).file.name == "files/a"
        assert at.limits.running == 0


async def test_a_call_of_one_service_to_another_in_the_process_is_counted_once(database: Database, tmp_path: Path):
    env = {
        "DIFYRPC_AUTH": "none",
        "DIFYRPC_TENANT_CONCURRENT_CALLS": "1",
        "DIFYRPC_TENANT_CALLS_PER_SECOND": "0.001",
        "DIFYRPC_TENANT_BURST_CALLS": "2",
    }
    async with (
        running(database, tmp_path, names=("documents", "files"), env=env) as server,
        server.channel() as channel,
    ):
        spec = files_pb2.FileSpec(display_name="a.txt", media_type="text/plain")
        parts = [
            files_pb2.UploadFileRequest(spec=spec),
            files_pb2.UploadFileRequest(chunk=files_pb2.Chunk(data=b"Section 1. The parties agree.")),
        ]
        stored = await files_pb2_grpc.FileStorageStub(channel).UploadFile(iter(parts))
        parse = documents_pb2_grpc.DocumentParserStub(channel).Parse
        parsed = await parse(documents_pb2.ParseRequest(file=stored.file.name))
        assert "parties agree" in parsed.text
        again = await failure(parse(documents_pb2.ParseRequest(file=stored.file.name)))
        assert reason(again) == "RATE_LIMITED"


class Busy(Scripted):
    """Keeps the event loop busy in each call, step by step."""

    steps, step_seconds = 4, 0.02

    async def GetFile(self, request: Any, context: Any) -> files_pb2.GetFileResponse:
        for _ in range(self.steps):
            end = time.thread_time() + self.step_seconds
            while time.thread_time() < end:
                pass
            await asyncio.sleep(0)
        return await super().GetFile(request, context)


async def test_a_server_whose_queue_stands_refuses_new_calls_ends_those_it_let_in_and_recovers_by_itself():
    env = {"DIFYRPC_SHED_WAIT_SECONDS": "0.1", "DIFYRPC_SHED_MEMORY_PERCENT": "0"}
    outcomes: Counter[str] = Counter()
    errors: list[grpc.aio.AioRpcError] = []
    async with (
        asyncio.timeout(WAIT_SECONDS),
        scene(env=env, servicer=Busy(), doorkeeper=by_tenant()) as at,
        at.channel() as channel,
    ):

        async def press() -> None:
            while outcomes["SERVER_OVERLOADED"] < 40:
                try:
                    await get(channel, "acme")
                    outcomes["OK"] += 1
                except grpc.aio.AioRpcError as error:
                    outcomes[reason(error)] += 1
                    errors.append(error)

        pressing = asyncio.gather(*(press() for _ in range(24)))
        while not pressing.done():
            answer = await health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(), timeout=30)
            assert answer.status == health_pb2.HealthCheckResponse.SERVING
        await pressing
        assert outcomes.keys() == {"OK", "SERVER_OVERLOADED"}
        assert outcomes["OK"] == at.servicer.calls
        assert {error.code() for error in errors} == {grpc.StatusCode.UNAVAILABLE}
        waits = {retry_seconds(error) for error in errors}
        assert 0.5 <= min(waits) < max(waits) <= 1.5
        refused = outcomes["SERVER_OVERLOADED"]
        assert f'difyrpc_calls_refused_total{{reason="SERVER_OVERLOADED"}} {refused:.1f}' in metrics(at)
        assert f'{{code="UNAVAILABLE",method="GetFile",service="files"}} {refused:.1f}' in metrics(at)
        await until(lambda: "difyrpc_calls_shed_share 0.0" in metrics(at))
        served = at.servicer.calls
        while at.servicer.calls == served:  # one call may still meet a delay that this machine's other work makes
            await asyncio.gather(get(channel, "acme"), return_exceptions=True)


async def test_a_busy_server_refuses_before_it_asks_who_calls_and_says_which_call_it_was():
    env = {"DIFYRPC_SHED_WAIT_SECONDS": "0.1", "DIFYRPC_SHED_MEMORY_PERCENT": "0"}
    metadata = (("x-request-id", "mine"),)
    refusals: list[grpc.aio.AioRpcError] = []
    async with (
        asyncio.timeout(WAIT_SECONDS),
        scene(env=env, servicer=Busy(), doorkeeper=by_tenant()) as at,
        at.channel() as channel,
    ):

        async def press() -> None:
            while not refusals:
                await asyncio.gather(get(channel, "acme"), return_exceptions=True)

        async def knock() -> None:
            while not refusals:
                error = await failure(files_pb2_grpc.FileStorageStub(channel).GetFile(GET, metadata=metadata))
                if reason(error) == "SERVER_OVERLOADED":
                    refusals.append(error)
                assert dict(error.trailing_metadata())["x-request-id"] == "mine"

        await asyncio.gather(knock(), *(press() for _ in range(24)))


async def test_probes_are_not_counted_or_logged_and_end_with_the_calls(caplog: pytest.LogCaptureFixture):
    caplog.set_level("DEBUG")
    env = {"DIFYRPC_SHED_WAIT_SECONDS": "0.25", "DIFYRPC_SHED_MEMORY_PERCENT": "0"}
    probes: list[bool] = []
    async with scene(env=env) as at, at.channel() as channel:
        queue = at.layers.queue
        is_probe = queue.is_probe
        queue.is_probe = lambda metadata: probes.append(is_probe(metadata)) or probes[-1]
        calls = 0
        async with asyncio.timeout(WAIT_SECONDS):
            while sum(probes) < 3:
                await get(channel)
                calls += 1
        await asyncio.sleep(1.0)
        seen = sum(probes)
        await asyncio.sleep(0.5)
        assert sum(probes) == seen
        assert at.servicer.calls == calls
        assert f'{{code="OK",method="GetFile",service="files"}} {calls:.1f}' in metrics(at)
    assert "x-difyrpc-probe" not in caplog.text
    assert caplog.text.count("files/GetFile") == calls


async def test_a_server_that_watches_its_queue_stops_without_waiting_for_its_own_probes():
    env = {"DIFYRPC_SHED_WAIT_SECONDS": "0.25", "DIFYRPC_GRACE_SECONDS": "600"}
    async with asyncio.timeout(WAIT_SECONDS), scene(env=env) as at, at.channel() as channel:
        probes = 0
        while probes < 2:
            await get(channel)
            probes += at.layers.queue.is_under_way


async def test_a_probe_cannot_be_forged():
    env = {"DIFYRPC_SHED_WAIT_SECONDS": "0.25"}
    keys = ("x-difyrpc-probe", "x-difyrpc-colleague")
    metadata = (("authorization", "Bearer acme"), *((key, "0" * 32) for key in keys))
    limited = {"DIFYRPC_TENANT_CALLS_PER_SECOND": "0.01"}
    async with scene(env={**env, **limited}, doorkeeper=by_tenant()) as at, at.channel() as channel:
        files = files_pb2_grpc.FileStorageStub(channel)
        assert (await files.GetFile(GET, metadata=metadata)).file.name == "files/a"
        for _ in range(20):
            assert reason(await failure(files.GetFile(GET, metadata=metadata))) == "RATE_LIMITED"
            await asyncio.sleep(0.02)  # some of them meet a probe that is under way


class Torrent(Scripted):
    """Answers downloads with more than any reader's window."""

    def __init__(self, chunks: int = 100) -> None:
        super().__init__()
        self.chunks, self.sent, self.closed = chunks, 0, asyncio.Event()

    async def DownloadFile(self, request: Any, context: Any) -> AsyncIterator[files_pb2.DownloadFileResponse]:
        try:
            for _ in range(self.chunks):
                yield files_pb2.DownloadFileResponse(chunk=files_pb2.Chunk(data=bytes(100_000)))
                self.sent += 1
        finally:
            self.closed.set()


async def begin_download(peer: RawPeer) -> int:
    stream, opening = peer.opening(DOWNLOAD_PATH)
    await peer.send(opening, data(stream, framed(DOWNLOAD.SerializeToString()), end_stream=True))
    return stream


def reason_of(fields: dict[str, Any]) -> str:
    """The reason in the trailers of a raw answer."""
    packed = fields["grpc-status-details-bin"]
    status = status_pb2.Status.FromString(base64.b64decode(packed + "=" * (-len(packed) % 4)))
    found = error_details_pb2.ErrorInfo()
    assert status.details[0].Unpack(found)
    return found.reason


@pytest.mark.parametrize("window", [65_535, 0])
async def test_a_reader_that_stops_loses_its_place_and_is_told_so_when_it_reads_again(window: int):
    limits = Limits(stall_seconds=0.4)
    async with scene(limits=limits, servicer=Torrent()) as at, raw_peer(at.target, {4: window}) as peer:
        peer.is_polite = False
        stream = await begin_download(peer)
        async with asyncio.timeout(WAIT_SECONDS):
            await at.servicer.closed.wait()
        await until(lambda: limits.running == 0)
        assert at.servicer.sent < 3
        await peer.send(*grants(stream, HUGE))
        answer = await peer.answer(stream)
        assert answer.fields["grpc-status"] == "4"
        assert "was not read for 0.4 s" in unquote(answer.fields["grpc-message"])
        assert reason_of(answer.fields) == "READER_TOO_SLOW"
        assert 'difyrpc_calls_stalled_total{reason="READER_TOO_SLOW"} 1.0' in metrics(at)


async def test_a_reader_that_never_reads_again_does_not_keep_the_call(caplog: pytest.LogCaptureFixture):
    limits = Limits(stall_seconds=0.2)
    async with scene(limits=limits, servicer=Torrent()) as at, raw_peer(at.target) as peer:
        peer.is_polite = False
        await begin_download(peer)
        ended = 'difyrpc_calls_total{code="DEADLINE_EXCEEDED",method="DownloadFile",service="files"} 1.0'
        await until(lambda: ended in metrics(at))
        assert 'difyrpc_calls_in_flight{method="DownloadFile",service="files"} 0.0' in metrics(at)
    assert not [record for record in caplog.records if record.name == "grpc._cython.cygrpc"]


async def test_a_reader_that_goes_on_within_the_limit_gets_all():
    limits = Limits(stall_seconds=2.0)
    async with scene(limits=limits, servicer=Torrent(chunks=8)) as at, raw_peer(at.target) as peer:
        peer.is_polite = False
        stream = await begin_download(peer)
        for _ in range(16):
            await asyncio.sleep(0.2)
            await peer.send(*grants(stream, 65_535))
        answer = await peer.answer(stream)
        assert answer.fields["grpc-status"] == "0"
        assert len(answer.data) > 800_000


async def test_a_call_that_waits_for_its_own_work_is_no_slow_reader():
    limits = Limits(stall_seconds=0.1)
    async with scene(limits=limits) as at, at.channel() as channel:
        at.servicer.release.clear()
        call = files_pb2_grpc.FileStorageStub(channel).DownloadFile(DOWNLOAD)
        assert (await call.read()).file.name == "files/a"
        await asyncio.sleep(0.5)
        at.servicer.release.set()
        assert (await call.read()).chunk.data == b"bytes"
        assert await call.code() is grpc.StatusCode.OK


async def test_an_upload_whose_sender_pauses_ends_and_says_so():
    limits = Limits(stall_seconds=0.3)
    part = framed(files_pb2.UploadFileRequest(chunk=files_pb2.Chunk(data=b"abc")).SerializeToString())
    async with scene(limits=limits) as at, raw_peer(at.target) as peer:
        stream, opening = peer.opening(UPLOAD_PATH)
        await peer.send(opening, data(stream, part))
        answer = await peer.answer(stream)
        assert answer.fields["grpc-status"] == "4"
        assert reason_of(answer.fields) == "SENDER_TOO_SLOW"
        assert limits.running == 0
        assert at.servicer.calls == 0


async def test_an_upload_that_was_sent_may_take_its_time_afterwards():
    limits = Limits(stall_seconds=0.1)
    async with scene(limits=limits) as at, at.channel() as channel:
        at.servicer.release.clear()
        sent = [files_pb2.UploadFileRequest(chunk=files_pb2.Chunk(data=b"abc"))]
        call = asyncio.ensure_future(files_pb2_grpc.FileStorageStub(channel).UploadFile(iter(sent)))
        await at.servicer.entered.wait()
        await asyncio.sleep(0.5)
        at.servicer.release.set()
        assert (await call).file.size_bytes == 3


async def test_a_conversation_may_pause(database: Database, tmp_path: Path):
    env = {"DIFYRPC_AUTH": "none", "DIFYRPC_MAX_STALL_SECONDS": "0.2"}
    async with (
        running(database, tmp_path, names=("documents",), env=env) as server,
        server.channel() as channel,
    ):
        call = documents_pb2_grpc.DocumentParserStub(channel).ParseStream()
        await call.write(documents_pb2.ParseStreamRequest(spec=documents_pb2.ParseSpec(name="a.txt")))
        await asyncio.sleep(0.6)
        await call.write(documents_pb2.ParseStreamRequest(chunk=b"Section 1. The parties agree."))
        await call.done_writing()
        assert [answer async for answer in call]
        assert await call.code() is grpc.StatusCode.OK


async def test_work_that_is_cancelled_inside_is_answered_and_not_left_hanging():
    async with scene() as at, at.channel() as channel:
        at.servicer.error = asyncio.CancelledError()
        error = await failure(get(channel, timeout=WAIT_SECONDS))
        assert (error.code(), reason(error)) == (grpc.StatusCode.INTERNAL, "INTERNAL")
