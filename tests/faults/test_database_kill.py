"""kill -9 of the embedded PostgreSQL under a running server: calls say UNAVAILABLE, then work again by themselves."""

from __future__ import annotations

import asyncio
import random
import urllib.request
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import psutil
import pytest
from killing import Life, kill, postgres_of
from processes import Process, state_folder
from statuses import reason, retry_seconds

from difyrpc.files.v1 import files_pb2, files_pb2_grpc
from difyrpc.metrics.v1 import metrics_pb2, observation_pb2
from difyrpc.metrics.v1.metrics_pb2_grpc import MetricsCollectorStub
from difyrpc.vectors.v1 import collection_pb2, point_pb2, vectors_pb2
from difyrpc.vectors.v1.vectors_pb2_grpc import VectorSearchStub
from difyrpc_client import channel_async, connect_async

SEED = 20240611
BATCH = 7
AGAIN_SECONDS = 30.0
"""A call works again within this time, on a busy machine."""


def guard(state: Path) -> list[psutil.Process]:
    return postgres_of(state)[:1]


def postmaster(state: Path) -> list[psutil.Process]:
    return postgres_of(state)[1:2]


def one_of_its_processes(state: Path) -> list[psutil.Process]:
    """One that serves us: PostgreSQL then ends all the others, and recovers."""
    return [each for each in postgres_of(state) if "[local]" in " ".join(each.cmdline())][:1]


KINDS: list[Callable[[Path], list[psutil.Process]]] = [postgres_of, postmaster, guard, one_of_its_processes]
MOST_ROUNDS = 5  # a kill between two calls is noticed by none


def is_outage(error: grpc.aio.AioRpcError) -> bool:
    told = (error.code(), reason(error)) == (grpc.StatusCode.UNAVAILABLE, "DATABASE_UNAVAILABLE")
    return told and (retry_seconds(error) or 0) > 0


class Traffic:
    """Writes to one service on and on; knows what was acknowledged and what failed."""

    def __init__(self, stub: Any) -> None:
        self.stub = stub
        self.calls = 0
        self.acknowledged: list[Any] = []
        self.failures = 0
        self.has_worked = asyncio.Event()
        self.may_end = False
        self._watched = 0

    def watch(self) -> None:
        """From now on `has_worked` tells of calls that begin now."""
        self.has_worked.clear()
        self._watched = self.calls + 1

    async def run(self) -> None:
        while not self.may_end:
            self.calls += 1
            try:
                self.acknowledged.append(await self.write())
                if self.calls >= self._watched:
                    self.has_worked.set()
            except grpc.aio.AioRpcError as error:
                if not is_outage(error):
                    raise
                self.failures += 1

    async def write(self) -> Any:
        raise NotImplementedError

    async def check(self) -> None:
        raise NotImplementedError


class Usage(Traffic):
    """Batches of usage; one that failed is sent again as it is."""

    async def write(self) -> int:
        sequence = len(self.acknowledged) + 1
        seen = [observation_pb2.Observation(tokens=observation_pb2.Tokens(input=sequence)) for _ in range(BATCH)]
        batch = observation_pb2.Batch(writer_id="w", sequence=sequence, observations=seen)
        answer = await self.stub.Record(metrics_pb2.RecordRequest(batch=batch))
        assert answer.committed_sequence == sequence
        return sequence

    async def check(self) -> None:
        total = (await self.stub.QueryUsage(metrics_pb2.QueryUsageRequest())).total
        assert total.calls == BATCH * len(self.acknowledged)
        assert total.tokens.input == BATCH * sum(self.acknowledged)


