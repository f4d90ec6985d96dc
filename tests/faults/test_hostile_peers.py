"""Peers that mean harm by HTTP/2 itself: they are answered or cut off, and others do not notice."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator

import grpc
import pytest
from bystanders import MIB, WITHOUT_SHEDDING, Memory, others_are_served
from hpack import Encoder
from hyperframe.frame import (
    ContinuationFrame,
    Frame,
    PingFrame,
    PriorityFrame,
    RstStreamFrame,
    SettingsFrame,
    WindowUpdateFrame,
)
from processes import Process, serve, state_folder
from raw_http2 import PREFACE, RawPeer, call_fields, data, framed, headers, raw_connection, raw_peer
from scripted import scene
from statuses import reason, retry_seconds

from difyrpc.files.v1 import files_pb2
from difyrpc.files.v1.files_pb2_grpc import FileStorageStub

GET = "/difyrpc.files.v1.FileStorage/GetFile"
NO_FILE = files_pb2.GetFileRequest(name="files/none").SerializeToString()
SOME_FILE = files_pb2.GetFileRequest(name="files/x")
FRAME_BYTES = 1 << 14
PROTOCOL_ERROR, INTERNAL_ERROR, REFUSED_STREAM, CANCEL, ENHANCE_YOUR_CALM = 1, 2, 7, 8, 11
OK, NOT_FOUND, RESOURCE_EXHAUSTED = 0, 5, 8


@pytest.fixture(scope="module")
def process() -> Iterator[Process]:
    """A real server, so that its memory is its own."""
    quiet = {"DIFYRPC_AUTH": "none", "DIFYRPC_LOG_LEVEL": "WARNING", **WITHOUT_SHEDDING}
    with state_folder() as state, serve("files", state=state, env=quiet) as process:
        yield process
        assert process.stop() == 0
    assert "Traceback" not in "".join(process.log)


@pytest.mark.parametrize("has_body", [False, True], ids=["opened", "whole"])
async def test_a_flood_of_resets_is_refused_and_others_are_served(process: Process, has_body: bool) -> None:
    with Memory(process) as memory:
        async with others_are_served(process), raw_peer(process.target) as peer:
            await peer.call(GET, NO_FILE)
            block = peer.encoded(GET)
            for _ in range(300):
                assert await peer.send(*(frame for _ in range(100) for frame in a_reset(peer, block, has_body)))
                await asyncio.sleep(0)
            await peer.until(lambda: peer.seen["RstStreamFrame"] > 1000)
    assert memory.growth < 200


def a_reset(peer: RawPeer, block: bytes, has_body: bool) -> list[Frame]:
    stream, peer.next_stream = peer.next_stream, peer.next_stream + 2
    body = [data(stream, framed(NO_FILE), end_stream=True)] if has_body else []
    return [headers(stream, block), *body, RstStreamFrame(stream, error_code=CANCEL)]


async def test_a_burst_of_calls_is_answered_by_a_limit_that_has_a_name() -> None:
    async with scene(env=WITHOUT_SHEDDING) as at:
        channels = [at.channel(("grpc.use_local_subchannel_pool", 1)) for _ in range(8)]
        calls = [FileStorageStub(channel).GetFile for channel in channels for _ in range(500)]
        answers = await asyncio.gather(*(call(SOME_FILE, timeout=60) for call in calls), return_exceptions=True)
        for answer in answers:
            if isinstance(answer, BaseException):
                assert isinstance(answer, grpc.aio.AioRpcError)
                assert answer.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
                assert reason(answer)
                assert retry_seconds(answer)
        for channel in channels:
            await channel.close()


async def test_streams_beyond_the_wall_of_a_connection_are_refused_one_by_one() -> None:
    async with scene() as at, raw_peer(at.target) as peer:
        at.servicer.release.clear()
        streams = []
        for _ in range(peer.settings[SettingsFrame.MAX_CONCURRENT_STREAMS] + 100):
            stream, opening = peer.opening(GET)
            assert await peer.send(opening, data(stream, framed(NO_FILE), end_stream=True))
            streams.append(stream)
        await peer.until(lambda: peer.seen["RstStreamFrame"] >= 100)
        at.servicer.release.set()
        answers = [await peer.answer(stream) for stream in streams]
        assert {answer.status[0] for answer in answers if answer.reset is None} <= {OK, RESOURCE_EXHAUSTED}
        assert {answer.reset for answer in answers} == {None, REFUSED_STREAM}
        assert (await peer.call(GET, NO_FILE)).status[0] == OK


@pytest.mark.parametrize("size", [9_000, 15_000])
async def test_metadata_of_up_to_16_kib_always_passes(size: int) -> None:
    async with scene() as at, at.channel() as channel:
        for _ in range(20):
            await FileStorageStub(channel).GetFile(SOME_FILE, timeout=30, metadata=[("x-long", "v" * size)])


@pytest.mark.parametrize(
    "fields",
    [[("x-long", "v" * 17_000)], [("x-long", "v" * MIB)], [("x-long", "v" * 3000)] * 6],
    ids=["one", "huge", "several"],
)
async def test_more_metadata_is_refused_with_its_size_and_the_connection_stays(fields: list[tuple[str, str]]) -> None:
    async with scene() as at, at.channel() as channel:
        stub = FileStorageStub(channel)
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await stub.GetFile(SOME_FILE, timeout=30, metadata=fields)
        assert caught.value.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
        assert re.search(r"metadata size exceeds hard limit.* 16384", caught.value.details())
        await stub.GetFile(SOME_FILE, timeout=30)
        assert at.servicer.calls == 1


async def test_very_many_fields_and_fields_that_unpack_to_megabytes_are_refused(process: Process) -> None:
    packer = Encoder()
    long = ("x-long", "v" * 3900)
    many = [packer.encode([(f"x{number}", "v") for number in range(100_000)])]
    many += [packer.encode([long]), packer.encode([long]) * 15_000]  # the second is one byte that means 3,900
    with Memory(process) as memory:
        async with others_are_served(process):
            for block in (many[0], b"".join(many[1:])):
                async with raw_peer(process.target) as peer:
                    await peer.send(*in_pieces(1, Encoder().encode(call_fields(GET)) + block))
                    assert (await peer.answer(1)).status[0] == RESOURCE_EXHAUSTED
    assert memory.growth < 50


def in_pieces(stream: int, block: bytes) -> list[Frame]:
    parts = [block[start : start + FRAME_BYTES] for start in range(0, len(block), FRAME_BYTES)]
    more = [ContinuationFrame(stream, data=part) for part in parts[1:]]
    more[-1].flags.add("END_HEADERS")
    return [headers(stream, parts[0], end_headers=False), *more]


async def test_headers_without_an_end_are_refused_and_not_kept(process: Process) -> None:
    piece = ContinuationFrame(1, data=Encoder().encode([("x", "v" * 16_000)], huffman=False)).serialize()
    with Memory(process) as memory:
        async with others_are_served(process), raw_peer(process.target) as peer:
            await peer.send(headers(1, Encoder().encode(call_fields(GET)), end_headers=False))
            for _ in range((1 << 30) // len(piece)):
                assert await peer.send(piece)
            assert (await peer.answer(1)).status[0] == RESOURCE_EXHAUSTED
    assert memory.growth < 700, "of the gigabyte that was sent"


@pytest.mark.parametrize(
    "frame",
    [
        SettingsFrame(0, settings={SettingsFrame.INITIAL_WINDOW_SIZE: 1}),
        WindowUpdateFrame(0, window_increment=1),
        PriorityFrame(1, depends_on=3),
    ],
    ids=lambda frame: type(frame).__name__,
)
@pytest.mark.parametrize("is_deaf", [False, True], ids=["reading", "deaf"])
async def test_a_flood_of_small_frames_costs_others_nothing(process: Process, frame: Frame, is_deaf: bool) -> None:
    with Memory(process) as memory:
        async with others_are_served(process), raw_connection(process.target) as peer:
            await peer.send(PREFACE, SettingsFrame(0))
            if not is_deaf:
                peer.listen()
            await flood(peer, frame.serialize() * 100, times=1000)
    assert memory.growth < 100


async def flood(peer: RawPeer, content: bytes, times: int) -> None:
    """Sends until it is done, cut off, or no longer read from."""
    for _ in range(times):
        try:
            async with asyncio.timeout(2):
                if not await peer.send(content):
                    return
        except TimeoutError:
            return
        await asyncio.sleep(0)


async def test_a_flood_of_pings_ends_the_connection_with_its_reason(process: Process) -> None:
    async with others_are_served(process), raw_peer(process.target) as peer:
        await peer.send(PingFrame(0, opaque_data=b"12345678").serialize() * 100)
        assert await peer.closed() == (ENHANCE_YOUR_CALM, "too_many_pings")


async def test_a_greeting_that_is_never_finished_is_cut_off_with_its_reason(process: Process) -> None:
    async def end_after(said: bytes) -> tuple[int, str]:
        async with raw_connection(process.target) as peer:
            peer.is_polite = False
            peer.listen()
            await peer.send(said)
            return await peer.closed()

    ends = await asyncio.gather(*map(end_after, (b"", PREFACE[:10], PREFACE)))
    assert ends == [(INTERNAL_ERROR, "Did not receive HTTP/2 settings before handshake timeout")] * 3


GIBBERISH = {
    "noise": [bytes(range(256)) * 400],
    "http/1.1": [b"GET / HTTP/1.1\r\nHost: difyrpc\r\n\r\n"],
    "first frame": [PREFACE, PingFrame(0).serialize()],
    "packing": [PREFACE, SettingsFrame(0), headers(1, b"\xff" * 10)],
    "frame of 16 MiB": [PREFACE, SettingsFrame(0), b"\xff\xff\xff\x00\x00\x00\x00\x00\x01", b"x" * MIB],
    "window of nothing": [PREFACE, SettingsFrame(0), b"\x00\x00\x04\x08\x00\x00\x00\x00\x00\x00\x00\x00\x00"],
    "empty continuations": [PREFACE, SettingsFrame(0), headers(1, b"", end_headers=False)]
    + [ContinuationFrame(1)] * 1000,
}


@pytest.mark.parametrize("frames", GIBBERISH.values(), ids=GIBBERISH)
async def test_what_is_no_http2_ends_the_connection(process: Process, frames: list[Frame | bytes]) -> None:
    async with others_are_served(process), raw_connection(process.target) as peer:
        peer.is_polite = False
        peer.listen()
        await peer.send(*frames)
        await peer.closed()


async def test_connections_above_the_limit_are_closed_at_once_and_those_there_go_on() -> None:
    async with scene(env={"DIFYRPC_MAX_CONNECTIONS": "5"}) as at, at.channel() as channel:
        stub = FileStorageStub(channel)
        await stub.GetFile(SOME_FILE, timeout=30)
        peers = [raw_peer(at.target) for _ in range(8)]
        greeted = [await peer.__aenter__() for peer in peers]
        assert [peer.is_closed for peer in greeted].count(False) == 4
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            async with at.channel(("grpc.use_local_subchannel_pool", 1)) as late:
                await FileStorageStub(late).GetFile(SOME_FILE, timeout=30)
        assert caught.value.code() == grpc.StatusCode.UNAVAILABLE
        await stub.GetFile(SOME_FILE, timeout=30)
        for peer in peers:
            await peer.__aexit__(None, None, None)
        async with at.channel(("grpc.use_local_subchannel_pool", 1)) as late:
            await FileStorageStub(late).GetFile(SOME_FILE, timeout=30, wait_for_ready=True)
