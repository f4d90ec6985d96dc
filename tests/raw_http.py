"""An HTTP server that answers bytes as a test wrote them, and notes what it was sent."""

from __future__ import annotations

import contextlib
import json
import socket
import ssl
import struct
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, Self

from google.protobuf.message import Message

Answer = bytes | Callable[["Peer"], None]


@dataclass(kw_only=True)
class Peer:
    """One connection, at the server's side."""

    socket: socket.socket
    server: RawServer
    buffer: bytearray = field(default_factory=bytearray)

    def read_until(self, mark: bytes) -> bytes:
        while mark not in self.buffer:
            self._more()
        size = self.buffer.index(mark) + len(mark)
        return self.take(size)

    def take(self, size: int) -> bytes:
        while len(self.buffer) < size:
            self._more()
        data = bytes(self.buffer[:size])
        del self.buffer[:size]
        return data

    def read_chunk(self) -> bytes:
        size = int(self.read_until(b"\r\n"), 16)
        return self.take(size + 2)[:size]

    def read_request(self) -> dict[str, Any]:
        """Reads one request with its body."""
        head = self.read_head()
        if "content-length" in head:
            head["body"] = self.take(int(head["content-length"]))
        else:
            head["body"] = b"".join(iter(self.read_chunk, b""))
        return head

    def read_head(self) -> dict[str, Any]:
        first, *lines = self.read_until(b"\r\n\r\n").decode().strip().split("\r\n")
        head: dict[str, Any] = {"line": first, "connection": id(self)}
        head.update((name.lower(), value) for name, value in (line.split(": ", 1) for line in lines))
        self.server.requests.append(head)
        return head

    def _more(self) -> None:
        data = self.socket.recv(65536)
        if not data:
            raise EOFError
        self.buffer += data


class RawServer:
    """Gives out its answers one after the other, over however many connections; the last one again and again.

    An answer is bytes, after which the connection stays open unless they are empty, or a function of the connection,
    after which it is closed.
    """

    def __init__(self, *answers: Answer, tls: ssl.SSLContext | None = None, port: int = 0) -> None:
        self.requests: list[dict[str, Any]] = []
        self.connections = 0
        self.stopped = threading.Event()
        self._answers = list(answers)
        self._tls = tls
        self._listening = socket.create_server(("127.0.0.1", port))
        self._thread = threading.Thread(target=self._accept)
        self._threads: list[threading.Thread] = []
        self._open: list[socket.socket] = []

    @property
    def url(self) -> str:
        return f"{'https' if self._tls else 'http'}://localhost:{self._listening.getsockname()[1]}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stopped.set()
        with socket.create_connection(self._listening.getsockname()):  # wakes the thread that accepts
            pass
        self._thread.join()
        for connected in self._open:
            shut(connected)
        for thread in self._threads:
            thread.join()
        self._listening.close()

    def _accept(self) -> None:
        while True:
            connected, _ = self._listening.accept()
            if self.stopped.is_set():
                connected.close()
                return
            self.connections += 1
            self._open.append(connected)
            self._threads.append(threading.Thread(target=self._serve, args=(connected,)))
            self._threads[-1].start()

    def _serve(self, connected: socket.socket) -> None:
        try:
            secured = self._tls.wrap_socket(connected, server_side=True) if self._tls else connected
        except OSError:
            connected.close()
            return
        with secured:
            peer = Peer(socket=secured, server=self)
            with contextlib.suppress(OSError, EOFError):
                while self._one(peer):
                    pass

    def _one(self, peer: Peer) -> bool:
        answer = self._answers[0]
        if callable(answer):
            self._next()
            answer(peer)
            return False
        peer.read_request()
        answer = self._next()
        if callable(answer):
            raise TypeError("a function cannot follow bytes on one connection")
        peer.socket.sendall(answer)
        return bool(answer)

    def _next(self) -> Answer:
        return self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]


def shut(connected: socket.socket) -> None:
    with contextlib.suppress(OSError):
        connected.shutdown(socket.SHUT_RDWR)


def response(
    body: bytes = b"",
    status: str = "200 OK",
    media_type: str = "application/proto",
    *headers: str,
    chunked: bool = False,
) -> bytes:
    """A response with its length, or in one chunk."""
    length = "Transfer-Encoding: chunked" if chunked else f"Content-Length: {len(body)}"
    head = "\r\n".join([f"HTTP/1.1 {status}", f"Content-Type: {media_type}", length, *headers, "", ""])
    return head.encode() + (b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body) if chunked else body)


def message(answer: Message) -> bytes:
    """A response that holds one message."""
    return response(answer.SerializeToString())


def envelope(data: bytes, flags: int = 0) -> bytes:
    return struct.pack(">BI", flags, len(data)) + data


def stream(answers: Iterable[Message], end: dict[str, Any] | None = None, *headers: str) -> bytes:
    """A response that holds a stream and its end."""
    parts = [envelope(answer.SerializeToString()) for answer in answers]
    body = b"".join([*parts, envelope(json.dumps(end or {}).encode(), 2)])
    return response(body, "200 OK", "application/connect+proto", *headers, chunked=True)
