"""Downloads go on after a broken connection, with the same bytes or a clear error."""

from __future__ import annotations

import hashlib
import os

import grpc
import pytest

from difyrpc.files.v1 import files_pb2 as pb
from difyrpc.files.v1 import files_pb2_grpc
from difyrpc_client import DataLoss, FailedPrecondition, Unavailable, connect, connect_async
from difyrpc_client.testing import FakeDifyrpc

ADD = files_pb2_grpc.add_FileStorageServicer_to_server
CONTENT = os.urandom(1000)
PIECE = 100


class Files(files_pb2_grpc.FileStorageServicer):
    """Holds one file; each stream breaks after as many pieces as the script says."""

    def __init__(self, refuse, *breaks: int) -> None:
        self.refuse = refuse
        self.breaks = list(breaks)
        self.asked: list[tuple[int, int]] = []
        self.sha256 = hashlib.sha256(CONTENT).hexdigest()
        self.generation = 4
        self.ends_early = False

    def DownloadFile(self, request, context):
        self.asked.append((request.offset, request.limit))
        if request.HasField("if_generation_match") and request.if_generation_match != self.generation:
            self.refuse(context, grpc.StatusCode.FAILED_PRECONDITION, reason="GENERATION_MISMATCH")
        left = self.breaks.pop(0) if self.breaks else -1
        begin = request.offset if request.offset >= 0 else len(CONTENT) + request.offset
        wanted = CONTENT[begin : begin + request.limit] if request.limit else CONTENT[begin:]
        file = pb.File(name="files/1", size_bytes=len(CONTENT), sha256=self.sha256, generation=self.generation)
        yield pb.DownloadFileResponse(file=file)
        for at in range(0, len(wanted), PIECE):
            if left == 0 and self.ends_early:
                return
            if left == 0:
                self.generation += self.changes
                self.refuse(context, grpc.StatusCode.UNAVAILABLE)
            left -= 1
            yield pb.DownloadFileResponse(chunk=pb.Chunk(data=wanted[at : at + PIECE]))

    changes = 0


@pytest.fixture
def open_client(serve, fake_time):
    clients = []

    def open_client(server):
        clients.append(connect(serve((ADD, server)), clock=fake_time.clock))
        return clients[-1]

    yield open_client
    for client in clients:
        client.close()


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ([(0, 0), (300, 700), (500, 500)], CONTENT),
        ([(150, 600), (450, 300), (650, 100)], CONTENT[150:750]),
        ([(-700, 0), (600, 400), (800, 200)], CONTENT[300:]),
        ([(-700, 650), (600, 350), (800, 150)], CONTENT[300:950]),
    ],
)
def test_a_broken_download_asks_only_for_the_rest(open_client, refuse, asked, expected: bytes) -> None:
    server = Files(refuse, 3, 2)
    offset, limit = asked[0]
    assert open_client(server).files.read("files/1", offset=offset, limit=limit) == expected
    assert server.asked == asked


async def test_the_asynchronous_client_goes_on_alike(serve, refuse, fake_time, tmp_path) -> None:
    server = Files(refuse, 3, 2)
    async with connect_async(serve((ADD, server)), clock=fake_time.clock) as dify:
        assert await dify.files.read("files/1", offset=150, limit=600) == CONTENT[150:750]
        server.breaks = [1]
        await dify.files.download("files/1", tmp_path / "x")
    assert server.asked == [(150, 600), (450, 300), (650, 100), (0, 0), (100, 900)]
    assert (tmp_path / "x").read_bytes() == CONTENT


def test_a_stream_that_ends_well_and_too_early_is_gone_on_with(open_client, refuse) -> None:
    server = Files(refuse, 3)
    server.ends_early = True
    assert open_client(server).files.read("files/1") == CONTENT


def test_nothing_more_is_asked_when_the_break_comes_after_the_last_byte(open_client, refuse) -> None:
    class Late(Files):
        def DownloadFile(self, request, context):
            yield from super().DownloadFile(request, context)
            self.refuse(context, grpc.StatusCode.UNAVAILABLE)

    server = Late(refuse)
    assert open_client(server).files.read("files/1") == CONTENT
    assert server.asked == [(0, 0)]


def test_bytes_of_two_generations_are_never_mixed(open_client, refuse) -> None:
    server = Files(refuse, 3)
    server.changes = 1
    with pytest.raises(FailedPrecondition) as caught:
        open_client(server).files.read("files/1")
    assert caught.value.reason == "GENERATION_MISMATCH"


def test_a_download_to_a_path_is_whole_and_tells_its_progress(open_client, refuse, tmp_path) -> None:
    told: list[tuple[int, int]] = []
    path = tmp_path / "copy.bin"
    path.write_bytes(b"old")
    server = Files(refuse, 5)
    file = open_client(server).files.download("files/1", path, progress=lambda done, total: told.append((done, total)))
    assert path.read_bytes() == CONTENT
    assert file.generation == 4
    assert told == [(size, 1000) for size in range(100, 1001, 100)]
    assert os.listdir(tmp_path) == ["copy.bin"]


def test_damaged_bytes_never_reach_the_path(open_client, refuse, tmp_path) -> None:
    server = Files(refuse)
    server.sha256 = "0" * 64
    with pytest.raises(DataLoss):
        open_client(server).files.download("files/1", tmp_path / "copy.bin")
    assert os.listdir(tmp_path) == []


def test_a_download_that_is_given_up_leaves_nothing(open_client, refuse, tmp_path) -> None:
    with pytest.raises(Unavailable):
        open_client(Files(refuse, 2, *[0] * 5)).files.download("files/1", tmp_path / "copy.bin")
    assert os.listdir(tmp_path) == []


def test_pieces_come_one_by_one(open_client, refuse) -> None:
    pieces = open_client(Files(refuse)).files.iter_bytes("files/1", limit=250)
    assert [len(piece) for piece in pieces] == [100, 100, 50]


async def test_a_folder_is_refused_before_anything_is_fetched(tmp_path) -> None:
    fake = FakeDifyrpc()
    file = fake.files.upload(CONTENT, name="x")
    fake.calls.clear()
    with pytest.raises(IsADirectoryError, match="name the file"):
        fake.files.download(file, tmp_path)
    with pytest.raises(IsADirectoryError, match="name the file"):
        await fake.asynchronous.files.download(file, tmp_path)
    assert fake.calls == []
    assert list(tmp_path.iterdir()) == []
