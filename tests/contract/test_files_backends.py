"""One suite for every pair of stores: what files and uploads do, whatever keeps their bytes and records."""

from __future__ import annotations

import asyncio
import hashlib
import resource
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from difyrpc_services.files.backends.disk import DiskBlobs
from difyrpc_services.files.backends.memory import MemoryBlobs
from difyrpc_services.files.core.files import Files
from difyrpc_services.files.core.session import Cadence
from difyrpc_services.files.core.sweep import Sweeper
from difyrpc_services.files.core.uploads import Uploads
from difyrpc_services.files.core.values import After, Changes, File, FileSpec, Limits, Listing, Order, Place, Upload
from difyrpc_services.files.records.memory import MemoryRecords
from difyrpc_services.files.records.postgres import PostgresRecords
from difyrpc_services.runtime.errors import ServiceError

START = datetime(2030, 1, 1, 12, tzinfo=UTC)
MB = 1 << 20


class World:
    """The core over one pair of stores, with a clock that the test moves."""

    def __init__(self, records: Any, blobs: Any) -> None:
        self.records, self.blobs = records, blobs
        self.now = START
        self.limits = Limits()
        self.restart()

    def restart(self, **limits: Any) -> None:
        self.limits = Limits(**limits)
        self.uploads = Uploads(
            self.records,
            self.blobs,
            limits=self.limits,
            clock=lambda: self.now,
            cadence=Cadence(sync_bytes=MB, pause_seconds=0.01),
        )
        self.files = Files(self.records, self.blobs, limits=self.limits, clock=lambda: self.now)
        self.sweeper = Sweeper(self.records, self.blobs, self.uploads, lambda: self.now)

    async def put(self, content: bytes = b"hello", tenant: str = "t", **spec: Any) -> File:
        spec.setdefault("display_name", "a.txt")
        return await self.uploads.store(tenant, FileSpec(**spec), pieces(content))

    async def begin(self, tenant: str = "t", **spec: Any) -> Upload:
        spec.setdefault("display_name", "a.txt")
        return await self.uploads.start(tenant, FileSpec(**spec))

    async def write(self, upload: Upload, offset: int, content: bytes) -> list[int]:
        return [count async for count in self.uploads.write("t", upload.id, offset, pieces(content))]

    async def content(self, file: File, tenant: str = "t", **range_: Any) -> bytes:
        parts = [part async for part in self.files.read(tenant, file.id, **range_)]
        assert isinstance(parts[0], File)
        return b"".join(part for part in parts[1:] if isinstance(part, bytes))

    async def names(self, listing: Listing, tenant: str = "t") -> list[str]:
        return [file.display_name for file in (await self.files.list(tenant, listing))[0]]

    async def stored(self) -> list[Place]:
        return [place async for batch in self.blobs.places() for place in batch]


async def pieces(content: bytes, size: int = 700_000) -> AsyncIterator[bytes]:
    for start in range(0, len(content), size):
        yield content[start : start + size]


@contextmanager
def refused(reason: str) -> Iterator[dict[str, str]]:
    """Expects a ServiceError of one reason; fills the dictionary with its metadata."""
    metadata: dict[str, str] = {}
    with pytest.raises(ServiceError) as caught:
        yield metadata
    assert caught.value.reason == reason
    metadata.update(caught.value.metadata)


def content_of(size: int, seed: int = 1) -> bytes:
    return hashlib.shake_128(str(seed).encode()).digest(size)


@pytest.fixture(params=["memory", "disk"])
def records(request: pytest.FixtureRequest) -> MemoryRecords | PostgresRecords:
    return MemoryRecords() if request.param == "memory" else PostgresRecords(request.getfixturevalue("database"))


@pytest.fixture
async def world(records: MemoryRecords | PostgresRecords, tmp_path: Path) -> AsyncIterator[World]:
    blobs = MemoryBlobs() if isinstance(records, MemoryRecords) else DiskBlobs(tmp_path / "files")
    await blobs.open()
    yield World(records, blobs)
    await blobs.close()


