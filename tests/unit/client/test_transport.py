"""Calls over real connections: errors, repetition, TLS, threads, streams that are left early."""

from __future__ import annotations

import asyncio
import sys
import threading
import traceback
import types
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import unquote

import grpc
import pytest
import trustme

from difyrpc.files.v1 import files_pb2 as pb
from difyrpc.files.v1 import files_pb2_grpc
from difyrpc_client import (
    TLS,
    Cancelled,
    ConfigurationError,
    DeadlineExceeded,
    NotFound,
    Retry,
    Unauthenticated,
    Unavailable,
    Unimplemented,
    channel,
    channel_async,
    connect,
    connect_async,
)
from difyrpc_client._pool import prepare_gevent

ADD = files_pb2_grpc.add_FileStorageServicer_to_server


class Files(files_pb2_grpc.FileStorageServicer):
    """Ends the first calls as told, then answers; notes what came."""

    def __init__(self, refuse, *failures) -> None:
        self.refuse = refuse
        self.failures = list(failures)
        self.metadata: list[dict[str, str]] = []
        self.peers: set[str] = set()
        self.left: list[float] = []
        self.waiting = threading.Event()
        self.cancelled = threading.Event()
        self.release = threading.Event()

    def GetFile(self, request, context):
        self.metadata.append(dict(context.invocation_metadata()))
        self.peers.add(context.peer())
        self.left.append(context.time_remaining())
        if self.failures:
            code, options = self.failures.pop(0)
            self.refuse(context, code, **options)
        if request.name == "files/slow":
            context.add_callback(self.cancelled.set)
            self.waiting.set()
            self.release.wait(20)
        return pb.GetFileResponse(file=pb.File(name=request.name))

    def DownloadFile(self, request, context):
        context.add_callback(self.cancelled.set)
        yield pb.DownloadFileResponse(file=pb.File(name=request.name, size_bytes=10, generation=1))
        yield pb.DownloadFileResponse(chunk=pb.Chunk(data=b"x"))
        self.release.wait(20)


@pytest.fixture
def files(refuse):
    made: list[Files] = []

    def make(*failures) -> Files:
        made.append(Files(refuse, *failures))
        return made[-1]

    yield make
    for one in made:
        one.release.set()


AWAY = (grpc.StatusCode.UNAVAILABLE, {})


def test_a_passing_failure_is_not_seen(serve, files, fake_time) -> None:
    server = files(AWAY, (grpc.StatusCode.CANCELLED, {}), (grpc.StatusCode.RESOURCE_EXHAUSTED, {"retry_after": 3.0}))
    with connect(serve((ADD, server)), clock=fake_time.clock, token="t", app="crm") as dify:
        assert dify.files.get("files/1").name == "files/1"
    assert len(server.metadata) == 4
    assert len({one["x-request-id"] for one in server.metadata}) == 1
    assert server.metadata[0]["authorization"] == "Bearer t"
    assert server.metadata[0]["x-difyrpc-app"] == "crm"
    assert 3 <= fake_time.sleeps[2] <= 3.3


async def test_a_passing_failure_is_not_seen_by_the_asynchronous_client(serve, files, fake_time) -> None:
    server = files(AWAY, (grpc.StatusCode.CANCELLED, {}))
    async with connect_async(serve((ADD, server)), clock=fake_time.clock) as dify:
        assert (await dify.files.get("files/1")).name == "files/1"
    assert len(server.metadata) == 3


def test_an_error_is_typed(serve, files) -> None:
    server = files((grpc.StatusCode.NOT_FOUND, {"reason": "FILE_NOT_FOUND", "name": "files/none"}))
    with connect(serve((ADD, server))) as dify, pytest.raises(NotFound) as caught:
        dify.files.get("files/none")
    error = caught.value
    assert (error.reason, error.metadata) == ("FILE_NOT_FOUND", {"name": "files/none"})
    assert error.request_id == server.metadata[0]["x-request-id"]


@pytest.mark.parametrize("attempts", [1, 3])
def test_an_error_that_nobody_catches_prints_the_way_to_the_call_and_no_more(serve, files, fake_time, attempts) -> None:
    retry = Retry(attempts=attempts)
    with connect(serve((ADD, files(*[AWAY] * 6))), clock=fake_time.clock, retry=retry) as dify:
        for call in (lambda: dify.files.get("files/1"), lambda: dify.files.upload(b"x", name="x")):
            with pytest.raises((Unavailable, Unimplemented)) as caught:
                call()
            printed = "".join(traceback.format_exception(caught.value)).splitlines()
            assert len(printed) < 25
            assert not [line for line in printed if "tenacity" in line or "site-packages/grpc" in line]


