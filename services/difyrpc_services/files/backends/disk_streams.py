"""One part that is written and one blob that is read, in the folder of the disk backend."""

from __future__ import annotations

import asyncio
import hashlib
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from difyrpc_services.files.core.values import Place
from difyrpc_services.runtime.errors import DataLoss, Unavailable

if TYPE_CHECKING:
    from difyrpc_services.files.backends.disk import DiskBlobs

READ_BYTES = 1 << 20  # one chunk of a download; files.proto, DownloadFile


class DiskWriter:
    """Writes one part and hashes it on the way."""

    def __init__(self, blobs: DiskBlobs, place: Place, *, file: int, committed: int, digest: Any) -> None:
        """Takes over `file`, a locked descriptor of `committed` bytes whose hash state is `digest`."""
        self._blobs = blobs
        self._place = place
        self._file = file
        self._position = self._durable = committed
        self._digest = digest
        self._listed = committed > 0
        self._broken = False

    @property
    def position(self) -> int:
        """Bytes that are written, durable or not."""
        return self._position

    async def append(self, data: bytes) -> None:
        """Adds bytes at the end."""
        await self._blobs.run(self._append, data)

    async def sync(self) -> int:
        """Makes durable what was appended before this call."""
        return await self._blobs.run(self._sync)

    async def matches(self, offset: int, data: bytes) -> bool:
        """Answers whether `data` is what lies at `offset`."""
        return await self._blobs.run(lambda: read_range(self._file, offset, len(data)) == data)

    async def digest(self) -> str:
        """Answers the SHA-256 of everything that was appended."""
        return str(self._digest.hexdigest())

    async def seal(self) -> None:
        """Makes the bytes durable and moves them among the blobs."""
        await self._blobs.run(self._seal)

    async def close(self) -> object | None:
        """Lets go of the file and its lock; answers the hash state."""
        checkpoint = None if self._broken else (self._position, self._digest)
        self.let_go()
        return checkpoint

    def let_go(self) -> None:
        """Closes the file, which ends the lock; nothing can be written after it."""
        self._broken = True
        if self._file >= 0:
            file, self._file = self._file, -1
            self._blobs.forget(self)
            os.close(file)

    def _append(self, data: bytes) -> None:
        self._check()
        view = memoryview(data)
        written = 0
        try:
            while written < len(data):
                written += os.pwrite(self._file, view[written:], self._position + written)
        except OSError:
            self._take_back()
            raise
        self._digest.update(data)
        self._position += len(data)

    def _take_back(self) -> None:
        """Frees the room of what is not durable; what was acknowledged stays."""
        self._broken = True
        self._position = self._durable
        os.ftruncate(self._file, self._durable)

    def _sync(self) -> int:
        self._check()
        position = self._position
        try:
            os.fdatasync(self._file)
        except OSError:
            self._broken = True  # after a failed sync the next may succeed without having written anything
            self._position = self._durable
            raise
        if not self._listed:
            sync_folder(self._blobs.part_path(self._place).parent)
            self._listed = True
        self._durable = position
        return position

    def _seal(self) -> None:
        self._listed = True  # the rename lists it among the blobs
        self._sync()
        target = self._blobs.sealed_path(self._place)
        self._blobs.part_path(self._place).rename(target)
        sync_folder(target.parent)

    def _check(self) -> None:
        if self._broken:
            raise Unavailable("DISK_BROKEN", "{store} broke while it was written", store=self._blobs.describe())


class DiskReader:
    """Reads one blob; the next piece is read while the one before is sent."""

    def __init__(self, blobs: DiskBlobs, file: int) -> None:
        """Takes over `file`, a descriptor."""
        self._blobs = blobs
        self._file = file
        self._ahead: asyncio.Future[bytes] | None = None

    async def chunks(self, start: int, length: int) -> AsyncIterator[bytes]:
        """Answers `length` bytes from `start` in pieces of 1 MiB."""
        end = start + length
        self._fetch(start, end)
        while self._ahead:
            data = await self._blobs.outcome(self._ahead)
            start += len(data)
            if not data:
                return
            self._fetch(start, end)
            yield data

    async def close(self) -> None:
        """Waits for the piece that is being read and lets go of the file."""
        if self._ahead:
            await asyncio.gather(self._ahead, return_exceptions=True)
        await self._blobs.run(os.close, self._file)

    def _fetch(self, start: int, end: int) -> None:
        self._ahead = None
        if start < end:
            size = min(READ_BYTES, end - start)
            self._ahead = self._blobs.begin(os.pread, self._file, size, start)


def sync_folder(folder: Path) -> None:
    """Makes the names in a folder durable."""
    file = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(file)
    finally:
        os.close(file)


def read_range(file: int, start: int, length: int) -> bytes:
    """Reads exactly `length` bytes, fewer only at the end of the file."""
    parts = []
    while length:
        data = os.pread(file, length, start)
        if not data:
            break
        parts.append(data)
        start += len(data)
        length -= len(data)
    return b"".join(parts)


def digest_of(file: int, committed: int, checkpoint: object | None, place: Place) -> Any:
    """Answers the hash state of the first `committed` bytes: the checkpoint's, else by reading them."""
    if os.fstat(file).st_size < committed:
        raise DataLoss("UPLOAD_DAMAGED", "acknowledged bytes of the upload are missing ({key})", key=place.key[:8])
    if isinstance(checkpoint, tuple) and checkpoint[0] == committed:
        return checkpoint[1]
    digest = hashlib.sha256()
    for start in range(0, committed, READ_BYTES):
        digest.update(read_range(file, start, min(READ_BYTES, committed - start)))
    return digest
