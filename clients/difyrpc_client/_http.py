"""Sends calls by the Connect protocol over HTTP/1.1: no grpc, no thread, no event loop; the standard library alone."""

from __future__ import annotations

import time
import weakref
from collections.abc import Generator, Iterable, Iterator
from contextlib import contextmanager
from ssl import SSLCertVerificationError
from typing import Any

from difyrpc_client._errors import DeadlineExceeded, DifyrpcError, Internal, TLSError, Unavailable, Unknown
from difyrpc_client._http_codec import CODECS
from difyrpc_client._http_connect import (
    COMPRESSED,
    HEAD,
    LAST,
    answered_error,
    content_type,
    end_of_stream,
    envelope,
    headers,
    inflated,
    too_large,
)
from difyrpc_client._http_connection import ERROR_BYTES, Answer, Broken, Connections
from difyrpc_client._http_route import Route
from difyrpc_client._http_wire import DeadlinePassed
from difyrpc_client._methods import Method, Repeat, Req, Res
from difyrpc_client._settings import Endpoint
from difyrpc_client._transport import Metadata, request_id_of


class HttpTransport:
    """The Transport of Dify's Code node, and of every place that HTTP alone can reach.

    Streams are half-duplex: all that a call sends is sent before its answers are given out.
    """

    def __init__(self, endpoint: Endpoint) -> None:
        self._target = endpoint.target
        self._limit = endpoint.max_message_bytes
        self._codec = CODECS[endpoint.http_codec]
        self._route = Route(endpoint)
        self._connections = Connections(self._route)
        self._finalizer = weakref.finalize(self, self._connections.close)  # a client that is dropped closes them too
        self._finalizer.atexit = False

    def unary(
        self, method: Method[Req, Res], request: Req, timeout: float, metadata: Metadata, wait_for_ready: bool = False
    ) -> Res:
        """Sends one message and answers the one that comes back."""
        deadline = time.monotonic() + timeout
        head = headers(self._codec.name, timeout, metadata, stream=False)
        sure = method.repeat is Repeat.NEVER
        with self._typed(metadata), self._connections.lent(deadline, sure=sure, patient=wait_for_ready) as connection:
            answer = connection.post(method.path, head, self._codec.write(request))
            self._check(answer, metadata, stream=False)
            return self._codec.read(method.response, self._body(answer))

    def stream(
        self, method: Method[Req, Res], requests: Iterable[Req], timeout: float, metadata: Metadata
    ) -> Generator[Res, None, None]:
        """Sends the messages, then yields what comes back; closing the generator closes the connection."""
        deadline = time.monotonic() + timeout
        head = headers(self._codec.name, timeout, metadata, stream=True)
        sure = method.repeat is Repeat.NEVER
        with self._typed(metadata), self._connections.lent(deadline, sure=sure) as connection:
            parts = (envelope(self._codec.write(request)) for request in requests)
            answer = connection.post(method.path, head, parts if method.request_streaming else next(parts))
            self._check(answer, metadata, stream=True)
            yield from self._messages(method, answer, request_id_of(metadata))

    def close(self) -> None:
        """Closes the connections that are kept; a second time does nothing."""
        self._finalizer()

    def _messages(self, method: Method[Any, Res], answer: Answer, request_id: str) -> Iterator[Res]:
        count = 0
        while True:
            flags, data = self._envelope(answer)
            if flags & LAST:
                break
            count += 1
            yield self._codec.read(method.response, data)
        answer.finish()
        if error := end_of_stream(data, request_id):
            raise error
        if count != 1 and not method.response_streaming:
            raise Internal(f"{method.path} answered {count} messages and not one")

    def _envelope(self, answer: Answer) -> tuple[int, bytes]:
        flags, size = HEAD.unpack(answer.exactly(HEAD.size))
        if size > self._limit:
            raise too_large(self._limit)
        data = answer.exactly(size)
        if flags & COMPRESSED:
            data = self._unpacked(data, answer.headers.get("connect-content-encoding", "identity"))
        return flags, data

    def _body(self, answer: Answer) -> bytes:
        return self._unpacked(answer.all(self._limit), answer.headers.get("content-encoding", "identity"))

    def _unpacked(self, data: bytes, encoding: str) -> bytes:
        if encoding == "identity" or not data:
            return data
        if encoding != "gzip":
            raise Internal(f"the answer is packed as {encoding!r}, which nobody asked for")
        return inflated(data, self._limit)

    def _check(self, answer: Answer, metadata: Metadata, *, stream: bool) -> None:
        """Raises what the head of a response means, unless it means an answer of the kind that was asked for."""
        where, request_id = f"{self._target}{self._route.through()}", request_id_of(metadata)
        if answer.status != 200:
            raise answered_error(
                answer.status,
                answer.reason,
                answer.headers,
                _readable(answer),
                where=where,
                request_id=request_id,
            )
        wanted = content_type(self._codec.name, stream=stream)
        if answer.media_type != wanted:
            raise Unknown(
                f"{where} answered with {answer.media_type or 'no Content-Type'} and not with {wanted}; "
                "is it the address of a difyrpc gateway?"
            )

    @contextmanager
    def _typed(self, metadata: Metadata) -> Iterator[None]:
        """Turns what the network did into errors of ours."""
        request_id = request_id_of(metadata)
        try:
            yield
        except DeadlinePassed:
            raise DeadlineExceeded("Deadline Exceeded", request_id=request_id) from None
        except Broken as error:
            raise _broken(error, f"{self._target}{self._route.through()}", request_id) from error
        except DifyrpcError as error:
            error.request_id = error.request_id or request_id
            raise


def _broken(error: Broken, where: str, request_id: str) -> Unavailable:
    """Answers the error of a connection that broke or was not made; a certificate that is not trusted stays so."""
    if not isinstance(error.__cause__, SSLCertVerificationError):
        return Unavailable(f"{where}: {error}", request_id=request_id)
    from difyrpc_client._diagnosis import SAID_BY_OPENSSL, UNTRUSTED

    return TLSError(
        f"{where}: {error}; give its authority as TLS(ca=…) or DIFYRPC_TLS_CA, and its name as TLS(server_name=…)",
        reason=SAID_BY_OPENSSL.get(error.__cause__.verify_code, UNTRUSTED),
        metadata={"target": where},
        request_id=request_id,
    )


def _readable(answer: Answer) -> bytes:
    """Answers the body of an error, nothing where it cannot be read."""
    data = answer.some()
    if answer.headers.get("content-encoding", "identity") != "gzip":
        return data
    try:
        return inflated(data, ERROR_BYTES)
    except DifyrpcError:
        return b""
