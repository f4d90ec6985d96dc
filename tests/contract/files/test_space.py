"""One suite for every pair of stores: how much there may be, and what makes room again."""

from __future__ import annotations

import hashlib
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

from files_world import MB, World, content_of, refused

from difyrpc_services.files.backends.memory import MemoryBlobs
from difyrpc_services.files.core.values import FileSpec, Listing, Place, Upload


async def test_the_quota_is_reserved_at_start_and_given_back(world: World) -> None:
    world.restart(quota_bytes=100)
    upload = await world.begin(size_bytes=60)
    usage, limit = await world.files.usage("t")
    assert (usage.used_bytes, usage.reserved_bytes, limit) == (0, 60, 100)
    with refused("QUOTA_EXCEEDED") as metadata:
        await world.begin(size_bytes=41)
    assert (metadata["reserved_bytes"], metadata["limit_bytes"]) == ("60", "100")
    await world.begin(tenant="other", size_bytes=100)
    await world.write(upload, 0, b"x" * 60)
    file = await world.uploads.finish("t", upload.id, 60, "")
    usage, _ = await world.files.usage("t")
    assert (usage.used_bytes, usage.reserved_bytes) == (60, 0)
    with refused("QUOTA_EXCEEDED"):
        await world.files.copy("t", file.id, FileSpec())
    with refused("QUOTA_EXCEEDED"):
        await world.put(b"x" * 41)
    await world.files.delete("t", file.id)
    await world.put(b"x" * 100)


async def test_an_upload_of_unknown_size_counts_as_it_grows(world: World) -> None:
    world.restart(quota_bytes=100)
    upload = await world.begin()
    await world.write(upload, 0, b"x" * 80)
    usage, _ = await world.files.usage("t")
    assert usage.reserved_bytes == 80
    with refused("QUOTA_EXCEEDED"):
        await world.write(upload, 80, b"x" * 21)
    assert (await world.write(upload, 80, b"x" * 20))[-1] == 100
    assert (await world.uploads.finish("t", upload.id, None, "")).size_bytes == 100


async def test_uploads_and_files_end_at_their_time_and_are_swept(world: World) -> None:
    upload = await world.begin(size_bytes=5)
    await world.write(upload, 0, b"hel")
    file = await world.put(b"short", expire_time=world.now + timedelta(days=1))
    kept = await world.put(b"kept")
    world.now += timedelta(days=1)
    with refused("FILE_NOT_FOUND"):
        await world.files.get("t", file.id)
    assert await world.names(Listing()) == ["a.txt"]
    await world.uploads.query("t", upload.id)
    world.now += timedelta(days=6)
    with refused("UPLOAD_NOT_FOUND"):
        await world.write(upload, 3, b"lo")
    assert await world.sweeper.sweep() == 2
    assert await world.stored() == [Place.of("t", kept.blob)]
    usage, _ = await world.files.usage("t")
    assert (usage.used_bytes, usage.reserved_bytes) == (4, 0)


async def test_bytes_without_a_record_are_swept_and_others_stay(world: World) -> None:
    await world.sweeper.adopt()
    kept = await world.put(b"kept")
    upload = await world.begin()
    await world.write(upload, 0, b"hello")
    orphan = await world.blobs.write(Place(folder="f" * 24, key="0" * 32), 0)
    await orphan.append(b"lost")
    await orphan.seal()
    await orphan.close()
    assert await world.sweeper.sweep_orphans() == 1
    assert sorted(place.key for place in await world.stored()) == sorted([kept.blob, upload.key])


async def test_a_store_of_other_records_is_not_swept(world: World) -> None:
    writer = await world.blobs.write(Place(folder="f" * 24, key="0" * 32), 0)
    await writer.append(b"of another database")
    await writer.seal()
    await writer.close()
    await world.sweeper.adopt()
    assert await world.sweeper.sweep_orphans() == 0
    assert len(await world.stored()) == 1


async def test_a_full_store_refuses_and_keeps_what_it_acknowledged(world: World) -> None:
    content = content_of(3 * MB)
    upload = await world.begin()
    await world.write(upload, 0, content[:MB])
    with room_for(world, 2 * MB):
        with refused("DISK_FULL"):
            await world.write(upload, MB, content[MB:])
        with refused("DISK_FULL"):
            await world.put(content, display_name="whole")
        assert (await world.files.list("t", Listing()))[0] == []
    asked = await world.uploads.query("t", upload.id)
    assert isinstance(asked, Upload)
    committed = asked.committed_bytes
    assert MB <= committed <= 2 * MB
    await world.write(upload, committed, content[committed:])
    file = await world.uploads.finish("t", upload.id, None, hashlib.sha256(content).hexdigest())
    assert await world.content(file) == content


@contextmanager
def room_for(world: World, size: int) -> Iterator[None]:
    """Lets a store take no more than `size` bytes, all in all or in one file."""
    if isinstance(world.blobs, MemoryBlobs):
        world.blobs.capacity = size
        yield
        world.blobs.capacity = None
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
