"""What happens around every call: calls → errors → auth → limits → deadline, outermost first.

Calls that are one too many for a busy server are refused before all of it.
One interceptor wraps the four shapes of rpc the same way. Requests are parsed inside it, since grpc.aio answers
UNKNOWN to bytes that are no message; answers are serialised inside it, so that one too large gets a clear error.
"""

from __future__ import annotations

import asyncio
import logging
import re
import time
import uuid
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Container, Iterable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from typing import Any, Protocol

import grpc

from difyrpc_services.runtime import statuses, wire
from difyrpc_services.runtime.access import Doorkeeper
from difyrpc_services.runtime.caller import current_caller, set_caller
from difyrpc_services.runtime.colleagues import is_colleague
from difyrpc_services.runtime.errors import (
    DeadlineExceeded,
    Internal,
    ServiceError,
    Unimplemented,
)
from difyrpc_services.runtime.exposition import CallMetrics
from difyrpc_services.runtime.gate import Gate
from difyrpc_services.runtime.limits import Limits
from difyrpc_services.runtime.methods import Method
from difyrpc_services.runtime.queueing import ANSWER, Queue
from difyrpc_services.runtime.stalls import READER, SENDER, Patience

log = logging.getLogger("difyrpc.calls")
failures = logging.getLogger(__name__)

REQUEST_ID = re.compile(r"[A-Za-z0-9._:/+=@-]{1,128}\Z")
TRACEPARENT = re.compile(r"[0-9a-f]{2}-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}")  # w3.org/TR/trace-context
LAST_WORD_SECONDS = 5.0  # for the status of a failed call to leave; a caller who does not read may hold it for ever
# What calls of no contract's method are logged and counted as: what strangers send makes no series.
UNKNOWN = Method(path="", service="unknown", name="unknown", level="read", replayed=False)


class Replay(Protocol):
    """Remembers answers by request id."""

    async def once(
        self, tenant: str, method: str, request_id: str, body: bytes, effect: Callable[[], Awaitable[bytes]]
    ) -> bytes:
        """Runs `effect` unless this request id was answered before; answers the bytes of the response."""


@dataclass(kw_only=True)
class Call:
    """One call on its way through the layers."""

    method: Method
    context: Any
    metadata: Mapping[str, str]
    request_id: str
    code: grpc.StatusCode = grpc.StatusCode.OK
    tenant: str = ""
    started: float = field(default_factory=time.perf_counter)

    @property
    def trace(self) -> str:
        """The id of the trace that the call belongs to, as the end of its line in the log."""
        found = TRACEPARENT.match(self.metadata.get("traceparent", ""))
        return f" trace={found[1]}" if found else ""


