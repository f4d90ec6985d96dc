"""One suite for every pair of stores: what files do, whatever keeps their bytes and records."""

from __future__ import annotations

import hashlib
from datetime import timedelta

import pytest
from files_world import MB, START, World, content_of, refused

from difyrpc_services.files.core.values import After, Changes, File, FileSpec, Listing, Order, Place


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