async def test_an_error_of_the_asynchronous_client_is_as_short(serve, files, fake_time) -> None:
    async with connect_async(serve((ADD, files(*[AWAY] * 6))), clock=fake_time.clock) as dify:
        with pytest.raises(Unavailable) as caught:
            await dify.files.get("files/1")
    printed = "".join(traceback.format_exception(caught.value)).splitlines()
    assert len(printed) < 25
    assert not [line for line in printed if "tenacity" in line or "site-packages/grpc" in line]


async def test_a_deadline_says_of_what_and_how_long(serve, files) -> None:
    target = serve((ADD, files()))
    with connect(target) as dify:
        with pytest.raises(DeadlineExceeded, match=r"files.GetFile did not end within its timeout of 0\.2 s"):
            dify.files.get("files/slow", timeout=0.2)
        with pytest.raises(DeadlineExceeded, match=r"files.DownloadFile did not end within its timeout of 0\.[12]"):
            dify.files.read("files/1", timeout=0.2)
    async with connect_async(target) as twin:
        with pytest.raises(DeadlineExceeded, match=r"files.GetFile did not end within its timeout of 0\.2 s"):
            await twin.files.get("files/slow", timeout=0.2)


async def test_a_server_that_is_not_there_is_named(fake_time) -> None:
    with connect("localhost:1", clock=fake_time.clock) as dify, pytest.raises(Unavailable, match=r"^localhost:1: "):
        dify.files.get("files/1")
    async with connect_async("localhost:1", clock=fake_time.clock) as twin:
        with pytest.raises(Unavailable, match=r"^localhost:1: "):
            await twin.files.get("files/1")


def test_labels_of_any_script_arrive(serve, files) -> None:
    server = files()
    with connect(serve((ADD, server)), app="合同助手", user="100% 张三") as dify:
        dify.files.get("files/1")
        dify.with_options(user="plain text, as it is").files.get("files/1")
    first, second = server.metadata
    assert (unquote(first["x-difyrpc-app"]), unquote(first["x-difyrpc-user"])) == ("合同助手", "100% 张三")
    assert second["x-difyrpc-user"] == "plain text, as it is"


def test_giving_up_names_the_last_error_and_the_tries(serve, files, fake_time) -> None:
    server = files(*[(grpc.StatusCode.UNAVAILABLE, {"retry_after": 2.0})] * 3)
    dify = connect(serve((ADD, server)), clock=fake_time.clock, retry=Retry(attempts=3))
    with dify, pytest.raises(Unavailable) as caught:
        dify.files.get("files/1")
    assert (caught.value.retry_after, caught.value.attempts) == (2.0, 3)


def test_a_server_that_is_not_there_is_unavailable(fake_time) -> None:
    with connect("localhost:1", clock=fake_time.clock) as dify, pytest.raises(Unavailable):
        dify.files.get("files/1")
    assert len(fake_time.sleeps) == 4


def test_the_timeout_reaches_the_server_and_ends_the_call(serve, files) -> None:
    server = files()
    with connect(serve((ADD, server)), timeout=9) as dify:
        dify.files.get("files/1")
        dify.files.get("files/1", timeout=5)
        with pytest.raises(DeadlineExceeded):
            dify.files.get("files/slow", timeout=0.2)
    assert server.left[0] == pytest.approx(9, abs=1)
    assert server.left[1] == pytest.approx(5, abs=1)


def test_what_a_server_does_not_offer_is_unimplemented(serve, files) -> None:
    with connect(serve((ADD, files()))) as dify, pytest.raises(Unimplemented):
        dify.documents.list_formats()


def test_leaving_a_download_early_cancels_it(serve, files) -> None:
    server = files()
    with connect(serve((ADD, server))) as dify:
        stream = dify.files.iter_bytes("files/1")
        assert next(stream) == b"x"
        stream.close()
        assert server.cancelled.wait(10)


async def test_leaving_an_asynchronous_download_early_cancels_it(serve, files) -> None:
    server = files()
    async with connect_async(serve((ADD, server))) as dify:
        stream = dify.files.iter_bytes("files/1")
        assert await anext(stream) == b"x"
        await stream.aclose()
        assert await asyncio.to_thread(server.cancelled.wait, 10)


async def test_a_task_that_is_cancelled_sees_its_own_cancellation(serve, files, fake_time) -> None:
    server = files()
    async with connect_async(serve((ADD, server)), clock=fake_time.clock) as dify:
        task = asyncio.create_task(dify.files.get("files/slow"))
        assert await asyncio.to_thread(server.waiting.wait, 10)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert await asyncio.to_thread(server.cancelled.wait, 10)
    assert len(server.metadata) == 1