class Layers(grpc.aio.ServerInterceptor):
    """The one interceptor of the server."""

    def __init__(
        self,
        *,
        methods: Mapping[str, Method],
        known: Mapping[str, Method],
        runnable: Container[str],
        doorkeeper: Doorkeeper,
        limits: Limits,
        metrics: CallMetrics,
        replay: Replay | None,
        gate: Gate | None = None,
    ) -> None:
        """Takes the methods that run here.

        To tell why another does not: those of every contract, and the names of the services of this release.
        """
        self._methods = methods
        self._known = known
        self._runnable = runnable
        self._doorkeeper = doorkeeper
        self._limits = limits
        self._metrics = metrics
        self._replay = replay
        self._gate = gate or Gate(limits, metrics=metrics)

    @property
    def queue(self) -> Queue:
        """Where calls wait before they are taken up."""
        return self._gate.queue

    async def intercept_service(self, continuation: Any, handler_call_details: Any) -> Any:
        """Wraps the handler of one call; health and reflection pass untouched."""
        path, metadata = handler_call_details.method, handler_call_details.invocation_metadata
        method = self._methods.get(path)
        if method is not None:
            if self._gate.queue.is_probe(metadata):
                return ANSWER
            # Before anything is read, even who calls: under ten times the load that a server bears, the refusals are
            # most of its work. They tell a stranger no more than that it is busy.
            refusal = None if is_colleague(metadata) else self._gate.refusal(method)
            if refusal is not None:
                return refusal
        handler = await continuation(handler_call_details)
        if handler is None:
            return self._refusal(path)
        if method is None:
            return handler
        return self._wrapped(handler, method)

    def _wrapped(self, handler: Any, method: Method) -> Any:
        most = self._limits.message_bytes
        read, write = wire.reader(handler.request_deserializer, most), wire.writer(handler.response_serializer, most)
        many_in, many_out = handler.request_streaming, handler.response_streaming
        shape = f"{'stream' if many_in else 'unary'}_{'stream' if many_out else 'unary'}"
        behaviour = getattr(handler, shape)

        async def answer_one(request: Any, context: Any) -> Any:
            call = _call(method, context)
            async with self._around(call, self._limits.unary_seconds):
                if not many_in:
                    return await self._answer(call, behaviour, read(request), write)
                # The answer needs the whole request, so who pauses holds a place for nothing. Where both sides
                # stream, a pause is part of the conversation.
                with Patience(self._limits.stall_seconds) as patience:
                    return await self._answer(call, behaviour, wire.parsed(read, request, patience), write)
            raise AssertionError("a layer swallowed an error")

        async def answer_many(request: Any, context: Any) -> None:
            call = _call(method, context)
            async with self._around(call, self._limits.stream_seconds):
                asked = wire.parsed(read, request) if many_in else read(request)
                with Patience(self._limits.stall_seconds) as patience:
                    await wire.send(context, behaviour(asked, context), write, patience)

        return getattr(grpc, f"{shape}_rpc_method_handler")(answer_many if many_out else answer_one)

    def _refusal(self, path: str) -> Any:
        """Answers a handler that says why `path` cannot be called; it fits every shape of rpc."""
        method = self._known.get(path)
        error = _why_not(path, method, self._runnable)

        async def refuse(_requests: Any, context: Any) -> AsyncIterator[bytes]:
            call = _call(method or UNKNOWN, context)
            with self._counted(call):
                await _abort(call, error)
            yield b""

        return grpc.stream_stream_rpc_method_handler(refuse)

    async def _answer(self, call: Call, behaviour: Any, request: Any, write: Callable[[Any], bytes]) -> bytes:
        request_id = getattr(request, "request_id", "") if call.method.replayed else ""
        if not request_id or self._replay is None:
            return write(await behaviour(request, call.context))

        async def effect() -> bytes:
            return write(await behaviour(request, call.context))

        body = request.SerializeToString(deterministic=True)
        tenant = current_caller().tenant
        return await self._replay.once(tenant, call.method.path, request_id, body, effect)

    @asynccontextmanager
    async def _around(self, call: Call, seconds: float) -> AsyncGenerator[None, None]:
        with self._counted(call):
            async with (
                _errors(call, self._metrics),
                self._admitted(call),
                self._limited(call),
                _deadline(call, seconds),
            ):
                yield

    @contextmanager
    def _counted(self, call: Call) -> Iterator[None]:
        with self._metrics.in_flight(call.method):
            try:
                yield
            except asyncio.CancelledError:
                if call.code is grpc.StatusCode.OK:
                    call.code = grpc.StatusCode.CANCELLED
                raise
            finally:
                seconds = time.perf_counter() - call.started
                self._metrics.count(call.method, call.code.name, seconds)
                log.info(
                    "%s/%s %s %.4fs request=%s tenant=%s%s",
                    call.method.service,
                    call.method.name,
                    call.code.name,
                    seconds,
                    call.request_id,
                    call.tenant or "-",
                    call.trace,
                )

    @asynccontextmanager
    async def _admitted(self, call: Call) -> AsyncGenerator[None, None]:
        identities = _peer_identities(call.context)
        caller = await self._doorkeeper.identify(call.metadata, identities, call.request_id)
        call.tenant = caller.tenant
        with self._doorkeeper.admitted(caller, call.method) as admitted:
            set_caller(admitted)
            yield

    @asynccontextmanager
    async def _limited(self, call: Call) -> AsyncGenerator[None, None]:
        """Holds a place; a colleague's call is part of one that has its place and was counted when it began."""
        if is_colleague(call.metadata.items()):
            yield
            return
        seconds_left = call.context.time_remaining()
        begun = time.perf_counter()
        self._gate.check_time(call.method.path, seconds_left)
        with self._gate.place(call.tenant, call.method.service):
            await self._gate.turn(call.tenant, call.method.service, seconds_left)
            yield
        self._gate.note_time(call.method.path, time.perf_counter() - begun)


