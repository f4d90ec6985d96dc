"""How every call is made: its deadline, its circuit, its repetitions. Twins over the same parts."""

from __future__ import annotations

import uuid
from collections.abc import AsyncGenerator, AsyncIterable, Callable, Generator, Iterable
from contextlib import aclosing, closing
from dataclasses import replace
from typing import Any, Generic, Protocol, TypeVar

from difyrpc_client._errors import DeadlineExceeded, DifyrpcError
from difyrpc_client._message import is_number, wrong
from difyrpc_client._methods import Method, Repeat, Req, Res
from difyrpc_client._plan import AsyncPlan, Plan
from difyrpc_client._retry import SYSTEM_CLOCK, Attempts, Clock, Resumption, Retry, passing, repeat, repeat_async
from difyrpc_client._route import Route
from difyrpc_client._settings import CallOptions
from difyrpc_client._transport import AsyncTransport, Transport
from difyrpc_client._watch import TransferWatch, Watch

T = TypeVar("T")
Wire_co = TypeVar("Wire_co", covariant=True)
TIME_IS_UP = "Deadline Exceeded"  # all that grpc says where the deadline ends a call on this side


class Wires(Protocol[Wire_co]):
    """Where the calls of one client go."""

    def of(self, service: str) -> Wire_co:
        """Answers the transport of a service; ValueError when the client is closed."""

    def route(self, method: Method[Any, Any]) -> Route:
        """Answers what the process knows of a method where this client calls it."""


def may_repeat(method: Method[Req, Res], error: DifyrpcError, retry: Retry) -> bool:
    """Answers whether the call that failed so may be sent again at all."""
    return method.repeat is not Repeat.NEVER and retry.attempts > 1 and passing(error)


def with_request_id(method: Method[Req, Res], request: Req) -> Req:
    """Gives a request the id under which the server recognises its repetition, unless the caller gave one."""
    if method.repeat is Repeat.WITH_REQUEST_ID and not request.request_id:  # type: ignore[attr-defined]
        request.request_id = str(uuid.uuid4())  # type: ignore[attr-defined]
    return request


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


class _Calls(Generic[Wire_co]):
    """What the twins share."""

    def __init__(self, wires: Wires[Wire_co], options: CallOptions, clock: Clock = SYSTEM_CLOCK) -> None:
        self.options = options
        """Timeouts, repetitions, token and labels."""
        self.clock = clock
        """Time, and how to wait."""
        self._wires = wires
        self._ways: dict[str, tuple[Wire_co, Route]] = {}

    def resumption(self, method: Method[Any, Any], timeout: float | None = None) -> Resumption:
        """Answers what decides when streams of a method go on from where one broke; its time begins to run."""
        seconds = seconds_of(timeout, self.options.stream_timeout)
        watch = TransferWatch(self._wires.route(method), self.options.hooks, self.clock)
        return Resumption(self.options.retry, self.clock.now() + seconds, watch, self.clock)

    def _begin(self, method: Method[Any, Any]) -> tuple[Wire_co, Watch]:
        """Begins a call; raises CircuitOpen, and ValueError when the client is closed."""
        transport, route = self._ways.get(method.path) or self._way(method)
        return transport, Watch(route, method.path, self.options, self.clock)

    def _way(self, method: Method[Any, Any]) -> tuple[Wire_co, Route]:
        way = self._wires.of(method.service), self._wires.route(method)
        self._ways[method.path] = way
        return way

    def _attempts(self, method: Method[Any, Any], error: DifyrpcError, seconds: float, watch: Watch) -> Attempts:
        """Answers the tries that may follow a first that failed; raises its error where none may."""
        if not may_repeat(method, error, self.options.retry):
            raise error
        return Attempts(error, self.options.retry, watch.started + seconds, watch, self.clock)