@pytest.mark.parametrize("size", [0, 1, 5, MB, 3 * MB + 7])
async def test_a_stored_file_is_read_as_it_was(world: World, size: int) -> None:
    content = content_of(size)
    file = await world.put(content, display_name="report.pdf", tags=("b", "a", "a"), metadata={"n": 2**62, "x": None})
    assert (file.size_bytes, file.sha256) == (size, hashlib.sha256(content).hexdigest())
    assert (file.media_type, file.generation, file.tags) == ("application/pdf", 1, ("a", "b"))
    assert await world.files.get("t", file.id) == file
    assert await world.content(file) == content


@pytest.mark.parametrize(
    ("offset", "limit", "expected"),
    [
        (0, 0, "0123456789"),
        (3, 0, "3456789"),
        (3, 2, "34"),
        (-4, 0, "6789"),
        (-4, 2, "67"),
        (10, 0, ""),
        (-99, 3, "012"),
        (8, 99, "89"),
    ],
)
async def test_a_range_is_what_was_asked_for(world: World, offset: int, limit: int, expected: str) -> None:
    file = await world.put(b"0123456789")
    assert (await world.content(file, offset=offset, limit=limit)).decode() == expected


async def test_a_range_past_the_end_or_of_another_generation_is_refused(world: World) -> None:
    file = await world.put(b"0123456789")
    with refused("OFFSET_PAST_END") as metadata:
        await world.content(file, offset=11)
    assert metadata["size_bytes"] == "10"
    with refused("GENERATION_MISMATCH"):
        await world.content(file, if_generation_match=2)
    with refused("INVALID_RANGE"):
        await world.content(file, limit=-1)


async def test_values_come_back_with_their_types(world: World) -> None:
    metadata = {"s": "x", "i": 2021, "big": -(2**63), "d": 1.0, "b": True, "t": START, "l": ("a", 1, False), "n": None}
    file = await world.put(metadata=metadata)
    found = (await world.files.get("t", file.id)).metadata
    assert found == metadata
    assert {key: type(value) for key, value in found.items()} == {key: type(value) for key, value in metadata.items()}


async def test_an_upload_in_three_calls_becomes_one_file(world: World) -> None:
    content = content_of(5 * MB)
    upload = await world.begin(size_bytes=len(content))
    counts = await world.write(upload, 0, content[: 2 * MB])
    assert counts[0] == 0
    assert counts[-1] == 2 * MB
    world.restart()
    asked = await world.uploads.query("t", upload.id)
    assert isinstance(asked, Upload)
    assert asked.committed_bytes == 2 * MB
    counts = await world.write(upload, 2 * MB, content[2 * MB :])
    assert counts == sorted(counts)
    file = await world.uploads.finish("t", upload.id, len(content), hashlib.sha256(content).hexdigest().upper())
    assert await world.content(file) == content


async def test_finishing_twice_answers_the_same_file(world: World) -> None:
    upload = await world.begin()
    await world.write(upload, 0, b"hello")
    first = await world.uploads.finish("t", upload.id, 5, "")
    world.restart()
    assert await world.uploads.finish("t", upload.id, 5, "") == first
    assert await world.uploads.query("t", upload.id) == first
    with refused("SIZE_MISMATCH"):
        await world.uploads.finish("t", upload.id, 6, "")
    with refused("UPLOAD_FINISHED"):
        await world.write(upload, 5, b"more")
    with refused("UPLOAD_FINISHED"):
        await world.uploads.abort("t", upload.id)
    assert await world.names(Listing()) == ["a.txt"]


async def test_two_calls_that_finish_at_once_make_one_file(world: World) -> None:
    upload = await world.begin()
    await world.write(upload, 0, b"hello")
    one, two = await asyncio.gather(*(world.uploads.finish("t", upload.id, 5, "") for _ in range(2)))
    assert one == two
    assert await world.names(Listing()) == ["a.txt"]


async def test_bytes_sent_again_must_be_the_same(world: World) -> None:
    content = content_of(3 * MB)
    upload = await world.begin()
    await world.write(upload, 0, content[: 2 * MB])
    assert (await world.write(upload, MB, content[MB:]))[-1] == 3 * MB
    with refused("CONTENT_DIFFERS"):
        await world.write(upload, MB, b"x" + content[MB + 1 :])
    assert (await world.write(upload, 10, content[10:20]))[-1] == 3 * MB
    file = await world.uploads.finish("t", upload.id, None, hashlib.sha256(content).hexdigest())
    assert await world.content(file) == content


