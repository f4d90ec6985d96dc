"""Uploads go on after a broken connection, and store the right bytes or say why not."""

from __future__ import annotations

import asyncio
import hashlib
import io
import os
import tempfile
import threading
from typing import Any

import grpc
import pytest

from difyrpc.files.v1 import files_pb2 as pb
from difyrpc.files.v1 import files_pb2_grpc
from difyrpc_client import InvalidArgument, NotFound, Retry, Unavailable, connect, connect_async

ADD = files_pb2_grpc.add_FileStorageServicer_to_server
MB = 1024 * 1024
CONTENT = os.urandom(3 * MB + 17)


class Files(files_pb2_grpc.FileStorageServicer):
    """Keeps one upload; each writing stream breaks after as many chunks as the script says, None for never."""

    def __init__(self, refuse, *breaks: int | None) -> None:
        self.refuse = refuse
        self.breaks = list(breaks)
        self.data = bytearray()
        self.offsets: list[int] = []
        self.spec = pb.FileSpec()
        self.request_ids: list[str] = []
        self.failures: dict[str, list[grpc.StatusCode]] = {}
        self.reason = ""
        self.finished = 0
        self.aborted: list[str] = []
        self.lose_answers = 0

    def _fail(self, name: str, context: grpc.ServicerContext) -> None:
        if self.failures.get(name):
            self.refuse(context, self.failures[name].pop(0), reason=self.reason)

    def StartUpload(self, request, context):
        self.request_ids.append(request.request_id)
        self._fail("start", context)
        self.spec = request.spec
        return pb.StartUploadResponse(upload=pb.Upload(name="uploads/1"))

    def WriteUpload(self, requests, context):
        start = next(requests).start
        self.offsets.append(start.offset)
        assert start.offset <= len(self.data)
        del self.data[start.offset :]
        yield pb.WriteUploadResponse(committed_bytes=len(self.data))
        left = self.breaks.pop(0) if self.breaks else None
        for request in requests:
            if left == 0:
                self.refuse(context, grpc.StatusCode.UNAVAILABLE)
            self.data += request.chunk.data
            left = None if left is None else left - 1
            yield pb.WriteUploadResponse(committed_bytes=len(self.data))

    def QueryUpload(self, request, context):
        self._fail("query", context)
        if self.finished:
            return pb.QueryUploadResponse(file=self._file())
        return pb.QueryUploadResponse(upload=pb.Upload(name=request.upload, committed_bytes=len(self.data)))

    def FinishUpload(self, request, context):
        self._fail("finish", context)
        assert request.size_bytes == len(self.data)
        assert request.sha256 == hashlib.sha256(self.data).hexdigest()
        self.finished += 1
        if self.lose_answers:
            self.lose_answers -= 1
            self.refuse(context, grpc.StatusCode.UNAVAILABLE)
        return pb.FinishUploadResponse(file=self._file())

    def AbortUpload(self, request, context):
        self.aborted.append(request.upload)
        return pb.AbortUploadResponse()

    def _file(self) -> pb.File:
        return pb.File(name="files/1", display_name=self.spec.display_name, size_bytes=len(self.data))


@pytest.fixture
def upload(serve, refuse, fake_time):
    """Uploads to a scripted server with either client; answers the server and the file."""

    def upload(content, *breaks, server=None, **options):
        server = server or Files(refuse, *breaks)
        with connect(serve((ADD, server)), clock=fake_time.clock) as dify:
            return server, dify.files.upload(content, **{"name": "x.bin", **options})

    return upload


def test_a_file_arrives_whole_and_tells_its_progress(upload) -> None:
    told: list[tuple[int, int]] = []
    server, file = upload(CONTENT, progress=lambda done, total: told.append((done, total)), metadata={"case": 7})
    assert bytes(server.data) == CONTENT
    assert (file.name, file.display_name, file.size_bytes) == ("files/1", "x.bin", len(CONTENT))
    assert server.spec.metadata["case"].int64_value == 7
    assert told == [(size, len(CONTENT)) for size in (0, MB, 2 * MB, 3 * MB, len(CONTENT))]


