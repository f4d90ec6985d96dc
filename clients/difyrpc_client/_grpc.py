"""Sends calls over the process's pool of gRPC channels."""

from __future__ import annotations

import weakref
from collections.abc import Generator, Iterable, Iterator
from typing import Any, cast

import grpc

from difyrpc_client._errors import DifyrpcError, RpcFailure, Unavailable, from_rpc_error
from difyrpc_client._methods import Method, Req, Res
from difyrpc_client._one_thread import end
from difyrpc_client._pool import PROCESS_POOL, Connection, Lease, Pool
from difyrpc_client._settings import Endpoint
from difyrpc_client._transport import Metadata, gevent_patched, request_id_of


class GrpcTransport:
    """The Transport of threads and of gevent's greenlets."""

    def __init__(self, endpoint: Endpoint, pool: Pool = PROCESS_POOL) -> None:
        self._target = endpoint.target
        self._lease = Lease(endpoint, pool)
        self._finalizer = weakref.finalize(self, self._lease.release)  # a client that is dropped gives back as well
        self._finalizer.atexit = False

    def unary(
        self, method: Method[Req, Res], request: Req, timeout: float, metadata: Metadata, wait_for_ready: bool = False
    ) -> Res:
        """Sends one message and answers the one that comes back."""
        connection = self._lease.connection()
        try:
            return cast("Res", connection.call(method)(request, timeout, metadata, None, wait_for_ready))
        except grpc.RpcError as error:
            raise self._explained(error, metadata, connection, timeout) from None

    def stream(
        self, method: Method[Req, Res], requests: Iterable[Req], timeout: float, metadata: Metadata
    ) -> Generator[Res, None, None]:
        """Sends the messages and yields what comes back; closing the generator cancels the call."""
        connection = self._lease.connection()
        call, sent = _callable(connection, method), _Sent(requests)
        try:
            if not method.response_streaming:
                yield call(sent.messages(), timeout, metadata)
                return
            messages = sent.messages() if method.request_streaming else next(sent.messages())
            yield from _responses(call(messages, timeout, metadata))
        except grpc.RpcError as error:
            error.with_traceback(None)  # it is the call itself: its frames would hold it until garbage is collected
            raise sent.error or self._explained(error, metadata, connection, timeout) from None

    def close(self) -> None:
        """Gives the channels back; a second time does nothing."""
        self._finalizer()

    def _explained(
        self, error: grpc.RpcError, metadata: Metadata, connection: Connection, timeout: float
    ) -> DifyrpcError:
        return self._lease.explained(typed(error, metadata, self._target), connection, timeout)


class _Sent:
    """Messages on their way; keeps what making them raised, which grpc hides."""

    def __init__(self, requests: Iterable[Any]) -> None:
        self.error: Exception | None = None
        self._requests = requests

    def messages(self) -> Iterator[Any]:
        """Yields the messages."""
        try:
            yield from self._requests
        except Exception as error:
            self.error = error
            raise


def _callable(connection: Connection, method: Method[Any, Any]) -> Any:
    is_download = method.response_streaming and not method.request_streaming
    return connection.reading(method) if is_download and not gevent_patched() else connection.call(method)


def _responses(call: grpc.Call) -> Generator[Res, None, None]:
    try:
        yield from cast("Iterable[Res]", call)
    finally:
        end(call)


def typed(error: grpc.RpcError, metadata: Metadata, target: str = "") -> DifyrpcError:
    """Answers the error of ours for one of grpc; where nobody answered, it names the target."""
    ours = from_rpc_error(cast("RpcFailure", error), request_id_of(metadata))
    if target and isinstance(ours, Unavailable) and not ours.reason:
        ours.message = f"{target}: {ours.message}"
        ours.args = (ours.message,)
    return ours
