"""Records in memory: complete and fast, and gone with the process. For tests and for trying things out."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime

from difyrpc_services.files.core.commit import is_over
from difyrpc_services.files.core.values import File, Listing, Place, Upload, Usage

Id = tuple[str, str]


@dataclass(kw_only=True)
class Tables:
    """Everything that is remembered."""

    uploads: dict[Id, Upload] = field(default_factory=dict)
    files: dict[Id, File] = field(default_factory=dict)
    blobs: dict[Id, tuple[str, int]] = field(default_factory=dict)
    """Tenant and sha256 → key and users."""
    garbage: dict[str, Place] = field(default_factory=dict)
    stores: set[str] = field(default_factory=set)

    def copy(self) -> Tables:
        """Answers a copy that changes do not reach."""
        return Tables(**{each.name: getattr(self, each.name).copy() for each in dataclasses.fields(self)})


class MemoryRecords:
    """One transaction after the other; what an error interrupts is undone."""

    def __init__(self) -> None:
        self._tables = Tables()
        self._lock = asyncio.Lock()

    @asynccontextmanager
    async def transaction(self, *, durable: bool = True) -> AsyncIterator[MemoryRows]:
        """Opens a transaction on a copy, which takes the place of the tables at the end."""
        del durable
        async with self._lock:
            tables = self._tables.copy()
            yield MemoryRows(tables)
            self._tables = tables


class MemoryRows:
    """The records within one transaction."""

    def __init__(self, tables: Tables) -> None:
        """Takes the tables to work on."""
        self._tables = tables

    async def upload(self, tenant: str, upload_id: str, *, lock: bool = False) -> Upload | None:
        """Answers one upload."""
        del lock
        return self._tables.uploads.get((tenant, upload_id))

    async def put_upload(self, upload: Upload) -> None:
        """Adds or replaces one upload."""
        self._tables.uploads[upload.tenant, upload.id] = upload

    async def delete_upload(self, upload: Upload) -> None:
        """Removes one upload."""
        self._tables.uploads.pop((upload.tenant, upload.id), None)

    async def due_uploads(self, now: datetime, limit: int) -> Sequence[Upload]:
        """Answers uploads that expired."""
        return [upload for upload in self._tables.uploads.values() if upload.expire_time <= now][:limit]

    async def file(self, tenant: str, file_id: str, *, lock: bool = False) -> File | None:
        """Answers one file, expired or not."""
        del lock
        return self._tables.files.get((tenant, file_id))

    async def put_file(self, file: File) -> None:
        """Adds or replaces one file."""
        self._tables.files[file.tenant, file.id] = file

    async def delete_file(self, file: File) -> None:
        """Removes one file."""
        self._tables.files.pop((file.tenant, file.id), None)

    async def files(self, tenant: str, listing: Listing, now: datetime) -> Sequence[File]:
        """Answers the files of one page that are not expired."""
        found = [file for file in self._of(tenant, now) if _fits(file, listing)]
        found.sort(key=lambda file: (getattr(file, listing.order.value), file.id), reverse=listing.descending)
        return found[: listing.limit]

    async def due_files(self, now: datetime, limit: int) -> Sequence[File]:
        """Answers files that expired."""
        return [file for file in self._tables.files.values() if is_over(file, now)][:limit]

    async def name_is_taken(self, tenant: str, display_name: str, now: datetime, *, other_than: str) -> bool:
        """Answers whether another file has the name."""
        return any(file.display_name == display_name and file.id != other_than for file in self._of(tenant, now))

    async def share_blob(self, tenant: str, key: str, sha256: str, size_bytes: int) -> str:
        """Counts one more user of this content; answers the key of its bytes."""
        del size_bytes
        key, users = self._tables.blobs.get((tenant, sha256), (key, 0))
        self._tables.blobs[tenant, sha256] = (key, users + 1)
        return key

    async def release_blob(self, tenant: str, key: str) -> bool:
        """Counts one user less; answers whether it was the last."""
        for place, (known, users) in self._tables.blobs.items():
            if place[0] == tenant and known == key and users > 1:
                self._tables.blobs[place] = (key, users - 1)
                return False
            if place[0] == tenant and known == key:
                del self._tables.blobs[place]
                break
        return True

    async def usage(self, tenant: str, *, lock: bool = False) -> Usage:
        """Answers what the tenant uses."""
        del lock
        return Usage(
            used_bytes=sum(file.size_bytes for file in self._tables.files.values() if file.tenant == tenant),
            reserved_bytes=sum(
                upload.reserved_bytes
                for upload in self._tables.uploads.values()
                if upload.tenant == tenant and not upload.file_id
            ),
        )

    async def add_usage(self, file: File, difference: int) -> None:
        """Does nothing: `usage` adds up."""

    async def add_garbage(self, place: Place) -> None:
        """Notes bytes that are to be removed."""
        self._tables.garbage[place.key] = place

    async def garbage(self, limit: int) -> Sequence[Place]:
        """Answers noted places."""
        return list(self._tables.garbage.values())[:limit]

    async def forget_garbage(self, places: Collection[Place]) -> None:
        """Drops notes after the bytes are gone."""
        for place in places:
            self._tables.garbage.pop(place.key, None)

    async def unknown(self, places: Collection[Place]) -> Collection[Place]:
        """Answers those places that no upload, blob or garbage note mentions."""
        known = {upload.key for upload in self._tables.uploads.values()} | set(self._tables.garbage)
        known |= {key for key, _ in self._tables.blobs.values()}
        return [place for place in places if place.key not in known]

    async def knows_store(self, identity: str) -> bool:
        """Answers whether the store of bytes with this identity belongs to these records."""
        return identity in self._tables.stores

    async def add_store(self, identity: str) -> None:
        """Notes that it does."""
        self._tables.stores.add(identity)

    def _of(self, tenant: str, now: datetime) -> list[File]:
        return [file for file in self._tables.files.values() if file.tenant == tenant and not is_over(file, now)]


def _fits(file: File, listing: Listing) -> bool:
    if not file.display_name.startswith(listing.prefix) or not set(listing.tags) <= set(file.tags):
        return False
    if listing.after is None:
        return True
    here, last = (getattr(file, listing.order.value), file.id), (listing.after.key, listing.after.id)
    return here < last if listing.descending else here > last