class Vectors(Traffic):
    """Batches of points, each of its own."""

    async def write(self) -> list[str]:
        vector = point_pb2.Vector(f32_le=np.array([1, self.calls], "<f4").tobytes())
        points = [point_pb2.Point(id=f"{self.calls}-{n}", vector=vector) for n in range(BATCH)]
        await self.stub.UpsertPoints(vectors_pb2.UpsertPointsRequest(collection="kept", points=points))
        return [point.id for point in points]

    async def check(self) -> None:
        for ids in self.acknowledged:
            answer = await self.stub.GetPoints(vectors_pb2.GetPointsRequest(collection="kept", ids=ids))
            assert not answer.missing_ids
        count = (await self.stub.CountPoints(vectors_pb2.CountPointsRequest(collection="kept"))).count
        assert count % BATCH == 0
        assert BATCH * len(self.acknowledged) <= count <= BATCH * self.calls


class Files(Traffic):
    """Small files."""

    async def write(self) -> tuple[str, bytes]:
        content = random.Random(len(self.acknowledged)).randbytes(3000)
        parts = [
            files_pb2.UploadFileRequest(spec=files_pb2.FileSpec(display_name="a")),
            files_pb2.UploadFileRequest(chunk=files_pb2.Chunk(data=content)),
        ]
        return (await self.stub.UploadFile(iter(parts))).file.name, content

    async def check(self) -> None:
        for name, content in self.acknowledged:
            parts = self.stub.DownloadFile(files_pb2.DownloadFileRequest(name=name))
            assert b"".join([part.chunk.data async for part in parts]) == content


@pytest.mark.parametrize("arguments", [[], ["--workers", "2"]], ids=["alone", "workers"])
async def test_calls_say_unavailable_and_come_back_when_postgresql_is_killed(arguments: list[str]) -> None:
    with state_folder() as state:
        async with (
            Life("vectors", "metrics", "files", *arguments, state=state) as process,
            channel_async(process.target, token=process.token) as first,
            channel_async(process.target, token=process.token) as second,
        ):
            vectors = VectorSearchStub(second)
            collection = collection_pb2.Collection(name="kept", dimension=2)
            await vectors.CreateCollection(vectors_pb2.CreateCollectionRequest(collection=collection))
            traffic = [
                Usage(MetricsCollectorStub(first)),
                Vectors(vectors),
                Files(files_pb2_grpc.FileStorageStub(first)),
            ]
            running = [asyncio.create_task(each.run()) for each in traffic]
            for chosen in MOST_ROUNDS * KINDS:
                await all_work(traffic, running)
                killed = chosen(state)
                assert killed
                kill(killed)
                await asyncio.to_thread(scrape, process)
                if chosen is KINDS[-1] and any(each.failures for each in traffic):
                    break
            await all_work(traffic, running)
            for each in traffic:
                each.may_end = True
            await asyncio.gather(*running)
            for each in traffic:
                await each.check()
            assert any(each.failures for each in traffic), "nobody noticed"
            assert process.stop() == 0
    assert not [line for line in process.log if "Traceback" in line or "INTERNAL" in line]


async def all_work(traffic: Sequence[Traffic], running: Sequence[asyncio.Task[None]]) -> None:
    """Waits until a call of each has been answered that began after now."""
    for each in traffic:
        each.watch()
    working = [asyncio.create_task(each.has_worked.wait()) for each in traffic]
    for task in working:
        await asyncio.wait({task, *running}, return_when=asyncio.FIRST_COMPLETED, timeout=AGAIN_SECONDS)
    for ended in (task for task in running if task.done()):
        ended.result()
    assert all(task.done() for task in working), "calls did not come back"


def scrape(process: Process) -> None:
    """/metrics answers, be the database there or not."""
    with urllib.request.urlopen(process.metrics_url, timeout=20) as answer:
        assert b"difyrpc_calls_total" in answer.read()


async def test_the_client_calls_again_until_the_database_is_back() -> None:
    with state_folder() as state:
        async with (
            Life("files", state=state) as process,
            connect_async(process.target, token=process.token, timeout=60) as dify,
        ):
            before = await dify.files.upload(b"before", name="before")
            kill(postgres_of(state))
            copies = await asyncio.gather(*(dify.files.copy(before, name=f"copy {n}") for n in range(20)))
            assert {file.name async for file in dify.files.list()} == {before.name, *(copy.name for copy in copies)}
            await dify.close()
            assert process.stop() == 0
