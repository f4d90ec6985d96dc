"""The layers around every call, over a real port."""

from __future__ import annotations

import asyncio
import logging
from datetime import UTC, datetime
from pathlib import Path

import grpc
import pytest
import trustme
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2
from prometheus_client import generate_latest
from scripted import Scene, scene
from statuses import fields, info, reason, retry_seconds

from difyrpc.files.v1 import files_pb2, files_pb2_grpc
from difyrpc.tasks.v1beta1 import tasks_pb2_grpc
from difyrpc.vectors.v1 import vectors_pb2, vectors_pb2_grpc
from difyrpc_services.runtime.access import Doorkeeper, Identity
from difyrpc_services.runtime.errors import InvalidArgument, NotFound, Unauthenticated, Unavailable
from difyrpc_services.runtime.interceptors import Limits
from difyrpc_services.runtime.keys import Key
from difyrpc_services.runtime.server import ProbePort, ServerSettings
from difyrpc_services.runtime.settings import SettingsError

GET = files_pb2.GetFileRequest(name="files/a")
RAW = "/difyrpc.files.v1.FileStorage/GetFile"


def stub(channel: grpc.aio.Channel) -> files_pb2_grpc.FileStorageAsyncStub:
    return files_pb2_grpc.FileStorageStub(channel)


async def failure(call: object) -> grpc.aio.AioRpcError:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call  # type: ignore[misc]
    return caught.value


async def test_an_answer_comes_back_in_each_shape_of_rpc():
    async with scene() as at, at.channel() as channel:
        files = stub(channel)
        assert (await files.GetFile(GET)).file.name == "files/a"
        parts = [part async for part in files.DownloadFile(files_pb2.DownloadFileRequest(name="files/a"))]
        assert [part.WhichOneof("part") for part in parts] == ["file", "chunk"]
        sent = [files_pb2.UploadFileRequest(chunk=files_pb2.Chunk(data=b"abc"))] * 3
        assert (await files.UploadFile(iter(sent))).file.size_bytes == 9


async def test_a_service_error_becomes_its_status_with_details():
    async with scene() as at, at.channel() as channel:
        at.servicer.error = NotFound("FILE_NOT_FOUND", "there is no file {name}", name="files/{x}")
        error = await failure(stub(channel).GetFile(GET))
        assert error.code() is grpc.StatusCode.NOT_FOUND
        assert error.details() == "there is no file files/{x}"
        assert (reason(error), info(error)) == ("FILE_NOT_FOUND", {"name": "files/{x}"})


async def test_an_error_after_the_first_message_of_a_stream_keeps_its_status():
    async with scene() as at, at.channel() as channel:
        at.servicer.error = Unavailable("STORE_AWAY", "the store is away", retry_after=1.5)
        stream = stub(channel).DownloadFile(files_pb2.DownloadFileRequest(name="files/a"))
        assert (await stream.read()).file.name == "files/a"
        error = await failure(stream.read())
        assert (error.code(), reason(error), retry_seconds(error)) == (grpc.StatusCode.UNAVAILABLE, "STORE_AWAY", 1.5)


async def test_a_wrong_field_is_named():
    async with scene() as at, at.channel() as channel:
        at.servicer.error = InvalidArgument("NO_NAME", "the name is empty", field="name")
        error = await failure(stub(channel).GetFile(GET))
        assert (error.code(), fields(error)) == (grpc.StatusCode.INVALID_ARGUMENT, ["name"])


async def test_the_unexpected_is_internal_logged_once_and_tells_nothing(caplog: pytest.LogCaptureFixture):
    async with scene() as at, at.channel() as channel:
        at.servicer.error = ZeroDivisionError("a secret of the inside")
        error = await failure(stub(channel).GetFile(GET, metadata=(("x-request-id", "req-7"),)))
        assert (error.code(), reason(error)) == (grpc.StatusCode.INTERNAL, "INTERNAL")
        assert "secret" not in str(error.details())
        assert info(error) == {"request_id": "req-7"}
    broke = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert len(broke) == 1
    assert "req-7" in broke[0].getMessage()


async def test_bytes_that_are_no_message_are_an_invalid_argument_and_the_server_goes_on():
    async with scene() as at, at.channel() as channel:
        error = await failure(channel.unary_unary(RAW)(b"\xff\xff\xff\xff"))
        assert (error.code(), reason(error)) == (grpc.StatusCode.INVALID_ARGUMENT, "MALFORMED_REQUEST")
        stream = channel.stream_unary("/difyrpc.files.v1.FileStorage/UploadFile")(iter([b"\xff\xff"]))
        error = await failure(stream)
        assert (error.code(), reason(error)) == (grpc.StatusCode.INVALID_ARGUMENT, "MALFORMED_REQUEST")
        assert at.health.is_serving()
        assert (await stub(channel).GetFile(GET)).file.name == "files/a"


