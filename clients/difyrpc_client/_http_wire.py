"""Sockets whose every wait ends at one deadline, in one thread."""

from __future__ import annotations

import io
import math
import select
import socket
import ssl
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer, WriteableBuffer

READ_BYTES = 64 * 1024
INBOX_BYTES = 1024 * 1024  # answers that are taken while a request is being sent; the kernel keeps as much again
PROBES = 3  # unanswered probes after which a silent peer is gone
_WAITING = (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError)


class DeadlinePassed(Exception):
    """The time of a call was up while it waited for the network."""


class Wire:
    """A connected socket as http.client wants one; every wait ends at `deadline`, by DeadlinePassed."""

    def __init__(self, connected: socket.socket, deadline: float) -> None:
        self.deadline = deadline
        """When waiting ends, in time.monotonic()."""
        self._socket = connected
        self._socket.setblocking(False)
        self.spoiled = False
        """More has come than an answer; whatever follows could be taken for another call's."""
        self._inbox = bytearray()
        self._ended = False
        self._readers = 0
        self._closed = False

    def secure(self, context: ssl.SSLContext, name: str) -> None:
        """Turns to TLS; ssl.SSLError where the peer cannot be trusted."""
        secured = context.wrap_socket(self._socket, server_hostname=name, do_handshake_on_connect=False)
        self._socket = secured
        while True:
            try:
                return secured.do_handshake()
            except _WAITING as waiting:
                self._wait(_events(waiting, select.POLLIN))

    def sendall(self, data: ReadableBuffer) -> None:
        """Sends all of it."""
        rest = memoryview(data).cast("B")
        while rest:
            self._check_time()
            try:
                rest = rest[self._socket.send(rest) :]
            except _WAITING as waiting:
                self._wait(_events(waiting, select.POLLOUT))

    def recv_into(self, buffer: WriteableBuffer) -> int:
        """Reads what has come, at least one byte unless the peer has ended."""
        self._check_time()  # a peer that never stops leaves nothing to wait for
        if self._inbox or self._ended:
            return self._from_inbox(memoryview(buffer).cast("B"))
        while True:
            try:
                return self._socket.recv_into(buffer)
            except _WAITING as waiting:
                self._wait(_events(waiting, select.POLLIN))

    def refused(self) -> bool:
        """Takes in what the peer has answered meanwhile; answers whether that is another status than 200."""
        self._take_in()
        return self._inbox[:7] == b"HTTP/1." and len(self._inbox) >= 12 and self._inbox[9:12] != b"200"

    def quiet(self) -> bool:
        """Answers whether nothing has come since the last answer: no end, and nothing that nobody asked for."""
        poller = select.poll()
        poller.register(self._socket, select.POLLIN)
        return not (self.spoiled or self._inbox or self._ended or poller.poll(0))

    def makefile(self, mode: str = "rb", buffering: int = READ_BYTES) -> io.BufferedReader:
        """Answers a reader of the answers; the socket stays open until it is closed too."""
        self._readers += 1
        return _Buffered(_Reader(self))

    def close(self) -> None:
        """Closes the socket when no reader is left."""
        self._closed = True
        if not self._readers:
            self._socket.close()

    def end(self) -> None:
        """Closes the socket now. A child of a fork so leaves the parent's connection as it is."""
        self._closed = True
        self._socket.close()

    def leave(self) -> None:
        """Takes that one reader is closed."""
        self._readers -= 1
        if self._closed:
            self.close()

    def _take_in(self) -> None:
        while len(self._inbox) < INBOX_BYTES and not self._ended:
            try:
                data = self._socket.recv(READ_BYTES)
            except OSError:  # nothing is there, or whoever reads or sends next meets it again
                return
            self._inbox += data
            self._ended = not data

    def _from_inbox(self, buffer: memoryview) -> int:
        size = min(len(buffer), len(self._inbox))
        buffer[:size] = self._inbox[:size]
        del self._inbox[:size]
        return size

    def _check_time(self) -> None:
        if time.monotonic() >= self.deadline:
            raise DeadlinePassed

    def _wait(self, events: int) -> None:
        left = self.deadline - time.monotonic()
        poller = select.poll()
        poller.register(self._socket, events)
        if left <= 0 or not poller.poll(math.ceil(left * 1000)):
            raise DeadlinePassed


class _Reader(io.RawIOBase):
    """What a BufferedReader reads a wire through."""

    def __init__(self, wire: Wire) -> None:
        self.wire = wire
        self.done = False

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer) -> int:
        return 0 if self.done else self.wire.recv_into(buffer)

    def close(self) -> None:
        if not self.closed:
            super().close()
            self.wire.leave()


class _Buffered(io.BufferedReader):
    """A reader that tells the wire when it ends with more in hand than was asked of it."""

    def __init__(self, reader: _Reader) -> None:
        super().__init__(reader, READ_BYTES)
        self._reader = reader

    def close(self) -> None:
        if not self.closed:
            self._reader.done = True
            self._reader.wire.spoiled |= bool(self.peek(1))
        super().close()


def _events(waiting: BaseException, plain: int) -> int:
    """Answers what to wait for; TLS may have to read before it can send, and the reverse."""
    if isinstance(waiting, ssl.SSLWantReadError):
        return select.POLLIN
    return select.POLLOUT if isinstance(waiting, ssl.SSLWantWriteError) else plain


def dial(host: str, port: int, deadline: float, keepalive_seconds: float) -> Wire:
    """Connects to the first address of a host that answers; each gets its share of the time. OSError for none.

    The name is looked up by the C library, which keeps its own time.
    """
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    last: OSError | None = None
    for index, (family, kind, protocol, _, address) in enumerate(found):
        left = deadline - time.monotonic()
        if left <= 0:
            raise DeadlinePassed from last
        plug = socket.socket(family, kind, protocol)
        try:
            plug.settimeout(left / (len(found) - index))
            plug.connect(address)
            _tune(plug, keepalive_seconds)
            return Wire(plug, deadline)
        except OSError as error:
            plug.close()
            last = error
    if time.monotonic() >= deadline:
        raise DeadlinePassed from last
    raise last or OSError(f"{host} has no address")


def _tune(plug: socket.socket, keepalive_seconds: float) -> None:
    plug.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if not keepalive_seconds or not hasattr(socket, "TCP_USER_TIMEOUT"):
        return
    idle, probe = max(1, round(keepalive_seconds)), max(1, round(keepalive_seconds / PROBES))
    plug.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    plug.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, idle)
    plug.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, probe)
    plug.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, PROBES)
    plug.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, (idle + probe * PROBES) * 1000)
