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
import os
import secrets
import shutil
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

from difyrpc_services.files.backends.disk_streams import DiskReader, DiskWriter, digest_of, sync_folder
from difyrpc_services.files.core.faults import disk_full, upload_busy
from difyrpc_services.files.core.values import Place
from difyrpc_services.runtime.errors import Unavailable

Answer = TypeVar("Answer")

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
        writer = await self._kept(self.begin(self._writer, place, committed, checkpoint), DiskWriter.let_go)
        self._writers.add(writer)
        return writer

    async def read(self, place: Place) -> DiskReader | None:
        """Opens a sealed place for reading; None if there is none."""
        try:
            opening = self.begin(os.open, self._blob(place), os.O_RDONLY)
            return DiskReader(self, await self._kept(opening, os.close))
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

    async def _kept(self, opening: asyncio.Future[Answer], close: Callable[[Answer], None]) -> Answer:
        """Answers what begun work opened; closes it where the call is cancelled meanwhile, as nobody else could."""
        try:
            return await self.outcome(asyncio.shield(opening))
        except asyncio.CancelledError:
            opening.add_done_callback(lambda opened: None if _failed(opened) else close(opened.result()))
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
            digest = digest_of(file, committed, checkpoint, place)
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


def _failed(work: asyncio.Future[Any]) -> bool:
    return work.cancelled() or work.exception() is not None


def _names(folder: Path) -> list[str]:
    try:
        return os.listdir(folder)
    except FileNotFoundError:
        return []