def test_a_broken_upload_goes_on_from_what_is_durable(upload, fake_time) -> None:
    told: list[int] = []
    server, _ = upload(CONTENT, 1, 2, progress=lambda done, _: told.append(done))
    assert bytes(server.data) == CONTENT
    assert server.offsets == [0, MB, 3 * MB]
    assert told == sorted(set(told))
    assert len(fake_time.sleeps) == 2


async def test_the_asynchronous_client_goes_on_alike(serve, refuse, fake_time) -> None:
    server = Files(refuse, 1, 2)
    async with connect_async(serve((ADD, server)), clock=fake_time.clock) as dify:
        await dify.files.upload(io.BytesIO(CONTENT), name="x.bin")
    assert bytes(server.data) == CONTENT
    assert server.offsets == [0, MB, 3 * MB]


def test_every_stream_that_makes_progress_is_given_new_tries(upload) -> None:
    server, _ = upload(os.urandom(9 * MB), *[1] * 8)
    assert len(server.offsets) == 9


def test_an_upload_without_progress_is_given_up_and_can_be_taken_up_later(upload, refuse, fake_time) -> None:
    server = Files(refuse, 1, *[0] * 5)
    with pytest.raises(Unavailable) as caught:
        upload(CONTENT, server=server)
    assert caught.value.metadata["upload"] == "uploads/1"
    assert server.aborted == []
    upload(CONTENT, server=server, resume=caught.value.metadata["upload"])
    assert bytes(server.data) == CONTENT
    assert server.offsets[-1] == MB
    assert len(server.request_ids) == 1


def test_the_name_of_an_upload_is_told_before_its_first_byte(upload, refuse) -> None:
    server, told = Files(refuse), []
    upload(CONTENT, server=server, started=lambda name: told.append((name, bytes(server.data))))
    upload(CONTENT, server=server, resume="uploads/1", started=lambda name: told.append((name, b"again")))
    assert told == [("uploads/1", b"")]


async def test_the_asynchronous_client_tells_the_name_too(serve, refuse) -> None:
    told: list[str] = []
    async with connect_async(serve((ADD, Files(refuse)))) as dify:
        await dify.files.upload(CONTENT, name="x.bin", started=told.append)
    assert told == ["uploads/1"]


def test_no_try_begins_after_the_deadline(upload, fake_time, refuse) -> None:
    server = Files(refuse, *[0] * 9)
    with pytest.raises(Unavailable):
        upload(CONTENT, server=server, timeout=1)
    assert sum(fake_time.sleeps) < 1


@pytest.mark.parametrize("source", ["path", "text path", "file", "pipe", "chunks", "bytes", "empty"])
def test_every_kind_of_source_arrives_whole_over_a_broken_stream(upload, tmp_path, source: str) -> None:
    path = tmp_path / "contract.pdf"
    path.write_bytes(CONTENT)
    sources = {
        "path": path,
        "text path": str(path),
        "file": io.BytesIO(CONTENT),
        "pipe": Unseekable(CONTENT),
        "chunks": (CONTENT[at : at + 999_999] for at in range(0, len(CONTENT), 999_999)),
        "bytes": CONTENT,
        "empty": b"",
    }
    server, _ = upload(sources[source], 1)
    assert bytes(server.data) == (b"" if source == "empty" else CONTENT)
    assert server.spec.size_bytes == len(server.data)


class Unseekable(io.RawIOBase):
    def __init__(self, content: bytes) -> None:
        self._file = io.BytesIO(content)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer) -> int:
        return self._file.readinto(buffer)


async def test_an_asynchronous_source_arrives_whole(serve, refuse) -> None:
    async def chunks():
        yield CONTENT[:MB]
        yield CONTENT[MB:]

    server = Files(refuse)
    async with connect_async(serve((ADD, server))) as dify:
        await dify.files.upload(chunks(), name="x.bin")
    assert bytes(server.data) == CONTENT


