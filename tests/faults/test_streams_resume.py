"""Streams of points and observations, downloads and large single calls over connections and servers that die."""

from __future__ import annotations

import asyncio
import os
import random
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from killing import Life, kill_server
from processes import Process
from rough_relay import RoughRelay

from difyrpc_client import (
    AsyncDify,
    Dify,
    DifyrpcError,
    Observation,
    Point,
    Retry,
    Unavailable,
    connect,
    connect_async,
)
from difyrpc_services.runtime.database import Database, DatabaseSettings

IS_LONG = os.environ.get("DIFYRPC_TEST_LONG") == "1"
ROUNDS = 24 if IS_LONG else 4
SEED = 20261123
KINDS = ("cut", "server", "cut twice", "swallow")
MB = 1 << 20
SETTINGS: dict[str, Any] = {"keepalive_seconds": 2, "timeout": 60, "stream_timeout": 60}
PATIENT = Retry(attempts=1000, wait_max=0.5)  # for as long as the timeout allows
TRIES = 20  # of a writer, each with all its own repetitions
Work = Callable[[Any], Any]


class House:
    """A server behind a relay that breaks; another takes its place when it was killed."""

    def __init__(self, stack: AsyncExitStack, relay: RoughRelay, start: Callable[[], Life]) -> None:
        self.relay = relay
        self._stack, self._start = stack, start
        self.server: Process
        self.struck = asyncio.Event()
        self._mending: asyncio.Task[None] | None = None

    async def start(self) -> None:
        self.server = await self._stack.enter_async_context(self._start())
        self.relay.leads_to(self.server)

    def strike(self, kind: str) -> None:
        self.struck.set()
        if kind == "server":
            kill_server(self.server)
            self._mending = asyncio.create_task(self.start())
        elif kind == "swallow":
            self.relay.swallow()
        else:
            self.relay.cut()

    async def mended(self) -> None:
        """Returns when there is a server again."""
        if self._mending:
            await self._mending

    @asynccontextmanager
    async def directly(self) -> AsyncIterator[AsyncDify]:
        """A client on a way without trouble."""
        await self.mended()
        async with connect_async(self.server.target) as dify:
            yield dify


@pytest.fixture
async def house(database: Database, database_settings: DatabaseSettings, tmp_path: Path) -> AsyncIterator[House]:
    env = {
        "DIFYRPC_AUTH": "none",
        "DIFYRPC_DATABASE_URL": database_settings.url,
        "DIFYRPC_DATABASE_SCHEMA": database_settings.schema,
    }
    async with AsyncExitStack() as stack:
        relay = await stack.enter_async_context(RoughRelay(random.Random(SEED)))
        house = House(stack, relay, lambda: Life("files", "metrics", "vectors", state=tmp_path, env=env))
        await house.start()
        yield house
        await house.mended()