def test_a_servers_cancellation_is_typed(serve, files) -> None:
    server = files((grpc.StatusCode.CANCELLED, {}))
    with connect(serve((ADD, server)), retry=Retry(attempts=1)) as dify, pytest.raises(Cancelled):
        dify.files.get("files/1")


def test_threads_share_a_client_and_its_connections(serve, files) -> None:
    server = files()
    with connect(serve((ADD, server)), channels=2) as dify, ThreadPoolExecutor(16) as threads:
        names = list(threads.map(lambda number: dify.files.get(f"files/{number}").name, range(200)))
    assert names == [f"files/{number}" for number in range(200)]
    assert len(server.peers) == 2


def test_with_options_changes_only_what_is_given(serve, files) -> None:
    server = files()
    with connect(serve((ADD, server)), app="crm", token="t", timeout=9) as dify:
        other = dify.with_options(request_id="r-1", user="u", timeout=5)
        other.files.get("files/1")
        other.close()
        dify.files.get("files/1")
    first, second = server.metadata
    assert (first["x-request-id"], first["x-difyrpc-app"], first["x-difyrpc-user"]) == ("r-1", "crm", "u")
    assert first["authorization"] == "Bearer t"
    assert "x-difyrpc-user" not in second
    assert server.left[0] < 6 < server.left[1]


def test_a_closed_client_says_so(serve, files) -> None:
    dify = connect(serve((ADD, files())))
    dify.files.get("files/1")
    dify.close()
    dify.close()
    with pytest.raises(ValueError, match="closed"):
        dify.files.get("files/1")


async def test_a_closed_asynchronous_client_says_so(serve, files) -> None:
    dify = connect_async(serve((ADD, files())))
    await dify.files.get("files/1")
    await dify.close()
    await dify.close()
    with pytest.raises(ValueError, match="closed"):
        await dify.files.get("files/1")


def test_one_asynchronous_client_works_in_one_loop_after_another(serve, files) -> None:
    target = serve((ADD, files()))

    async def get() -> str:
        async with connect_async(target) as dify:
            return (await dify.files.get("files/1")).name

    assert [asyncio.run(get()), asyncio.run(get())] == ["files/1", "files/1"]


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def secure(serve, files, authority):
    """A server with a certificate for localhost that asks its clients for theirs."""
    issued = authority.issue_cert("localhost")
    pair = issued.private_key_pem.bytes(), b"".join(one.bytes() for one in issued.cert_chain_pems)
    credentials = grpc.ssl_server_credentials([pair], authority.cert_pem.bytes(), require_client_auth=True)
    return serve((ADD, files()), credentials=credentials)


def test_mutual_tls_from_text_and_from_files(secure, authority, tmp_path) -> None:
    mine = authority.issue_cert("client@example.org")
    certificate, key = mine.cert_chain_pems[0].bytes(), mine.private_key_pem.bytes()
    (tmp_path / "ca.pem").write_bytes(authority.cert_pem.bytes())
    (tmp_path / "key.pem").write_bytes(key)
    text = TLS(ca=authority.cert_pem.bytes(), certificate=certificate.decode(), key=key)
    paths = TLS(ca=tmp_path / "ca.pem", certificate=certificate, key=str(tmp_path / "key.pem"))
    for tls in (text, paths):
        with connect(secure, tls=tls) as dify:
            assert dify.files.get("files/1").name == "files/1"


async def test_the_asynchronous_client_speaks_mutual_tls(secure, authority) -> None:
    mine = authority.issue_cert("client@example.org")
    certificate, key = mine.cert_chain_pems[0].bytes(), mine.private_key_pem.bytes()
    async with connect_async(secure, tls=TLS(ca=authority.cert_pem.bytes(), certificate=certificate, key=key)) as dify:
        assert (await dify.files.get("files/1")).name == "files/1"


def test_a_server_of_another_authority_is_not_trusted(secure, authority, fake_time) -> None:
    tls = TLS(ca=trustme.CA().cert_pem.bytes())
    with connect(secure, tls=tls, clock=fake_time.clock) as dify, pytest.raises(Unavailable):
        dify.files.get("files/1")


def test_the_servers_name_can_be_another_than_the_hosts(serve, files, authority) -> None:
    issued = authority.issue_cert("files.internal")
    pair = issued.private_key_pem.bytes(), issued.cert_chain_pems[0].bytes()
    target = serve((ADD, files()), credentials=grpc.ssl_server_credentials([pair]))
    with connect(target, tls=TLS(ca=authority.cert_pem.bytes(), server_name="files.internal")) as dify:
        assert dify.files.get("files/1").name == "files/1"


