"""An HTTP/2 client without manners: sends the frames that a test makes up, and notes what comes back."""

from __future__ import annotations

import asyncio
import struct
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from urllib.parse import unquote

from hpack import Decoder, Encoder
from hyperframe.frame import (
    DataFrame,
    Frame,
    GoAwayFrame,
    HeadersFrame,
    PingFrame,
    RstStreamFrame,
    SettingsFrame,
    WindowUpdateFrame,
)

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
FRAME_HEADER_BYTES = 9
WAIT_SECONDS = 60.0
Fields = Iterable[tuple[str, str]]


@dataclass(kw_only=True)
class Answer:
    """What a server said on one stream."""

    fields: dict[str, str] = field(default_factory=dict)
    data: bytes = b""
    reset: int | None = None
    """The error code of RST_STREAM, None without one."""
    has_ended: bool = False

    @property
    def status(self) -> tuple[int | None, str]:
        """The gRPC status and its message; no status when none was sent."""
        status = self.fields.get("grpc-status")
        return (None if status is None else int(status)), unquote(self.fields.get("grpc-message", ""))


class RawPeer:
    """One connection; answers SETTINGS and PING politely and grants what it reads unless told not to."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer
        self._encoder, self._decoder = Encoder(), Decoder()
        self._answers: dict[int, Answer] = {}
        self._changed = asyncio.Condition()
        self._reading: asyncio.Task[None] | None = None
        self.is_polite = True
        self.seen: Counter[str] = Counter()
        """How many frames of each type came."""
        self.goaway: tuple[int, str] | None = None
        """Error code and text of the last GOAWAY."""
        self.settings: dict[int, int] = {}
        """What the server announced."""
        self.is_closed = False
        self.next_stream = 1

    async def greet(self, settings: Mapping[int, int] | None = None) -> None:
        """Sends the preface and SETTINGS, and waits for the server's."""
        self.write(PREFACE, SettingsFrame(0, settings=dict(settings or {})))
        self.listen()
        await self.until(lambda: self.is_closed or self.seen["SettingsFrame"] >= 2)

    def listen(self) -> None:
        """Begins to read."""
        self._reading = asyncio.create_task(self._read())

    def write(self, *frames: Frame | bytes) -> None:
        """Sends without waiting."""
        self._writer.write(b"".join(part if isinstance(part, bytes) else part.serialize() for part in frames))

    async def send(self, *frames: Frame | bytes) -> bool:
        """Sends, waiting for room in the socket; answers whether the connection still stands."""
        if self.is_closed or self._writer.is_closing():
            return False
        try:
            self.write(*frames)
            await self._writer.drain()
        except ConnectionError:
            return False
        return not self.is_closed

    def opening(self, path: str, extra: Fields = (), **flags: bool) -> tuple[int, HeadersFrame]:
        """Makes the HEADERS of a new gRPC call; answers the stream's number too."""
        stream, self.next_stream = self.next_stream, self.next_stream + 2
        return stream, headers(stream, self.encoded(path, extra), **flags)

    def encoded(self, path: str, extra: Fields = ()) -> bytes:
        """Packs the fields of a call with more of them."""
        return self._encoder.encode([*call_fields(path), *extra])

    async def call(self, path: str, message: bytes, extra: Fields = (), *, compressed: bool = False) -> Answer:
        """Makes a call with one message the right way, in frames of 16 KiB, and waits for the answer."""
        stream, opening = self.opening(path, extra)
        await self.send(opening)
        body = framed(message, compressed=compressed)
        for start in range(0, len(body), 1 << 14):
            if not await self.send(data(stream, body[start : start + (1 << 14)])):
                break
        await self.send(data(stream, b"", end_stream=True))
        return await self.answer(stream)

    async def answer(self, stream: int) -> Answer:
        """Waits until a stream ended, or the connection did."""
        answer = self._answers.setdefault(stream, Answer())
        await self.until(lambda: answer.has_ended or self.is_closed)
        return answer

    async def until(self, is_so: Callable[[], bool]) -> None:
        """Waits until a condition holds that arriving frames change."""
        async with asyncio.timeout(WAIT_SECONDS), self._changed:
            await self._changed.wait_for(is_so)

    async def closed(self) -> tuple[int, str] | None:
        """Waits until the server has closed the connection; answers its GOAWAY, None without one."""
        await self.until(lambda: self.is_closed)
        return self.goaway

    async def close(self) -> None:
        """Closes this side."""
        if self._reading is not None:
            self._reading.cancel()
            await asyncio.gather(self._reading, return_exceptions=True)
        self._writer.close()
        with suppress(ConnectionError):
            await self._writer.wait_closed()

    async def _read(self) -> None:
        try:
            while True:
                head = await self._reader.readexactly(FRAME_HEADER_BYTES)
                frame, length = Frame.parse_frame_header(memoryview(head))
                frame.parse_body(memoryview(await self._reader.readexactly(length)))
                async with self._changed:
                    self._note(frame, length)
                    self._changed.notify_all()
        except (asyncio.IncompleteReadError, ConnectionError):
            await self._close()

    async def _close(self) -> None:
        async with self._changed:
            self.is_closed = True
            self._changed.notify_all()

    def _note(self, frame: Frame, length: int) -> None:
        self.seen[type(frame).__name__] += 1
        answer = self._answers.setdefault(frame.stream_id, Answer())
        match frame:
            case GoAwayFrame():
                self.goaway = frame.error_code, bytes(frame.additional_data).decode(errors="replace")
            case SettingsFrame() if "ACK" not in frame.flags:
                self.settings |= frame.settings
                self._reply(SettingsFrame(0, flags=["ACK"]))
            case PingFrame() if "ACK" not in frame.flags:
                self._reply(PingFrame(0, opaque_data=frame.opaque_data, flags=["ACK"]))
            case HeadersFrame():
                answer.fields |= {str(key): str(value) for key, value in self._decoder.decode(frame.data)}
            case DataFrame():
                answer.data += frame.data
                self._reply(*grants(frame.stream_id, length))
            case RstStreamFrame():
                answer.reset, answer.has_ended = frame.error_code, True
        answer.has_ended |= "END_STREAM" in frame.flags

    def _reply(self, *frames: Frame) -> None:
        if self.is_polite and not self._writer.is_closing():
            self.write(*frames)