def test_an_open_file_is_uploaded_from_where_it_stands_and_stays_open(upload, tmp_path) -> None:
    path = tmp_path / "contract.pdf"
    path.write_bytes(CONTENT)
    with path.open("rb") as file:
        file.seek(100)
        server, stored = upload(file, name=None)
        assert bytes(server.data) == CONTENT[100:]
        assert not file.closed
    assert stored.display_name == "contract.pdf"


def test_the_start_is_repeated_under_one_request_id(upload, refuse) -> None:
    server = Files(refuse)
    server.failures["start"] = [grpc.StatusCode.UNAVAILABLE] * 2
    upload(b"x", server=server)
    assert len(server.request_ids) == 3
    assert len(set(server.request_ids)) == 1


def test_a_finish_whose_answer_was_lost_finds_the_file(upload, refuse) -> None:
    server = Files(refuse)
    server.lose_answers = 1
    _, file = upload(b"x", server=server)
    assert file.name == "files/1"
    assert server.finished == 1


def test_a_busy_upload_is_waited_for(upload, refuse, fake_time) -> None:
    server = Files(refuse)
    server.failures["finish"], server.reason = [grpc.StatusCode.ABORTED], "UPLOAD_BUSY"
    upload(b"x", server=server)
    assert len(fake_time.sleeps) == 1


def test_an_upload_that_is_refused_is_dropped(upload, refuse) -> None:
    server = Files(refuse)
    server.failures["finish"], server.reason = [grpc.StatusCode.INVALID_ARGUMENT], "CHECKSUM_MISMATCH"
    with pytest.raises(InvalidArgument) as caught:
        upload(b"x", server=server)
    assert caught.value.reason == "CHECKSUM_MISMATCH"
    assert server.aborted == ["uploads/1"]


def test_an_unknown_upload_is_not_found(upload, refuse) -> None:
    server = Files(refuse)
    server.failures["query"] = [grpc.StatusCode.NOT_FOUND]
    with pytest.raises(NotFound):
        upload(b"x", server=server, resume="uploads/none")


class Torn(io.BytesIO):
    def read(self, size=-1):
        if self.tell() >= MB:
            raise OSError("the disk is gone")
        return super().read(size)


async def test_a_source_that_cannot_be_read_is_no_cancellation(serve, refuse) -> None:
    server = Files(refuse)
    async with connect_async(serve((ADD, server))) as dify:
        with pytest.raises(OSError, match="the disk is gone"):
            await dify.files.upload(Torn(CONTENT), name="x")
    assert server.aborted == ["uploads/1"]


async def test_a_refusal_while_bytes_are_on_their_way_is_never_lost(serve, refuse) -> None:
    class Full(Files):
        def WriteUpload(self, requests, context):
            next(requests)
            next(requests)
            yield pb.WriteUploadResponse()
            refuse(context, grpc.StatusCode.INVALID_ARGUMENT, reason="SIZE_EXCEEDED")

    content = os.urandom(8 * MB)
    async with connect_async(serve((ADD, Full(refuse)))) as dify:
        for _ in range(20):
            with pytest.raises(InvalidArgument) as caught:
                await dify.files.upload(content, name="x")
            assert caught.value.reason == "SIZE_EXCEEDED"


def test_a_source_that_cannot_be_read_raises_its_own_error_and_frees_the_upload(upload, refuse) -> None:
    server = Files(refuse)
    with pytest.raises(OSError, match="the disk is gone"):
        upload(Torn(CONTENT), server=server)
    assert server.aborted == ["uploads/1"]


def test_a_file_that_shrinks_meanwhile_is_named(upload, refuse) -> None:
    class Shrinking(io.BytesIO):
        def read(self, size=-1):
            return b"" if self.tell() >= MB else super().read(size)

    server = Files(refuse)
    with pytest.raises(OSError, match="became shorter"):
        upload(Shrinking(CONTENT), server=server)
    assert server.aborted == ["uploads/1"]


