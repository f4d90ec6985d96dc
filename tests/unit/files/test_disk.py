"""The folder of the disk backend after crashes, and with several processes at it."""

from __future__ import annotations

import asyncio
import hashlib
import threading
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from difyrpc_services.files.backends.disk import DiskBlobs
from difyrpc_services.files.core.values import Place
from difyrpc_services.runtime.errors import Aborted, DataLoss, Unavailable

PLACE = Place.of("../../etc", "ab" + "0" * 30)


@pytest.fixture
async def blobs(tmp_path: Path) -> AsyncIterator[DiskBlobs]:
    blobs = DiskBlobs(tmp_path / "files", threads=2)
    await blobs.open()
    yield blobs
    await blobs.close()


async def test_a_second_process_may_not_write_the_same_bytes(blobs: DiskBlobs, tmp_path: Path) -> None:
    other = DiskBlobs(tmp_path / "files", threads=1)
    writer = await blobs.write(PLACE, 0)
    with pytest.raises(Aborted) as caught:
        await other.write(PLACE, 0)
    assert (caught.value.reason, caught.value.retry_after) == ("UPLOAD_BUSY", 1.0)
    await writer.close()
    await (await other.write(PLACE, 0)).close()
    await other.close()


async def test_bytes_that_were_not_acknowledged_are_dropped(blobs: DiskBlobs) -> None:
    writer = await blobs.write(PLACE, 0)
    await writer.append(b"acknowledged")
    await writer.append(b" and torn")
    await writer.close()
    writer = await blobs.write(PLACE, 12)
    assert writer.position == 12
    assert await writer.digest() == hashlib.sha256(b"acknowledged").hexdigest()
    await writer.append(b"!")
    assert await writer.matches(0, b"acknowledged!")
    assert not await writer.matches(0, b"acknowledged?")
    await writer.seal()
    await writer.close()
    reader = await blobs.read(PLACE)
    assert reader is not None
    assert [data async for data in reader.chunks(0, 100)] == [b"acknowledged!"]
    await reader.close()


async def test_a_checkpoint_goes_on_with_the_hash(blobs: DiskBlobs) -> None:
    writer = await blobs.write(PLACE, 0)
    await writer.append(b"hello ")
    checkpoint = await writer.close()
    writer = await blobs.write(PLACE, 6, checkpoint)
    await writer.append(b"world")
    assert await writer.digest() == hashlib.sha256(b"hello world").hexdigest()
    await writer.close()


async def test_a_checkpoint_of_another_count_is_not_trusted(blobs: DiskBlobs) -> None:
    writer = await blobs.write(PLACE, 0)
    await writer.append(b"hello ")
    checkpoint = await writer.close()
    writer = await blobs.write(PLACE, 5, checkpoint)
    assert await writer.digest() == hashlib.sha256(b"hello").hexdigest()
    await writer.close()


async def test_acknowledged_bytes_that_are_gone_are_told(blobs: DiskBlobs) -> None:
    with pytest.raises(DataLoss) as caught:
        await blobs.write(PLACE, 1)
    assert caught.value.reason == "UPLOAD_DAMAGED"


async def test_a_sealed_place_is_readable_and_may_be_taken_back(blobs: DiskBlobs) -> None:
    writer = await blobs.write(PLACE, 0)
    await writer.append(b"hello")
    assert await blobs.read(PLACE) is None
    await writer.seal()
    await writer.close()
    reader = await blobs.read(PLACE)
    assert reader is not None
    assert [data async for data in reader.chunks(1, 3)] == [b"ell"]
    await reader.close()
    await (await blobs.write(PLACE, 5)).close()
    assert await blobs.read(PLACE) is None


async def test_the_names_in_the_folder_say_nothing_of_the_tenant(blobs: DiskBlobs, tmp_path: Path) -> None:
    writer = await blobs.write(PLACE, 0)
    await writer.seal()
    await writer.close()
    files = [path.relative_to(tmp_path / "files") for path in tmp_path.rglob("*") if path.is_file()]
    assert files == [Path("blobs", PLACE.folder, "ab", PLACE.key)]
    assert [place async for batch in blobs.places() for place in batch] == [PLACE]


async def test_a_closed_store_lets_go_of_what_is_written(tmp_path: Path) -> None:
    first = DiskBlobs(tmp_path / "files", threads=1)
    writer = await first.write(PLACE, 0)
    await first.close()
    second = DiskBlobs(tmp_path / "files", threads=1)
    await (await second.write(PLACE, 0)).close()
    await second.close()
    assert await writer.close() is None


async def test_a_writer_that_broke_writes_no_more(blobs: DiskBlobs) -> None:
    writer = await blobs.write(PLACE, 0)
    await writer.close()
    with pytest.raises(Unavailable) as caught:
        await writer.append(b"x")
    assert caught.value.reason == "DISK_BROKEN"


async def test_the_identity_stays(blobs: DiskBlobs, tmp_path: Path) -> None:
    other = DiskBlobs(tmp_path / "files", threads=1)
    assert await blobs.identity() == await other.identity()
    await other.close()


async def test_the_probe_tells_the_free_space_and_leaves_nothing(blobs: DiskBlobs, tmp_path: Path) -> None:
    assert "GB free" in await blobs.probe()
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


class SlowDisk(DiskBlobs):
    """Takes until `go` to open a part that it has locked."""

    def __init__(self, root: Path) -> None:
        super().__init__(root, threads=1)
        self.locked, self.go = threading.Event(), threading.Event()

    def _locked(self, place: Place, path: Path) -> int:
        file = super()._locked(place, path)
        self.locked.set()
        assert self.go.wait(20)
        return file


async def test_a_call_that_ends_while_its_part_is_opened_leaves_no_lock_behind(tmp_path: Path) -> None:
    blobs = SlowDisk(tmp_path / "files")
    await blobs.open()
    opening = asyncio.create_task(blobs.write(PLACE, 0))
    assert await asyncio.to_thread(blobs.locked.wait, 20)
    opening.cancel()
    with pytest.raises(asyncio.CancelledError):
        await opening
    blobs.go.set()
    await blobs.run(lambda: None)  # the one thread is free again
    await (await blobs.write(PLACE, 0)).close()
    await blobs.close()
