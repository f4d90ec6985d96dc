"""Makes files out of bytes that are durable: the one transaction after which a file is visible."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Collection
from datetime import datetime

from difyrpc_services.files.core import faults, rules
from difyrpc_services.files.core.ports import Blobs, Records, Rows
from difyrpc_services.files.core.values import File, FileSpec, Limits, Place, Upload
from difyrpc_services.runtime.errors import ServiceError

log = logging.getLogger(__name__)


async def check_conditions(rows: Rows, tenant: str, spec: FileSpec, now: datetime) -> File | None:
    """Answers the file to replace, locked; refuses what the spec's conditions forbid."""
    if spec.replace:
        file = await locked_file(rows, tenant, spec.replace, now)
        faults.check_generation(file, spec.if_generation_match)
        return file
    if spec.if_absent:
        await check_absent(rows, tenant, spec.display_name, now)
    return None


async def check_absent(rows: Rows, tenant: str, display_name: str, now: datetime, *, other_than: str = "") -> None:
    """Refuses a display name that another file has."""
    if await rows.name_is_taken(tenant, display_name, now, other_than=other_than):
        raise faults.file_exists(display_name)


async def locked_file(rows: Rows, tenant: str, file_id: str, now: datetime) -> File:
    """Answers a file that nobody else changes until the transaction ends."""
    file = await rows.file(tenant, file_id, lock=True)
    if file is None or is_over(file, now):
        raise faults.no_file(file_id)
    return file


def is_over(file: File, now: datetime) -> bool:
    """Answers whether the file's time is over; it does not exist any more then."""
    return file.expire_time is not None and file.expire_time <= now


async def make_file(
    rows: Rows, upload: Upload, *, size_bytes: int, sha256: str, now: datetime, limits: Limits
) -> tuple[File, Collection[Place]]:
    """Turns a sealed upload, whose row is locked, into a file; answers it and the bytes that nobody uses any more."""
    old = await check_conditions(rows, upload.tenant, upload.spec, now)
    file = _replaced(old, upload, size_bytes, sha256, now) if old else _new(upload, size_bytes, sha256, now)
    if limits.quota_bytes and size_bytes > upload.reserved_bytes:
        usage = await rows.usage(upload.tenant, lock=True)
        faults.check_quota(usage, size_bytes - upload.reserved_bytes, limits)
    key = await rows.share_blob(upload.tenant, upload.key, sha256, size_bytes)
    garbage = [] if key == upload.key else [Place.of(upload.tenant, upload.key)]
    if old and await rows.release_blob(old.tenant, old.blob):
        garbage.append(Place.of(old.tenant, old.blob))
    file = dataclasses.replace(file, blob=key)
    await rows.put_file(file)
    await rows.add_usage(file, size_bytes - (old.size_bytes if old else 0))
    for each in garbage:
        await rows.add_garbage(each)
    return file, garbage


async def remove_file(rows: Rows, file: File) -> Collection[Place]:
    """Removes a file, whose row is locked; answers the bytes that nobody uses any more."""
    await rows.delete_file(file)
    last = await rows.release_blob(file.tenant, file.blob)
    await rows.add_usage(file, -file.size_bytes)
    if not last:
        return ()
    place = Place.of(file.tenant, file.blob)
    await rows.add_garbage(place)
    return (place,)


async def discard(records: Records, blobs: Blobs, garbage: Collection[Place]) -> None:
    """Removes bytes that are noted as garbage, then the notes; what cannot be removed now stays for the sweeper."""
    try:
        for place in garbage:
            await blobs.remove(place)
        if garbage:
            async with records.transaction(durable=False) as rows:
                await rows.forget_garbage(garbage)
    except (OSError, ServiceError) as error:
        log.warning("%d unused blobs stay for the sweeper: %s", len(garbage), error)


def _new(upload: Upload, size_bytes: int, sha256: str, now: datetime) -> File:
    spec = upload.spec
    return File(
        id=rules.new_file_id(now),
        tenant=upload.tenant,
        display_name=spec.display_name,
        size_bytes=size_bytes,
        sha256=sha256,
        media_type=spec.media_type or rules.guessed_media_type(spec.display_name),
        blob=upload.key,
        create_time=now,
        update_time=now,
        expire_time=spec.expire_time,
        tags=spec.tags,
        metadata=spec.metadata,
    )


def _replaced(old: File, upload: Upload, size_bytes: int, sha256: str, now: datetime) -> File:
    spec = upload.spec
    return dataclasses.replace(
        old,
        display_name=spec.display_name or old.display_name,
        size_bytes=size_bytes,
        sha256=sha256,
        media_type=spec.media_type or old.media_type,
        blob=upload.key,
        generation=old.generation + 1,
        revision=old.revision + 1,
        update_time=now,
        expire_time=spec.expire_time or old.expire_time,
        tags=spec.tags or old.tags,
        metadata=spec.metadata or old.metadata,
    )
