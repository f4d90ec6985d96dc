"""How every call is made: its metadata, its deadline, its repetitions. Twins over one Plan."""

from __future__ import annotations

import inspect
import random
import uuid
from collections.abc import AsyncGenerator, AsyncIterable, Awaitable, Callable, Generator, Iterable
from contextlib import aclosing, closing
from dataclasses import replace
from typing import Any, TypeVar

from difyrpc_client._errors import ConfigurationError, DeadlineExceeded, DifyrpcError
from difyrpc_client._labels import bearer
from difyrpc_client._message import is_number, wrong
from difyrpc_client._methods import Method, Repeat, Req, Res
from difyrpc_client._retry import SYSTEM_CLOCK, Clock, Resumption, Retry, passing, repeat, repeat_async
from difyrpc_client._settings import CallOptions
from difyrpc_client._transport import AsyncTransport, Metadata, Transport

T = TypeVar("T")
TIME_IS_UP = "Deadline Exceeded"  # all that grpc says where the deadline ends a call on this side


def may_repeat(method: Method[Req, Res], error: DifyrpcError, retry: Retry) -> bool:
    """Answers whether the call that failed so may be sent again at all."""
    return method.repeat is not Repeat.NEVER and retry.attempts > 1 and passing(error)


def with_request_id(method: Method[Req, Res], request: Req) -> Req:
    """Gives a request the id under which the server recognises its repetition, unless the caller gave one."""
    if method.repeat is Repeat.WITH_REQUEST_ID and not request.request_id:  # type: ignore[attr-defined]
        request.request_id = str(uuid.uuid4())  # type: ignore[attr-defined]
    return request


def metadata_of(options: CallOptions, token: str | None, request_id: str) -> Metadata:
    """Answers what a call carries beside its message."""
    metadata = (*options.labels, ("x-request-id", request_id))
    return metadata if token is None else (("authorization", bearer(token)), *metadata)


def new_request_id(options: CallOptions) -> str:
    """Answers the id of one call in our errors and the server's log."""
    return options.request_id or f"{random.getrandbits(128):032x}"  # no secret; a tenth of uuid4's time


def seconds_of(timeout: float | None, default: float) -> float:
    """Answers the seconds that a call may take; InvalidArgument for what is no number."""
    if timeout is None:
        return default
    if not is_number(timeout):
        raise wrong("timeout", timeout, "seconds as a number, or None for the client's")
    return timeout


def explained(error: DifyrpcError, method: Method[Any, Any], seconds: float) -> DifyrpcError:
    """Answers the error of a call as its caller sees it.

    One that only says that the time is up then says of what, and which time. The frames of grpc and of the
    repetitions go: they are always the same and hide the line that called.
    """
    if isinstance(error, DeadlineExceeded) and not error.reason and TIME_IS_UP in error.message:
        error.message = f"{method.service}.{method.name} did not end within its timeout of {seconds:.4g} s"
        error.args = (error.message,)
    return error.with_traceback(None)


class Plan:
    """What every call of one client carries: completed before each try."""

    def __init__(self, options: CallOptions) -> None:
        self.options = options
        """Timeouts, repetitions, token and labels."""

    def metadata(self, request_id: str | None = None) -> Metadata:
        """Answers what the next try carries; asks the token's provider."""
        token = self.options.token
        if token is not None and not isinstance(token, str):
            token = _plain(token())
        return metadata_of(self.options, token, request_id or new_request_id(self.options))


class AsyncPlan:
    """The same for the event loop."""

    def __init__(self, options: CallOptions) -> None:
        self.options = options
        """Timeouts, repetitions, token and labels."""

    async def metadata(self, request_id: str | None = None) -> Metadata:
        """Answers what the next try carries; asks the token's provider."""
        token = self.options.token
        if token is not None and not isinstance(token, str):
            answer = token()
            token = await answer if inspect.isawaitable(answer) else answer
        return metadata_of(self.options, token, request_id or new_request_id(self.options))


def _plain(token: str | Awaitable[str]) -> str:
    if not inspect.isawaitable(token):
        return token
    if inspect.iscoroutine(token):
        token.close()
    raise ConfigurationError("the token's provider is asynchronous; connect() needs one that answers text")