def test_generated_stubs_work_over_the_pool(serve, files, fake_time) -> None:
    server = files(AWAY)
    stub = files_pb2_grpc.FileStorageStub(channel(serve((ADD, server)), token="t", clock=fake_time.clock))
    answer = stub.GetFile(pb.GetFileRequest(name="files/1"), timeout=10, metadata=[("x-request-id", "mine")])
    assert answer.file.name == "files/1"
    assert len(server.metadata) == 2
    assert (server.metadata[1]["authorization"], server.metadata[1]["x-request-id"]) == ("Bearer t", "mine")
    answer, call = stub.GetFile.with_call(pb.GetFileRequest(name="files/2"))
    assert (answer.file.name, call.code()) == ("files/2", grpc.StatusCode.OK)
    assert stub.GetFile.future(pb.GetFileRequest(name="files/3")).result().file.name == "files/3"
    stream = stub.DownloadFile(pb.DownloadFileRequest(name="files/4"))
    assert next(stream).file.name == "files/4"
    stream.cancel()


def test_stubs_see_the_errors_of_grpc(serve, files) -> None:
    server = files((grpc.StatusCode.UNAUTHENTICATED, {}))
    stub = files_pb2_grpc.FileStorageStub(channel(serve((ADD, server))))
    with pytest.raises(grpc.RpcError) as caught:
        stub.GetFile(pb.GetFileRequest())
    assert caught.value.code() is grpc.StatusCode.UNAUTHENTICATED


def test_stubs_do_not_repeat_what_the_contract_forbids_without_a_request_id(serve, refuse, fake_time) -> None:
    class Updates(files_pb2_grpc.FileStorageServicer):
        count = 0

        def UpdateFile(self, request, context):
            self.count += 1
            refuse(context, grpc.StatusCode.UNAVAILABLE)

    server = Updates()
    stub = files_pb2_grpc.FileStorageStub(channel(serve((ADD, server)), clock=fake_time.clock))
    with pytest.raises(grpc.RpcError):
        stub.UpdateFile(pb.UpdateFileRequest())
    assert server.count == 1
    with pytest.raises(grpc.RpcError):
        stub.UpdateFile(pb.UpdateFileRequest(request_id="r"))
    assert server.count == 6


async def test_asynchronous_stubs_carry_the_token(serve, files) -> None:
    server = files()
    async with channel_async(serve((ADD, server)), token="t", timeout=7) as plain:
        stub = files_pb2_grpc.FileStorageStub(plain)
        assert (await stub.GetFile(pb.GetFileRequest(name="files/1"))).file.name == "files/1"
        stream = stub.DownloadFile(pb.DownloadFileRequest(name="files/2"))
        assert (await stream.read()).file.name == "files/2"
        stream.cancel()
    assert server.metadata[0]["authorization"] == "Bearer t"
    assert server.left[0] < 8


def test_a_channel_is_of_one_address() -> None:
    with pytest.raises(ConfigurationError, match="service="):
        channel("dns:///{service}:1")
    channel("dns:///{service}:1", service="files").close()


def test_the_asynchronous_client_refuses_a_process_that_gevent_has_patched(monkeypatch) -> None:
    patched = types.SimpleNamespace(is_module_patched=lambda name: name == "socket")
    monkeypatch.setitem(sys.modules, "gevent.monkey", patched)
    for make in (connect_async, channel_async):
        with pytest.raises(ConfigurationError, match="gevent"):
            make("localhost:1")


def test_gevent_is_prepared_once_and_only_where_it_has_patched(monkeypatch) -> None:
    import difyrpc_client._pool as pool

    calls: list[str] = []
    experimental = types.SimpleNamespace(init_gevent=lambda: calls.append("init"))
    monkeypatch.setitem(sys.modules, "grpc.experimental.gevent", experimental)
    monkeypatch.setattr(grpc.experimental, "gevent", experimental, raising=False)
    monkeypatch.setattr(pool, "_gevent_ready", False)
    monkeypatch.delitem(sys.modules, "gevent.monkey", raising=False)
    prepare_gevent()
    assert calls == []
    monkeypatch.setitem(sys.modules, "gevent.monkey", types.SimpleNamespace(is_module_patched=lambda name: True))
    prepare_gevent()
    prepare_gevent()
    assert calls == ["init"]


def test_an_error_without_details_keeps_its_class(serve, files) -> None:
    server = files((grpc.StatusCode.UNAUTHENTICATED, {}))
    with connect(serve((ADD, server))) as dify, pytest.raises(Unauthenticated) as caught:
        dify.files.get("files/1")
    assert (caught.value.reason, caught.value.retry_after) == ("", None)
