"""Files that are there: read, listed, changed, copied and deleted."""

from __future__ import annotations

import dataclasses
from collections.abc import AsyncIterator, Callable, Sequence
from datetime import datetime

from difyrpc_services.files.core import faults, rules
from difyrpc_services.files.core.commit import check_absent, discard, is_over, locked_file, remove_file
from difyrpc_services.files.core.ports import BlobReader, Blobs, Records
from difyrpc_services.files.core.values import Changes, File, FileSpec, Limits, Listing, Place, Usage
from difyrpc_services.runtime.errors import InvalidArgument


class Files:
    """The files of all tenants."""

    def __init__(self, records: Records, blobs: Blobs, *, limits: Limits, clock: Callable[[], datetime]) -> None:
        """Takes the stores of records and of bytes; `clock` answers the time with its zone."""
        self._records = records
        self._blobs = blobs
        self._limits = limits
        self._clock = clock

    async def get(self, tenant: str, file_id: str) -> File:
        """Answers one file."""
        async with self._records.transaction() as rows:
            file = await rows.file(tenant, file_id)
        if file is None or is_over(file, self._clock()):
            raise faults.no_file(file_id)
        return file

    async def read(
        self, tenant: str, file_id: str, *, offset: int = 0, limit: int = 0, if_generation_match: int | None = None
    ) -> AsyncIterator[File | bytes]:
        """Answers the file, then the bytes of the range; a negative offset counts from the end, limit 0 is no limit."""
        if limit < 0:
            raise InvalidArgument("INVALID_RANGE", "limit {limit} is negative", field="limit", limit=limit)
        file, reader = await self._opened(tenant, file_id, if_generation_match)
        try:
            start, length = _range(file, offset, limit)
            yield file
            async for data in reader.chunks(start, length):
                yield data
                length -= len(data)
        finally:
            await reader.close()
        if length:
            raise faults.damaged(file)

    async def list(self, tenant: str, listing: Listing) -> tuple[Sequence[File], bool]:
        """Answers one page and whether another follows."""
        rules.plain(listing.prefix, "prefix", 255)
        if len(listing.tags) > 16:
            raise InvalidArgument(
                "TOO_MANY_TAGS", "{count} tags are more than 16", field="tags", count=len(listing.tags)
            )
        listing = dataclasses.replace(listing, tags=rules.tags(listing.tags, "tags"), limit=listing.limit + 1)
        async with self._records.transaction() as rows:
            found = await rows.files(tenant, listing, self._clock())
        return found[: listing.limit - 1], len(found) == listing.limit

    async def update(
        self, tenant: str, file_id: str, changes: Changes, *, etag: str = "", if_absent: bool = False
    ) -> File:
        """Changes what is known about a file."""
        now = self._clock()
        kept = rules.checked_changes(changes, now)
        async with self._records.transaction() as rows:
            file = await locked_file(rows, tenant, file_id, now)
            faults.check_etag(file, etag)
            changed = _changed(file, kept, now)
            if if_absent:
                await check_absent(rows, tenant, changed.display_name, now, other_than=file.id)
            await rows.put_file(changed)
        return changed

    async def copy(self, tenant: str, file_id: str, spec: FileSpec, *, if_generation_match: int | None = None) -> File:
        """Makes a new file of the same content."""
        now = self._clock()
        _check_copy(spec)
        async with self._records.transaction() as rows:
            source = await locked_file(rows, tenant, file_id, now)
            faults.check_generation(source, if_generation_match)
            named = dataclasses.replace(spec, display_name=spec.display_name or source.display_name)
            kept = rules.checked_spec(named, now, self._limits.max_file_bytes)
            if kept.if_absent:
                await check_absent(rows, tenant, kept.display_name, now)
            await rows.share_blob(tenant, source.blob, source.sha256, source.size_bytes)
            if self._limits.quota_bytes:
                faults.check_quota(await rows.usage(tenant, lock=True), source.size_bytes, self._limits)
            file = _copied(source, kept, now)
            await rows.put_file(file)
            await rows.add_usage(file, file.size_bytes)
        return file

    async def delete(
        self,
        tenant: str,
        file_id: str,
        *,
        etag: str = "",
        allow_missing: bool = False,
        if_generation_match: int | None = None,
    ) -> None:
        """Deletes a file; with `allow_missing` one that is not there is fine."""
        now = self._clock()
        async with self._records.transaction() as rows:
            file = await rows.file(tenant, file_id, lock=True)
            if file is None or is_over(file, now):
                if allow_missing:
                    return
                raise faults.no_file(file_id)
            faults.check_etag(file, etag)
            faults.check_generation(file, if_generation_match)
            garbage = await remove_file(rows, file)
        await discard(self._records, self._blobs, garbage)

    async def usage(self, tenant: str) -> tuple[Usage, int]:
        """Answers what the tenant uses and its limit, 0 for none."""
        async with self._records.transaction() as rows:
            return await rows.usage(tenant), self._limits.quota_bytes

    async def _opened(self, tenant: str, file_id: str, generation: int | None) -> tuple[File, BlobReader]:
        """Opens the bytes; content that was replaced between the two steps is looked up again."""
        file = await self.get(tenant, file_id)
        while True:
            faults.check_generation(file, generation)
            reader = await self._blobs.read(Place.of(tenant, file.blob))
            if reader:
                return file, reader
            missed, file = file, await self.get(tenant, file_id)
            if missed.blob == file.blob:
                raise faults.damaged(file)


def _range(file: File, offset: int, limit: int) -> tuple[int, int]:
    size = file.size_bytes
    if offset > size:
        raise faults.past_end(offset, size, "size_bytes")
    start = offset if offset >= 0 else max(0, size + offset)
    return start, min(limit or size, size - start)


def _changed(file: File, changes: Changes, now: datetime) -> File:
    new = {name: getattr(changes, name) for name in changes.fields}
    changed = dataclasses.replace(file, **new, revision=file.revision + 1, update_time=now)
    if changed.media_type:
        return changed
    return dataclasses.replace(changed, media_type=rules.guessed_media_type(changed.display_name))


def _check_copy(spec: FileSpec) -> None:
    for name, given in (
        ("size_bytes", spec.size_bytes is not None),
        ("sha256", spec.sha256),
        ("replace", spec.replace),
    ):
        if given:
            raise InvalidArgument("NOT_FOR_COPIES", "{what} has no meaning for a copy", field=f"spec.{name}", what=name)


def _copied(source: File, spec: FileSpec, now: datetime) -> File:
    return dataclasses.replace(
        source,
        id=rules.new_file_id(now),
        display_name=spec.display_name,
        media_type=spec.media_type or source.media_type,
        generation=1,
        revision=1,
        create_time=now,
        update_time=now,
        expire_time=spec.expire_time or source.expire_time,
        tags=spec.tags or source.tags,
        metadata=spec.metadata or source.metadata,
    )