@pytest.mark.parametrize(("source", "named"), [(io.StringIO("x"), "mode 'rb'"), (7, "int"), (None, "NoneType")])
def test_what_holds_no_bytes_is_refused(upload, source, named: str) -> None:
    with pytest.raises(InvalidArgument, match=named):
        upload(source)


def test_a_path_that_is_missing_is_an_os_error(upload, tmp_path) -> None:
    with pytest.raises(FileNotFoundError):
        upload(tmp_path / "none")


class Waiting(Files):
    """Takes the first bytes and then waits until the call ends."""

    def __init__(self, refuse) -> None:
        super().__init__(refuse)
        self.began = threading.Event()
        self.ended = threading.Event()

    def WriteUpload(self, requests, context):
        context.add_callback(self.ended.set)
        next(requests)
        yield pb.WriteUploadResponse()
        self.began.set()
        self.ended.wait(20)


async def _cancel(server: Waiting, target: str, **options: str) -> None:
    async with connect_async(target) as dify:
        task = asyncio.create_task(dify.files.upload(CONTENT, name="x", **options))
        assert await asyncio.to_thread(server.began.wait, 10)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task


async def test_a_cancelled_upload_frees_what_it_reserved(serve, refuse) -> None:
    server = Waiting(refuse)
    await _cancel(server, serve((ADD, server)))
    assert server.aborted == ["uploads/1"]


async def test_a_cancelled_upload_that_was_resumed_is_kept(serve, refuse) -> None:
    server = Waiting(refuse)
    await _cancel(server, serve((ADD, server)), resume="uploads/7")
    assert server.aborted == []


def test_an_interrupted_upload_frees_what_it_reserved(upload, refuse) -> None:
    def interrupt(done: int, total: int) -> None:
        raise KeyboardInterrupt

    server = Files(refuse)
    with pytest.raises(KeyboardInterrupt):
        upload(CONTENT, server=server, progress=interrupt)
    assert server.aborted == ["uploads/1"]


def test_a_source_that_breaks_while_it_is_kept_leaves_no_file_open(upload, monkeypatch) -> None:
    made = _kept_spools(monkeypatch)

    def chunks():
        yield b"x"
        raise OSError("the disk is gone")

    with pytest.raises(OSError, match="the disk is gone"):
        upload(chunks())
    assert [file.closed for file in made] == [True]


async def test_an_asynchronous_source_that_breaks_leaves_no_file_open(serve, refuse, monkeypatch) -> None:
    made = _kept_spools(monkeypatch)

    async def chunks():
        yield b"x"
        raise OSError("the disk is gone")

    async with connect_async(serve((ADD, Files(refuse)))) as dify:
        with pytest.raises(OSError, match="the disk is gone"):
            await dify.files.upload(chunks(), name="x")
    assert [file.closed for file in made] == [True]


def _kept_spools(monkeypatch) -> list[Any]:
    made: list[Any] = []
    open_spool = tempfile.SpooledTemporaryFile
    monkeypatch.setattr(tempfile, "SpooledTemporaryFile", lambda **how: made.append(open_spool(**how)) or made[-1])
    return made


def test_a_source_without_a_name_needs_one_before_anything_is_sent(upload, refuse) -> None:
    server = Files(refuse)
    with pytest.raises(InvalidArgument, match="give name=") as caught:
        upload(b"x", server=server, name=None)
    assert [one.field for one in caught.value.field_violations] == ["name"]
    assert server.request_ids == []
    upload(b"x", server=server, name=None, replace="files/1")


def test_chunks_that_are_no_bytes_are_refused(upload) -> None:
    with pytest.raises(InvalidArgument, match="the source yields str"):
        upload(iter(["text"]))


def test_one_attempt_never_goes_on(serve, refuse) -> None:
    server = Files(refuse, 1)
    with connect(serve((ADD, server)), retry=Retry(attempts=1)) as dify, pytest.raises(Unavailable):
        dify.files.upload(CONTENT, name="x")
    assert server.offsets == [0]