class Calls:
    """Makes calls and blocks until they are answered."""

    def __init__(
        self, transport: Callable[[str], Transport], options: CallOptions, clock: Clock = SYSTEM_CLOCK
    ) -> None:
        self.options = options
        """Timeouts, repetitions, token and labels."""
        self.clock = clock
        """Time, and how to wait."""
        self._transport = transport
        self._plan = Plan(options)

    def unary(self, method: Method[Req, Res], request: Req, timeout: float | None = None) -> Res:
        """Sends one message and answers one, within `timeout` seconds."""
        seconds = seconds_of(timeout, self.options.timeout)
        try:
            return self._answer(method, with_request_id(method, request), seconds)
        except DifyrpcError as error:
            raise explained(error, method, seconds) from None

    def _answer(self, method: Method[Req, Res], request: Req, seconds: float) -> Res:
        transport, request_id = self._transport(method.service), new_request_id(self.options)
        deadline = self.clock.now() + seconds
        try:
            return transport.unary(method, request, seconds, self._plan.metadata(request_id))
        except DifyrpcError as error:
            retry = self.options.retry
            if not may_repeat(method, error, retry):
                raise
            return repeat(
                lambda left: transport.unary(
                    method, request, left, self._plan.metadata(request_id), retry.wait_for_ready
                ),
                error,
                retry,
                deadline,
                self.clock,
            )

    def stream(
        self, method: Method[Req, Res], requests: Callable[[], Iterable[Req]], timeout: float | None = None
    ) -> Generator[Res, None, None]:
        """Sends what `requests` makes and yields the answers; is repeated only while none has come."""
        transport, request_id = self._transport(method.service), new_request_id(self.options)
        seconds = seconds_of(timeout, self.options.stream_timeout)

        def begin(left: float) -> tuple[list[Res], Generator[Res, None, None]]:
            answers = transport.stream(method, requests(), left, self._plan.metadata(request_id))
            return [answer for answer in [next(answers, None)] if answer is not None], answers

        try:
            first, answers = self._begun(method, begin, seconds)
            with closing(answers):
                yield from first
                yield from answers
        except DifyrpcError as error:
            raise explained(error, method, seconds) from None

    def resumption(self, timeout: float | None = None) -> Resumption:
        """Answers what decides when a stream goes on from where it stood; its time begins to run."""
        seconds = seconds_of(timeout, self.options.stream_timeout)
        return Resumption(self.options.retry, self.clock.now() + seconds, self.clock)

    def changed(self, **options: Any) -> Calls:
        """Answers the same with other options."""
        return Calls(self._transport, replace(self.options, **options), self.clock)

    def _begun(self, method: Method[Req, Res], begin: Callable[[float], T], seconds: float) -> T:
        deadline = self.clock.now() + seconds
        try:
            return begin(seconds)
        except DifyrpcError as error:
            if not may_repeat(method, error, self.options.retry):
                raise
            return repeat(begin, error, self.options.retry, deadline, self.clock)


class AsyncCalls:
    """Makes calls in the running event loop."""

    def __init__(
        self, transport: Callable[[str], AsyncTransport], options: CallOptions, clock: Clock = SYSTEM_CLOCK
    ) -> None:
        self.options = options
        """Timeouts, repetitions, token and labels."""
        self.clock = clock
        """Time, and how to wait."""
        self._transport = transport
        self._plan = AsyncPlan(options)

    async def unary(self, method: Method[Req, Res], request: Req, timeout: float | None = None) -> Res:
        """Sends one message and answers one, within `timeout` seconds."""
        seconds = seconds_of(timeout, self.options.timeout)
        try:
            return await self._answer(method, with_request_id(method, request), seconds)
        except DifyrpcError as error:
            raise explained(error, method, seconds) from None

    async def _answer(self, method: Method[Req, Res], request: Req, seconds: float) -> Res:
        transport, request_id = self._transport(method.service), new_request_id(self.options)

        async def send(left: float, wait_for_ready: bool = self.options.retry.wait_for_ready) -> Res:
            return await transport.unary(method, request, left, await self._plan.metadata(request_id), wait_for_ready)

        deadline = self.clock.now() + seconds
        try:
            return await send(seconds, False)
        except DifyrpcError as error:
            if not may_repeat(method, error, self.options.retry):
                raise
            return await repeat_async(send, error, self.options.retry, deadline, self.clock)

    async def stream(
        self,
        method: Method[Req, Res],
        requests: Callable[[], Iterable[Req] | AsyncIterable[Req]],
        timeout: float | None = None,
    ) -> AsyncGenerator[Res, None]:
        """Sends what `requests` makes and yields the answers; is repeated only while none has come."""
        transport, request_id = self._transport(method.service), new_request_id(self.options)
        seconds = seconds_of(timeout, self.options.stream_timeout)

        async def begin(left: float) -> tuple[list[Res], AsyncGenerator[Res, None]]:
            answers = transport.stream(method, requests(), left, await self._plan.metadata(request_id))
            return [answer for answer in [await anext(answers, None)] if answer is not None], answers

        try:
            first, answers = await self._begun(method, begin, seconds)
            async with aclosing(answers):
                for answer in first:
                    yield answer
                async for answer in answers:
                    yield answer
        except DifyrpcError as error:
            raise explained(error, method, seconds) from None

    def resumption(self, timeout: float | None = None) -> Resumption:
        """Answers what decides when a stream goes on from where it stood; its time begins to run."""
        seconds = seconds_of(timeout, self.options.stream_timeout)
        return Resumption(self.options.retry, self.clock.now() + seconds, self.clock)

    def changed(self, **options: Any) -> AsyncCalls:
        """Answers the same with other options."""
        return AsyncCalls(self._transport, replace(self.options, **options), self.clock)

    async def _begun(self, method: Method[Req, Res], begin: Callable[[float], Awaitable[T]], seconds: float) -> T:
        deadline = self.clock.now() + seconds
        try:
            return await begin(seconds)
        except DifyrpcError as error:
            if not may_repeat(method, error, self.options.retry):
                raise
            return await repeat_async(begin, error, self.options.retry, deadline, self.clock)
