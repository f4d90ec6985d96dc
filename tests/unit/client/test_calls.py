"""Every call: metadata, deadline and repetition as the contract's option says."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest

from difyrpc.files.v1 import files_pb2 as pb
from difyrpc_client import ConfigurationError, DeadlineExceeded, NotFound, ResourceExhausted, Retry, Unavailable
from difyrpc_client._calls import AsyncCalls, Calls
from difyrpc_client._errors import DifyrpcError
from difyrpc_client._files import GET, UPDATE
from difyrpc_client._methods import Repeat, known_repeat, rpc
from difyrpc_client._route import Routes
from difyrpc_client._settings import CallOptions
from difyrpc_client._upload import WRITE

DOWNLOAD = rpc("FileStorage.DownloadFile", pb.DownloadFileRequest, pb.DownloadFileResponse)
GOOD = pb.GetFileResponse(file=pb.File(name="files/1"))


class Script:
    """A transport that answers what it is told, in order; of streams a list of messages and errors."""

    def __init__(self, *answers: Any) -> None:
        self.answers = list(answers)
        self.requests: list[Any] = []
        self.timeouts: list[float] = []
        self.metadata: list[dict[str, str]] = []
        self.ready: list[bool] = []
        self.closed = 0

    def _next(self, request: Any, timeout: float, metadata: Any, ready: bool = False) -> Any:
        self.requests.append(type(request).FromString(request.SerializeToString()))
        self.timeouts.append(timeout)
        self.metadata.append(dict(metadata))
        self.ready.append(ready)
        return self.answers.pop(0)

    def unary(self, method: Any, request: Any, timeout: float, metadata: Any, wait_for_ready: bool = False) -> Any:
        answer = self._next(request, timeout, metadata, wait_for_ready)
        if isinstance(answer, DifyrpcError):
            raise answer
        return answer

    def stream(self, method: Any, requests: Any, timeout: float, metadata: Any) -> Iterator[Any]:
        try:
            for answer in self._next(next(iter(requests)), timeout, metadata):
                if isinstance(answer, DifyrpcError):
                    raise answer
                yield answer
        finally:
            self.closed += 1

    def close(self) -> None:
        pass


class AsyncScript:
    def __init__(self, script: Script) -> None:
        self.script = script

    async def unary(self, *args: Any) -> Any:
        return self.script.unary(*args)

    async def stream(self, *args: Any) -> Any:
        stream = self.script.stream(*args)
        try:
            for answer in stream:
                yield answer
        finally:
            stream.close()

    async def close(self) -> None:
        pass


class Leading:
    """Leads every call to one transport; circuits and counts are its own."""

    def __init__(self, transport: Any) -> None:
        self._transport = transport
        self._routes = Routes()

    def of(self, service: str) -> Any:
        return self._transport

    def route(self, method: Any) -> Any:
        return self._routes.of("scripted:1", method.path)


@pytest.fixture
def calls(fake_time):
    def make(script: Script, **options: Any) -> Calls:
        return Calls(Leading(script), CallOptions(**options), fake_time.clock)

    return make


@pytest.fixture
def async_calls(fake_time):
    def make(script: Script, **options: Any) -> AsyncCalls:
        return AsyncCalls(Leading(AsyncScript(script)), CallOptions(**options), fake_time.clock)

    return make


def test_the_contract_says_what_may_be_repeated() -> None:
    assert (GET.repeat, UPDATE.repeat, WRITE.repeat) == (Repeat.FREELY, Repeat.WITH_REQUEST_ID, Repeat.NEVER)
    assert known_repeat("/difyrpc.files.v1.FileStorage/GetFile") is Repeat.FREELY
    assert known_repeat("/somebody.Else/Call") is Repeat.NEVER
    assert (GET.service, GET.name, GET.path) == ("files", "GetFile", "/difyrpc.files.v1.FileStorage/GetFile")


def test_a_call_that_does_not_match_the_contract_is_refused_when_it_is_declared() -> None:
    with pytest.raises(TypeError, match="GetFileRequest"):
        rpc("FileStorage.GetFile", pb.ListFilesRequest, pb.ListFilesResponse)


def test_a_free_call_is_repeated_under_one_request_id_and_one_deadline(calls, fake_time) -> None:
    script = Script(Unavailable(), Unavailable(), GOOD)
    retry = Retry(wait_min=1, wait_max=1, jitter=0, wait_for_ready=True)
    answer = calls(script, timeout=10, retry=retry).unary(GET, pb.GetFileRequest(name="files/1"))
    assert answer.file.name == "files/1"
    assert script.timeouts == [10, 9, 8]
    assert script.ready == [False, True, True]
    assert len({metadata["x-request-id"] for metadata in script.metadata}) == 1


async def test_the_asynchronous_call_is_repeated_alike(async_calls, fake_time) -> None:
    script = Script(Unavailable(), GOOD)
    retry = Retry(wait_min=1, wait_max=1, jitter=0, wait_for_ready=True)
    answer = await async_calls(script, timeout=10, retry=retry).unary(GET, pb.GetFileRequest(name="files/1"))
    assert answer.file.name == "files/1"
    assert (script.timeouts, script.ready) == ([10, 9], [False, True])


def test_two_calls_have_two_request_ids(calls) -> None:
    script = Script(GOOD, GOOD)
    both = calls(script)
    both.unary(GET, pb.GetFileRequest())
    both.unary(GET, pb.GetFileRequest())
    assert script.metadata[0]["x-request-id"] != script.metadata[1]["x-request-id"]


def test_a_call_with_a_request_id_keeps_it_across_tries(calls) -> None:
    script = Script(Unavailable(), pb.UpdateFileResponse())
    calls(script).unary(UPDATE, pb.UpdateFileRequest())
    first, second = (request.request_id for request in script.requests)
    assert re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", first)
    assert first == second


def test_a_request_id_of_the_callers_is_kept(calls) -> None:
    script = Script(pb.UpdateFileResponse())
    calls(script).unary(UPDATE, pb.UpdateFileRequest(request_id="mine"))
    assert script.requests[0].request_id == "mine"


def test_a_call_that_may_never_be_repeated_is_sent_once(calls) -> None:
    script = Script([Unavailable()], [pb.WriteUploadResponse()])
    with pytest.raises(Unavailable):
        list(calls(script).stream(WRITE, lambda: [pb.WriteUploadRequest()]))
    assert len(script.requests) == 1


@pytest.mark.parametrize("error", [NotFound(), ResourceExhausted(), DeadlineExceeded()])
def test_errors_that_will_not_pass_are_raised_at_once(calls, error: DifyrpcError) -> None:
    script = Script(error)
    with pytest.raises(type(error)):
        calls(script).unary(GET, pb.GetFileRequest())
    assert len(script.requests) == 1


def test_one_attempt_means_no_repetition(calls) -> None:
    script = Script(Unavailable(), GOOD)
    with pytest.raises(Unavailable):
        calls(script, retry=Retry(attempts=1)).unary(GET, pb.GetFileRequest())
    assert len(script.requests) == 1


def test_a_stream_is_repeated_only_while_nothing_has_come(calls) -> None:
    chunk = pb.DownloadFileResponse(chunk=pb.Chunk(data=b"x"))
    script = Script([Unavailable()], [chunk, Unavailable()])
    stream = calls(script).stream(DOWNLOAD, lambda: [pb.DownloadFileRequest()])
    assert next(stream) == chunk
    with pytest.raises(Unavailable):
        next(stream)
    assert len(script.requests) == 2


async def test_an_asynchronous_stream_is_repeated_alike(async_calls) -> None:
    chunk = pb.DownloadFileResponse(chunk=pb.Chunk(data=b"x"))
    script = Script([Unavailable()], [chunk, Unavailable()])
    stream = async_calls(script).stream(DOWNLOAD, lambda: [pb.DownloadFileRequest()])
    assert await anext(stream) == chunk
    with pytest.raises(Unavailable):
        await anext(stream)
    assert len(script.requests) == 2


def test_leaving_a_stream_early_ends_the_call(calls) -> None:
    chunk = pb.DownloadFileResponse(chunk=pb.Chunk(data=b"x"))
    script = Script([chunk, chunk])
    stream = calls(script).stream(DOWNLOAD, lambda: [pb.DownloadFileRequest()])
    next(stream)
    stream.close()
    assert script.closed == 1


async def test_leaving_an_asynchronous_stream_early_ends_the_call(async_calls) -> None:
    chunk = pb.DownloadFileResponse(chunk=pb.Chunk(data=b"x"))
    script = Script([chunk, chunk])
    stream = async_calls(script).stream(DOWNLOAD, lambda: [pb.DownloadFileRequest()])
    await anext(stream)
    await stream.aclose()
    assert script.closed == 1


def test_the_tokens_provider_is_asked_before_each_try(calls) -> None:
    tokens = iter(["one", "two"])
    script = Script(Unavailable(), GOOD)
    calls(script, token=lambda: next(tokens)).unary(GET, pb.GetFileRequest())
    assert [metadata["authorization"] for metadata in script.metadata] == ["Bearer one", "Bearer two"]


async def test_the_asynchronous_client_takes_both_kinds_of_providers(async_calls) -> None:
    async def later() -> str:
        return "later"

    script = Script(GOOD, GOOD)
    await async_calls(script, token=later).unary(GET, pb.GetFileRequest())
    await async_calls(script, token=lambda: "now").unary(GET, pb.GetFileRequest())
    assert [metadata["authorization"] for metadata in script.metadata] == ["Bearer later", "Bearer now"]


def test_an_asynchronous_provider_is_refused_by_the_synchronous_client(calls) -> None:
    async def later() -> str:
        return "later"

    with pytest.raises(ConfigurationError, match="asynchronous"):
        calls(Script(), token=later).unary(GET, pb.GetFileRequest())


@pytest.mark.parametrize("token", ["", "a\nb", "密"])
def test_a_token_that_no_header_can_hold_is_refused_and_not_shown(calls, token: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        calls(Script(), token=token).unary(GET, pb.GetFileRequest())
    assert not token or token not in str(caught.value)


def test_labels_and_a_request_id_of_the_callers_travel(calls) -> None:
    script = Script(GOOD)
    calls(script, labels=(("x-difyrpc-app", "crm"),), request_id="r-1").unary(GET, pb.GetFileRequest())
    assert script.metadata == [{"x-difyrpc-app": "crm", "x-request-id": "r-1"}]
