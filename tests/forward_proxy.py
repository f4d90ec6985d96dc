"""A small HTTP proxy as Squid is one: whole URLs for http, CONNECT for the rest; notes what it was asked for."""

from __future__ import annotations

import select
import socket
import socketserver
import threading
from base64 import b64encode
from typing import Self
from urllib.parse import urlsplit


class ForwardProxy:
    """A proxy in threads of its own, on a free port of loopback."""

    def __init__(self, *, denies: bool = False, login: str = "") -> None:
        self.requests: list[str] = []
        """The first line of each request."""
        self.denies = denies
        self.login = f"Proxy-Authorization: Basic {b64encode(login.encode()).decode()}" if login else ""
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.proxy = self
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


class _Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True
    block_on_close = False
    proxy: ForwardProxy


class _Handler(socketserver.BaseRequestHandler):
    server: _Server
    request: socket.socket

    def handle(self) -> None:
        proxy, data = self.server.proxy, b""
        while b"\r\n\r\n" not in data:
            data += (piece := self.request.recv(65536))
            if not piece:
                return
        head, _, rest = data.partition(b"\r\n\r\n")
        first, *lines = head.decode().split("\r\n")
        proxy.requests.append(first)
        if proxy.login not in head.decode():
            self._answer("407 Proxy Authentication Required")
        elif proxy.denies:
            self._answer("403 Forbidden", "X-Squid-Error: ERR_ACCESS_DENIED 0")
        else:
            self._forward(first, lines, rest)

    def _forward(self, first: str, lines: list[str], rest: bytes) -> None:
        verb, target, version = first.split()
        if verb == "CONNECT":
            host, _, port = target.rpartition(":")
            with socket.create_connection((host, int(port)), 20) as upstream:
                self.request.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
                self._relay(upstream)
            return
        parts = urlsplit(target)
        kept = [line for line in lines if not line.lower().startswith(("proxy-", "connection:"))]
        head = "\r\n".join([f"{verb} {parts.path} {version}", *kept, "Connection: close", "", ""])
        with socket.create_connection((parts.hostname, parts.port or 80), 20) as upstream:
            upstream.sendall(head.encode() + rest)
            self._relay(upstream)

    def _relay(self, upstream: socket.socket) -> None:
        other = {self.request: upstream, upstream: self.request}
        while True:
            for ready in select.select(list(other), [], [], 20)[0] or [None]:
                try:
                    data = ready.recv(65536) if ready else b""
                    if not data:
                        return
                    other[ready].sendall(data)
                except OSError:
                    return

    def _answer(self, status: str, *headers: str) -> None:
        lines = [f"HTTP/1.1 {status}", *headers, "Content-Type: text/html", "Content-Length: 6", "", "<html>"]
        self.request.sendall("\r\n".join(lines).encode())
