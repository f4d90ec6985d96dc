"""kill -9 of a server that stores vectors: what was acknowledged is there, and every batch is whole or absent."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Iterable
from typing import Any

import grpc
import numpy as np
from google.rpc.error_details_pb2 import ErrorInfo
from killing import Doom, Life, kill_house, kill_server
from points import COLLECTION, Points, everything, made, random_vector
from processes import Process, state_folder
from statuses import details

from difyrpc.type.v1.value_pb2 import Value
from difyrpc.vectors.v1 import filter_pb2, point_pb2
from difyrpc.vectors.v1 import vectors_pb2 as pb
from difyrpc.vectors.v1.vectors_pb2_grpc import VectorSearchStub

LIVES = 5
CLIENTS = 8
SEED = 20240608
DIMENSION = 24
OPEN = {"DIFYRPC_AUTH": "none"}


class Client:
    """Stores points by single calls and by one stream, over servers that are killed; knows what must be there."""

    def __init__(self, name: str, rng: random.Random) -> None:
        self.name, self.rng = name, rng
        self.points: Points = {}
        self.unsure: Points = {}
        self.batches: list[Points] = []
        self.acknowledged = 0

    async def work(self, stub: Any, doom: Doom) -> None:
        while True:
            for _ in range(self.rng.randrange(1, 4)):
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
        yield self.spec
        for sequence, batch in list(enumerate(self.batches, 1))[self.acknowledged :]:
            if doom:
                doom.count()
            yield pb.UpsertPointsStreamRequest(batch=pb.UpsertBatch(sequence=sequence, points=batch.values()))

    @property
    def spec(self) -> pb.UpsertPointsStreamRequest:
        return pb.UpsertPointsStreamRequest(spec=pb.UpsertSpec(collection=COLLECTION, stream_id=self.name))

    async def check(self, stub: Any, stored: Points) -> None:
        """Compares every point with what was sent: single calls and the stream up to where it says it stands."""
        mine = {name: point for name, point in stored.items() if name.startswith(f"{self.name}-")}
        (answer,) = [answer async for answer in stub.UpsertPointsStream(iter([self.spec]))]
        assert self.acknowledged <= answer.durable_sequence <= len(self.batches)
        self.acknowledged = answer.durable_sequence
        streamed = merged(self.batches[: self.acknowledged])
        assert mine in (self.points | streamed, self.points | self.unsure | streamed), "a batch is lost or torn"
        self.points = {name: point for name, point in mine.items() if name not in streamed}
        self.unsure = {}

    def sent(self) -> Points:
        return self.points | merged(self.batches)

    def batch(self, kind: str) -> Points:
        """Makes new points and new versions of old ones."""
        numbers = self.rng.sample(range(150), self.rng.randrange(1, 40))
        return {point.id: point for point in (self.point(f"{self.name}-{kind}{number}") for number in numbers)}

    def point(self, name: str) -> point_pb2.Point:
        version = self.rng.randrange(1 << 40)
        return point_pb2.Point(
            id=name,
            text=f"第{version}版 of {name}",
            vector=random_vector(version, DIMENSION),
            metadata={"version": Value(int64_value=version), "third": Value(int64_value=version % 3)},
        )


class World:
    """Several clients of one collection."""

    def __init__(self, rng: random.Random) -> None:
        self.rng = rng
        self.clients = [Client(f"c{number}", rng) for number in range(CLIENTS)]

    async def work(self, server: Process, stub: Any) -> None:
        """Has all clients work until the server is killed, in the midst of their calls."""
        strike = self.rng.choice((kill_house, kill_server))
        doom = Doom(lambda: strike(server), self.rng.randrange(1, 200), self.rng.uniform(0, 0.03))
        ended = await asyncio.gather(*(each.work(stub, doom) for each in self.clients), return_exceptions=True)
        for error in ended:
            if not isinstance(error, grpc.aio.AioRpcError):
                raise error
            assert details(error, ErrorInfo) is None, "the server refused before it was killed"

    async def check(self, stub: Any) -> None:
        stored = await everything(stub)
        for client in self.clients:
            await client.check(stub, stored)
        count = await stub.CountPoints(pb.CountPointsRequest(collection=COLLECTION))
        assert count.count == len(stored)
        condition = filter_pb2.Condition(field="third", operator=filter_pb2.OPERATOR_EQUAL, value=Value(int64_value=1))
        request = pb.CountPointsRequest(collection=COLLECTION, filter=filter_pb2.Filter(condition=condition))
        thirds = [point for point in stored.values() if point.metadata["third"].int64_value == 1]
        assert (await stub.CountPoints(request)).count == len(thirds)
        for name in self.rng.sample(sorted(stored), min(3, len(stored))):
            search = pb.SearchRequest(collection=COLLECTION, vector=stored[name].vector, k=5)
            assert [hit.id for hit in (await stub.Search(search)).hits] == nearest(stored, name, 5)

    async def end(self, stub: Any) -> None:
        """Brings the streams to their ends: now everything is there, and nothing else."""
        await self.check(stub)
        for client in self.clients:
            await client.catch_up(stub)
        assert await everything(stub) == merged(client.sent() for client in self.clients)
        await self.check(stub)


def merged(batches: Iterable[Points]) -> Points:
    points: Points = {}
    for batch in batches:
        points |= batch
    return points


def nearest(points: Points, name: str, count: int) -> list[str]:
    names = list(points)
    matrix = np.array([np.frombuffer(points[one].vector.f32_le, "<f4") for one in names], dtype=float)
    matrix /= np.linalg.norm(matrix, axis=1, keepdims=True)
    return [names[row] for row in np.argsort(-matrix @ matrix[names.index(name)])[:count]]


async def test_no_acknowledged_point_is_lost_and_no_batch_is_torn() -> None:
    world = World(random.Random(SEED))
    with state_folder() as state:
        for life in range(LIVES):
            async with (
                Life("vectors", state=state, env=OPEN) as server,
                grpc.aio.insecure_channel(server.target) as channel,
            ):
                stub = VectorSearchStub(channel)
                if not life:
                    await made(stub, DIMENSION)
                await world.check(stub)
                await world.work(server, stub)
        async with (
            Life("vectors", state=state, env=OPEN) as server,
            grpc.aio.insecure_channel(server.target) as channel,
        ):
            await world.end(VectorSearchStub(channel))
            assert server.stop() == 0
    assert all(client.batches and client.points for client in world.clients)
