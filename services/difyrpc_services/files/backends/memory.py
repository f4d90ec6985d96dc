"""Bytes in memory: complete and fast, and gone with the process. For tests and for trying things out."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import AsyncIterator, Sequence

from difyrpc_services.files.core.faults import disk_full, upload_busy
from difyrpc_services.files.core.values import Place
from difyrpc_services.runtime.errors import DataLoss, ResourceExhausted

PIECE = 1 << 20  # bytes; files.proto, DownloadFile


class MemoryBlobs:
    """A dictionary of bytes; with `capacity` it is full at some point, like a disk."""

    def __init__(self, *, capacity: int | None = None) -> None:
        """Takes the bytes that it holds at most; None is no limit."""
        self.capacity = capacity
        self._parts: dict[Place, bytearray] = {}
        self._sealed: dict[Place, bytes] = {}
        self._writers: set[Place] = set()
        self._identity = secrets.token_hex(16)

    def describe(self) -> str:
        """Says that nothing lasts."""
        return "memory (lost at the end of the process)"

    async def open(self) -> None:
        """Does nothing."""

    async def close(self) -> None:
        """Forgets who writes, as the end of a process does."""
        self._writers.clear()

    async def write(self, place: Place, committed: int, checkpoint: object | None = None) -> MemoryWriter:
        """Opens a place for writing at `committed`, dropping what lies behind it."""
        del checkpoint  # reading memory again costs nothing
        if place in self._writers:
            raise upload_busy(place.key)
        part = self._parts.setdefault(place, bytearray(self._sealed.pop(place, b"")))
        if len(part) < committed:
            raise DataLoss("UPLOAD_DAMAGED", "acknowledged bytes of the upload are missing ({key})", key=place.key[:8])
        del part[committed:]
        self._writers.add(place)
        return MemoryWriter(self, place, part)

    async def read(self, place: Place) -> MemoryReader | None:
        """Opens a sealed place for reading; None if there is none."""
        return MemoryReader(self._sealed[place]) if place in self._sealed else None

    async def remove(self, place: Place) -> None:
        """Removes part and blob, whichever there is."""
        self._parts.pop(place, None)
        self._sealed.pop(place, None)

    async def places(self) -> AsyncIterator[Sequence[Place]]:
        """Answers where bytes lie."""
        if self._parts or self._sealed:
            yield [*self._parts, *self._sealed]

    async def identity(self) -> str:
        """Answers the id of this object."""
        return self._identity

    async def probe(self) -> str:
        """Answers how much is held."""
        return f"{self.describe()}, {self.stored_bytes} bytes held"

    @property
    def stored_bytes(self) -> int:
        """Bytes of all parts and blobs."""
        return sum(map(len, self._parts.values())) + sum(map(len, self._sealed.values()))

    def check_room(self, more: int) -> None:
        """Refuses more bytes than the capacity has left."""
        if self.capacity is not None and self.stored_bytes + more > self.capacity:
            raise disk_full(self.describe())

    def seal(self, place: Place) -> None:
        """Makes a part readable."""
        self._sealed[place] = bytes(self._parts.pop(place))

    def leave(self, place: Place) -> None:
        """Lets the next writer in."""
        self._writers.discard(place)


class MemoryWriter:
    """Writes one part."""

    def __init__(self, blobs: MemoryBlobs, place: Place, part: bytearray) -> None:
        """Takes over the part."""
        self._blobs = blobs
        self._place = place
        self._part = part
        self._durable = len(part)

    @property
    def position(self) -> int:
        """Bytes that are written."""
        return len(self._part)

    async def append(self, data: bytes) -> None:
        """Adds bytes at the end."""
        try:
            self._blobs.check_room(len(data))
        except ResourceExhausted:
            del self._part[self._durable :]
            raise
        self._part += data

    async def sync(self) -> int:
        """Answers the count: memory has nothing more durable."""
        self._durable = len(self._part)
        return self._durable

    async def matches(self, offset: int, data: bytes) -> bool:
        """Answers whether `data` is what lies at `offset`."""
        return self._part[offset : offset + len(data)] == data

    async def digest(self) -> str:
        """Answers the SHA-256 of everything."""
        return hashlib.sha256(self._part).hexdigest()

    async def seal(self) -> None:
        """Makes the bytes readable."""
        self._blobs.seal(self._place)

    async def close(self) -> object | None:
        """Lets the next writer in."""
        self._blobs.leave(self._place)
        return None


class MemoryReader:
    """Reads one blob."""

    def __init__(self, data: bytes) -> None:
        """Takes the bytes, which nobody changes."""
        self._data = data

    async def chunks(self, start: int, length: int) -> AsyncIterator[bytes]:
        """Answers `length` bytes from `start` in pieces of 1 MiB."""
        end = min(start + length, len(self._data))
        for begin in range(start, end, PIECE):
            yield self._data[begin : min(begin + PIECE, end)]

    async def close(self) -> None:
        """Does nothing."""
