"""kill -9 of a real server at random points: what was acknowledged is there, what was not leaves nothing."""

from __future__ import annotations

import hashlib
import random
import signal
from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.rpc.error_details_pb2 import ErrorInfo
from killing import Doom, Life
from processes import Process
from statuses import details

from difyrpc.files.v1 import files_pb2 as pb
from difyrpc.files.v1 import files_pb2_grpc as rpc
from difyrpc_services.files.backends.disk import DiskBlobs
from difyrpc_services.files.core.sweep import Sweeper
from difyrpc_services.files.core.uploads import Uploads
from difyrpc_services.files.core.values import Limits, Place
from difyrpc_services.files.records.postgres import PostgresRecords
from difyrpc_services.runtime.database import Database, DatabaseSettings

ROUNDS = 10
SEED = 20240607
SIZE = 24 << 20
CHUNK = 1 << 20


class Client:
    """Uploads on and on over servers that are killed, and remembers what was acknowledged."""

    def __init__(self, rng: random.Random) -> None:
        self.rng = rng
        self.contents: dict[str, bytes] = {}
        self.upload = ""
        self.content = b""
        self.acknowledged = 0

    async def run(self, server: Process) -> None:
        """Works until the server is gone; it is killed by a count of sent chunks, or some time after them."""
        async with grpc.aio.insecure_channel(server.target) as channel:
            stub = rpc.FileStorageStub(channel)
            await self.check(stub)
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await self.work_on(stub, server)
            assert details(caught.value, ErrorInfo) is None, "the server refused before it was killed"
            assert server.popen.wait(5) == -signal.SIGKILL

    async def work_on(self, stub: Any, server: Process) -> None:
        chunks = self.rng.randrange(2, 40)
        while True:
            await self.work(stub, Doom(server.popen.kill, chunks, self.rng.uniform(0, 0.05)))
            chunks = self.rng.randrange(0, 20)

    async def work(self, stub: Any, doom: Doom) -> None:
        await self.store_small(stub)
        if not self.upload:
            self.content = self.rng.randbytes(SIZE)
            spec = pb.FileSpec(display_name="large", sha256=hashlib.sha256(self.content).hexdigest())
            self.upload = (await stub.StartUpload(pb.StartUploadRequest(spec=spec))).upload.name
            self.acknowledged = 0
        async for answer in stub.WriteUpload(self.rest(doom)):
            assert answer.committed_bytes >= self.acknowledged
            self.acknowledged = answer.committed_bytes
        if doom.acts % 3 == 0:
            doom.strike()
        file = (await stub.FinishUpload(pb.FinishUploadRequest(upload=self.upload, size_bytes=SIZE))).file
        self.contents[file.name], self.upload = self.content, ""
        await self.store_small(stub)

    async def rest(self, doom: Doom) -> AsyncIterator[pb.WriteUploadRequest]:
        start = self.acknowledged
        yield pb.WriteUploadRequest(start=pb.UploadPosition(upload=self.upload, offset=start))
        for offset in range(start, SIZE, CHUNK):
            doom.count()
            yield pb.WriteUploadRequest(chunk=pb.Chunk(data=self.content[offset : offset + CHUNK]))

    async def store_small(self, stub: Any) -> None:
        content = self.rng.randbytes(self.rng.randrange(0, 5000))
        spec = pb.FileSpec(display_name="small", sha256=hashlib.sha256(content).hexdigest())
        parts = [pb.UploadFileRequest(spec=spec), pb.UploadFileRequest(chunk=pb.Chunk(data=content))]
        self.contents[(await stub.UploadFile(iter(parts))).file.name] = content

    async def check(self, stub: Any) -> None:
        """Everything that was acknowledged is there, and whatever is visible is whole."""
        if self.upload:
            state = await stub.QueryUpload(pb.QueryUploadRequest(upload=self.upload))
            if state.WhichOneof("state") == "file":
                self.contents[state.file.name], self.upload = self.content, ""
            else:
                assert state.upload.committed_bytes >= self.acknowledged
                self.acknowledged = state.upload.committed_bytes
        listed = (await stub.ListFiles(pb.ListFilesRequest(page_size=1000))).files
        assert set(self.contents) <= {file.name for file in listed}
        for file in listed:
            content = await self.downloaded(stub, file.name)
            assert content == self.contents.get(file.name, content)
            assert hashlib.sha256(content).hexdigest() == file.sha256

    async def downloaded(self, stub: Any, name: str) -> bytes:
        return b"".join([part.chunk.data async for part in stub.DownloadFile(pb.DownloadFileRequest(name=name))])


@pytest.mark.timeout(300)
async def test_no_acknowledged_byte_is_lost(
    database: Database, database_settings: DatabaseSettings, tmp_path: Path
) -> None:
    env = {
        "DIFYRPC_AUTH": "none",
        "DIFYRPC_DATABASE_URL": database_settings.url,
        "DIFYRPC_DATABASE_SCHEMA": database_settings.schema,
    }
    client = Client(random.Random(SEED))
    for _ in range(ROUNDS):
        await one_life(client, tmp_path, env)
    await nothing_is_left_over(database, tmp_path / "files")
    async with Life("files", state=tmp_path, env=env) as server, grpc.aio.insecure_channel(server.target) as channel:
        client.upload = ""
        await client.check(rpc.FileStorageStub(channel))
    assert len(client.contents) > ROUNDS


async def one_life(client: Client, state: Path, env: Mapping[str, str]) -> None:
    async with Life("files", state=state, env=env) as server:
        await client.run(server)


async def nothing_is_left_over(database: Database, root: Path) -> None:
    """A sweep after all uploads expired leaves the bytes of files and nothing else."""
    records, blobs = PostgresRecords(database), DiskBlobs(root)

    def later() -> datetime:
        return datetime.now(UTC) + timedelta(days=30)

    uploads = Uploads(records, blobs, limits=Limits(), clock=later)
    sweeper = Sweeper(records, blobs, uploads, later)
    await blobs.open()
    await sweeper.sweep()
    assert await sweeper.sweep_orphans() == 0, "every byte has its record before it is written"
    stored = {place async for batch in blobs.places() for place in batch}
    async with database.connection() as connection:
        cursor = await connection.execute("SELECT DISTINCT tenant, blob FROM files_files")
        assert stored == {Place.of(tenant, blob) for tenant, blob in await cursor.fetchall()}
    await blobs.close()