@asynccontextmanager
async def _errors(call: Call, metrics: CallMetrics) -> AsyncGenerator[None, None]:
    try:
        yield
    except grpc.aio.AbortError:
        raise
    except ServiceError as error:
        if error.reason in (READER, SENDER):
            metrics.count_stall(error.reason)
        await _abort(call, error)
    except GeneratorExit:
        raise
    except asyncio.CancelledError:
        if _is_cancelled():
            raise
        await _break(call)  # something inside was cancelled, not the call: unanswered, its caller would wait for ever
    except Exception:  # noqa: BLE001  # the one place that answers for the unexpected
        await _break(call)


def _is_cancelled() -> bool:
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


async def _break(call: Call) -> None:
    failures.exception("%s broke, request=%s", call.method.path, call.request_id)
    template = "internal error; the server's log tells of request {request_id}"
    await _abort(call, Internal("INTERNAL", template, request_id=call.request_id))


async def _abort(call: Call, error: ServiceError) -> None:
    call.code = statuses.code_of(error)
    try:
        async with asyncio.timeout(LAST_WORD_SECONDS):
            await call.context.abort(call.code, error.message, statuses.trailers(error, call.request_id))
    except grpc.aio.InternalError as gone:  # the call was reset meanwhile; gRPC would log each such error with a trace
        raise asyncio.CancelledError from gone
    except TimeoutError:
        # The status stays queued behind the message that is not read. An error here would be answered a second time.
        raise asyncio.CancelledError from None


@asynccontextmanager
async def _deadline(call: Call, seconds: float) -> AsyncGenerator[None, None]:
    try:
        async with asyncio.timeout(seconds) as clock:
            yield
    except TimeoutError:
        if not clock.expired():
            raise
        raise DeadlineExceeded(
            "SERVER_DEADLINE",
            "{method} took longer than {seconds} s, the most that this server gives it",
            method=call.method.name,
            seconds=seconds,
        ) from None


def _call(method: Method, context: Any) -> Call:
    metadata = {key: value for key, value in context.invocation_metadata() or () if isinstance(value, str)}
    wanted = metadata.get("x-request-id", "")
    request_id = wanted if REQUEST_ID.match(wanted) else str(uuid.uuid4())
    context.set_trailing_metadata(((statuses.REQUEST_ID_KEY, request_id),))
    return Call(method=method, context=context, metadata=metadata, request_id=request_id)


def _peer_identities(context: Any) -> Iterable[str]:
    properties = context.auth_context() or {}
    names = (*properties.get("x509_subject_alternative_name", ()), *properties.get("x509_common_name", ()))
    return [name.decode(errors="replace") for name in names]


def _why_not(path: str, method: Method | None, runnable: Container[str]) -> Unimplemented:
    if method is None:
        return Unimplemented("UNKNOWN_METHOD", "no contract of this release has the method {method}", method=path)
    if method.service not in runnable:
        return Unimplemented(
            "SERVICE_NOT_BUILT", "{service} is a contract without a server in this release", service=method.service
        )
    return Unimplemented(
        "SERVICE_NOT_RUNNING",
        "{service} does not run here; start it with `{command}`, or call the address where it runs",
        service=method.service,
        command=f"difyrpc serve {method.service}",
    )