async def test_a_message_over_the_limit_names_the_limit():
    async with scene(limits=Limits(message_bytes=1000)) as at, at.channel() as channel:
        error = await failure(stub(channel).GetFile(files_pb2.GetFileRequest(name="x" * 2000)))
        assert (error.code(), reason(error)) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "REQUEST_TOO_LARGE")
        assert info(error)["limit"] == "DIFYRPC_MAX_MESSAGE_BYTES"
        at.servicer.answer_bytes = 2000
        error = await failure(stub(channel).GetFile(GET))
        assert (error.code(), reason(error)) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "RESPONSE_TOO_LARGE")


async def test_calls_over_the_limit_are_told_when_to_come_back_and_health_still_answers():
    async with scene(limits=Limits(concurrent_calls=1)) as at, at.channel() as channel:
        at.servicer.release.clear()
        first = stub(channel).GetFile(GET)
        await at.servicer.entered.wait()
        error = await failure(stub(channel).GetFile(GET))
        assert (error.code(), reason(error)) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "TOO_MANY_CALLS")
        assert retry_seconds(error) > 0
        assert (await health_of(channel)) == health_pb2.HealthCheckResponse.SERVING
        at.servicer.release.set()
        await first
        assert (await stub(channel).GetFile(GET)).file.name == "files/a"


async def test_a_call_that_ends_by_error_or_cancellation_frees_its_place():
    async with scene(limits=Limits(concurrent_calls=1)) as at, at.channel() as channel:
        at.servicer.error = NotFound("FILE_NOT_FOUND", "none")
        await failure(stub(channel).GetFile(GET))
        at.servicer.error = None
        for event in (at.servicer.release, at.servicer.entered, at.servicer.left):
            event.clear()
        call = stub(channel).GetFile(GET)
        await at.servicer.entered.wait()
        call.cancel()
        await at.servicer.left.wait()
        at.servicer.release.set()
        assert (await stub(channel).GetFile(GET)).file.name == "files/a"


async def test_a_call_without_a_deadline_ends_at_the_servers_own():
    async with scene(limits=Limits(unary_seconds=0.05)) as at, at.channel() as channel:
        at.servicer.release.clear()
        error = await failure(stub(channel).GetFile(GET))
        assert (error.code(), reason(error)) == (grpc.StatusCode.DEADLINE_EXCEEDED, "SERVER_DEADLINE")


async def test_a_service_that_does_not_run_says_how_to_start_it():
    async with scene() as at, at.channel() as channel:
        search = vectors_pb2_grpc.VectorSearchStub(channel).Search(vectors_pb2.SearchRequest(query="q"))
        error = await failure(search)
        assert (error.code(), reason(error)) == (grpc.StatusCode.UNIMPLEMENTED, "SERVICE_NOT_RUNNING")
        assert "difyrpc serve vectors" in str(error.details())


async def test_a_contract_without_a_server_says_so():
    async with scene() as at, at.channel() as channel:
        tasks = tasks_pb2_grpc.TaskQueueStub(channel)
        method = next(name for name in vars(tasks) if name.startswith("GetTask"))
        path = f"/difyrpc.tasks.v1beta1.TaskQueue/{method}"
        error = await failure(channel.unary_unary(path)(b""))
        assert (error.code(), reason(error)) == (grpc.StatusCode.UNIMPLEMENTED, "SERVICE_NOT_BUILT")


async def test_a_method_of_no_contract_is_unimplemented():
    async with scene() as at, at.channel() as channel:
        error = await failure(channel.unary_unary("/difyrpc.files.v1.FileStorage/Nothing")(b""))
        assert (error.code(), reason(error)) == (grpc.StatusCode.UNIMPLEMENTED, "UNKNOWN_METHOD")


class OneKey:
    async def verify(self, token: str) -> Key:
        if token != "good":
            raise Unauthenticated("KEY_UNKNOWN", "the API key is not valid")
        return KEY


KEY = Key(
    id="k1",
    tenant="acme",
    name="",
    scopes=("files:read",),
    secret_sha256=b"",
    created_at=datetime(2026, 1, 1, tzinfo=UTC),
)