async def test_a_gap_is_refused_with_the_count(world: World) -> None:
    upload = await world.begin()
    await world.write(upload, 0, b"hello")
    for offset in (6, -1):
        with refused("OFFSET_PAST_END") as metadata:
            await world.write(upload, offset, b"x")
        assert metadata["committed_bytes"] == "5"


async def test_the_later_of_two_writers_wins(world: World) -> None:
    content = content_of(2 * MB)
    upload = await world.begin()
    more = asyncio.Event()

    async def slow() -> AsyncIterator[bytes]:
        yield content[:MB]
        await more.wait()
        yield b"never written"

    first = world.uploads.write("t", upload.id, 0, slow())
    assert await anext(first) == 0
    assert await anext(first) == MB
    assert (await world.write(upload, MB, content[MB:]))[-1] == 2 * MB
    more.set()
    with refused("WRITER_REPLACED"):
        await anext(first)
    file = await world.uploads.finish("t", upload.id, 2 * MB, hashlib.sha256(content).hexdigest())
    assert await world.content(file) == content


async def test_a_call_at_another_server_takes_over(world: World) -> None:
    content = content_of(2 * MB)
    upload = await world.begin()
    more = asyncio.Event()

    async def slow() -> AsyncIterator[bytes]:
        yield content[:MB]
        await more.wait()
        yield b"written, and never acknowledged"

    first = world.uploads.write("t", upload.id, 0, slow())
    assert [await anext(first), await anext(first)] == [0, MB]
    world.restart()
    with refused("UPLOAD_BUSY"):
        await world.write(upload, MB, content[MB:])
    more.set()
    with refused("WRITER_REPLACED"):
        _ = [count async for count in first]
    assert (await world.write(upload, MB, content[MB:]))[-1] == 2 * MB
    file = await world.uploads.finish("t", upload.id, 2 * MB, hashlib.sha256(content).hexdigest())
    assert await world.content(file) == content


async def test_finishing_ends_a_call_that_still_writes(world: World) -> None:
    upload = await world.begin()
    more = asyncio.Event()

    async def slow() -> AsyncIterator[bytes]:
        yield b"hello"
        await more.wait()
        yield b"!"

    writing = world.uploads.write("t", upload.id, 0, slow())
    assert [await anext(writing), await anext(writing)] == [0, 5]
    file = await world.uploads.finish("t", upload.id, 5, "")
    more.set()
    with refused("WRITER_REPLACED"):
        await anext(writing)
    assert await world.content(file) == b"hello"


async def test_a_cut_connection_keeps_what_came(world: World) -> None:
    content = content_of(3 * MB)
    upload = await world.begin()

    async def cut() -> AsyncIterator[bytes]:
        async for piece in pieces(content[: 2 * MB + 5]):
            yield piece
        raise ConnectionResetError

    with pytest.raises(ConnectionResetError):
        _ = [count async for count in world.uploads.write("t", upload.id, 0, cut())]
    asked = await world.uploads.query("t", upload.id)
    assert isinstance(asked, Upload)
    assert asked.committed_bytes == 2 * MB + 5


async def test_asking_while_writing_counts_everything_that_came(world: World) -> None:
    upload = await world.begin()
    never = asyncio.Event()
    came = asyncio.Event()

    async def slow() -> AsyncIterator[bytes]:
        yield b"hello"
        came.set()
        await never.wait()

    writing = world.uploads.write("t", upload.id, 0, slow())
    await anext(writing)
    step = asyncio.ensure_future(anext(writing))
    await came.wait()
    asked = await world.uploads.query("t", upload.id)
    assert isinstance(asked, Upload)
    assert asked.committed_bytes == 5
    assert await step == 5
    await writing.aclose()


async def test_a_wrong_checksum_is_refused_and_the_upload_can_be_given_up(world: World) -> None:
    upload = await world.begin(sha256="0" * 64)
    await world.write(upload, 0, b"hello")
    with refused("CHECKSUM_MISMATCH") as metadata:
        await world.uploads.finish("t", upload.id, None, "")
    assert metadata["sha256"] == hashlib.sha256(b"hello").hexdigest()
    assert await world.names(Listing()) == []
    await world.uploads.abort("t", upload.id)
    assert await world.stored() == []
    with refused("UPLOAD_NOT_FOUND"):
        await world.uploads.abort("t", upload.id)
    await world.uploads.abort("t", upload.id, allow_missing=True)


