"""One HTTP/1.1 connection at a time for each call: made, kept for the next call, or closed."""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from http.client import HTTPConnection, HTTPException, HTTPMessage, HTTPResponse, IncompleteRead

from difyrpc_client._http_connect import too_large
from difyrpc_client._http_route import Route
from difyrpc_client._http_wire import DeadlinePassed, Wire

IDLE_CONNECTIONS = 8  # kept at most; more callers than that open and close their own
IDLE_SECONDS = 30.0  # after which one is not used again
SURE_SECONDS = 1.0  # within which no server closes a connection that it keeps
LINGER_SECONDS = 0.2  # how long the end of a body is waited for once the last message is there
ERROR_BYTES = 256 * 1024  # of a body that tells of an error


class Broken(Exception):
    """The network, or what answers there, did not do as it should; says what was seen."""


class Answer:
    """A response whose body is read bit by bit; raises Broken for a body that ends too early."""

    def __init__(self, response: HTTPResponse, wire: Wire) -> None:
        self._response = response
        self._wire = wire

    @property
    def status(self) -> int:
        """HTTP's number."""
        return self._response.status

    @property
    def reason(self) -> str:
        """The words beside the number."""
        return self._response.reason

    @property
    def headers(self) -> HTTPMessage:
        """The headers; names in any case."""
        return self._response.headers

    @property
    def media_type(self) -> str:
        """`Content-Type` without its parameters."""
        return self.headers.get("content-type", "").partition(";")[0].strip().lower()

    def all(self, limit: int) -> bytes:
        """Reads the body; ResourceExhausted where it has more than `limit` bytes."""
        response = self._response
        if not response.chunked and response.length is None:
            raise Broken("the answer does not say where it ends")  # a broken one would look whole
        if response.length is not None and response.length > limit:
            raise too_large(limit)
        with _reading():
            data = response.read(limit + 1) if response.chunked else response.read()
        if len(data) > limit:
            raise too_large(limit)
        return data

    def exactly(self, size: int) -> bytes:
        """Reads so many bytes."""
        if not size:
            return b""
        with _reading():
            data = self._response.read(size)
        if len(data) < size:
            raise Broken("the stream ended before its last message")
        return data

    def some(self) -> bytes:
        """Reads what explains an error, as far as it is there."""
        try:
            return self._response.read(ERROR_BYTES)
        except IncompleteRead as error:
            return error.partial
        except (OSError, HTTPException):
            return b""

    def finish(self) -> None:
        """Reads the end of a body whose last message has come, so that the connection can be used again."""
        self._wire.deadline = min(self._wire.deadline, time.monotonic() + LINGER_SECONDS)
        with suppress(OSError, HTTPException, DeadlinePassed):
            self._response.read(1)

    def whole(self) -> bool:
        """Answers whether the body was read to its end and another answer may follow."""
        return self._response.isclosed() and not self._response.will_close


@contextmanager
def _reading() -> Iterator[None]:
    try:
        yield
    except IncompleteRead as error:
        raise Broken("the answer broke off") from error
    except (OSError, HTTPException) as error:
        raise Broken(shown(error)) from error


