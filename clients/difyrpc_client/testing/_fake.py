"""The fake client and the transports that bring its calls to the services in memory."""

from __future__ import annotations

import copy
from collections.abc import AsyncGenerator, AsyncIterable, Generator, Iterable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar, cast

from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message

from difyrpc_client._calls import AsyncCalls, Calls
from difyrpc_client._client import AsyncDify, Dify
from difyrpc_client._document import ParsedDocument
from difyrpc_client._errors import DifyrpcError, Unimplemented
from difyrpc_client._methods import Method, Req, Res
from difyrpc_client._retry import Clock, Retry
from difyrpc_client._route import Route, Routes
from difyrpc_client._settings import CallOptions
from difyrpc_client._transport import Metadata, request_id_of
from difyrpc_client.testing._documents import DocumentsInMemory
from difyrpc_client.testing._files import FilesInMemory
from difyrpc_client.testing._metrics import MetricsInMemory
from difyrpc_client.testing._names import call_name
from difyrpc_client.testing._vectors import VectorsInMemory

Wire = TypeVar("Wire")


@dataclass(frozen=True, kw_only=True)
class Call:
    """One call that a fake received; repetitions are calls of their own."""

    name: str
    """Service and rpc: `vectors.Search`."""
    request: dict[str, Any]
    """The (first) message with the contract's field names; bytes are in base64."""
    metadata: dict[str, str]
    """What the call carried: `authorization`, `x-request-id`, labels."""
    timeout: float
    """Seconds that were left."""


class FakeDifyrpc(Dify):
    """A client whose services live in memory; `fake.asynchronous` is its twin over the same state."""

    def __init__(self, *, token: str | None = None, timeout: float = 60, retry: Retry | None = None) -> None:
        self._world = _World()
        self.calls: list[Call] = self._world.calls
        """What was called, in order."""
        self.waits: list[float] = []
        """How long the client would have waited before its repetitions, in seconds."""
        options = CallOptions(token=token, timeout=timeout, retry=retry or Retry())
        super().__init__(Calls(_FakeWires(_FakeTransport(self._world)), options, self._clock()), self._end)
        wires = _FakeWires(_FakeAsyncTransport(self._world))
        self.asynchronous = AsyncDify(AsyncCalls(wires, options, self._clock()), self._end_async)
        """The asynchronous client."""

    def fail(self, name: str, error: DifyrpcError, *, times: int = 1) -> None:
        """Makes the next calls of `vectors.Search` raise an error; repetitions count.

        `vectors.search` and `VectorSearch.Search` name the same; ValueError lists the calls for what is none.
        """
        self._world.failures.setdefault(call_name(name), []).extend([error] * times)

    def tell_parse(self, document: ParsedDocument, *, source: str = "") -> None:
        """Says what parsing answers: for the document named so (file name or `files/…`), or for every one."""
        self._world.documents.told[source] = document

    def _clock(self) -> Clock:
        return Clock(sleep=self.waits.append, sleep_async=self._wait)

    async def _wait(self, seconds: float) -> None:
        self.waits.append(seconds)

    def _end(self) -> None:
        """Keeps its state: a test may look at it after the client was closed."""

    async def _end_async(self) -> None:
        """Keeps its state."""


class _World:
    """The services and what tests told them."""

    def __init__(self) -> None:
        self.calls: list[Call] = []
        self.failures: dict[str, list[DifyrpcError]] = {}
        files = FilesInMemory()
        self.documents = DocumentsInMemory(files)
        self.services: dict[str, object] = {
            "documents": self.documents,
            "files": files,
            "metrics": MetricsInMemory(),
            "vectors": VectorsInMemory(),
        }

    def enter(self, method: Method[Req, Res], request: Message, timeout: float, metadata: Metadata) -> Any:
        """Notes a call, raises the failure that was asked for, and answers what serves the call."""
        name = f"{method.service}.{method.name}"
        fields = MessageToDict(request, preserving_proto_field_name=True)
        self.calls.append(Call(name=name, request=fields, metadata=dict(metadata), timeout=timeout))
        if failures := self.failures.get(name):
            error = copy.copy(failures.pop(0))  # each call raises one of its own
            error.request_id = error.request_id or request_id_of(metadata)
            raise error
        found = getattr(self.services[method.service], method.name, None)
        if found is None:
            raise Unimplemented(f"the fake has no {name}", reason="FEATURE_NOT_SUPPORTED")
        return found


class _FakeWires(Generic[Wire]):
    """Leads every call to one transport; its circuits and counts are the fake's own."""

    def __init__(self, transport: Wire) -> None:
        self._transport = transport
        self._routes = Routes()

    def of(self, service: str) -> Wire:
        """Answers the transport."""
        return self._transport

    def route(self, method: Method[Any, Any]) -> Route:
        """Answers what is known of a method."""
        return self._routes.of("fake", method.path)


class _FakeTransport:
    """Brings calls to the services in memory."""

    def __init__(self, world: _World) -> None:
        self._world = world

    def unary(
        self, method: Method[Req, Res], request: Req, timeout: float, metadata: Metadata, wait_for_ready: bool = False
    ) -> Res:
        """Answers one message."""
        return cast("Res", _copy(self._world.enter(method, request, timeout, metadata)(_copy(request))))

    def stream(
        self, method: Method[Req, Res], requests: Iterable[Req], timeout: float, metadata: Metadata
    ) -> Generator[Res, None, None]:
        """Yields the answers."""
        sent = list(requests)
        serve = self._world.enter(method, sent[0], timeout, metadata)
        for answer in serve(sent if method.request_streaming else sent[0]):
            yield _copy(answer)

    def close(self) -> None:
        """Has nothing to give back."""


class _FakeAsyncTransport:
    """Does the same in the event loop."""

    def __init__(self, world: _World) -> None:
        self._sync = _FakeTransport(world)

    async def unary(
        self, method: Method[Req, Res], request: Req, timeout: float, metadata: Metadata, wait_for_ready: bool = False
    ) -> Res:
        """Answers one message."""
        return self._sync.unary(method, request, timeout, metadata)

    async def stream(
        self,
        method: Method[Req, Res],
        requests: Iterable[Req] | AsyncIterable[Req],
        timeout: float,
        metadata: Metadata,
    ) -> AsyncGenerator[Res, None]:
        """Yields the answers."""
        if isinstance(requests, AsyncIterable):
            requests = [request async for request in requests]
        for answer in self._sync.stream(method, requests, timeout, metadata):
            yield answer

    async def close(self) -> None:
        """Has nothing to give back."""


def _copy(message: Any) -> Any:
    """Copies a message as the wire would: nobody sees another's later changes."""
    twin = type(message)()
    twin.CopyFrom(message)
    return twin
