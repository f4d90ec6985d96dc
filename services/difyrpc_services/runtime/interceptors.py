"""What happens around every call: calls → errors → auth → limits → deadline, outermost first.

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
from google.protobuf.message import DecodeError, Message

from difyrpc_services.runtime import statuses
from difyrpc_services.runtime.access import Doorkeeper
from difyrpc_services.runtime.caller import current_caller, set_caller
from difyrpc_services.runtime.errors import (
    DeadlineExceeded,
    Internal,
    InvalidArgument,
    ResourceExhausted,
    ServiceError,
    Unimplemented,
)
from difyrpc_services.runtime.exposition import CallMetrics
from difyrpc_services.runtime.methods import Method

log = logging.getLogger("difyrpc.calls")
failures = logging.getLogger(__name__)

REQUEST_ID = re.compile(r"[A-Za-z0-9._:/+=@-]{1,128}\Z")
RETRY_WHEN_FULL_SECONDS = 0.5
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


@dataclass(kw_only=True)
class Limits:
    """What the server takes on at once; the setting of each is named in its error."""

    concurrent_calls: int = 1000
    message_bytes: int = 64 << 20
    unary_seconds: float = 600.0
    stream_seconds: float = 86_400.0
    running: int = 0


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

    async def intercept_service(self, continuation: Any, handler_call_details: Any) -> Any:
        """Wraps the handler of one call; health and reflection pass untouched."""
        path = handler_call_details.method
        handler = await continuation(handler_call_details)
        method = self._methods.get(path)
        if handler is None:
            return self._refusal(path)
        if method is None:
            return handler
        return self._wrapped(handler, method)

    def _wrapped(self, handler: Any, method: Method) -> Any:
        read, write = self._reader(handler.request_deserializer), self._writer(handler.response_serializer)
        many_in, many_out = handler.request_streaming, handler.response_streaming
        shape = f"{'stream' if many_in else 'unary'}_{'stream' if many_out else 'unary'}"
        behaviour = getattr(handler, shape)
        parse = _parse_stream if many_in else _parse_one

        async def answer_one(request: Any, context: Any) -> Any:
            call = _call(method, context)
            async with self._around(call, self._limits.unary_seconds):
                return await self._answer(call, behaviour, parse(read, request), write)
            raise AssertionError("a layer swallowed an error")

        async def answer_many(request: Any, context: Any) -> AsyncIterator[Any]:
            call = _call(method, context)
            async with self._around(call, self._limits.stream_seconds):
                async for response in behaviour(parse(read, request), context):
                    yield write(response)

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
            async with _errors(call), self._admitted(call):
                with self._limited():
                    async with _deadline(call, seconds):
                        yield

    @contextmanager
    def _counted(self, call: Call) -> Iterator[None]:
        with self._metrics.in_flight(call.method):
            try:
                yield
            except asyncio.CancelledError:
                call.code = grpc.StatusCode.CANCELLED
                raise
            finally:
                seconds = time.perf_counter() - call.started
                self._metrics.count(call.method, call.code.name, seconds)
                log.info(
                    "%s/%s %s %.4fs request=%s tenant=%s",
                    call.method.service,
                    call.method.name,
                    call.code.name,
                    seconds,
                    call.request_id,
                    call.tenant or "-",
                )

    @asynccontextmanager
    async def _admitted(self, call: Call) -> AsyncGenerator[None, None]:
        identities = _peer_identities(call.context)
        caller = await self._doorkeeper.identify(call.metadata, identities, call.request_id)
        call.tenant = caller.tenant
        with self._doorkeeper.admitted(caller, call.method) as admitted:
            set_caller(admitted)
            yield

    @contextmanager
    def _limited(self) -> Iterator[None]:
        limits = self._limits
        if limits.running >= limits.concurrent_calls:
            raise ResourceExhausted(
                "TOO_MANY_CALLS",
                "this server already works on {limit_value} calls; try again in a moment",
                retry_after=RETRY_WHEN_FULL_SECONDS,
                limit="DIFYRPC_MAX_CONCURRENT_CALLS",
                limit_value=limits.concurrent_calls,
            )
        limits.running += 1
        try:
            yield
        finally:
            limits.running -= 1

    def _reader(self, deserialise: Callable[[bytes], Any]) -> Callable[[bytes], Any]:
        most = self._limits.message_bytes

        def read(data: bytes) -> Any:
            if len(data) > most:
                raise _too_large(
                    "REQUEST_TOO_LARGE", "the message has {size_bytes} bytes, more than {limit_value}", data, most
                )
            try:
                return deserialise(data)
            except DecodeError as error:
                raise InvalidArgument(
                    "MALFORMED_REQUEST", "the request's bytes are not a message of this contract"
                ) from error

        return read

    def _writer(self, serialise: Callable[[Any], bytes]) -> Callable[[Any], bytes]:
        most = self._limits.message_bytes

        def write(response: Message) -> bytes:
            data = serialise(response)
            if len(data) > most:
                raise _too_large(
                    "RESPONSE_TOO_LARGE",
                    "the answer has {size_bytes} bytes, more than {limit_value}; use the streaming call",
                    data,
                    most,
                )
            return data

        return write


@asynccontextmanager
async def _errors(call: Call) -> AsyncGenerator[None, None]:
    try:
        yield
    except grpc.aio.AbortError:
        raise
    except ServiceError as error:
        await _abort(call, error)
    except (asyncio.CancelledError, GeneratorExit):
        raise
    except Exception:  # noqa: BLE001  # the one place that answers for the unexpected
        failures.exception("%s broke, request=%s", call.method.path, call.request_id)
        template = "internal error; the server's log tells of request {request_id}"
        await _abort(call, Internal("INTERNAL", template, request_id=call.request_id))


async def _abort(call: Call, error: ServiceError) -> None:
    call.code = statuses.code_of(error)
    await call.context.abort(call.code, error.message, statuses.trailers(error, call.request_id))


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


def _parse_one(read: Callable[[bytes], Any], data: bytes) -> Any:
    return read(data)


async def _parse_stream(read: Callable[[bytes], Any], data: AsyncIterator[bytes]) -> AsyncIterator[Any]:
    async for part in data:
        yield read(part)


def _too_large(reason: str, template: str, data: bytes, most: int) -> ResourceExhausted:
    return ResourceExhausted(
        reason, template, limit="DIFYRPC_MAX_MESSAGE_BYTES", limit_value=most, size_bytes=len(data)
    )


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