async def test_keys_and_scopes_open_the_door_and_health_needs_none():
    async with scene(doorkeeper=Doorkeeper(verifier=OneKey())) as at, at.channel() as channel:
        files = stub(channel)
        error = await failure(files.GetFile(GET))
        assert (error.code(), reason(error)) == (grpc.StatusCode.UNAUTHENTICATED, "KEY_MISSING")
        error = await failure(files.GetFile(GET, metadata=(("authorization", "Basic good"),)))
        assert (error.code(), reason(error)) == (grpc.StatusCode.UNAUTHENTICATED, "KEY_MALFORMED")
        error = await failure(files.GetFile(GET, metadata=(("authorization", "Bearer bad"),)))
        assert (error.code(), reason(error)) == (grpc.StatusCode.UNAUTHENTICATED, "KEY_UNKNOWN")
        good = (("authorization", "Bearer good"),)
        assert (await files.GetFile(GET, metadata=good)).file.name == "files/a"
        error = await failure(files.CopyFile(files_pb2.CopyFileRequest(name="files/a"), metadata=good))
        assert (error.code(), reason(error)) == (grpc.StatusCode.PERMISSION_DENIED, "SCOPE_MISSING")
        assert info(error)["scope"] == "files:write"
        assert at.servicer.calls == 1
        assert (await health_of(channel)) == health_pb2.HealthCheckResponse.SERVING


async def test_one_line_is_logged_for_each_call_and_never_its_content(caplog: pytest.LogCaptureFixture):
    caplog.set_level(logging.INFO, logger="difyrpc.calls")
    async with scene() as at, at.channel() as channel:
        await stub(channel).GetFile(
            files_pb2.GetFileRequest(name="files/confidential"), metadata=(("x-request-id", "req-1"),)
        )
        at.servicer.error = NotFound("FILE_NOT_FOUND", "none")
        await failure(stub(channel).GetFile(GET))
    lines = [record.getMessage() for record in caplog.records if record.name == "difyrpc.calls"]
    assert len(lines) == 2
    assert lines[0].startswith("files/GetFile OK ")
    assert lines[0].endswith("request=req-1 tenant=default")
    assert lines[1].startswith("files/GetFile NOT_FOUND ")
    assert "confidential" not in "".join(lines)


async def test_the_line_of_a_call_names_the_trace_that_it_belongs_to(caplog: pytest.LogCaptureFixture):
    caplog.set_level(logging.INFO, logger="difyrpc.calls")
    trace = "0af7651916cd43dd8448eb211c80319c"
    async with scene() as at, at.channel() as channel:
        for sent in (f"00-{trace}-b7ad6b7169203331-01", "00-nothing of that kind-01"):
            await stub(channel).GetFile(GET, metadata=(("traceparent", sent),))
    first, second = (record.getMessage() for record in caplog.records if record.name == "difyrpc.calls")
    assert first.endswith(f"tenant=default trace={trace}")
    assert second.endswith("tenant=default")


async def test_a_request_id_that_would_break_the_log_is_replaced(caplog: pytest.LogCaptureFixture):
    caplog.set_level(logging.INFO, logger="difyrpc.calls")
    async with scene() as at, at.channel() as channel:
        await stub(channel).GetFile(GET, metadata=(("x-request-id", "a b tenant=root"),))
    assert "tenant=root" not in caplog.records[-1].getMessage()


async def test_calls_are_counted_by_method_and_code():
    async with scene() as at, at.channel() as channel:
        await stub(channel).GetFile(GET)
        at.servicer.error = NotFound("FILE_NOT_FOUND", "none")
        await failure(stub(channel).GetFile(GET))
        text = generate_latest(at.registry).decode()
    labels = 'service="files",method="GetFile"'
    assert 'difyrpc_calls_total{code="OK",method="GetFile",service="files"} 1.0' in text, labels
    assert 'difyrpc_calls_total{code="NOT_FOUND",method="GetFile",service="files"} 1.0' in text
    assert 'difyrpc_call_duration_seconds_count{method="GetFile",service="files"} 2.0' in text
    assert 'difyrpc_calls_in_flight{method="GetFile",service="files"} 0.0' in text


async def test_health_knows_each_service_and_its_watchers_hear_of_the_stop():
    async with scene() as at, at.channel() as channel:
        assert await health_of(channel, "difyrpc.files.v1.FileStorage") == health_pb2.HealthCheckResponse.SERVING
        error = await failure(health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(service="x")))
        assert error.code() is grpc.StatusCode.NOT_FOUND
        watches = [health_pb2_grpc.HealthStub(channel).Watch(health_pb2.HealthCheckRequest()) for _ in range(2)]
        for watch in watches:
            assert (await watch.read()).status == health_pb2.HealthCheckResponse.SERVING
        watches.pop().cancel()
        at.health.drain()
        assert (await watches[0].read()).status == health_pb2.HealthCheckResponse.NOT_SERVING
        watches[0].cancel()


