"""FileStorage over real gRPC: what each rpc answers and how it refuses."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import google_crc32c
import grpc
import pytest
from google.protobuf.field_mask_pb2 import FieldMask
from google.protobuf.timestamp_pb2 import Timestamp
from serving import OPEN, Running, running
from statuses import fields, info, reason

from difyrpc.files.v1 import files_pb2 as pb
from difyrpc.files.v1 import files_pb2_grpc as rpc
from difyrpc.type.v1.value_pb2 import ListValue, Value
from difyrpc_services.runtime.database import Database

MB = 1 << 20
Code = grpc.StatusCode
UGLY = ("a\\b", "a//b", "b/", ".", "a\u202etxt.exe", " a", "\u200b")


@pytest.fixture
async def server(database: Database, tmp_path: Path) -> AsyncIterator[Running]:
    async with running(
        database, tmp_path, names=["files"], env={**OPEN, "DIFYRPC_FILES_QUOTA_BYTES": "50000000"}
    ) as it:
        yield it


@pytest.fixture
async def files(server: Running) -> AsyncIterator[rpc.FileStorageStub]:
    async with server.channel() as channel:
        yield rpc.FileStorageStub(channel)


@contextmanager
def refused(code: grpc.StatusCode, why: str, *, field: str = "") -> Iterator[dict[str, str]]:
    """Expects a failed call; fills the dictionary with the metadata of its ErrorInfo."""
    metadata: dict[str, str] = {}
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        yield metadata
    assert (caught.value.code(), reason(caught.value)) == (code, why)
    if field:
        assert fields(caught.value) == [field]
    metadata.update(info(caught.value))


def content_of(size: int) -> bytes:
    return hashlib.shake_128(b"content").digest(size)


def chunks(kind: Any, content: bytes, size: int = MB) -> Iterator[Any]:
    for start in range(0, len(content), size):
        data = content[start : start + size]
        yield kind(chunk=pb.Chunk(data=data, crc32c=google_crc32c.value(data)))


async def upload(files: Any, content: bytes = b"hello", **spec: Any) -> pb.File:
    spec.setdefault("display_name", "a.txt")
    first = pb.UploadFileRequest(spec=pb.FileSpec(**spec))
    answer = await files.UploadFile(iter([first, *chunks(pb.UploadFileRequest, content)]))
    return answer.file


async def start(files: Any, **spec: Any) -> str:
    spec.setdefault("display_name", "a.txt")
    answer = await files.StartUpload(pb.StartUploadRequest(spec=pb.FileSpec(**spec)))
    return answer.upload.name


async def write(files: Any, name: str, offset: int, content: bytes) -> list[int]:
    first = pb.WriteUploadRequest(start=pb.UploadPosition(upload=name, offset=offset))
    call = files.WriteUpload(iter([first, *chunks(pb.WriteUploadRequest, content)]))
    return [answer.committed_bytes async for answer in call]


async def download(files: Any, name: str, **what: Any) -> bytes:
    parts = [part async for part in files.DownloadFile(pb.DownloadFileRequest(name=name, **what))]
    assert parts[0].WhichOneof("part") == "file"
    for part in parts[1:]:
        assert part.chunk.crc32c == google_crc32c.value(part.chunk.data)
    return b"".join(part.chunk.data for part in parts[1:])


async def test_a_small_file_in_one_call(files: rpc.FileStorageStub) -> None:
    expiry = Timestamp(seconds=4_000_000_000)
    metadata = {"n": Value(int64_value=2**62), "l": Value(list_value=ListValue(values=[Value(null_value=0)]))}
    file = await upload(
        files, metadata=metadata, tags=["x"], expire_time=expiry, sha256=hashlib.sha256(b"hello").hexdigest()
    )
    assert file.name.startswith("files/")
    assert (file.size_bytes, file.media_type, file.generation) == (5, "text/plain", 1)
    assert (dict(file.metadata), list(file.tags), file.expire_time) == (metadata, ["x"], expiry)
    got = await files.GetFile(pb.GetFileRequest(name=file.name))
    assert got.file == file
    assert await download(files, file.name) == b"hello"


async def test_a_large_file_in_pieces_that_continue(files: rpc.FileStorageStub) -> None:
    content = content_of(5 * MB + 3)
    name = await start(files, size_bytes=len(content))
    assert (await write(files, name, 0, content[: 2 * MB]))[-1] == 2 * MB
    state = await files.QueryUpload(pb.QueryUploadRequest(upload=name))
    assert (state.upload.committed_bytes, state.upload.size_bytes) == (2 * MB, len(content))
    assert (await write(files, name, MB, content[MB:]))[-1] == len(content)
    request = pb.FinishUploadRequest(upload=name, size_bytes=len(content), sha256=hashlib.sha256(content).hexdigest())
    file = (await files.FinishUpload(request)).file
    assert (await files.FinishUpload(request)).file == file
    assert (await files.QueryUpload(pb.QueryUploadRequest(upload=name))).file == file
    assert await download(files, file.name) == content
    assert await download(files, file.name, offset=MB - 5, limit=10) == content[MB - 5 : MB + 5]
    assert await download(files, file.name, offset=-7) == content[-7:]


async def test_a_cancelled_write_keeps_what_was_sent(files: rpc.FileStorageStub) -> None:
    content = content_of(2 * MB)
    name = await start(files)
    never = asyncio.Event()

    async def requests() -> AsyncIterator[pb.WriteUploadRequest]:
        yield pb.WriteUploadRequest(start=pb.UploadPosition(upload=name))
        for request in chunks(pb.WriteUploadRequest, content):
            yield request
        await never.wait()

    call = files.WriteUpload(requests())
    async for answer in call:
        if answer.committed_bytes == 2 * MB:
            break
    call.cancel()
    assert (await write(files, name, 2 * MB, b"end"))[0] == 2 * MB


async def test_two_writers_and_the_first_is_told(files: rpc.FileStorageStub) -> None:
    name = await start(files)
    never = asyncio.Event()

    async def requests() -> AsyncIterator[pb.WriteUploadRequest]:
        yield pb.WriteUploadRequest(start=pb.UploadPosition(upload=name))
        await never.wait()

    first = files.WriteUpload(requests())
    assert (await first.read()).committed_bytes == 0
    assert (await write(files, name, 0, b"hello"))[-1] == 5
    with refused(Code.ABORTED, "WRITER_REPLACED"):
        await first.read()


async def test_what_is_wrong_with_a_write_is_told(files: rpc.FileStorageStub) -> None:
    name = await start(files, size_bytes=5)
    with refused(Code.OUT_OF_RANGE, "OFFSET_PAST_END") as metadata:
        await write(files, name, 1, b"x")
    assert metadata["committed_bytes"] == "0"
    with refused(Code.INVALID_ARGUMENT, "SIZE_EXCEEDED"):
        await write(files, name, 0, b"too long")
    await write(files, name, 0, b"hello")
    with refused(Code.FAILED_PRECONDITION, "CONTENT_DIFFERS"):
        await write(files, name, 0, b"jello")
    start_message = pb.WriteUploadRequest(start=pb.UploadPosition(upload=name, offset=5))
    damaged = pb.WriteUploadRequest(chunk=pb.Chunk(data=b"x", crc32c=1))
    with refused(Code.INVALID_ARGUMENT, "CHUNK_DAMAGED", field="chunk.crc32c"):
        await anext(aiter(files.WriteUpload(iter([start_message, damaged]))))  # the first answer
        _ = [each async for each in files.WriteUpload(iter([start_message, damaged]))]
    large = pb.WriteUploadRequest(chunk=pb.Chunk(data=bytes(2 * MB + 1)))
    with refused(Code.INVALID_ARGUMENT, "CHUNK_TOO_LARGE", field="chunk.data"):
        _ = [each async for each in files.WriteUpload(iter([start_message, large]))]
    with refused(Code.INVALID_ARGUMENT, "CHUNK_EXPECTED"):
        _ = [each async for each in files.WriteUpload(iter([start_message, start_message]))]
    for messages in ([], [damaged]):
        with refused(Code.INVALID_ARGUMENT, "FIRST_MESSAGE_MISSING", field="start"):
            _ = [each async for each in files.WriteUpload(iter(messages))]


async def test_a_wrong_sum_is_refused_and_the_upload_can_be_given_up(files: rpc.FileStorageStub) -> None:
    name = await start(files)
    await write(files, name, 0, b"hello")
    with refused(Code.INVALID_ARGUMENT, "CHECKSUM_MISMATCH"):
        await files.FinishUpload(pb.FinishUploadRequest(upload=name, sha256="0" * 64))
    with refused(Code.FAILED_PRECONDITION, "UPLOAD_INCOMPLETE"):
        await files.FinishUpload(pb.FinishUploadRequest(upload=name, size_bytes=6))
    await files.AbortUpload(pb.AbortUploadRequest(upload=name))
    with refused(Code.NOT_FOUND, "UPLOAD_NOT_FOUND"):
        await files.QueryUpload(pb.QueryUploadRequest(upload=name))
    await files.AbortUpload(pb.AbortUploadRequest(upload=name, allow_missing=True))


async def test_a_broken_one_call_upload_leaves_nothing(files: rpc.FileStorageStub, tmp_path: Path) -> None:
    never = asyncio.Event()
    sent = asyncio.Event()

    async def requests() -> AsyncIterator[pb.UploadFileRequest]:
        yield pb.UploadFileRequest(spec=pb.FileSpec(display_name="a"))
        yield pb.UploadFileRequest(chunk=pb.Chunk(data=bytes(MB)))
        sent.set()
        await never.wait()

    call = files.UploadFile(requests())
    await sent.wait()
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    with refused(Code.INVALID_ARGUMENT, "SIZE_MISMATCH"):
        await upload(files, b"hello", size_bytes=4_000)
    assert not (await files.ListFiles(pb.ListFilesRequest())).files


@pytest.mark.parametrize(
    "name",
    [*("", "x" * 256, "a\0b", "a\nb", "../a", "a/../b", "/etc/passwd"), *UGLY],
)
async def test_a_name_that_deceives_is_refused(files: rpc.FileStorageStub, name: str) -> None:
    with refused(Code.INVALID_ARGUMENT, "INVALID_DISPLAY_NAME", field="spec.display_name"):
        await start(files, display_name=name)


@pytest.mark.parametrize(
    ("spec", "why", "field"),
    [
        ({"size_bytes": -1}, "INVALID_SIZE", "spec.size_bytes"),
        ({"size_bytes": 1 << 41}, "FILE_TOO_LARGE", "spec.size_bytes"),
        ({"sha256": "abc"}, "INVALID_SHA256", "spec.sha256"),
        ({"media_type": "pdf"}, "INVALID_MEDIA_TYPE", "spec.media_type"),
        ({"tags": [""]}, "INVALID_TAG", "spec.tags"),
        ({"tags": [str(n) for n in range(65)]}, "TOO_MANY_TAGS", "spec.tags"),
        ({"metadata": {"a": Value()}}, "INVALID_METADATA", "spec.metadata[a]"),
        ({"metadata": {"a": Value(double_value=float("nan"))}}, "INVALID_METADATA", "spec.metadata[a]"),
        ({"metadata": {"a": Value(string_value="x" * 20_000)}}, "INVALID_METADATA", "spec.metadata"),
        ({"expire_time": Timestamp(seconds=1)}, "INVALID_EXPIRY", "spec.expire_time"),
        ({"expire_time": Timestamp(seconds=1 << 60)}, "INVALID_TIME", "spec.expire_time"),
        ({"replace": "x"}, "INVALID_NAME", "spec.replace"),
        ({"if_generation_match": 1}, "CONDITIONS_CONTRADICT", "spec.if_generation_match"),
        ({"replace": "files/x", "if_absent": True}, "CONDITIONS_CONTRADICT", "spec.if_absent"),
    ],
)
async def test_a_wrong_spec_names_its_field(files: rpc.FileStorageStub, spec: dict, why: str, field: str) -> None:
    with refused(Code.INVALID_ARGUMENT, why, field=field):
        await start(files, **spec)


async def test_what_is_not_built_says_so(files: rpc.FileStorageStub) -> None:
    permissions = [pb.Permission(key_id="k", role=pb.ROLE_READER)]
    with refused(Code.UNIMPLEMENTED, "FEATURE_NOT_SUPPORTED") as metadata:
        await start(files, permissions=permissions)
    assert metadata["feature"] == "permissions"
    file = await upload(files)
    with refused(Code.UNIMPLEMENTED, "FEATURE_NOT_SUPPORTED"):
        await files.UpdateFile(
            pb.UpdateFileRequest(file=pb.File(name=file.name), update_mask=FieldMask(paths=["permissions"]))
        )
    with refused(Code.UNIMPLEMENTED, "FEATURE_NOT_SUPPORTED"):
        await files.SignUrl(pb.SignUrlRequest(read=pb.SignedRead(name=file.name)))
    with refused(Code.UNIMPLEMENTED, "FEATURE_NOT_SUPPORTED"):
        await anext(aiter(files.ConvertFile(pb.ConvertFileRequest(name=file.name, target=pb.CONVERT_TARGET_TEXT))))


async def test_pages_go_on_with_their_own_token_only(files: rpc.FileStorageStub) -> None:
    names = [f"n{number}" for number in range(5)]
    for name in names:
        await upload(files, display_name=name)
    for order in pb.FileOrder.values():
        seen, token = [], ""
        while True:
            request = pb.ListFilesRequest(page_size=2, page_token=token, order=order, prefix="n", descending=True)
            page = await files.ListFiles(request)
            seen += [file.display_name for file in page.files]
            token = page.next_page_token
            if not token:
                break
        assert sorted(seen) == names
    first = await files.ListFiles(pb.ListFilesRequest(page_size=2))
    with refused(Code.INVALID_ARGUMENT, "PAGE_TOKEN_MISMATCH", field="page_token"):
        await files.ListFiles(pb.ListFilesRequest(page_token=first.next_page_token, prefix="n"))
    with refused(Code.INVALID_ARGUMENT, "INVALID_PAGE_TOKEN", field="page_token"):
        await files.ListFiles(pb.ListFilesRequest(page_token="???"))
    with refused(Code.INVALID_ARGUMENT, "INVALID_PAGE_SIZE", field="page_size"):
        await files.ListFiles(pb.ListFilesRequest(page_size=-1))
    with refused(Code.INVALID_ARGUMENT, "INVALID_ORDER", field="order"):
        await files.ListFiles(pb.ListFilesRequest(order=77))
    with refused(Code.INVALID_ARGUMENT, "INVALID_TEXT", field="prefix"):
        await files.ListFiles(pb.ListFilesRequest(prefix="\0"))


async def test_update_copy_and_delete(files: rpc.FileStorageStub) -> None:
    file = await upload(files, tags=["keep"])
    update = pb.UpdateFileRequest(
        file=pb.File(name=file.name, display_name="b.txt", etag=file.etag),
        update_mask=FieldMask(paths=["display_name"]),
        request_id="11111111-1111-4111-8111-111111111111",
    )
    changed = (await files.UpdateFile(update)).file
    assert (changed.display_name, list(changed.tags)) == ("b.txt", ["keep"])
    assert (await files.UpdateFile(update)).file == changed
    update.request_id = ""
    with refused(Code.ABORTED, "ETAG_MISMATCH") as metadata:
        await files.UpdateFile(update)
    assert metadata["etag"] == changed.etag
    for paths in ([], ["size_bytes"]):
        with refused(Code.INVALID_ARGUMENT, "UPDATE_MASK_INVALID", field="update_mask"):
            await files.UpdateFile(pb.UpdateFileRequest(file=file, update_mask=FieldMask(paths=paths)))
    copy = (await files.CopyFile(pb.CopyFileRequest(name=file.name, spec=pb.FileSpec(display_name="c")))).file
    assert copy.name != file.name
    with refused(Code.INVALID_ARGUMENT, "NOT_FOR_COPIES", field="spec.sha256"):
        await files.CopyFile(pb.CopyFileRequest(name=file.name, spec=pb.FileSpec(sha256="0" * 64)))
    await files.DeleteFile(pb.DeleteFileRequest(name=file.name))
    with refused(Code.NOT_FOUND, "FILE_NOT_FOUND"):
        await files.DeleteFile(pb.DeleteFileRequest(name=file.name))
    await files.DeleteFile(pb.DeleteFileRequest(name=file.name, allow_missing=True))
    assert await download(files, copy.name) == b"hello"


async def test_an_upload_that_is_started_again_with_its_request_id_is_one(files: rpc.FileStorageStub) -> None:
    request = pb.StartUploadRequest(
        spec=pb.FileSpec(display_name="a", size_bytes=5), request_id="22222222-2222-4222-8222-222222222222"
    )
    assert await files.StartUpload(request) == await files.StartUpload(request)
    assert (await files.GetQuota(pb.GetQuotaRequest())).reserved_bytes == 5


async def test_the_quota_is_told_and_kept(files: rpc.FileStorageStub) -> None:
    await upload(files, b"hello")
    await start(files, size_bytes=40_000_000)
    quota = await files.GetQuota(pb.GetQuotaRequest())
    assert (quota.used_bytes, quota.reserved_bytes, quota.limit_bytes) == (5, 40_000_000, 50_000_000)
    with refused(Code.RESOURCE_EXHAUSTED, "QUOTA_EXCEEDED") as metadata:
        await start(files, size_bytes=10_000_000)
    assert metadata["limit_bytes"] == "50000000"


@pytest.mark.parametrize("name", ["", "files/", "files/../x", "uploads/x", "x", "files/a/b", "files/\0"])
async def test_a_malformed_name_is_no_name(files: rpc.FileStorageStub, name: str) -> None:
    with refused(Code.INVALID_ARGUMENT, "INVALID_NAME", field="name"):
        await files.GetFile(pb.GetFileRequest(name=name))


async def test_another_tenant_finds_nothing(database: Database, tmp_path: Path) -> None:
    async with (
        running(database, tmp_path, names=["files"], env={}, tenants=("a", "b")) as server,
        server.channel(tenant="a") as one,
        server.channel(tenant="b") as two,
    ):
        mine, theirs = rpc.FileStorageStub(one), rpc.FileStorageStub(two)
        file, name = await upload(mine), await start(mine)
        for call in (
            theirs.GetFile(pb.GetFileRequest(name=file.name)),
            theirs.DeleteFile(pb.DeleteFileRequest(name=file.name)),
            theirs.CopyFile(pb.CopyFileRequest(name=file.name)),
            download(theirs, file.name),
        ):
            with refused(Code.NOT_FOUND, "FILE_NOT_FOUND"):
                await call
        for call in (
            theirs.QueryUpload(pb.QueryUploadRequest(upload=name)),
            theirs.FinishUpload(pb.FinishUploadRequest(upload=name)),
            theirs.AbortUpload(pb.AbortUploadRequest(upload=name)),
            write(theirs, name, 0, b"x"),
        ):
            with refused(Code.NOT_FOUND, "UPLOAD_NOT_FOUND"):
                await call
        assert not (await theirs.ListFiles(pb.ListFilesRequest())).files


async def test_a_file_is_there_after_a_restart(database: Database, tmp_path: Path) -> None:
    async with running(database, tmp_path, names=["files"]) as server, server.channel() as channel:
        stub = rpc.FileStorageStub(channel)
        file, name = await upload(stub, b"kept"), await start(stub)
        await write(stub, name, 0, b"hel")
    async with running(database, tmp_path, names=["files"]) as server, server.channel() as channel:
        stub = rpc.FileStorageStub(channel)
        assert await download(stub, file.name) == b"kept"
        assert (await write(stub, name, 3, b"lo"))[-1] == 5
        finished = (await stub.FinishUpload(pb.FinishUploadRequest(upload=name, size_bytes=5))).file
        assert await download(stub, finished.name) == b"hello"
