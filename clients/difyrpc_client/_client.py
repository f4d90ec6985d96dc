"""The clients: one object with the services of one deployment, synchronous or asynchronous."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cached_property
from types import TracebackType
from typing import Any, Self

from difyrpc_client._calls import AsyncCalls, Calls
from difyrpc_client._circuit import Breaker
from difyrpc_client._documents import AsyncDocuments, Documents
from difyrpc_client._files import Files
from difyrpc_client._files_async import AsyncFiles
from difyrpc_client._hooks import Hooks
from difyrpc_client._labels import checked_value, labels
from difyrpc_client._metrics import AsyncMetrics, Metrics
from difyrpc_client._retry import SYSTEM_CLOCK, Clock, Retry
from difyrpc_client._settings import (
    LEAST_SECONDS,
    AsyncToken,
    Token,
    breaker_of,
    checked_number,
    checked_token,
    read_settings,
)
from difyrpc_client._target import grpc_only
from difyrpc_client._tls import TLS
from difyrpc_client._transport import (
    gevent_refusal,
)
from difyrpc_client._vectors import Vectors
from difyrpc_client._vectors_async import AsyncVectors
from difyrpc_client._wires import AsyncClientWires, ClientWires


class Dify:
    """The services of one deployment. Made by `connect`; may be shared by threads."""

    def __init__(self, calls: Calls, close: Callable[[], None]) -> None:
        self._calls = calls
        self._close = close

    @cached_property
    def documents(self) -> Documents:
        """Parses documents."""
        return Documents(self._calls)

    @cached_property
    def files(self) -> Files:
        """Stores files."""
        return Files(self._calls)

    @cached_property
    def metrics(self) -> Metrics:
        """Records and answers usage."""
        return Metrics(self._calls)

    @cached_property
    def vectors(self) -> Vectors:
        """Stores points and searches them."""
        return Vectors(self._calls)

    def with_options(
        self,
        *,
        timeout: float | None = None,
        stream_timeout: float | None = None,
        retry: Retry | None = None,
        breaker: Breaker | bool | None = None,
        hooks: Hooks | None = None,
        token: Token | None = None,
        app: str | None = None,
        user: str | None = None,
        metadata: Mapping[str, str] | None = None,
        request_id: str | None = None,
    ) -> Dify:
        """Answers the same client with other options; it shares the connections and ends with this one.

        `request_id` becomes the `x-request-id` of every call made with it.
        """
        options = _changed(
            self._calls,
            labels(app, user, metadata),
            timeout=timeout,
            stream_timeout=stream_timeout,
            retry=retry,
            breaker=breaker,
            hooks=hooks,
            token=token,
            request_id=request_id,
        )
        return Dify(self._calls.changed(**options), _nothing)

    def close(self) -> None:
        """Gives the connections back to the process's pool; a second time does nothing."""
        self._close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class AsyncDify:
    """The services of one deployment, in the event loop. Made by `connect_async`."""

    def __init__(self, calls: AsyncCalls, close: Callable[[], Any]) -> None:
        self._calls = calls
        self._close = close

    @cached_property
    def documents(self) -> AsyncDocuments:
        """Parses documents."""
        return AsyncDocuments(self._calls)

    @cached_property
    def files(self) -> AsyncFiles:
        """Stores files."""
        return AsyncFiles(self._calls)

    @cached_property
    def metrics(self) -> AsyncMetrics:
        """Records and answers usage."""
        return AsyncMetrics(self._calls)

    @cached_property
    def vectors(self) -> AsyncVectors:
        """Stores points and searches them."""
        return AsyncVectors(self._calls)

    def with_options(
        self,
        *,
        timeout: float | None = None,
        stream_timeout: float | None = None,
        retry: Retry | None = None,
        breaker: Breaker | bool | None = None,
        hooks: Hooks | None = None,
        token: AsyncToken | None = None,
        app: str | None = None,
        user: str | None = None,
        metadata: Mapping[str, str] | None = None,
        request_id: str | None = None,
    ) -> AsyncDify:
        """Answers the same client with other options; it shares the connections and ends with this one.

        `request_id` becomes the `x-request-id` of every call made with it.
        """
        options = _changed(
            self._calls,
            labels(app, user, metadata),
            timeout=timeout,
            stream_timeout=stream_timeout,
            retry=retry,
            breaker=breaker,
            hooks=hooks,
            token=token,
            request_id=request_id,
        )
        return AsyncDify(self._calls.changed(**options), _nothing_async)

    async def close(self) -> None:
        """Gives the connections back to the event loop's pool; a second time does nothing."""
        await self._close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()