@asynccontextmanager
async def raw_connection(target: str) -> AsyncIterator[RawPeer]:
    """Connects and says nothing."""
    host, _, port = target.rpartition(":")
    peer = RawPeer(*await asyncio.open_connection(host, int(port)))
    try:
        yield peer
    finally:
        await peer.close()


@asynccontextmanager
async def raw_peer(target: str, settings: Mapping[int, int] | None = None) -> AsyncIterator[RawPeer]:
    """Connects and greets."""
    async with raw_connection(target) as peer:
        await peer.greet(settings)
        yield peer


def call_fields(path: str) -> list[tuple[str, str]]:
    """The fields with which every gRPC call begins."""
    return [
        (":method", "POST"),
        (":scheme", "http"),
        (":path", path),
        (":authority", "localhost"),
        ("te", "trailers"),
        ("content-type", "application/grpc"),
    ]


def headers(stream: int, block: bytes, *, end_headers: bool = True, end_stream: bool = False) -> HeadersFrame:
    """Makes HEADERS of a packed block."""
    frame = HeadersFrame(stream, data=block)
    frame.flags |= {name for name, is_set in (("END_HEADERS", end_headers), ("END_STREAM", end_stream)) if is_set}
    return frame


def data(stream: int, content: bytes, *, end_stream: bool = False) -> DataFrame:
    """Makes DATA."""
    return DataFrame(stream, data=content, flags=["END_STREAM"] if end_stream else [])


def grants(stream: int, size: int) -> list[WindowUpdateFrame]:
    """Makes what gives back `size` bytes to the stream and the connection."""
    return [WindowUpdateFrame(number, window_increment=size) for number in {0, stream} if size]


def framed(message: bytes, *, compressed: bool = False, length: int | None = None) -> bytes:
    """Puts gRPC's five bytes before a message; `length` may lie."""
    return struct.pack("!BI", compressed, len(message) if length is None else length) + message