async def test_the_probe_port_answers_health_in_the_plain():
    async with scene() as at:
        port = ProbePort(at.health, "127.0.0.1:0")
        await port.start()
        async with grpc.aio.insecure_channel(f"127.0.0.1:{port.port}") as channel:
            assert await health_of(channel) == health_pb2.HealthCheckResponse.SERVING
        await port.stop()


@pytest.mark.parametrize("version", ["v1", "v1alpha"])
async def test_reflection_lists_the_services_and_their_files(version: str):
    async with scene() as at, at.channel() as channel:
        ask = channel.stream_stream(
            f"/grpc.reflection.{version}.ServerReflection/ServerReflectionInfo",
            request_serializer=reflection_pb2.ServerReflectionRequest.SerializeToString,
            response_deserializer=reflection_pb2.ServerReflectionResponse.FromString,
        )
        requests = [
            reflection_pb2.ServerReflectionRequest(list_services=""),
            reflection_pb2.ServerReflectionRequest(file_containing_symbol="difyrpc.files.v1.FileStorage"),
            reflection_pb2.ServerReflectionRequest(
                file_containing_symbol=f"grpc.reflection.{version}.ServerReflection"
            ),
        ]
        answers = [answer async for answer in ask(iter(requests))]
    names = {service.name for service in answers[0].list_services_response.service}
    assert {"difyrpc.files.v1.FileStorage", f"grpc.reflection.{version}.ServerReflection"} <= names
    assert answers[1].file_descriptor_response.file_descriptor_proto
    assert answers[2].file_descriptor_response.file_descriptor_proto


async def test_a_graceful_stop_lets_a_running_call_end():
    async with scene() as at, at.channel() as channel:
        at.servicer.release.clear()
        call = stub(channel).GetFile(GET)
        await at.servicer.entered.wait()
        stopping = asyncio.create_task(at.server.stop())
        at.servicer.release.set()
        assert (await call).file.name == "files/a"
        await stopping


async def test_a_second_server_on_the_port_is_refused_with_the_settings_name():
    async with scene() as at:
        with pytest.raises(SettingsError, match="DIFYRPC_LISTEN"):
            async with scene(env={"DIFYRPC_LISTEN": at.target}):
                pass


class Certificates:
    def __init__(self, folder: Path) -> None:
        self.ca = trustme.CA()
        self.server = self.ca.issue_cert("localhost", "127.0.0.1")
        self.client = self.ca.issue_cert("spiffe.example", common_name="caller-7")
        self.ca.cert_pem.write_to_path(str(folder / "ca.pem"))
        self.server.private_key_pem.write_to_path(str(folder / "key.pem"))
        (folder / "cert.pem").write_bytes(b"".join(blob.bytes() for blob in self.server.cert_chain_pems))
        self.env = {
            "DIFYRPC_TLS_CERTIFICATE": str(folder / "cert.pem"),
            "DIFYRPC_TLS_KEY_FILE": str(folder / "key.pem"),
            "DIFYRPC_LISTEN": "localhost:0",
        }
        self.mutual = {**self.env, "DIFYRPC_TLS_CLIENT_CA": str(folder / "ca.pem")}

    def channel(self, at: Scene, *, with_certificate: bool = False) -> grpc.aio.Channel:
        key = self.client.private_key_pem.bytes() if with_certificate else None
        chain = b"".join(blob.bytes() for blob in self.client.cert_chain_pems) if with_certificate else None
        credentials = grpc.ssl_channel_credentials(self.ca.cert_pem.bytes(), key, chain)
        return grpc.aio.secure_channel(at.target, credentials)


async def test_tls_serves_who_trusts_the_authority_and_no_plain_caller(tmp_path: Path):
    certificates = Certificates(tmp_path)
    async with scene(env=certificates.env) as at:
        async with certificates.channel(at) as channel:
            assert (await stub(channel).GetFile(GET)).file.name == "files/a"
        async with at.channel() as channel:
            assert (await failure(stub(channel).GetFile(GET))).code() is grpc.StatusCode.UNAVAILABLE


async def test_a_client_certificate_is_the_tenant_that_the_operator_says(tmp_path: Path):
    certificates = Certificates(tmp_path)
    known = {"caller-7": Identity(tenant="acme", scopes=frozenset({"files:read"}))}
    doorkeeper = Doorkeeper(verifier=OneKey(), identities=known)
    async with scene(env=certificates.mutual, doorkeeper=doorkeeper) as at:
        async with certificates.channel(at, with_certificate=True) as channel:
            assert (await stub(channel).GetFile(GET)).file.name == "files/a"
            error = await failure(stub(channel).CopyFile(files_pb2.CopyFileRequest(name="files/a")))
            assert error.code() is grpc.StatusCode.PERMISSION_DENIED
        async with certificates.channel(at) as channel:
            assert (await failure(stub(channel).GetFile(GET))).code() is grpc.StatusCode.UNAVAILABLE


