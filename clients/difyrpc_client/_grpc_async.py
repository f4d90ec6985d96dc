"""Sends calls over grpc.aio; channels belong to the event loop that they were made in."""

from __future__ import annotations

import asyncio
import os
import time
import weakref
from collections.abc import AsyncGenerator, AsyncIterable, Iterable, Sequence
from dataclasses import replace
from typing import Any, cast

import grpc
import grpc.aio

from difyrpc_client._diagnosis import Doctor, got_no_connection, with_new_files
from difyrpc_client._errors import ConfigurationError, DifyrpcError
from difyrpc_client._grpc import typed
from difyrpc_client._methods import Method, Req, Res
from difyrpc_client._pool import Options, channel_options, multicallable
from difyrpc_client._settings import Endpoint
from difyrpc_client._tls import Renewal, renewal_of
from difyrpc_client._transport import Metadata

Loop = asyncio.AbstractEventLoop


class AsyncConnection:
    """One channel of a loop with the callables that were made for it."""

    def __init__(self, endpoint: Endpoint) -> None:
        self.tls = endpoint.tls
        self.channel = open_async_channel(endpoint)
        self._calls: dict[str, Any] = {}

    def call(self, method: Method[Any, Any]) -> Any:
        """Answers the callable of grpc for a method."""
        return self._calls.get(method.path) or self._calls.setdefault(method.path, multicallable(self.channel, method))


def open_async_channel(endpoint: Endpoint, interceptors: Sequence[grpc.aio.ClientInterceptor] = ()) -> grpc.aio.Channel:
    """Makes one channel in the running loop."""
    options: Options = channel_options(endpoint)
    if endpoint.tls is None:
        return grpc.aio.insecure_channel(endpoint.target, options, interceptors=interceptors)
    return grpc.aio.secure_channel(endpoint.target, endpoint.tls.credentials(), options, interceptors=interceptors)


class LoopPool:
    """The channels of one event loop, counted by endpoint; closed with their last user."""

    def __init__(self) -> None:
        self._users: dict[Endpoint, int] = {}
        self._connections: dict[tuple[Endpoint, int], AsyncConnection] = {}
        self._replaced: set[Endpoint] = set()
        self._turn = 0

    @property
    def is_unused(self) -> bool:
        """Whether nobody uses it now."""
        return not self._users

    def acquire(self, endpoint: Endpoint) -> None:
        """Counts one more user."""
        self._users[endpoint] = self._users.get(endpoint, 0) + 1

    def connect(self, endpoint: Endpoint) -> AsyncConnection:
        """Answers one of the endpoint's channels, in turn."""
        self._turn += 1
        key = endpoint, self._turn % endpoint.channels
        found = self._connections.get(key)
        if found is None:
            found = self._connections[key] = AsyncConnection(endpoint)
        return found

    def retire(self, endpoint: Endpoint) -> None:
        """Counts one user less of channels that others have replaced; they close with the last of their calls."""
        self._replaced.add(endpoint)
        self._leave(endpoint)

    async def release(self, endpoint: Endpoint) -> None:
        """Counts one user less and closes the channels after the last."""
        for connection in self._leave(endpoint):
            await connection.channel.close()

    def _leave(self, endpoint: Endpoint) -> list[AsyncConnection]:
        """Answers the channels that have lost their last user and are to be closed."""
        self._users[endpoint] -= 1
        if self._users[endpoint]:
            return []
        del self._users[endpoint]
        left = [self._connections.pop(key) for key in list(self._connections) if key[0] == endpoint]
        if endpoint not in self._replaced:
            return left
        self._replaced.discard(endpoint)
        return []  # not closed, since calls may run on them: a channel that nothing holds ends with its calls


_pools: weakref.WeakKeyDictionary[Loop, LoopPool] = weakref.WeakKeyDictionary()


class _Fork:
    """What was open when this process was forked."""

    was_unclean = False


def _note_fork() -> None:
    _Fork.was_unclean = _Fork.was_unclean or bool(_pools)


os.register_at_fork(after_in_child=_note_fork)


def pool_of(loop: Loop) -> LoopPool:
    """Answers the pool of a loop."""
    pool = _pools.get(loop)
    if pool is None:
        pool = _pools[loop] = LoopPool()
    return pool