class Connection:
    """One connection; carries one call after the other."""

    def __init__(self, wire: Wire, route: Route) -> None:
        self.wire = wire
        """Its socket."""
        self.idle_since = 0.0
        """When its last call ended, in time.monotonic()."""
        self._route = route
        self._http = HTTPConnection(route.address.host, route.address.port)
        self._http.sock = wire  # has what http.client calls of a socket
        self._http.auto_open = 0
        self._sent = False
        self._error: OSError | None = None
        self._answer: Answer | None = None

    def post(self, path: str, headers: dict[str, str], body: bytes | Iterable[bytes]) -> Answer:
        """Sends a request and answers its response; what raises while the body is made goes through as it is.

        Sending ends early where the peer has refused; its answer is read even where it closed after that.
        """
        self._sent, self._error, self._answer = False, None, None
        self._http.putrequest("POST", self._route.url(path), skip_host=True, skip_accept_encoding=True)
        for name, value in {"Host": self._route.address.authority, **self._route.headers, **headers}.items():
            self._http.putheader(name, value)
        if isinstance(body, bytes):
            self._http.putheader("Content-Length", str(len(body)))
            self._sent = self._put(self._http.endheaders, body)
        else:
            self._http.putheader("Transfer-Encoding", "chunked")
            self._sent = self._put(self._http.endheaders) and self._put_chunks(body)
        return self._answered()

    def reusable(self) -> bool:
        """Answers whether another call may be sent: both sides have said all they had to."""
        return self._sent and self._answer is not None and self._answer.whole()

    def end(self) -> None:
        """Closes the connection now."""
        self.wire.end()
        self._http.close()

    def _put_chunks(self, parts: Iterable[bytes]) -> bool:
        for part in parts:
            if self.wire.refused() or not self._put(self._http.send, b"%x\r\n%b\r\n" % (len(part), part)):
                return False
        return self._put(self._http.send, b"0\r\n\r\n")

    def _put(self, send: Callable[..., None], *data: bytes) -> bool:
        """Sends; answers whether that went well, and else keeps what went wrong, since there may be an answer yet."""
        try:
            send(*data)
        except OSError as error:
            self._error = error
        return self._error is None

    def _answered(self) -> Answer:
        try:
            self._answer = Answer(self._http.getresponse(), self.wire)
        except (OSError, HTTPException) as error:
            raise Broken(shown(self._error or error)) from error
        return self._answer


def shown(error: Exception) -> str:
    """Answers what happened, without Python's brackets and numbers."""
    return getattr(error, "verify_message", "") or getattr(error, "strerror", "") or str(error) or type(error).__name__


class Connections:
    """The connections to one address; may be used by several threads, and in the child of a fork."""

    def __init__(self, route: Route) -> None:
        self._route = route
        self._idle: deque[Connection] = deque()  # appending and taking are atomic: no lock that a fork could break
        self._pid = os.getpid()
        self._closed = False

    @contextmanager
    def lent(self, deadline: float, *, sure: bool, patient: bool = False) -> Iterator[Connection]:
        """Lends a connection for one call, and keeps it where another may follow.

        `sure` wants one that its server has not just closed: for calls that may not be sent again. `patient` goes on
        trying to connect until the deadline. Raises Broken, DeadlinePassed, or what a proxy says.
        """
        connection = self._kept(deadline, sure=sure) or self._made(deadline, patient=patient)
        try:
            yield connection
        finally:
            self._give(connection)

    def close(self) -> None:
        """Closes those that are kept, and each that comes back after its call."""
        self._closed = True
        self._drop()

    def _drop(self) -> None:
        while self._idle:
            with suppress(IndexError):  # another thread took the last one
                self._idle.pop().end()

    def _kept(self, deadline: float, *, sure: bool) -> Connection | None:
        if self._pid != os.getpid():
            self._pid = os.getpid()
            self._drop()  # the parent's: closing them here leaves them open there
        now = time.monotonic()
        while self._idle:
            try:
                connection = self._idle.pop()
            except IndexError:  # another thread took the last one
                break
            if now - connection.idle_since < (SURE_SECONDS if sure else IDLE_SECONDS) and connection.wire.quiet():
                connection.wire.deadline = deadline
                return connection
            connection.end()
        return None

    def _made(self, deadline: float, *, patient: bool) -> Connection:
        pause = 0.1
        while True:
            try:
                return Connection(self._route.connect(deadline), self._route)
            except OSError as error:
                if not patient or time.monotonic() + pause >= deadline:
                    raise Broken(f"cannot connect: {shown(error)}") from error
            time.sleep(pause)
            pause = min(1.0, pause * 2)

    def _give(self, connection: Connection) -> None:
        if self._closed or not connection.reusable() or len(self._idle) >= IDLE_CONNECTIONS:
            return connection.end()
        connection.idle_since = time.monotonic()
        self._idle.append(connection)
        return None
