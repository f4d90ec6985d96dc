"""One suite for every pair of stores: what uploads do, whatever keeps their bytes and records."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator

import pytest
from files_world import MB, World, content_of, pieces, refused

from difyrpc_services.files.core.values import FileSpec, Listing, Upload


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


async def test_of_two_uploads_that_must_be_the_first_one_wins(world: World) -> None:
    uploads = [await world.begin(display_name="x", if_absent=True) for _ in range(2)]
    for upload in uploads:
        await world.write(upload, 0, b"hello")
    found = await asyncio.gather(
        *(world.uploads.finish("t", upload.id, 5, "") for upload in uploads), return_exceptions=True
    )
    assert sorted(type(one).__name__ for one in found) == ["AlreadyExists", "File"]


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