async def test_the_declared_size_is_kept(world: World) -> None:
    upload = await world.begin(size_bytes=5)
    await world.write(upload, 0, b"hel")
    with refused("UPLOAD_INCOMPLETE") as metadata:
        await world.uploads.finish("t", upload.id, None, "")
    assert metadata["committed_bytes"] == "3"
    with refused("SIZE_EXCEEDED"):
        await world.write(upload, 3, b"lo!")
    await world.write(upload, 3, b"lo")
    assert (await world.uploads.finish("t", upload.id, 5, "")).size_bytes == 5


async def test_a_broken_one_call_upload_leaves_nothing(world: World) -> None:
    async def cut() -> AsyncIterator[bytes]:
        yield content_of(2 * MB)
        raise ConnectionResetError

    with pytest.raises(ConnectionResetError):
        await world.uploads.store("t", FileSpec(display_name="a"), cut())
    with refused("SIZE_MISMATCH"):
        await world.put(b"hello", size_bytes=6)
    with refused("CHECKSUM_MISMATCH"):
        await world.put(b"hello", sha256="1" * 64)
    assert await world.names(Listing()) == []
    assert await world.stored() == []
    usage, _ = await world.files.usage("t")
    assert (usage.used_bytes, usage.reserved_bytes) == (0, 0)


async def test_the_same_content_is_stored_once_and_lives_as_long_as_its_last_file(world: World) -> None:
    one, two, foreign = await world.put(b"same"), await world.put(b"same"), await world.put(b"same", tenant="other")
    assert len(await world.stored()) == 2
    copy = await world.files.copy("t", one.id, FileSpec(display_name="copy"))
    await world.files.delete("t", one.id)
    await world.files.delete("t", two.id)
    assert await world.content(copy) == b"same"
    await world.files.delete("t", copy.id)
    assert await world.stored() == [Place.of("other", foreign.blob)]


async def test_deleting_keeps_a_download_that_began(world: World) -> None:
    content = content_of(3 * MB)
    file = await world.put(content)
    reading = world.files.read("t", file.id)
    await anext(reading)
    first = await anext(reading)
    await world.files.delete("t", file.id)
    rest = [part async for part in reading]
    assert b"".join(part for part in (first, *rest) if isinstance(part, bytes)) == content


async def test_missing_bytes_are_told_as_damage(world: World) -> None:
    file = await world.put(b"hello")
    await world.blobs.remove(Place.of("t", file.blob))
    with refused("FILE_DAMAGED"):
        await world.content(file)


async def test_deleting_heeds_its_conditions(world: World) -> None:
    file = await world.put()
    with refused("ETAG_MISMATCH"):
        await world.files.delete("t", file.id, etag="old")
    with refused("GENERATION_MISMATCH"):
        await world.files.delete("t", file.id, if_generation_match=7)
    await world.files.delete("t", file.id, etag=file.etag, if_generation_match=1)
    with refused("FILE_NOT_FOUND"):
        await world.files.delete("t", file.id)
    await world.files.delete("t", file.id, allow_missing=True)


async def test_an_update_changes_what_its_mask_names(world: World) -> None:
    file = await world.put(tags=("keep",), metadata={"k": 1})
    world.now += timedelta(seconds=5)
    changes = Changes(fields=frozenset({"display_name", "metadata"}), display_name="b.pdf", media_type="x/y")
    changed = await world.files.update("t", file.id, changes, etag=file.etag)
    assert (changed.display_name, changed.media_type, changed.tags) == ("b.pdf", "text/plain", ("keep",))
    assert (changed.metadata, changed.generation) == ({}, 1)
    assert changed.update_time == world.now
    assert await world.files.get("t", file.id) == changed
    with refused("ETAG_MISMATCH") as metadata:
        await world.files.update("t", file.id, changes, etag=file.etag)
    assert metadata["etag"] == changed.etag


async def test_if_absent_holds_for_uploads_renames_and_copies(world: World) -> None:
    file = await world.put(display_name="taken")
    other = await world.put(display_name="free")
    with refused("FILE_EXISTS"):
        await world.put(display_name="taken", if_absent=True)
    with refused("FILE_EXISTS"):
        await world.files.copy("t", file.id, FileSpec(if_absent=True))
    rename = Changes(fields=frozenset({"display_name"}), display_name="taken")
    with refused("FILE_EXISTS"):
        await world.files.update("t", other.id, rename, if_absent=True)
    await world.files.update("t", file.id, rename, if_absent=True)
    await world.put(tenant="other", display_name="taken", if_absent=True)