class AsyncGrpcTransport:
    """The AsyncTransport; may be used in several loops, one after the other."""

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint
        self._doctor = Doctor(endpoint.target)
        self._renewal = renewal_of(endpoint.tls)
        self._loop: Loop | None = None
        self._pool: LoopPool | None = None
        self._closed = False

    async def unary(
        self, method: Method[Req, Res], request: Req, timeout: float, metadata: Metadata, wait_for_ready: bool = False
    ) -> Res:
        """Sends one message and answers the one that comes back."""
        connection = self._connection()
        call = connection.call(method)(request, timeout=timeout, metadata=metadata, wait_for_ready=wait_for_ready)
        try:
            return cast("Res", await _answer(call))
        except grpc.RpcError as error:
            raise await self._explained(error, metadata, connection, timeout) from None

    async def stream(
        self,
        method: Method[Req, Res],
        requests: Iterable[Req] | AsyncIterable[Req],
        timeout: float,
        metadata: Metadata,
    ) -> AsyncGenerator[Res, None]:
        """Sends the messages and yields what comes back; closing the generator cancels the call."""
        sent = _Sent(requests)
        connection = self._connection()
        call = connection.call(method)(
            sent.messages() if method.request_streaming else await anext(sent.messages()),
            timeout=timeout,
            metadata=metadata,
        )
        call._cython_call = _TrueStatus(call._cython_call)
        try:
            if not method.response_streaming:
                yield await _answer(call)
                return
            async for response in call:
                yield response
        except grpc.RpcError as error:
            raise sent.error or await self._explained(error, metadata, connection, timeout) from None
        except asyncio.CancelledError:
            if sent.error is not None:
                raise sent.error from None
            raise
        finally:
            await _end(call)

    async def close(self) -> None:
        """Gives the channels back."""
        pool, self._pool, self._closed = self._pool, None, True
        loop = asyncio.get_running_loop()
        if pool is not None and self._loop is loop:
            await pool.release(self._endpoint)
            if pool.is_unused and _pools.get(loop) is pool:
                del _pools[loop]  # grpc may keep the loop for a while, and with it what hangs on it

    def _connection(self) -> AsyncConnection:
        loop = asyncio.get_running_loop()
        if self._pool is None or self._loop is not loop:
            self._enter(loop)
        pool = cast("LoopPool", self._pool)
        if self._renewal is not None:
            self._follow(pool, self._renewal)
        return pool.connect(self._endpoint)

    def _follow(self, pool: LoopPool, renewal: Renewal) -> None:
        """Goes to new channels when the files of TLS have changed; reading them takes a tenth of a millisecond."""
        material = renewal.look() if time.monotonic() >= renewal.look_at else renewal.material
        if material is not self._endpoint.tls:
            old, self._endpoint = self._endpoint, replace(self._endpoint, tls=material)
            pool.acquire(self._endpoint)
            pool.retire(old)

    async def _explained(
        self, error: grpc.RpcError, metadata: Metadata, connection: AsyncConnection, timeout: float
    ) -> DifyrpcError:
        ours = typed(error, metadata, self._endpoint.target)
        if not got_no_connection(ours):
            return ours
        if self._renewal is not None and self._renewal.look() != connection.tls:
            return with_new_files(ours)
        return await asyncio.to_thread(self._doctor.examine, ours, connection.tls, timeout)

    def _enter(self, loop: Loop) -> None:
        if self._closed:
            raise ValueError("the client is closed")
        if _Fork.was_unclean:
            raise ConfigurationError(
                "this process was forked while an asynchronous client was open, and grpc would hang here; "
                "open clients after the fork, or start the process by spawn"
            )
        self._loop, self._pool = loop, pool_of(loop)
        self._pool.acquire(self._endpoint)


class _Sent:
    """Messages on their way; keeps what making them raised, of which grpc shows a cancellation only."""

    def __init__(self, requests: Iterable[Any] | AsyncIterable[Any]) -> None:
        self.error: Exception | None = None
        self._requests = requests

    async def messages(self) -> AsyncGenerator[Any, None]:
        """Yields the messages of either kind of iterable."""
        try:
            if isinstance(self._requests, AsyncIterable):
                async for request in self._requests:
                    yield request
            else:
                for request in self._requests:
                    yield request
        except Exception as error:
            self.error = error
            raise


class _TrueStatus:
    """Stands before grpc's inner call and keeps it from overwriting the server's status.

    grpc.aio ends a call as INTERNAL "Internal error from Core" when it fails to send because the server has ended
    the call already; in 17 of 60 calls the server's status was lost so. Without the overwriting it waits for it.
    """

    def __init__(self, inner: Any) -> None:
        self._inner = inner

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def set_internal_error(self, message: str) -> None:
        """Leaves the status to the server."""


async def _answer(call: Any) -> Any:
    """Awaits a unary call. One that is cancelled takes its last event first: grpc would keep 3 KB of it for good."""
    answering = getattr(call, "_call_response", None)
    if answering is None:  # another version of grpc, with other insides
        return await call
    try:
        await asyncio.shield(answering)
    except asyncio.CancelledError:
        if not answering.done():
            call._cython_call.cancel("the caller has left")
            await asyncio.wait((answering,))
        raise
    return await call


async def _end(call: Any) -> None:
    """Cancels a call that was left early and waits for its end: closing a channel before would hang it."""
    if not call.done():
        call.cancel()
        await call.code()
