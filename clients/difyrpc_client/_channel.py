"""A channel for generated stubs: pooled, with the token, request id, deadline and repetitions of the client."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterable
from typing import Any, Self, cast

import grpc

from difyrpc_client._errors import CircuitOpen, DifyrpcError
from difyrpc_client._grpc import typed
from difyrpc_client._methods import Repeat, known_repeat
from difyrpc_client._plan import Plan
from difyrpc_client._pool import PROCESS_POOL, Lease, Pool
from difyrpc_client._retry import SYSTEM_CLOCK, Attempts, Clock, passing, repeat
from difyrpc_client._route import PROCESS_ROUTES, Route
from difyrpc_client._settings import CallOptions, Endpoint
from difyrpc_client._watch import Watch

Metadata = Iterable[tuple[str, str | bytes]] | None
Coder = Callable[[Any], Any] | None


class PooledChannel(grpc.Channel):
    """A grpc.Channel over the process's pool; every call goes to one of its connections in turn.

    Adds `authorization`, `x-request-id` and the labels where the caller sets none, and the default timeout. Unary
    calls are counted and traced, go through their circuit, and are repeated where the contract marks them so; futures
    and streams are not. Errors stay grpc.RpcError.
    """

    def __init__(
        self, endpoint: Endpoint, options: CallOptions, *, clock: Clock = SYSTEM_CLOCK, pool: Pool = PROCESS_POOL
    ) -> None:
        self.plan = Plan(options)
        """What every call carries."""
        self.clock = clock
        """Time, and how to wait."""
        self.lease = Lease(endpoint, pool)
        """The connections."""
        self._target = endpoint.target
        self._release = weakref.finalize(self, self.lease.release)
        self._release.atexit = False

    def unary_unary(
        self,
        method: str,
        request_serializer: Coder = None,
        response_deserializer: Coder = None,
        _registered_method: bool = False,
    ) -> Any:
        """Answers the callable of a method that sends one message and gets one."""
        return _Repeated(self, "unary_unary", method, request_serializer, response_deserializer)

    def unary_stream(
        self,
        method: str,
        request_serializer: Coder = None,
        response_deserializer: Coder = None,
        _registered_method: bool = False,
    ) -> Any:
        """Answers the callable of a method that sends one message and gets several."""
        return _Once(self, "unary_stream", method, request_serializer, response_deserializer)

    def stream_unary(
        self,
        method: str,
        request_serializer: Coder = None,
        response_deserializer: Coder = None,
        _registered_method: bool = False,
    ) -> Any:
        """Answers the callable of a method that sends several messages and gets one."""
        return _Once(self, "stream_unary", method, request_serializer, response_deserializer)

    def stream_stream(
        self,
        method: str,
        request_serializer: Coder = None,
        response_deserializer: Coder = None,
        _registered_method: bool = False,
    ) -> Any:
        """Answers the callable of a method that sends several messages and gets several."""
        return _Once(self, "stream_stream", method, request_serializer, response_deserializer)

    def route(self, path: str) -> Route:
        """Answers what the process knows of a method here."""
        return PROCESS_ROUTES.of(self._target, path)

    def subscribe(
        self, callback: Callable[[grpc.ChannelConnectivity], None], try_to_connect: bool | None = False
    ) -> None:
        """Tells the callback how one of the connections stands, as grpc.Channel does."""
        self.lease.first().channel.subscribe(callback, try_to_connect or False)

    def unsubscribe(self, callback: Callable[[grpc.ChannelConnectivity], None]) -> None:
        """Tells the callback nothing more."""
        self.lease.first().channel.unsubscribe(callback)

    def close(self) -> None:
        """Gives the connections back to the pool; a second time does nothing."""
        self._release()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> bool | None:
        self.close()
        return None


class _Once:
    """The callable of one method; keeps its channel alive, since stubs do not."""

    def __init__(self, channel: PooledChannel, shape: str, path: str, encode: Coder, decode: Coder) -> None:
        self._channel = channel
        self._path = path
        self._key = (shape, path, encode, decode)
        self._plan = options = channel.plan.options
        self._timeout = options.timeout if shape == "unary_unary" else options.stream_timeout

    def __call__(
        self, request: Any, timeout: float | None = None, metadata: Metadata = None, *rest: Any, **more: Any
    ) -> Any:
        """Sends the call, as the callable of a plain channel does."""
        return self._call()(request, self._seconds(timeout), self._metadata(metadata), *rest, **more)

    def with_call(
        self, request: Any, timeout: float | None = None, metadata: Metadata = None, *rest: Any, **more: Any
    ) -> Any:
        """Answers the response and the call."""
        return self._call().with_call(request, self._seconds(timeout), self._metadata(metadata), *rest, **more)

    def future(
        self, request: Any, timeout: float | None = None, metadata: Metadata = None, *rest: Any, **more: Any
    ) -> Any:
        """Answers at once with a future; it is not repeated."""
        return self._call().future(request, self._seconds(timeout), self._metadata(metadata), *rest, **more)

    def _call(self) -> Any:
        return self._channel.lease.connection().raw(*self._key)

    def _seconds(self, timeout: float | None) -> float:
        return self._timeout if timeout is None else timeout

    def _metadata(self, given: Metadata) -> list[tuple[str, str | bytes]]:
        return merged(self._channel.plan.metadata(), given)


class _Repeated(_Once):
    """The callable of a unary method, repeated where the contract allows it."""

    def __call__(
        self, request: Any, timeout: float | None = None, metadata: Metadata = None, *rest: Any, **more: Any
    ) -> Any:
        """Sends the call, again where its failure is passing; raises grpc's error of the last try."""
        return self._tried(
            lambda left, ours: self._call()(request, left, ours, *rest, **more), request, timeout, metadata
        )

    def with_call(
        self, request: Any, timeout: float | None = None, metadata: Metadata = None, *rest: Any, **more: Any
    ) -> Any:
        """Answers the response and the call of the last try."""
        return self._tried(
            lambda left, ours: self._call().with_call(request, left, ours, *rest, **more), request, timeout, metadata
        )

    def _tried(self, send: Callable[[float, Any], Any], request: Any, timeout: float | None, metadata: Metadata) -> Any:
        watch = self._watch()
        ours = merged(self._channel.plan.metadata(watch.request_id, watch.headers()), metadata)
        try:
            answer = self._answer(_typing(send, ours), request, self._seconds(timeout), watch)
        except DifyrpcError as error:
            watch.failed(error)
            raise _cause(error) from None
        except BaseException as error:
            watch.left(error)
            raise
        watch.succeeded()
        return answer

    def _watch(self) -> Watch:
        try:
            return Watch(self._channel.route(self._path), self._path, self._plan, self._channel.clock)
        except CircuitOpen as error:
            raise NotCalled(error) from None

    def _answer(self, send: Callable[[float], Any], request: Any, seconds: float, watch: Watch) -> Any:
        try:
            return send(seconds)
        except DifyrpcError as error:
            if not self._repeatable(request, error):
                raise
            attempts = Attempts(error, self._plan.retry, watch.started + seconds, watch, self._channel.clock)
        return repeat(lambda: send(attempts.left()), attempts)

    def _repeatable(self, request: Any, error: DifyrpcError) -> bool:
        stated = known_repeat(self._path)
        free = stated is Repeat.FREELY or (stated is Repeat.WITH_REQUEST_ID and bool(request.request_id))
        return free and passing(error) and self._plan.retry.attempts > 1