async def test_a_certificate_that_nobody_mapped_is_nobody(tmp_path: Path):
    certificates = Certificates(tmp_path)
    async with (
        scene(env=certificates.mutual, doorkeeper=Doorkeeper(verifier=OneKey())) as at,
        certificates.channel(at, with_certificate=True) as channel,
    ):
        error = await failure(stub(channel).GetFile(GET))
        assert (error.code(), reason(error)) == (grpc.StatusCode.UNAUTHENTICATED, "CERTIFICATE_UNKNOWN")
        assert "caller-7" in info(error)["names"]


async def test_a_key_that_is_not_the_certificates_is_told_apart_from_a_taken_port(tmp_path: Path):
    certificates = Certificates(tmp_path)
    certificates.ca.issue_cert("localhost").private_key_pem.write_to_path(str(tmp_path / "key.pem"))
    with pytest.raises(SettingsError, match="does not fit"):
        async with scene(env=certificates.env):
            pass


async def test_every_answer_carries_the_request_id():
    async with scene() as at, at.channel() as channel:
        call = stub(channel).GetFile(GET, metadata=(("x-request-id", "req-9"),))
        await call
        assert ("x-request-id", "req-9") in list(await call.trailing_metadata())
        at.servicer.error = NotFound("FILE_NOT_FOUND", "none")
        error = await failure(stub(channel).GetFile(GET))
        assert dict(error.trailing_metadata())["x-request-id"]


async def test_calls_that_are_refused_at_the_door_are_logged_and_counted(caplog: pytest.LogCaptureFixture):
    caplog.set_level(logging.INFO, logger="difyrpc.calls")
    async with scene(doorkeeper=Doorkeeper(verifier=OneKey())) as at, at.channel() as channel:
        good = (("authorization", "Bearer good"),)
        await failure(stub(channel).CopyFile(files_pb2.CopyFileRequest(name="files/a"), metadata=good))
        await failure(channel.unary_unary("/difyrpc.files.v1.FileStorage/Nothing")(b""))
        text = generate_latest(at.registry).decode()
    lines = [record.getMessage() for record in caplog.records if record.name == "difyrpc.calls"]
    assert lines[0].startswith("files/CopyFile PERMISSION_DENIED ")
    assert lines[0].endswith(" tenant=acme")
    assert lines[1].startswith("unknown/unknown UNIMPLEMENTED ")
    assert 'difyrpc_calls_total{code="UNIMPLEMENTED",method="unknown",service="unknown"} 1.0' in text


@pytest.mark.parametrize(
    ("env", "words"),
    [
        ({"DIFYRPC_AUTH": "maybe"}, "keys, none"),
        ({"DIFYRPC_AUTH": "none", "DIFYRPC_LISTEN": "0.0.0.0:1"}, "DIFYRPC_TENANT"),
        ({"DIFYRPC_TLS_CERTIFICATE": "/c.pem"}, "DIFYRPC_TLS_KEY_FILE"),
        ({"DIFYRPC_TLS_CLIENT_CA": "/c.pem"}, "DIFYRPC_TLS_CERTIFICATE"),
        ({"DIFYRPC_MAX_CONCURRENT_CALLS": "0"}, "the least is 1"),
        ({"DIFYRPC_GRACE_SECONDS": "soon"}, "not a number"),
        ({"DIFYRPC_LISTEN": "localhost:99999"}, "not host:port"),
        ({"DIFYRPC_METRICS_LISTEN": "9464"}, "not host:port"),
        ({"DIFYRPC_LISTEN": "unix:/run/difyrpc.sock"}, "listens on TCP alone"),
        ({"DIFYRPC_LISTEN": "unix:difyrpc:50051"}, "listens on TCP alone"),
        ({"DIFYRPC_CERTIFICATE_TENANTS": "/t"}, "DIFYRPC_TLS_CLIENT_CA"),
    ],
)
def test_settings_that_cannot_work_say_why(env: dict[str, str], words: str):
    with pytest.raises(SettingsError, match=words):
        ServerSettings.from_env(env)


async def health_of(channel: grpc.aio.Channel, service: str = "") -> int:
    answer = await health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(service=service))
    return answer.status