def connect(
    target: str | None = None,
    *,
    token: Token | None = None,
    tls: TLS | bool | None = None,
    timeout: float | None = None,
    stream_timeout: float | None = None,
    retry: Retry | None = None,
    breaker: Breaker | bool | None = None,
    hooks: Hooks | None = None,
    app: str | None = None,
    user: str | None = None,
    metadata: Mapping[str, str] | None = None,
    channels: int | None = None,
    keepalive_seconds: float | None = None,
    max_message_bytes: int | None = None,
    env: Mapping[str, str] | None = None,
    clock: Clock = SYSTEM_CLOCK,
) -> Dify:
    """Answers a client; connects with the first call. What is not given comes from the environment.

    Args:
        target: `host:port`, or `dns:///{service}.difyrpc.svc:50051` where each service has an address of its own
            (documents, files, metrics, vectors); `DIFYRPC_TARGET`, else `localhost:50051`. `DIFYRPC_<SERVICE>_TARGET`
            stands above both. Without a port: 50051. A URL, `http://gateway:8080` or `https://…`, is called by HTTP
            with the standard library alone, in one thread and through the proxies of `HTTP_PROXY`, `HTTPS_PROXY`,
            `NO_PROXY`: for Dify's Code node. `DIFYRPC_HTTP_CODEC` is proto, or json for messages that can be read.
        token: the API key, or what answers it before each try; `DIFYRPC_TOKEN`, or `DIFYRPC_TOKEN_FILE`, which is
            read anew every ten seconds. Without `tls` it travels readable: only inside a network that you trust.
        tls: True for the public authorities, TLS(…) for your own and for mTLS; `DIFYRPC_TLS`, `DIFYRPC_TLS_CA`,
            `DIFYRPC_TLS_CERTIFICATE`, `DIFYRPC_TLS_KEY`, `DIFYRPC_TLS_SERVER_NAME`.
        timeout: seconds for one call with all its repetitions, 60 by default; `DIFYRPC_TIMEOUT`.
        stream_timeout: the same for one upload, download or other stream, 600; `DIFYRPC_STREAM_TIMEOUT`.
        retry: how often and how fast calls are repeated; `DIFYRPC_RETRY_ATTEMPTS` for the number alone.
        breaker: when calls to a method that keeps failing are refused at once; False for never; `DIFYRPC_BREAKER`.
        hooks: functions that are told of each call, each repetition and each circuit that opens or closes.
        app: label of the calls for limits and usage, any text; `DIFYRPC_APP`. Never identity.
        user: label of the calls for limits and usage, any text; `DIFYRPC_USER`. Never identity.
        metadata: further metadata of every call, in printable ASCII.
        channels: connections to each address, 2 by default; `DIFYRPC_CHANNELS`.
        keepalive_seconds: silence after which the peer is asked whether it is there, 30; 0 never asks;
            `DIFYRPC_KEEPALIVE_SECONDS`. Below 30 only with servers that permit it.
        max_message_bytes: the largest message that is accepted, 64 MiB by default.
        env: what to read in place of the process's environment.
        clock: time and sleep, for tests.

    Raises:
        ConfigurationError: a value cannot be used; the message names it.
    """
    settings = read_settings(
        target,
        env=env,
        token=token,
        tls=tls,
        timeout=timeout,
        stream_timeout=stream_timeout,
        retry=retry,
        breaker=breaker,
        hooks=hooks,
        app=app,
        user=user,
        metadata=metadata,
        channels=channels,
        keepalive_seconds=keepalive_seconds,
        max_message_bytes=max_message_bytes,
    )
    wires = ClientWires(settings)
    return Dify(Calls(wires, settings.options, clock), wires.close)


def connect_async(
    target: str | None = None,
    *,
    token: AsyncToken | None = None,
    tls: TLS | bool | None = None,
    timeout: float | None = None,
    stream_timeout: float | None = None,
    retry: Retry | None = None,
    breaker: Breaker | bool | None = None,
    hooks: Hooks | None = None,
    app: str | None = None,
    user: str | None = None,
    metadata: Mapping[str, str] | None = None,
    channels: int | None = None,
    keepalive_seconds: float | None = None,
    max_message_bytes: int | None = None,
    env: Mapping[str, str] | None = None,
    clock: Clock = SYSTEM_CLOCK,
) -> AsyncDify:
    """Answers a client for the event loop, with the arguments of `connect`; the token's provider may be a coroutine.

    ConfigurationError in a process that gevent has patched, as every Dify plugin is: use `connect` there.
    """
    gevent_refusal()
    settings = read_settings(
        target,
        env=env,
        token=token,
        tls=tls,
        timeout=timeout,
        stream_timeout=stream_timeout,
        retry=retry,
        breaker=breaker,
        hooks=hooks,
        app=app,
        user=user,
        metadata=metadata,
        channels=channels,
        keepalive_seconds=keepalive_seconds,
        max_message_bytes=max_message_bytes,
    )
    grpc_only(settings.target, "connect_async()")
    wires = AsyncClientWires(settings)
    return AsyncDify(AsyncCalls(wires, settings.options, clock), wires.close)


def _changed(calls: Calls | AsyncCalls, more: tuple[tuple[str, str], ...], **given: Any) -> dict[str, Any]:
    changed = {name: _CHECKS[name](value) for name, value in given.items() if value is not None}
    if more:
        changed["labels"] = tuple({**dict(calls.options.labels), **dict(more)}.items())
    return changed


_CHECKS: dict[str, Callable[[Any], Any]] = {
    "timeout": lambda seconds: checked_number("timeout", seconds, LEAST_SECONDS),
    "stream_timeout": lambda seconds: checked_number("stream_timeout", seconds, LEAST_SECONDS),
    "retry": lambda retry: retry,
    "breaker": breaker_of,
    "hooks": lambda hooks: hooks,
    "token": checked_token,
    "request_id": lambda text: checked_value("request_id", text),
}


def _nothing() -> None:
    """Closes nothing: a client with other options shares what it calls through."""


async def _nothing_async() -> None:
    """Closes nothing."""
