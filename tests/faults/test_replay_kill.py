"""kill -9 between a call and its repetition: the same request id answers the same thing, and nothing is made twice."""

from __future__ import annotations

import asyncio
import random
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
import psycopg
from google.protobuf.field_mask_pb2 import FieldMask
from google.protobuf.message import Message
from google.rpc.error_details_pb2 import ErrorInfo
from killing import Doom, Life, Relay, kill_house, kill_server
from processes import Process, state_folder
from statuses import details

from difyrpc.files.v1 import files_pb2, files_pb2_grpc
from difyrpc.vectors.v1 import collection_pb2, vectors_pb2, vectors_pb2_grpc
from difyrpc_client import AsyncDify, Point, Retry, connect_async
from difyrpc_services.runtime.database import Database, DatabaseSettings

ROUNDS = 5
SEED = 20240610
AT_ONCE = 6
SIZE = 1000
OPEN = {"DIFYRPC_AUTH": "none"}
LARGE = bytes(range(256)) * (5 << 12)  # 5 MiB: sent by a resumable upload


class Server:
    """What can be called."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self.files: Any = files_pb2_grpc.FileStorageStub(channel)
        self.vectors: Any = vectors_pb2_grpc.VectorSearchStub(channel)

    async def call(self, request: Message) -> Message:
        name = type(request).__name__.removesuffix("Request")
        stub = self.vectors if "vectors" in type(request).__module__ else self.files
        return await getattr(stub, name)(request)


class Client:
    """Makes things by calls with a request id, several at once; knows every call and the answers that came."""

    def __init__(self, rng: random.Random) -> None:
        self.rng = rng
        self.source = ""
        self.calls: list[Any] = []
        self.answers: dict[str, Any] = {}

    async def run(self, process: Process) -> None:
        """Makes every call again, and then new ones until the server is killed."""
        async with grpc.aio.insecure_channel(process.target) as channel:
            server = Server(channel)
            self.source = self.source or await stored(server)
            await self.check(server)
            kill = self.rng.choice((kill_house, kill_server))
            doom = Doom(lambda: kill(process), self.rng.randrange(1, 80), self.rng.uniform(0, 0.02))
            ended = await asyncio.gather(*(self.work(server, doom) for _ in range(AT_ONCE)), return_exceptions=True)
            for error in ended:
                assert isinstance(error, grpc.aio.AioRpcError), error
                assert details(error, ErrorInfo) is None, error

    async def work(self, server: Server, doom: Doom) -> None:
        while True:
            for kind in self.rng.sample((self.collection, self.upload, self.copy), 3):
                doom.count()
                answer = await self.make(server, self.kept(kind(f"n{len(self.calls)}")))
            if kind == self.copy:
                await self.make(server, self.kept(self.change(answer.file)))

    def collection(self, name: str) -> Message:
        return vectors_pb2.CreateCollectionRequest(collection=collection_pb2.Collection(name=name, dimension=2))

    def upload(self, name: str) -> Message:
        return files_pb2.StartUploadRequest(spec=files_pb2.FileSpec(display_name=name, size_bytes=SIZE))

    def copy(self, name: str) -> Message:
        return files_pb2.CopyFileRequest(name=self.source, spec=files_pb2.FileSpec(display_name=name, if_absent=True))

    def change(self, file: files_pb2.File) -> Message:
        """A change that holds for one state of the file alone: a second one would be refused."""
        changed = files_pb2.File(name=file.name, etag=file.etag, display_name=f"{file.display_name} changed")
        return files_pb2.UpdateFileRequest(file=changed, update_mask=FieldMask(paths=["display_name"]))

    def kept(self, call: Any) -> Any:
        call.request_id = str(uuid.UUID(int=self.rng.getrandbits(128)))
        self.calls.append(call)
        return call

    async def make(self, server: Server, call: Any) -> Any:
        answer = await server.call(call)
        assert self.answers.setdefault(call.request_id, answer) == answer
        return answer

    async def check(self, server: Server) -> None:
        """Makes every call again: those without an answer now have one, the others the one that they had."""
        for call in self.calls:
            await self.make(server, call)
        copies = [answer.file.name for answer in self.of(files_pb2.CopyFileResponse)]
        files = (await server.files.ListFiles(files_pb2.ListFilesRequest(page_size=1000))).files
        assert sorted(file.name for file in files) == sorted([*copies, self.source])
        changed = [answer.file.name for answer in self.of(files_pb2.UpdateFileResponse)]
        assert sorted(file.name for file in files if file.display_name.endswith("changed")) == sorted(changed)
        made = [answer.collection.name for answer in self.of(vectors_pb2.CreateCollectionResponse)]
        listed = await server.vectors.ListCollections(vectors_pb2.ListCollectionsRequest(page_size=1000))
        assert sorted(collection.name for collection in listed.collections) == sorted(made)
        quota = await server.files.GetQuota(files_pb2.GetQuotaRequest())
        assert quota.reserved_bytes == SIZE * len(self.of(files_pb2.StartUploadResponse))

    def of(self, kind: type[Any]) -> list[Any]:
        return [answer for answer in self.answers.values() if isinstance(answer, kind)]


async def stored(server: Server) -> str:
    parts = [
        files_pb2.UploadFileRequest(spec=files_pb2.FileSpec(display_name="source")),
        files_pb2.UploadFileRequest(chunk=files_pb2.Chunk(data=b"content")),
    ]
    return (await server.files.UploadFile(iter(parts))).file.name


async def test_every_call_has_one_answer_and_one_effect_however_often_the_server_is_killed() -> None:
    client = Client(random.Random(SEED))
    with state_folder() as state:
        for _ in range(ROUNDS):
            async with Life("files", "vectors", state=state, env=OPEN) as process:
                await client.run(process)
        async with (
            Life("files", "vectors", state=state, env=OPEN) as process,
            grpc.aio.insecure_channel(process.target) as channel,
        ):
            await client.check(Server(channel))
            assert process.stop() == 0
    assert len(client.calls) > ROUNDS * AT_ONCE


async def test_the_client_gets_the_answers_that_were_lost_with_the_server() -> None:
    with state_folder() as state:
        async with Relay() as relay, patient(relay) as dify:
            async with Life("files", "vectors", state=state, env=OPEN) as process:
                relay.leads_to(process)
                source = await dify.files.upload(b"content", name="source")
                relay.swallow_answers()
                async with patient(process) as seeing:
                    making = asyncio.gather(
                        dify.vectors.create_collection("cases", dimension=2),
                        dify.files.copy(source, name="copy", if_absent=True),
                        dify.files.upload(LARGE, name="large", if_absent=True),
                    )
                    await until_all_is_made(seeing)
                assert not making.done()
                kill_house(process)
            async with Life("files", "vectors", state=state, env=OPEN) as process:
                relay.leads_to(process)
                collection, copy, large = await making
                assert [each.name async for each in dify.vectors.list_collections()] == [collection.name]
                assert {each.name async for each in dify.files.list()} == {source.name, copy.name, large.name}
                assert await dify.files.read(copy.name) == b"content"
                assert await dify.files.read(large.name) == LARGE
                assert (await dify.files.quota()).reserved_bytes == 0
                await dify.close()


async def until_all_is_made(dify: AsyncDify) -> None:
    """Waits until a collection, a copy and a beginning upload are there, whose callers do not know it."""
    while not [each async for each in dify.vectors.list_collections()]:
        pass
    while len([each async for each in dify.files.list()]) < 2:
        pass
    while not (await dify.files.quota()).reserved_bytes:
        pass


async def test_a_call_that_was_cut_off_before_its_commit_is_made_once(
    database: Database, database_settings: DatabaseSettings, tmp_path: Path
) -> None:
    env = {
        **OPEN,
        "DIFYRPC_DATABASE_URL": database_settings.url,
        "DIFYRPC_DATABASE_SCHEMA": database_settings.schema,
    }
    with psycopg.connect(database_settings.url) as lock, psycopg.connect(database_settings.url) as seeing:
        seeing.autocommit = True
        lock.execute(f"LOCK TABLE {database_settings.schema}.vectors_collections IN EXCLUSIVE MODE".encode())
        async with Relay() as relay, patient(relay) as dify:
            async with Life("vectors", state=tmp_path, env=env) as process:
                relay.leads_to(process)
                making = asyncio.create_task(dify.vectors.create_collection("cases", dimension=2))
                await until_calls_wait(seeing, 1)
                kill_server(process)
            async with Life("vectors", state=tmp_path, env=env) as process:
                relay.leads_to(process)
                await until_calls_wait(seeing, 2)
                lock.rollback()
                made = await making
                assert [each.name async for each in dify.vectors.list_collections()] == [made.name]
                await dify.vectors.upsert(made.name, [Point(id="a", vector=[1.0, 2.0])])
                assert await dify.vectors.count(made.name) == 1
                await dify.close()


async def until_calls_wait(database: psycopg.Connection, count: int) -> None:
    """Waits until so many transactions are held up by another's lock."""
    while await asyncio.to_thread(waiting_calls, database) < count:
        pass


def waiting_calls(database: psycopg.Connection) -> int:
    return len(database.execute("SELECT FROM pg_locks WHERE NOT granted").fetchall())


@asynccontextmanager
async def patient(server: Relay | Process) -> AsyncIterator[AsyncDify]:
    """A client that goes on trying."""
    retry = Retry(attempts=1000, wait_min=0.05, wait_max=0.1, wait_for_ready=True)
    async with connect_async(server.target, retry=retry, timeout=60) as dify:
        yield dify
