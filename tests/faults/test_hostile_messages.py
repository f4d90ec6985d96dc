"""Peers that mean harm by what they say inside gRPC: lengths that lie, bombs, names without end, uploads broken off."""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import Iterator

import grpc
import pytest
from bystanders import MIB, WITHOUT_SHEDDING, Memory, others_are_served
from hyperframe.frame import RstStreamFrame
from processes import Process, serve, state_folder
from raw_http2 import RawPeer, data, framed, raw_peer
from statuses import reason

from difyrpc.files.v1 import files_pb2
from difyrpc.files.v1.files_pb2_grpc import FileStorageStub

SERVICE = "/difyrpc.files.v1.FileStorage/"
GET, UPLOAD = SERVICE + "GetFile", SERVICE + "UploadFile"
GZIP = [("grpc-encoding", "gzip")]
UNIMPLEMENTED, NOT_FOUND, RESOURCE_EXHAUSTED, INTERNAL = 12, 5, 8, 13
CANCEL = 8
LIMIT_BYTES = 64 * MIB  # DIFYRPC_MAX_MESSAGE_BYTES, whose double gRPC lets in


@pytest.fixture(scope="module")
def process() -> Iterator[Process]:
    """A real server, so that its memory is its own."""
    quiet = {"DIFYRPC_AUTH": "none", "DIFYRPC_LOG_LEVEL": "WARNING", **WITHOUT_SHEDDING}
    with state_folder() as state, serve("files", state=state, env=quiet) as process:
        yield process
        assert process.stop() == 0
    assert "Traceback" not in "".join(process.log)


def bomb(size: int) -> bytes:
    """Packs zeros a thousandfold by gzip."""
    packer, zeros = zlib.compressobj(9, zlib.DEFLATED, 31), bytes(MIB)
    return b"".join([*(packer.compress(zeros) for _ in range(size // MIB)), packer.flush()])


@pytest.mark.parametrize("path", [GET, UPLOAD], ids=["unary", "stream"])
async def test_bombs_are_refused_before_they_have_unpacked(process: Process, path: str) -> None:
    packed = bomb(1 << 30)
    with Memory(process) as memory:
        async with others_are_served(process), raw_peer(process.target) as peer:
            answers = await asyncio.gather(*(peer.call(path, packed, GZIP, compressed=True) for _ in range(3)))
            assert {answer.status for answer in answers} == {
                (RESOURCE_EXHAUSTED, "Decompressed message larger than max")
            }
    assert memory.growth < 512, "of the three gigabytes"


async def test_a_client_that_compresses_is_served(process: Process) -> None:
    async with grpc.aio.insecure_channel(process.target, compression=grpc.Compression.Gzip) as channel:
        stub = FileStorageStub(channel)
        parts = [files_pb2.UploadFileRequest(spec=files_pb2.FileSpec(display_name="zeros", size_bytes=4 * MIB))]
        parts += [files_pb2.UploadFileRequest(chunk=files_pb2.Chunk(data=bytes(MIB)))] * 4
        stored = (await stub.UploadFile(iter(parts), timeout=30)).file
        assert stored.size_bytes == 4 * MIB


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        (GZIP, (INTERNAL, "Decompression failed due to zlib error")),
        ([], (INTERNAL, "Compression bit set but no encoding configured")),
        ([("grpc-encoding", "snappy")], (INTERNAL, "Error parsing 'grpc-encoding' metadata")),
    ],
    ids=["broken", "unnamed", "unknown"],
)
async def test_compression_that_cannot_be_read_is_told(
    process: Process, fields: list[tuple[str, str]], told: tuple[int, str]
) -> None:
    async with others_are_served(process), raw_peer(process.target) as peer:
        assert (await peer.call(GET, b"no gzip at all", fields, compressed=True)).status == told


@pytest.mark.parametrize("length", [2**32 - 1, 2 * LIMIT_BYTES + 1])
@pytest.mark.parametrize("path", [GET, UPLOAD], ids=["unary", "stream"])
async def test_a_length_above_the_limit_is_refused_before_its_bytes_come(
    process: Process, path: str, length: int
) -> None:
    with Memory(process) as memory:
        async with others_are_served(process), raw_peer(process.target) as peer:
            stream, opening = peer.opening(path)
            await peer.send(opening, data(stream, framed(b"few", length=length)))
            told = f"Received message larger than max ({length} vs. {2 * LIMIT_BYTES})"
            code, message = (await peer.answer(stream)).status
            assert code == RESOURCE_EXHAUSTED
            assert told in message
    assert memory.growth < 50


async def test_lengths_that_are_allowed_and_never_come_cost_no_memory(process: Process) -> None:
    with Memory(process) as memory:
        async with others_are_served(process), raw_peer(process.target) as peer:
            for _ in range(100):
                stream, opening = peer.opening(GET)
                assert await peer.send(opening, data(stream, framed(b"few", length=LIMIT_BYTES)))
    assert memory.growth < 100, "of the six gigabytes that were announced"


@pytest.mark.parametrize("letter", ["n", "%", "文"])
async def test_names_without_end_are_cut_in_errors_so_that_a_client_still_reads_them(
    process: Process, letter: str
) -> None:
    async with grpc.aio.insecure_channel(process.target) as channel:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await FileStorageStub(channel).GetFile(
                files_pb2.GetFileRequest(name="files/" + letter * 50_000), timeout=30
            )
        assert caught.value.code() in {grpc.StatusCode.NOT_FOUND, grpc.StatusCode.INVALID_ARGUMENT}
        assert reason(caught.value)
        assert letter in caught.value.details()


async def test_a_method_of_a_long_name_is_told_to_be_unknown(process: Process) -> None:
    async with grpc.aio.insecure_channel(process.target) as channel:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await channel.unary_unary("/" + "m" * 10_000)(b"", timeout=30)
        assert (caught.value.code(), reason(caught.value)) == (grpc.StatusCode.UNIMPLEMENTED, "UNKNOWN_METHOD")


@pytest.mark.parametrize("end", ["reset", "message too large"])
async def test_an_upload_of_unknown_size_that_was_broken_off_leaves_no_file(process: Process, end: str) -> None:
    async with raw_peer(process.target) as peer, grpc.aio.insecure_channel(process.target) as channel:
        for _ in range(40):
            await break_off(peer, end)
        await peer.call(GET, files_pb2.GetFileRequest(name="files/none").SerializeToString())
        listed = await FileStorageStub(channel).ListFiles(files_pb2.ListFilesRequest(page_size=1000), timeout=30)
        assert not [file for file in listed.files if file.display_name == end]


async def break_off(peer: RawPeer, end: str) -> None:
    stream, opening = peer.opening(UPLOAD)
    spec = files_pb2.UploadFileRequest(spec=files_pb2.FileSpec(display_name=end))
    chunk = files_pb2.UploadFileRequest(chunk=files_pb2.Chunk(data=b"x" * 1000))
    await peer.send(opening, *(data(stream, framed(part.SerializeToString())) for part in (spec, chunk)))
    if end == "reset":
        await peer.send(RstStreamFrame(stream, error_code=CANCEL))
    else:
        await peer.send(data(stream, framed(b"few", length=2**32 - 1)))
        await peer.answer(stream)