async def by_either(
    number: int, target: str, work: Work, waiting: Work | None = None, *, retry: Retry | None = None
) -> Any:
    """Works with the synchronous client in a thread, or with the asynchronous one; `waiting` where that differs."""
    if (number + number // len(KINDS)) % 2:
        async with connect_async(target, retry=retry, **SETTINGS) as dify:
            return await (waiting or work)(dify)

    def blocking() -> Any:
        with connect(target, retry=retry, **SETTINGS) as dify:
            return work(dify)

    return await asyncio.to_thread(blocking)


@pytest.mark.timeout(900 if IS_LONG else 200)
async def test_every_acknowledged_point_is_there_and_every_load_can_be_ended(house: House) -> None:
    for number in range(ROUNDS):
        rng = random.Random(SEED + number)
        kind, name, count = KINDS[number % len(KINDS)], f"load-{number}", rng.randrange(500, 3000)
        points = [Point(id=f"{index:05}", vector=[rng.random() + 0.01 for _ in range(8)]) for index in range(count)]
        async with house.directly() as dify:
            await dify.vectors.create_collection(name, dimension=8)
        told: list[int] = []
        house.relay.when_up(rng.randrange(50 * count), lambda kind=kind: house.strike(kind))
        if kind == "cut twice":
            house.relay.when_down(rng.randrange(100, 2000), house.relay.cut)
        load = loading(name, points, told)
        try:
            stored = await by_either(number, house.relay.target, load)
        except DifyrpcError as error:
            durable = int(error.metadata["durable_points"])
            assert await ids_in(house, name) >= {point.id for point in points[:durable]}
            async with house.directly() as dify:
                stored = await load(dify)
        assert stored.count == count, (kind, name)
        assert told[-1] == count
        assert await ids_in(house, name) == {point.id for point in points}, (kind, name)
    assert house.struck.is_set()


def loading(name: str, points: list[Point], told: list[int]) -> Work:
    return lambda dify: dify.vectors.upsert_stream(
        name, points, batch_size=40, progress=told.append, stream_id=f"stream-of-{name}"
    )


async def ids_in(house: House, name: str) -> set[str]:
    async with house.directly() as dify:
        return {point.id async for point in dify.vectors.scroll(name, page_size=1000)}


@pytest.mark.timeout(900 if IS_LONG else 200)
async def test_every_observation_counts_once(house: House) -> None:
    for number in range(ROUNDS):
        rng = random.Random(SEED + number)
        kind, name = KINDS[number % len(KINDS)], f"app-{number}"
        steps = [rng.randrange(1, 4000) for _ in range(6)]
        seen = [[Observation(app=name, input_tokens=rng.randrange(1000)) for _ in range(step)] for step in steps]
        house.relay.when_up(rng.randrange(8 * sum(steps)), lambda kind=kind: house.strike(kind))
        if kind == "cut twice":
            house.relay.when_down(rng.randrange(100, 2000), house.relay.cut)
        await by_either(
            number,
            house.relay.target,
            lambda dify, seen=seen: record(dify, seen),
            lambda dify, s=seen: arecord(dify, s),
        )
        async with house.directly() as dify:
            total = (await dify.metrics.query_usage(where={"app": name})).total
        assert total.calls == sum(steps), (kind, name)
        assert total.tokens.input == sum(one.input_tokens for step in seen for one in step), (kind, name)
    assert house.struck.is_set()


def record(dify: Dify, seen: list[list[Observation]]) -> None:
    writer = dify.metrics.writer()
    for step in seen:
        with suppress(Unavailable):  # it is kept, and goes with what comes next
            writer.add(*step)
    for _ in range(TRIES):
        with suppress(Unavailable):
            return writer.close()
    return writer.close()


async def arecord(dify: AsyncDify, seen: list[list[Observation]]) -> None:
    writer = dify.metrics.writer()
    for step in seen:
        with suppress(Unavailable):
            await writer.add(*step)
    for _ in range(TRIES):
        with suppress(Unavailable):
            return await writer.close()
    return await writer.close()


@pytest.mark.timeout(900 if IS_LONG else 200)
async def test_a_download_is_whole_or_leaves_nothing(house: House, tmp_path: Path) -> None:
    content = random.Random(SEED).randbytes(24 * MB)
    async with house.directly() as dify:
        file = await dify.files.upload(content, name="large")
    for number in range(ROUNDS):
        rng = random.Random(SEED + number)
        kind, path = KINDS[number % len(KINDS)], tmp_path / f"got-{number}"
        points = sorted(rng.randrange(len(content)) for _ in range(3 if kind == "cut twice" else 1))
        for point in points:
            house.relay.when_down(point, lambda kind=kind: house.strike(kind))
        try:
            download = lambda dify, path=path: dify.files.download(file, path)  # noqa: E731
            got = await by_either(number, house.relay.target, download)
        except DifyrpcError:
            assert [left.name for left in tmp_path.iterdir() if "got-" in left.name] == []
        else:
            assert (got, path.read_bytes()) == (file, content), (kind, points)
            path.unlink()
        await house.mended()
    assert house.struck.is_set()


@pytest.mark.parametrize("number", [0, 1], ids=["sync", "async"])
async def test_a_connection_that_swallows_everything_is_noticed_by_the_keepalive(house: House, number: int) -> None:
    """TCP goes on acknowledging, as behind some proxies: only a ping without an answer tells."""
    content = random.Random(SEED).randbytes(24 * MB)
    house.relay.when_up(9 * MB, lambda: house.strike("swallow"))
    file = await by_either(number, house.relay.target, lambda dify: dify.files.upload(content, name="swallowed"))
    assert house.struck.is_set()
    async with house.directly() as dify:
        assert await dify.files.read(file) == content


@pytest.mark.timeout(900 if IS_LONG else 200)
async def test_a_single_call_of_a_megabyte_is_repeated_and_counts_once(house: House) -> None:
    async with house.directly() as dify:
        await dify.vectors.create_collection("wide", dimension=1024)
    vector = [float(number) for number in range(1, 1025)]
    for number in range(2 * len(KINDS) if IS_LONG else len(KINDS)):
        rng = random.Random(SEED + number)
        kind, name = KINDS[number % len(KINDS)], f"call-{number}"
        seen = [Observation(app=name, model=f"{index:0200}", input_tokens=1) for index in range(6000)]
        points = [Point(id=f"{name}-{index}", vector=vector) for index in range(300)]
        for work in (lambda d, s=seen: d.metrics.record(*s), lambda d, p=points: d.vectors.upsert("wide", p)):
            before = house.relay.up
            house.relay.when_up(rng.randrange(300_000, 1_000_000), lambda kind=kind: house.strike(kind))
            await by_either(number, house.relay.target, work, retry=PATIENT)
            assert house.relay.up - before > 1_300_000, "it was sent once only, or is too small"
            await house.mended()
        async with house.directly() as dify:
            assert (await dify.metrics.query_usage(where={"app": name})).total.calls == len(seen)
            assert await dify.vectors.count("wide") == 300 * (number + 1)