async def test_of_two_uploads_that_must_be_the_first_one_wins(world: World) -> None:
    uploads = [await world.begin(display_name="x", if_absent=True) for _ in range(2)]
    for upload in uploads:
        await world.write(upload, 0, b"hello")
    found = await asyncio.gather(
        *(world.uploads.finish("t", upload.id, 5, "") for upload in uploads), return_exceptions=True
    )
    assert sorted(type(one).__name__ for one in found) == ["AlreadyExists", "File"]


async def test_replacing_grows_the_generation_and_keeps_the_rest(world: World) -> None:
    file = await world.put(b"old", tags=("t",))
    new = await world.put(b"newer", display_name="", replace=file.id, if_generation_match=1)
    assert (new.id, new.generation, new.tags, new.display_name) == (file.id, 2, ("t",), "a.txt")
    assert await world.content(new) == b"newer"
    assert new.etag != file.etag
    assert len(await world.stored()) == 1
    with refused("GENERATION_MISMATCH"):
        await world.put(b"x", replace=file.id, if_generation_match=1)
    with refused("FILE_NOT_FOUND"):
        await world.put(b"x", replace="none")
    usage, _ = await world.files.usage("t")
    assert usage.used_bytes == 5


async def test_pages_hold_every_file_once_in_any_order(world: World) -> None:
    for number in range(7):
        world.now += timedelta(seconds=1)
        await world.put(b"x" * (number % 3), display_name=f"n{number * 5 % 7}")
    for order in Order:
        for descending in (False, True):
            seen: list[File] = []
            more, after = True, None
            while more:
                listing = Listing(order=order, descending=descending, limit=3, after=after)
                page, more = await world.files.list("t", listing)
                seen += page
                after = After(key=getattr(page[-1], order.value), id=page[-1].id)
            keys = [(getattr(file, order.value), file.id) for file in seen]
            assert keys == sorted(keys, reverse=descending)
            assert len({file.id for file in seen}) == 7


async def test_a_prefix_is_plain_text_and_tags_must_all_be_there(world: World) -> None:
    for name in ("a%b", "a_b", "axb", "合同/一", "合同/二", "Zebra", "apple"):
        await world.put(display_name=name, tags=(name[0], "all"))
    assert await world.names(Listing(prefix="a%")) == ["a%b"]
    assert await world.names(Listing(prefix="a_")) == ["a_b"]
    assert await world.names(Listing(prefix="合同/")) == ["合同/一", "合同/二"]
    assert await world.names(Listing(prefix="\\")) == []
    assert (await world.names(Listing()))[0] == "Zebra"
    assert await world.names(Listing(tags=("all", "Z"))) == ["Zebra"]
    assert await world.names(Listing(tags=("none",))) == []


async def test_another_tenant_sees_nothing(world: World) -> None:
    file = await world.put()
    upload = await world.begin()
    for attempt in (
        world.files.get("other", file.id),
        world.files.delete("other", file.id),
        world.files.copy("other", file.id, FileSpec()),
        world.files.update("other", file.id, Changes(fields=frozenset({"tags"}))),
        world.content(file, "other"),
        world.put(tenant="other", replace=file.id),
    ):
        with refused("FILE_NOT_FOUND"):
            await attempt
    for attempt in (
        world.uploads.query("other", upload.id),
        world.uploads.finish("other", upload.id, None, ""),
        world.uploads.abort("other", upload.id),
    ):
        with refused("UPLOAD_NOT_FOUND"):
            await attempt
    assert await world.names(Listing(), tenant="other") == []


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


async def test_a_sealed_upload_whose_record_failed_goes_on(world: World) -> None:
    upload = await world.begin(display_name="x", if_absent=True)
    await world.write(upload, 0, b"hello")
    rival = await world.put(display_name="x")
    with refused("FILE_EXISTS"):
        await world.uploads.finish("t", upload.id, 5, "")
    await world.files.delete("t", rival.id)
    assert (await world.write(upload, 5, b"!"))[-1] == 6
    file = await world.uploads.finish("t", upload.id, 6, "")
    assert await world.content(file) == b"hello!"


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
