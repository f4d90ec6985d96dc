"""The short way of unary calls through grpc: taken with this grpc, and nothing that a caller sees differs from it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import grpc
import pytest
from grpc import _channel, _observability

from difyrpc.files.v1 import files_pb2, files_pb2_grpc
from difyrpc_client._files import GET
from difyrpc_client._pool import multicallable
from difyrpc_client._short_call import ShortCall, shortened

SECONDS = 30.0
MISSING, SILENT, GARBLED = "files/missing", "files/silent", "files/garbled"
WHO = (("x-who", "me"),)


class Files(files_pb2_grpc.FileStorageServicer):
    """Answers a file by its name, and the caller's metadata as its display name."""

    def __init__(self) -> None:
        self.begun, self.ended = threading.Semaphore(0), threading.Semaphore(0)

    def GetFile(
        self, request: files_pb2.GetFileRequest, context: grpc.ServicerContext
    ) -> files_pb2.GetFileResponse | bytes:
        ended = threading.Event()
        context.add_callback(ended.set)
        context.add_callback(self.ended.release)
        self.begun.release()
        if request.name == MISSING:
            context.set_trailing_metadata((("x-why", "none such"),))
            context.abort(grpc.StatusCode.NOT_FOUND, "no file of this name")
        if request.name == SILENT:
            ended.wait(SECONDS)
        if request.name == GARBLED:
            return b"\xff\xff\xff"
        who = dict(context.invocation_metadata()).get("x-who", "")
        return files_pb2.GetFileResponse(file=files_pb2.File(name=request.name, display_name=str(who)))


def served(answer: files_pb2.GetFileResponse | bytes) -> bytes:
    return answer if isinstance(answer, bytes) else answer.SerializeToString()


def register(files: Files, server: grpc.Server) -> None:
    handler = grpc.unary_unary_rpc_method_handler(
        files.GetFile, files_pb2.GetFileRequest.FromString, response_serializer=served
    )
    service, _, name = GET.path[1:].partition("/")
    server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler(service, {name: handler})])


@pytest.fixture
def files() -> Files:
    return Files()


@pytest.fixture
def channel(serve: Callable[..., str], files: Files) -> Iterator[grpc.Channel]:
    with grpc.insecure_channel(serve((register, files))) as channel:
        yield channel


@pytest.fixture
def whole(channel: grpc.Channel) -> Any:
    return multicallable(channel, GET)


@pytest.fixture
def short(whole: Any) -> Any:
    return shortened(whole)


def named(name: str) -> files_pb2.GetFileRequest:
    return files_pb2.GetFileRequest(name=name)


def test_this_grpc_has_the_short_way(short: Any):
    assert isinstance(short, ShortCall)


def test_a_call_is_answered_and_carries_its_metadata(short: Any):
    answer = short(named("files/one"), SECONDS, WHO)
    assert (answer.file.name, answer.file.display_name) == ("files/one", "me")


def test_it_needs_no_metadata(short: Any):
    assert short(named("files/one"), SECONDS).file.name == "files/one"


@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {"timeout": SECONDS, "wait_for_ready": True},
        {"timeout": SECONDS, "compression": grpc.Compression.Gzip},
    ],
)
def test_what_it_does_not_know_goes_the_whole_way(short: Any, arguments: dict[str, Any]):
    assert short(named("files/one"), **arguments).file.name == "files/one"


@pytest.mark.parametrize("name", [MISSING, GARBLED, SILENT])
def test_an_error_is_the_one_of_grpc(whole: Any, short: Any, name: str):
    seconds = 0.3 if name == SILENT else SECONDS
    assert seen(short, named(name), seconds) == seen(whole, named(name), seconds)


def seen(call: Any, request: Any, seconds: float) -> tuple[Any, ...]:
    with pytest.raises(grpc.RpcError) as caught:
        call(request, seconds)
    error: Any = caught.value
    return type(error), error.code(), error.details(), error.trailing_metadata(), error.initial_metadata()


def test_the_deadline_ends_the_call_on_the_server(short: Any, files: Files):
    with pytest.raises(grpc.RpcError):
        short(named(SILENT), 0.3)
    assert files.ended.acquire(timeout=SECONDS)


def test_a_closed_channel_says_so(channel: grpc.Channel, short: Any):
    channel.close()
    with pytest.raises(ValueError, match="closed channel"):
        short(named("files/one"), SECONDS)


def test_closing_the_channel_ends_a_call_under_way(channel: grpc.Channel, short: Any, files: Files):
    codes: list[grpc.StatusCode] = []

    def call() -> None:
        try:
            short(named(SILENT), SECONDS)
        except grpc.RpcError as error:
            codes.append(error.code())

    waiting = threading.Thread(target=call)
    waiting.start()
    assert files.begun.acquire(timeout=SECONDS)
    channel.close()
    waiting.join(SECONDS)
    assert codes == [grpc.StatusCode.CANCELLED]


def test_a_request_of_another_kind_fails_as_with_grpc(whole: Any, short: Any):
    assert seen(short, object(), SECONDS) == seen(whole, object(), SECONDS)


def test_metadata_that_cannot_be_sent_fails_as_with_grpc(whole: Any, short: Any):
    for call in (whole, short):
        with pytest.raises((TypeError, ValueError, AttributeError)):
            call(named("files/one"), SECONDS, ((1, 2),))


def test_futures_are_those_of_grpc(short: Any):
    assert short.future(named("files/one"), SECONDS).result().file.name == "files/one"
    answer, call = short.with_call(named("files/one"), SECONDS)
    assert (answer.file.name, call.code()) == ("files/one", grpc.StatusCode.OK)


def test_calls_that_grpc_measures_go_the_whole_way(short: Any, monkeypatch: pytest.MonkeyPatch):
    measured: list[str] = []
    idle = SimpleNamespace(observability_enabled=False, tracing_enabled=False, stats_enabled=False)
    monkeypatch.setattr(_observability, "_OBSERVABILITY_PLUGIN", idle)
    monkeypatch.setattr(_observability, "maybe_record_rpc_latency", lambda state: measured.append(state.method))
    short(named("files/one"), SECONDS)
    assert measured == [GET.path]


@pytest.mark.parametrize("missing", ["_RPCState", "_determine_deadline", "_handle_event", "_UnaryUnaryMultiCallable"])
def test_another_grpc_is_called_the_whole_way(whole: Any, missing: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delattr(_channel, missing)
    assert shortened(whole) is whole


def test_streams_go_the_whole_way(channel: grpc.Channel):
    stream = channel.unary_stream("/a/B")
    assert shortened(stream) is stream