class Calls(_Calls[Transport]):
    """Makes calls and blocks until they are answered."""

    def __init__(self, wires: Wires[Transport], options: CallOptions, clock: Clock = SYSTEM_CLOCK) -> None:
        super().__init__(wires, options, clock)
        self._plan = Plan(options)

    def unary(self, method: Method[Req, Res], request: Req, timeout: float | None = None) -> Res:
        """Sends one message and answers one, within `timeout` seconds."""
        seconds = seconds_of(timeout, self.options.timeout)
        transport, watch = self._begin(method)
        try:
            answer = self._answer(transport, method, with_request_id(method, request), seconds, watch)
        except DifyrpcError as error:
            raise watch.failed(explained(error, method, seconds)) from None
        except BaseException as error:
            watch.left(error)
            raise
        watch.succeeded()
        return answer

    def _answer(
        self, transport: Transport, method: Method[Req, Res], request: Req, seconds: float, watch: Watch
    ) -> Res:
        headers = watch.headers()
        try:
            metadata = self._plan.metadata(watch.request_id, headers)
            left = watch.remaining(seconds) if self._plan.asks else seconds
            return transport.unary(method, request, left, metadata)
        except DifyrpcError as error:
            attempts = self._attempts(method, error, seconds, watch)

        def again() -> Res:
            metadata = self._plan.metadata(watch.request_id, headers)
            return transport.unary(method, request, attempts.left(), metadata, self.options.retry.wait_for_ready)

        return repeat(again, attempts)

    def stream(
        self, method: Method[Req, Res], requests: Callable[[], Iterable[Req]], timeout: float | None = None
    ) -> Generator[Res, None, None]:
        """Sends what `requests` makes and yields the answers; is repeated only while none has come."""
        seconds = seconds_of(timeout, self.options.stream_timeout)
        transport, watch = self._begin(method)
        try:
            first, answers = self._answers(transport, method, requests, seconds, watch)
            with closing(answers):
                yield from first
                yield from answers
        except DifyrpcError as error:
            raise watch.failed(explained(error, method, seconds)) from None
        except BaseException as error:
            watch.left(error)
            raise
        watch.succeeded()

    def changed(self, **options: Any) -> Calls:
        """Answers the same with other options."""
        return Calls(self._wires, replace(self.options, **options), self.clock)

    def _answers(
        self,
        transport: Transport,
        method: Method[Req, Res],
        requests: Callable[[], Iterable[Req]],
        seconds: float,
        watch: Watch,
    ) -> tuple[list[Res], Generator[Res, None, None]]:
        """Answers the first answer, if there is one, and the others."""
        plan, headers = self._plan, watch.headers()

        def begin(left: Callable[[], float]) -> tuple[list[Res], Generator[Res, None, None]]:
            metadata = plan.metadata(watch.request_id, headers)
            answers = transport.stream(method, requests(), left(), metadata)
            return [answer for answer in [next(answers, None)] if answer is not None], answers

        try:
            return begin(lambda: watch.remaining(seconds))
        except DifyrpcError as error:
            attempts = self._attempts(method, error, seconds, watch)
        return repeat(lambda: begin(attempts.left), attempts)


class AsyncCalls(_Calls[AsyncTransport]):
    """Makes calls in the running event loop."""

    def __init__(self, wires: Wires[AsyncTransport], options: CallOptions, clock: Clock = SYSTEM_CLOCK) -> None:
        super().__init__(wires, options, clock)
        self._plan = AsyncPlan(options)

    async def unary(self, method: Method[Req, Res], request: Req, timeout: float | None = None) -> Res:
        """Sends one message and answers one, within `timeout` seconds."""
        seconds = seconds_of(timeout, self.options.timeout)
        transport, watch = self._begin(method)
        try:
            answer = await self._answer(transport, method, with_request_id(method, request), seconds, watch)
        except DifyrpcError as error:
            raise watch.failed(explained(error, method, seconds)) from None
        except BaseException as error:
            watch.left(error)
            raise
        watch.succeeded()
        return answer

    async def _answer(
        self, transport: AsyncTransport, method: Method[Req, Res], request: Req, seconds: float, watch: Watch
    ) -> Res:
        headers = watch.headers()
        try:
            metadata = await self._plan.metadata(watch.request_id, headers)
            left = watch.remaining(seconds) if self._plan.asks else seconds
            return await transport.unary(method, request, left, metadata)
        except DifyrpcError as error:
            attempts = self._attempts(method, error, seconds, watch)

        async def again() -> Res:
            metadata = await self._plan.metadata(watch.request_id, headers)
            return await transport.unary(method, request, attempts.left(), metadata, self.options.retry.wait_for_ready)

        return await repeat_async(again, attempts)

    async def stream(
        self,
        method: Method[Req, Res],
        requests: Callable[[], Iterable[Req] | AsyncIterable[Req]],
        timeout: float | None = None,
    ) -> AsyncGenerator[Res, None]:
        """Sends what `requests` makes and yields the answers; is repeated only while none has come."""
        seconds = seconds_of(timeout, self.options.stream_timeout)
        transport, watch = self._begin(method)
        try:
            first, answers = await self._answers(transport, method, requests, seconds, watch)
            async with aclosing(answers):
                for answer in first:
                    yield answer
                async for answer in answers:
                    yield answer
        except DifyrpcError as error:
            raise watch.failed(explained(error, method, seconds)) from None
        except BaseException as error:
            watch.left(error)
            raise
        watch.succeeded()

    def changed(self, **options: Any) -> AsyncCalls:
        """Answers the same with other options."""
        return AsyncCalls(self._wires, replace(self.options, **options), self.clock)

    async def _answers(
        self,
        transport: AsyncTransport,
        method: Method[Req, Res],
        requests: Callable[[], Iterable[Req] | AsyncIterable[Req]],
        seconds: float,
        watch: Watch,
    ) -> tuple[list[Res], AsyncGenerator[Res, None]]:
        """Answers the first answer, if there is one, and the others."""
        plan, headers = self._plan, watch.headers()

        async def begin(left: Callable[[], float]) -> tuple[list[Res], AsyncGenerator[Res, None]]:
            metadata = await plan.metadata(watch.request_id, headers)
            answers = transport.stream(method, requests(), left(), metadata)
            return [answer for answer in [await anext(answers, None)] if answer is not None], answers

        try:
            return await begin(lambda: watch.remaining(seconds))
        except DifyrpcError as error:
            attempts = self._attempts(method, error, seconds, watch)
        return await repeat_async(lambda: begin(attempts.left), attempts)