class NotCalled(grpc.RpcError):
    """What an open circuit raises to the user of a stub: UNAVAILABLE, with `error` for the rest."""

    def __init__(self, error: CircuitOpen) -> None:
        self.error = error
        """The error that the client's own methods raise."""
        super().__init__(str(error))

    def code(self) -> grpc.StatusCode:
        """Answers UNAVAILABLE."""
        return grpc.StatusCode.UNAVAILABLE

    def details(self) -> str:
        """Answers which calls failed and when to come back."""
        return self.error.message

    def trailing_metadata(self) -> tuple[()]:
        """Answers nothing: no server has answered."""
        return ()


def _typing(send: Callable[[float, Any], Any], metadata: Any) -> Callable[[float], Any]:
    def typing(left: float) -> Any:
        try:
            return send(left, metadata)
        except grpc.RpcError as error:
            raise typed(error, metadata) from error

    return typing


def _cause(error: DifyrpcError) -> grpc.RpcError:
    return cast("grpc.RpcError", error.__cause__)


def merged(ours: Iterable[tuple[str, str]], given: Metadata) -> list[tuple[str, str | bytes]]:
    """Answers the caller's metadata, and ours under the keys that it does not have."""
    if not given:
        return list(ours)
    theirs = list(given)
    taken = {key for key, _ in theirs}
    return [*theirs, *(pair for pair in ours if pair[0] not in taken)]
