"""A Connect endpoint before a gRPC server: every method of the loaded contracts, and uvicorn around it."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import json
import socket
import ssl
import struct
from base64 import b64encode
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import grpc
import uvicorn
from google.protobuf import descriptor_pool, json_format, message_factory
from google.rpc import status_pb2

HEAD = struct.Struct(">BI")
GZIP_BYTES = 1024
HOP_BY_HOP = {"host", "content-type", "content-length", "transfer-encoding", "connection", "accept-encoding"}
HTTP_STATUS = {
    "CANCELLED": 499,
    "INVALID_ARGUMENT": 400,
    "FAILED_PRECONDITION": 400,
    "OUT_OF_RANGE": 400,
    "DEADLINE_EXCEEDED": 504,
    "NOT_FOUND": 404,
    "ALREADY_EXISTS": 409,
    "ABORTED": 409,
    "PERMISSION_DENIED": 403,
    "RESOURCE_EXHAUSTED": 429,
    "UNIMPLEMENTED": 501,
    "UNAVAILABLE": 503,
    "UNAUTHENTICATED": 401,
}


class ConnectEndpoint:
    """An ASGI application that hands calls on to a gRPC channel, and notes them; the first ones may be refused."""

    def __init__(self, channel: grpc.aio.Channel, prefix: str = "") -> None:
        self.calls: list[str] = []
        self.seen: list[dict[str, str]] = []
        self.refusals = 0
        self.left = asyncio.Event()
        self._channel = channel
        self._prefix = prefix

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        path = scope["path"].removeprefix(self._prefix)
        headers = {key.decode(): value.decode() for key, value in scope["headers"]}
        self.calls.append(path)
        self.seen.append(headers)
        kind, _, codec = headers["content-type"].removeprefix("application/").rpartition("+")
        if self.refusals:
            self.refusals -= 1
            await respond(send, 503, b"<html>come back later</html>", "text/html")
            return
        found = None if path == scope["path"] and self._prefix else method_of(path)
        if found is None:
            await respond(send, 404, b"no such method", "text/plain")
        elif codec not in {"proto", "json"} or kind != ("connect" if streams(found) else ""):
            await respond(send, 415, b"", "text/plain")
        else:
            exchange = Exchange(self, found=found, codec=codec, headers=headers, receive=receive, send=send)
            await (exchange.stream(path) if kind else exchange.unary(path))

    def open(self, path: str, messages: Any, headers: dict[str, str]) -> Any:
        """Begins a call; on the wire every kind of call is a stream of streams."""
        milliseconds = headers.get("connect-timeout-ms")
        return self._channel.stream_stream(path)(
            messages,
            timeout=int(milliseconds) / 1000 if milliseconds else None,
            metadata=[pair for pair in headers.items() if pair[0] not in HOP_BY_HOP and "connect-" not in pair[0]],
        )


class Exchange:
    """One request and its response."""

    def __init__(
        self, endpoint: ConnectEndpoint, *, found: Any, codec: str, headers: dict[str, str], receive: Any, send: Any
    ) -> None:
        self._endpoint = endpoint
        self._found = found
        self._codec = codec
        self._headers = headers
        self._receive = receive
        self._send = send

    async def unary(self, path: str) -> None:
        body = b"".join([piece async for piece in self._pieces()])
        call = self._endpoint.open(path, _once(self._request(body)), self._headers)
        try:
            answers = [answer async for answer in call]
        except grpc.aio.AioRpcError as error:
            status = HTTP_STATUS.get(error.code().name, 500)
            await self._whole(status, json.dumps(error_json(error)).encode(), "application/json")
        else:
            await self._whole(200, self._response(answers[0]), f"application/{self._codec}")

    async def stream(self, path: str) -> None:
        packed = "gzip" in self._headers.get("connect-accept-encoding", "")
        call = self._endpoint.open(path, self._messages(), self._headers)
        encoding = [(b"connect-content-encoding", b"gzip")] if packed else []
        begin = [(b"content-type", f"application/connect+{self._codec}".encode()), *encoding]
        await self._send({"type": "http.response.start", "status": 200, "headers": begin})
        end: dict[str, Any] = {}
        leaving = asyncio.create_task(self._cancel_when_left(call)) if not self._found.client_streaming else None
        try:
            async for answer in call:
                await self._body(envelope(self._response(answer), packed), more=True)
        except grpc.aio.AioRpcError as error:
            end = {"error": error_json(error)}
        except asyncio.CancelledError:
            self._endpoint.left.set()
            return
        finally:
            call.cancel()
            if leaving:
                leaving.cancel()
        await self._body(envelope(json.dumps(end).encode(), False, last=True), more=False)

    async def _cancel_when_left(self, call: Any) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass
        call.cancel()

    async def _messages(self) -> AsyncIterator[bytes]:
        buffer = b""
        async for piece in self._pieces():
            buffer += piece
            while len(buffer) >= HEAD.size and len(buffer) >= HEAD.size + HEAD.unpack_from(buffer)[1]:
                length = HEAD.size + HEAD.unpack_from(buffer)[1]
                message, buffer = buffer[HEAD.size : length], buffer[length:]
                yield self._request(message)
        if buffer:
            raise ValueError("half a message")

    async def _pieces(self) -> AsyncIterator[bytes]:
        more = True
        while more:
            event = await self._receive()
            if event["type"] == "http.disconnect":
                raise ConnectionResetError
            more = event.get("more_body", False)
            yield event.get("body", b"")

    async def _whole(self, status: int, body: bytes, media_type: str) -> None:
        if len(body) > GZIP_BYTES and "gzip" in self._headers.get("accept-encoding", ""):
            await respond(self._send, status, gzip.compress(body), media_type, (b"content-encoding", b"gzip"))
        else:
            await respond(self._send, status, body, media_type)

    async def _body(self, data: bytes, *, more: bool) -> None:
        await self._send({"type": "http.response.body", "body": data, "more_body": more})

    def _request(self, data: bytes) -> bytes:
        if self._codec == "proto":
            return data
        kind = message_factory.GetMessageClass(self._found.input_type)
        return json_format.Parse(data, kind()).SerializeToString()

    def _response(self, data: bytes) -> bytes:
        if self._codec == "proto":
            return data
        kind = message_factory.GetMessageClass(self._found.output_type)
        return json_format.MessageToJson(kind.FromString(data), indent=None).encode()


async def respond(send: Any, status: int, body: bytes, media_type: str, *more: tuple[bytes, bytes]) -> None:
    headers = [(b"content-type", media_type.encode()), (b"content-length", str(len(body)).encode()), *more]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def envelope(data: bytes, packed: bool, *, last: bool = False) -> bytes:
    packed = packed and len(data) > GZIP_BYTES
    data = gzip.compress(data) if packed else data
    return HEAD.pack((1 if packed else 0) | (2 if last else 0), len(data)) + data


def error_json(error: grpc.aio.AioRpcError) -> dict[str, Any]:
    """The error as Connect writes it."""
    name = error.code().name.lower().replace("cancelled", "canceled")
    stated: dict[str, Any] = {"code": name, "message": error.details() or ""}
    for key, value in error.trailing_metadata() or ():
        if key == "grpc-status-details-bin":
            details = status_pb2.Status.FromString(value).details
            stated["details"] = [
                {"type": each.TypeName(), "value": b64encode(each.value).decode().rstrip("=")} for each in details
            ]
    return stated


def method_of(path: str) -> Any:
    service, _, method = path.lstrip("/").rpartition("/")
    try:
        return descriptor_pool.Default().FindServiceByName(service).methods_by_name[method]
    except KeyError:
        return None


def streams(found: Any) -> bool:
    return bool(found.client_streaming or found.server_streaming)


async def _once(message: bytes) -> AsyncIterator[bytes]:
    yield message


class _QuietServer(uvicorn.Server):
    """Leaves the signals of the test's process alone."""

    @contextlib.contextmanager
    def capture_signals(self) -> Any:
        yield


@asynccontextmanager
async def http_server(app: Callable[..., Any], tls: ssl.SSLContext | None = None) -> AsyncIterator[str]:
    """Serves an ASGI application on a free port; yields its URL."""
    config = uvicorn.Config(app, log_config=None, lifespan="off", ws="none", http="h11", timeout_graceful_shutdown=1)
    config.load()
    config.ssl = tls
    server = _QuietServer(config)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        task = asyncio.create_task(server.serve(sockets=[listening]))
        try:
            yield f"{'https' if tls else 'http'}://127.0.0.1:{listening.getsockname()[1]}"
        finally:
            server.should_exit = True
            await task


@asynccontextmanager
async def connect_endpoint(target: str, prefix: str = "") -> AsyncIterator[tuple[str, ConnectEndpoint]]:
    """Serves what a gRPC server offers by the Connect protocol; yields the URL and the application."""
    async with grpc.aio.insecure_channel(target, options=[("grpc.max_receive_message_length", -1)]) as channel:
        app = ConnectEndpoint(channel, prefix)
        async with http_server(app) as url:
            yield f"{url}{prefix}", app
