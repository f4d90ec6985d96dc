"""Bytes in a folder of the local or a shared disk.

    <root>/identity                            the id of this store
    <root>/parts/<folder>/<key>                uploads under way
    <root>/blobs/<folder>/<key[:2]>/<key>      sealed: whole, and never changed again

A part becomes a blob by a rename after its bytes are durable. Whoever writes a part holds a lock on it, which
ends with the process, so that two servers on a shared disk never write the same bytes.
"""

from __future__ import annotations

import asyncio
import errno
import fcntl
import hashlib
import os
import secrets
import shutil
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

from difyrpc_services.files.core.faults import disk_full, upload_busy
from difyrpc_services.files.core.values import Place
from difyrpc_services.runtime.errors import DataLoss, Unavailable

Answer = TypeVar("Answer")

READ_BYTES = 1 << 20  # one chunk of a download; files.proto, DownloadFile
FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


class DiskBlobs:
    """A folder full of bytes; blocking calls run in threads of its own."""

    def __init__(self, root: Path, *, threads: int = 8) -> None:
        """Takes a folder, which `open` makes, and how many reads, writes and syncs run at the same time."""
        self._root = root
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="files-disk")
        self._folders: set[Path] = set()
        self._writers: set[DiskWriter] = set()

    def describe(self) -> str:
        """Says where the bytes are."""
        return f"disk {self._root}"

    async def open(self) -> None:
        """Makes the folders."""
        for name in ("parts", "blobs"):
            await self.run(self._make_folder, self._root / name)

    async def close(self) -> None:
        """Waits for calls that run, and lets go of parts that are still written."""
        await asyncio.to_thread(self._threads.shutdown)
        for writer in list(self._writers):
            writer.let_go()

    async def write(self, place: Place, committed: int, checkpoint: object | None = None) -> DiskWriter:
        """Opens a place for writing at `committed`, dropping what lies behind it."""
        writer = await self.run(self._writer, place, committed, checkpoint)
        self._writers.add(writer)
        return writer

    async def read(self, place: Place) -> DiskReader | None:
        """Opens a sealed place for reading; None if there is none."""
        try:
            return DiskReader(self, await self.run(os.open, self._blob(place), os.O_RDONLY))
        except FileNotFoundError:
            return None

    async def remove(self, place: Place) -> None:
        """Removes part and blob, whichever there is."""
        await self.run(self._remove, place)

    async def places(self) -> AsyncIterator[Sequence[Place]]:
        """Answers where parts and blobs lie, a folder at a time."""
        for pattern in ("parts/*", "blobs/*/??"):
            for folder in await self.run(lambda pattern=pattern: list(self._root.glob(pattern))):
                owner = folder.relative_to(self._root).parts[1]
                keys = await self.run(_names, folder)
                if keys:
                    yield [Place(folder=owner, key=key) for key in keys]

    async def identity(self) -> str:
        """Answers the id in the folder, made on first use."""
        return await self.run(self._identity)

    async def probe(self) -> str:
        """Writes, reads and removes a few bytes; answers the free space."""
        return await self.run(self._probe)

    async def run(self, work: Callable[..., Answer], *arguments: Any) -> Answer:
        """Runs blocking work in a thread; a full disk becomes `DISK_FULL`, a broken one Unavailable."""
        return await self.outcome(self.begin(work, *arguments))

    def begin(self, work: Callable[..., Answer], *arguments: Any) -> asyncio.Future[Answer]:
        """Begins blocking work in a thread."""
        return asyncio.get_running_loop().run_in_executor(self._threads, work, *arguments)

    async def outcome(self, running: asyncio.Future[Answer]) -> Answer:
        """Answers what begun work did, its errors as those of a store."""
        try:
            return await running
        except OSError as error:
            if error.errno in FULL:
                raise disk_full(self.describe()) from error
            if error.errno in {errno.EIO, errno.EROFS, errno.ESTALE}:
                raise Unavailable(
                    "DISK_BROKEN", "{store} cannot be used: {fault}", store=self.describe(), fault=error.strerror
                ) from error
            raise

    def forget(self, writer: DiskWriter) -> None:
        """Drops a writer that closed itself."""
        self._writers.discard(writer)

    def sealed_path(self, place: Place) -> Path:
        """Answers where a sealed place lies, its folder made and durable; for the writer."""
        path = self._blob(place)
        self._make_folder(path.parent)
        return path

    def part_path(self, place: Place) -> Path:
        """Answers where an upload under way lies."""
        return self._root / "parts" / place.folder / place.key

    def _blob(self, place: Place) -> Path:
        return self._root / "blobs" / place.folder / place.key[:2] / place.key

    def _writer(self, place: Place, committed: int, checkpoint: object | None) -> DiskWriter:
        path = self.part_path(place)
        self._make_folder(path.parent)
        file = self._locked(place, path)
        try:
            digest = _digest(file, committed, checkpoint, place)
            os.ftruncate(file, committed)
        except BaseException:
            os.close(file)
            raise
        return DiskWriter(self, place, file=file, committed=committed, digest=digest)

    def _locked(self, place: Place, path: Path) -> int:
        """Opens a part that nobody else writes; one that was sealed before its record was made is taken back."""
        while True:
            if not path.exists() and self._blob(place).exists():
                self._blob(place).rename(path)
            file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if os.fstat(file).st_nlink:
                    return file
            except BlockingIOError:
                os.close(file)
                raise upload_busy(place.key) from None
            os.close(file)  # removed between the opening and the lock

    def _remove(self, place: Place) -> None:
        for path in (self.part_path(place), self._blob(place)):
            path.unlink(missing_ok=True)

    def _make_folder(self, folder: Path) -> None:
        """Makes a folder, durable up to the first that was there."""
        if folder in self._folders and folder.exists():
            return
        missing = [folder, *folder.parents]
        missing = missing[: next(count for count, path in enumerate(missing) if path.exists())]
        for path in reversed(missing):
            path.mkdir(mode=0o700, exist_ok=True)
            sync_folder(path.parent)
        self._folders.add(folder)

    def _identity(self) -> str:
        path = self._root / "identity"
        if not path.exists():
            fresh = path.with_name(f"identity.{secrets.token_hex(4)}")
            with fresh.open("w") as file:
                file.write(secrets.token_hex(16))
                file.flush()
                os.fsync(file.fileno())
            fresh.rename(path)
            sync_folder(self._root)
        return path.read_text()

    def _probe(self) -> str:
        self._make_folder(self._root)
        path = self._root / f"probe.{secrets.token_hex(4)}"
        try:
            path.write_bytes(b"probe")
            if path.read_bytes() != b"probe":
                raise OSError(errno.EIO, "what was written cannot be read")
        finally:
            path.unlink(missing_ok=True)
        return f"{self.describe()}, {shutil.disk_usage(self._root).free / 1e9:.1f} GB free"


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


def _names(folder: Path) -> list[str]:
    try:
        return os.listdir(folder)
    except FileNotFoundError:
        return []


def _digest(file: int, committed: int, checkpoint: object | None, place: Place) -> Any:
    """Answers the hash state of the first `committed` bytes: the checkpoint's, else by reading them."""
    if os.fstat(file).st_size < committed:
        raise DataLoss("UPLOAD_DAMAGED", "acknowledged bytes of the upload are missing ({key})", key=place.key[:8])
    if isinstance(checkpoint, tuple) and checkpoint[0] == committed:
        return checkpoint[1]
    digest = hashlib.sha256()
    for start in range(0, committed, READ_BYTES):
        digest.update(read_range(file, start, min(READ_BYTES, committed - start)))
    return digest
