"""What the core needs from a store of bytes and from a store of records."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import datetime
from typing import Protocol

from difyrpc_services.files.core.values import File, Listing, Place, Upload, Usage


class BlobWriter(Protocol):
    """Writes the bytes of one upload, one call at a time; only `sync` may run beside `append`."""

    @property
    def position(self) -> int:
        """Bytes that are written, durable or not."""

    async def append(self, data: bytes) -> None:
        """Adds bytes at the end; ResourceExhausted `DISK_FULL` takes back what is not durable and breaks the writer."""

    async def sync(self) -> int:
        """Makes durable what was appended before this call; answers how many bytes are."""

    async def matches(self, offset: int, data: bytes) -> bool:
        """Answers whether `data` is what lies at `offset`; all of it is below `position`."""

    async def digest(self) -> str:
        """Answers the SHA-256 of everything that was appended."""

    async def seal(self) -> None:
        """Makes the bytes durable and readable; no append follows. A sealed blob may be written again by `write`."""

    async def close(self) -> object | None:
        """Lets go of the bytes; answers a checkpoint that spares `write` to read them again, if there is one."""


class BlobReader(Protocol):
    """Reads bytes that stay readable until it is closed, even if they are removed meanwhile."""

    def chunks(self, start: int, length: int) -> AsyncIterator[bytes]:
        """Answers `length` bytes from `start` in pieces of at most 1 MiB; fewer if there are not so many."""

    async def close(self) -> None:
        """Lets go of the bytes."""


class Blobs(Protocol):
    """A store of bytes by place. Every call may be repeated after a crash at any point."""

    def describe(self) -> str:
        """Says what it is, for people: `disk /var/lib/difyrpc/files`."""

    async def open(self) -> None:
        """Makes ready; runs once before anything else."""

    async def close(self) -> None:
        """Lets go of everything."""

    async def write(self, place: Place, committed: int, checkpoint: object | None = None) -> BlobWriter:
        """Opens a place for writing at `committed`, dropping what lies behind it.

        Aborted `UPLOAD_BUSY` while another process writes there. DataLoss if fewer bytes are there.
        """

    async def read(self, place: Place) -> BlobReader | None:
        """Opens a sealed place for reading; None if there is none."""

    async def remove(self, place: Place) -> None:
        """Removes whatever lies at the place; nothing there is fine."""

    def places(self) -> AsyncIterator[Sequence[Place]]:
        """Answers, in batches, where bytes lie."""

    async def identity(self) -> str:
        """Answers an id that this store keeps for as long as its bytes, made on first use."""

    async def probe(self) -> str:
        """Writes, reads and removes a few bytes; answers what it found, as a text for people."""


class Rows(Protocol):
    """The records within one transaction. What is read with `lock` stays as it is until the transaction ends."""

    async def upload(self, tenant: str, upload_id: str, *, lock: bool = False) -> Upload | None:
        """Answers one upload."""

    async def put_upload(self, upload: Upload) -> None:
        """Adds or replaces one upload."""

    async def delete_upload(self, upload: Upload) -> None:
        """Removes one upload."""

    async def due_uploads(self, now: datetime, limit: int) -> Sequence[Upload]:
        """Answers uploads that expired."""

    async def file(self, tenant: str, file_id: str, *, lock: bool = False) -> File | None:
        """Answers one file, expired or not."""

    async def put_file(self, file: File) -> None:
        """Adds or replaces one file."""

    async def delete_file(self, file: File) -> None:
        """Removes one file."""

    async def files(self, tenant: str, listing: Listing, now: datetime) -> Sequence[File]:
        """Answers the files of one page that are not expired."""

    async def due_files(self, now: datetime, limit: int) -> Sequence[File]:
        """Answers files that expired."""

    async def name_is_taken(self, tenant: str, display_name: str, now: datetime, *, other_than: str) -> bool:
        """Answers whether another file has the name, after waiting for those who ask the same."""

    async def share_blob(self, tenant: str, key: str, sha256: str, size_bytes: int) -> str:
        """Counts one more user of this content; answers the key of the bytes that the tenant has already, or `key`."""

    async def release_blob(self, tenant: str, key: str) -> bool:
        """Counts one user less; answers whether it was the last, and then the record is gone."""

    async def usage(self, tenant: str, *, lock: bool = False) -> Usage:
        """Answers what the tenant uses; with `lock` after waiting for those who ask the same."""

    async def add_usage(self, file: File, difference: int) -> None:
        """Changes the tenant's used bytes."""

    async def add_garbage(self, place: Place) -> None:
        """Notes bytes that are to be removed."""

    async def garbage(self, limit: int) -> Sequence[Place]:
        """Answers noted places."""

    async def forget_garbage(self, places: Collection[Place]) -> None:
        """Drops notes after the bytes are gone."""

    async def unknown(self, places: Collection[Place]) -> Collection[Place]:
        """Answers those places that no upload, blob or garbage note mentions."""

    async def knows_store(self, identity: str) -> bool:
        """Answers whether the store of bytes with this identity belongs to these records."""

    async def add_store(self, identity: str) -> None:
        """Notes that it does."""


class Records(Protocol):
    """A store of records."""

    def transaction(self, *, durable: bool = True) -> AbstractAsyncContextManager[Rows]:
        """Opens a transaction: committed on a clean exit, undone on an error.

        Without `durable` a commit may be lost with the machine, never in part and never before a later durable one.
        """
