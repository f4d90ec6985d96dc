"""kill -9 of a server that stores vectors: what was acknowledged is there, and every batch is whole or absent."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Callable, Iterable
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import psycopg
import pytest
from google.rpc.error_details_pb2 import ErrorInfo
from killing import Doom, Life, kill_house, kill_server, looking_into
from processes import Process, state_folder
from statuses import details

from difyrpc.type.v1.value_pb2 import Value
from difyrpc.vectors.v1 import collection_pb2, filter_pb2, point_pb2, search_pb2
from difyrpc.vectors.v1 import vectors_pb2 as pb
from difyrpc.vectors.v1.vectors_pb2_grpc import VectorSearchStub
from difyrpc_services.runtime.database import Database, DatabaseSettings

ROUNDS = 6
SEED = 20240608
DIMENSION = 24
COLLECTION = "kept"
STREAM = "import-1"
OPEN = {"DIFYRPC_AUTH": "none"}
ROWS = 4000
WIDE = 192
INDEXED = {
    **OPEN,
    "DIFYRPC_VECTORS_INDEX_ROWS": str(ROWS),
    "DIFYRPC_VECTORS_INDEX_QUIET_SECONDS": "0",
}
POINT_TABLES = """
SELECT format('%%I.%%I', schemaname, tablename) FROM pg_tables
WHERE schemaname = %s AND tablename LIKE 'vectors\\_points\\_%%'
"""
WHOLE = point_pb2.PayloadSelection(vector=True)

Points = dict[str, point_pb2.Point]


class Client:
    """Stores points over servers that are killed, by single calls and by one stream, and knows what must be there."""

    def __init__(self, rng: random.Random) -> None:
        self.rng = rng
        self.points: Points = {}
        self.unsure: Points = {}
        self.batches: list[Points] = []
        self.acknowledged = 0

    async def run(self, server: Process) -> None:
        """Works until the server is killed, in the midst of a call."""
        async with grpc.aio.insecure_channel(server.target) as channel:
            stub = VectorSearchStub(channel)
            await self.check(stub)
            strike = self.rng.choice((kill_house, kill_server))
            doom = Doom(lambda: strike(server), self.rng.randrange(1, 60), self.rng.uniform(0, 0.03))
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await self.work(stub, doom)
            assert details(caught.value, ErrorInfo) is None, "the server refused before it was killed"

    async def work(self, stub: Any, doom: Doom) -> None:
        while True:
            for _ in range(self.rng.randrange(1, 6)):
                doom.count()
                await self.upsert(stub)
            self.batches += [self.batch("s") for _ in range(self.rng.randrange(2, 12))]
            await self.catch_up(stub, doom)

    async def upsert(self, stub: Any) -> None:
        self.unsure = self.batch("u")
        request = pb.UpsertPointsRequest(collection=COLLECTION, points=self.unsure.values())
        assert (await stub.UpsertPoints(request)).upserted_count == len(self.unsure)
        self.points |= self.unsure
        self.unsure = {}

    async def catch_up(self, stub: Any, doom: Doom | None = None) -> None:
        """Sends by a stream what is not acknowledged yet, without waiting for each answer."""
        answers = aiter(stub.UpsertPointsStream(self.messages(doom)))
        assert (await anext(answers)).durable_sequence == self.acknowledged
        async for answer in answers:
            assert answer.durable_sequence == self.acknowledged + 1
            assert answer.upserted_count == len(self.batches[self.acknowledged])
            self.acknowledged = answer.durable_sequence
        assert self.acknowledged == len(self.batches)

    async def messages(self, doom: Doom | None) -> AsyncIterator[pb.UpsertPointsStreamRequest]:
        yield pb.UpsertPointsStreamRequest(spec=pb.UpsertSpec(collection=COLLECTION, stream_id=STREAM))
        for sequence, batch in list(enumerate(self.batches, 1))[self.acknowledged :]:
            if doom:
                doom.count()
            yield pb.UpsertPointsStreamRequest(batch=pb.UpsertBatch(sequence=sequence, points=batch.values()))

    async def check(self, stub: Any) -> None:
        """Compares every point with what was sent: single calls and the stream up to where it says it stands."""
        durable = await self.stands_at(stub)
        assert self.acknowledged <= durable <= len(self.batches)
        self.acknowledged = durable
        stored = await everything(stub)
        streamed = merged(self.batches[:durable])
        assert stored in (self.points | streamed, self.points | self.unsure | streamed), "a batch is lost or torn"
        self.points = {name: point for name, point in stored.items() if name not in streamed}
        self.unsure = {}
        await self.counts_are_exact(stub, stored)
        await self.searches_are_exact(stub, stored)

    async def stands_at(self, stub: Any) -> int:
        spec = pb.UpsertPointsStreamRequest(spec=pb.UpsertSpec(collection=COLLECTION, stream_id=STREAM))
        (answer,) = [answer async for answer in stub.UpsertPointsStream(iter([spec]))]
        return answer.durable_sequence

    async def counts_are_exact(self, stub: Any, stored: Points) -> None:
        count = await stub.CountPoints(pb.CountPointsRequest(collection=COLLECTION))
        assert count.count == len(stored)
        condition = filter_pb2.Condition(field="third", operator=filter_pb2.OPERATOR_EQUAL, value=Value(int64_value=1))
        request = pb.CountPointsRequest(collection=COLLECTION, filter=filter_pb2.Filter(condition=condition))
        thirds = [point for point in stored.values() if point.metadata["third"].int64_value == 1]
        assert (await stub.CountPoints(request)).count == len(thirds)

    async def searches_are_exact(self, stub: Any, stored: Points) -> None:
        for name in self.rng.sample(sorted(stored), min(3, len(stored))):
            request = pb.SearchRequest(collection=COLLECTION, vector=stored[name].vector, k=5)
            found = [hit.id for hit in (await stub.Search(request)).hits]
            assert found == nearest(stored, name, 5)

    def batch(self, kind: str) -> Points:
        """Makes new points and new versions of old ones."""
        numbers = self.rng.sample(range(600), self.rng.randrange(1, 80))
        return {point.id: point for point in (self.point(f"{kind}-{number}") for number in numbers)}

    def point(self, name: str) -> point_pb2.Point:
        version = self.rng.randrange(1 << 40)
        return point_pb2.Point(
            id=name,
            text=f"第{version}版 of {name}",
            vector=random_vector(version),
            metadata={"version": Value(int64_value=version), "third": Value(int64_value=version % 3)},
        )


def merged(batches: Iterable[Points]) -> Points:
    points: Points = {}
    for batch in batches:
        points |= batch
    return points


def random_vector(seed: int, dimension: int = DIMENSION) -> point_pb2.Vector:
    numbers = np.random.default_rng(seed).standard_normal(dimension, dtype="<f4")
    return point_pb2.Vector(f32_le=numbers.tobytes())


def nearest(points: Points, name: str, count: int) -> list[str]:
    names = list(points)
    matrix = np.array([np.frombuffer(points[one].vector.f32_le, "<f4") for one in names], dtype=float)
    matrix /= np.linalg.norm(matrix, axis=1, keepdims=True)
    return [names[row] for row in np.argsort(-matrix @ matrix[names.index(name)])[:count]]


async def everything(stub: Any) -> Points:
    points: Points = {}
    request = pb.ScrollPointsRequest(collection=COLLECTION, page_size=1000, payload=WHOLE)
    while True:
        page = await stub.ScrollPoints(request)
        points |= {point.id: point for point in page.points}
        if not page.next_page_token:
            return points
        request.page_token = page.next_page_token


async def made(stub: Any, dimension: int) -> None:
    collection = collection_pb2.Collection(name=COLLECTION, dimension=dimension)
    await stub.CreateCollection(pb.CreateCollectionRequest(collection=collection))


async def test_no_acknowledged_point_is_lost_and_no_batch_is_torn() -> None:
    client = Client(random.Random(SEED))
    with state_folder() as state:
        async with Life("vectors", state=state, env=OPEN) as server:
            async with grpc.aio.insecure_channel(server.target) as channel:
                await made(VectorSearchStub(channel), DIMENSION)
            await client.run(server)
        for _ in range(ROUNDS - 1):
            async with Life("vectors", state=state, env=OPEN) as server:
                await client.run(server)
        async with (
            Life("vectors", state=state, env=OPEN) as server,
            grpc.aio.insecure_channel(server.target) as channel,
        ):
            stub = VectorSearchStub(channel)
            await client.check(stub)
            await client.catch_up(stub)
            assert await everything(stub) == client.points | merged(client.batches)
            await client.check(stub)
            assert server.stop() == 0
    assert len(client.batches) > ROUNDS
    assert len(client.points) > ROUNDS


@pytest.mark.parametrize("strike", [kill_server, kill_house])
async def test_an_index_whose_making_was_killed_is_made_after_the_restart(strike: Callable[[Process], None]) -> None:
    with state_folder() as state:
        async with (
            Life("vectors", state=state, env=INDEXED) as server,
            grpc.aio.insecure_channel(server.target) as channel,
        ):
            await made(VectorSearchStub(channel), WIDE)
            stored = await filled(VectorSearchStub(channel))
            with looking_into(state) as database:
                until_an_index_is_built(database)
            strike(server)
        async with (
            Life("vectors", state=state, env=INDEXED) as server,
            grpc.aio.insecure_channel(server.target) as channel,
        ):
            stub = VectorSearchStub(channel)
            while await index_state(stub) != collection_pb2.INDEX_STATE_INDEXED:
                await k_are_found(stub, stored)
            assert await k_are_found(stub, stored) == search_pb2.SEARCH_PLAN_INDEX
            assert await everything(stub) == stored
            assert server.stop() == 0


async def test_an_index_that_the_database_goes_on_making_for_a_killed_server_is_used_by_the_next(
    database: Database, database_settings: DatabaseSettings, tmp_path: Path
) -> None:
    env = {
        **INDEXED,
        "DIFYRPC_DATABASE_URL": database_settings.url,
        "DIFYRPC_DATABASE_SCHEMA": database_settings.schema,
    }
    with psycopg.connect(database_settings.url) as writer:
        async with (
            Life("vectors", state=tmp_path, env=env) as server,
            grpc.aio.insecure_channel(server.target) as channel,
        ):
            stub = VectorSearchStub(channel)
            await made(stub, WIDE)
            (table,) = writer.execute(POINT_TABLES, [database_settings.schema]).fetchone()
            writer.execute(f"LOCK TABLE {table} IN ROW EXCLUSIVE MODE".encode())
            stored = await filled(stub)
            with psycopg.connect(database_settings.url, autocommit=True) as looking:
                until_an_index_is_built(looking)
            kill_server(server)
        async with (
            Life("vectors", state=tmp_path, env=env) as server,
            grpc.aio.insecure_channel(server.target) as channel,
        ):
            stub = VectorSearchStub(channel)
            await k_are_found(stub, stored)
            assert await index_state(stub) == collection_pb2.INDEX_STATE_EXACT
            writer.rollback()
            while await index_state(stub) != collection_pb2.INDEX_STATE_INDEXED:
                await k_are_found(stub, stored)
            assert await k_are_found(stub, stored) == search_pb2.SEARCH_PLAN_INDEX


async def filled(stub: Any) -> Points:
    """Stores just as many points as make an index worth while."""
    points = [point_pb2.Point(id=f"p{row}", vector=random_vector(row, WIDE)) for row in range(ROWS)]
    for start in range(0, ROWS, 1000):
        await stub.UpsertPoints(pb.UpsertPointsRequest(collection=COLLECTION, points=points[start : start + 1000]))
    return {point.id: point for point in points}


def until_an_index_is_built(database: psycopg.Connection) -> None:
    while not database.execute("SELECT FROM pg_stat_progress_create_index").fetchall():
        pass


async def index_state(stub: Any) -> int:
    answer = await stub.GetCollection(pb.GetCollectionRequest(name=COLLECTION))
    return answer.collection.index_state


async def k_are_found(stub: Any, stored: Points) -> int:
    """Searches; answers the plan that was followed."""
    request = pb.SearchRequest(collection=COLLECTION, vector=stored["p7"].vector, k=50)
    found = await stub.Search(request)
    names = [hit.id for hit in found.hits]
    assert len(set(names)) == 50
    assert names[0] == "p7"
    return found.plan
