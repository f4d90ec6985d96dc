"""kill -9 of a server that counts usage: writers send again what was not acknowledged, and every call counts once."""

from __future__ import annotations

import asyncio
import random
import urllib.request
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

import grpc
import psutil
from google.protobuf.duration_pb2 import Duration
from google.rpc.error_details_pb2 import ErrorInfo
from killing import Doom, Life, Relay, kill_house, kill_server
from processes import Process, state_folder
from prometheus_client.parser import text_string_to_metric_families
from statuses import details

from difyrpc.metrics.v1 import metrics_pb2 as pb
from difyrpc.metrics.v1 import observation_pb2
from difyrpc.metrics.v1.metrics_pb2_grpc import MetricsCollectorStub
from difyrpc_client import AsyncDify, Observation, Retry, Unavailable, connect_async
from difyrpc_client import Usage as Reported

LIVES = 4
DEATHS = 2
SEED = 20240609
ENV = {"DIFYRPC_AUTH": "none", "DIFYRPC_METRICS_COMPACT_SECONDS": "0.05"}
RECONNECTING = [
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 200),
]


class Seen(NamedTuple):
    """One call of a model."""

    model: str
    error: str
    input: int
    output: int
    micros: int


class Sums(NamedTuple):
    """What many calls come to."""

    calls: int = 0
    errors: int = 0
    input: int = 0
    output: int = 0
    micros: int = 0

    def plus(self, seen: Seen) -> Sums:
        added = (1, int(bool(seen.error)), seen.input, seen.output, seen.micros)
        return Sums(*(mine + its for mine, its in zip(self, added, strict=True)))


class Recorder:
    """Records batch after batch until it may end; knows the sums after each, and which are acknowledged."""

    def __init__(self, name: str, relay: Relay, rng: random.Random) -> None:
        self.name, self.relay, self.rng = name, relay, rng
        self.batches: list[list[Seen]] = []
        self.sums = [Sums()]
        self.acknowledged = 0
        self.doom: Doom | None = None
        self.may_end = False

    async def run(self) -> None:
        raise NotImplementedError

    def next_batch(self) -> list[Seen]:
        batch = [self.seen() for _ in range(self.rng.randrange(1, 30))]
        self.batches.append(batch)
        total = self.sums[-1]
        for seen in batch:
            total = total.plus(seen)
        self.sums.append(total)
        return batch

    def seen(self) -> Seen:
        rng = self.rng
        error = rng.choice(("", "", "timeout"))
        return Seen(
            rng.choice(("small", "large")), error, rng.randrange(5000), rng.randrange(500), rng.randrange(10**6)
        )

    def note(self, committed: int) -> None:
        """Takes an acknowledgement."""
        assert self.acknowledged <= committed <= len(self.batches)
        self.acknowledged = committed
        if self.doom:
            self.doom.count()

    def message(self, sequence: int) -> observation_pb2.Batch:
        return observation_pb2.Batch(
            writer_id=self.name,
            sequence=sequence,
            defaults=observation_pb2.Labels(app=self.name),
            observations=[
                observation_pb2.Observation(
                    labels=observation_pb2.Labels(model=seen.model),
                    tokens=observation_pb2.Tokens(input=seen.input, output=seen.output),
                    duration=Duration(nanos=seen.micros * 1000),
                    error_type=seen.error,
                )
                for seen in self.batches[sequence - 1]
            ],
        )

    @asynccontextmanager
    async def stub(self) -> AsyncIterator[Any]:
        async with grpc.aio.insecure_channel(self.relay.target, RECONNECTING) as channel:
            yield MetricsCollectorStub(channel)


class ByWriter(Recorder):
    """By the client's own writer, which keeps what it could not send for the next time."""

    def __init__(self, name: str, relay: Relay, rng: random.Random) -> None:
        super().__init__(name, relay, rng)
        self.outages: list[Unavailable] = []

    async def run(self) -> None:
        async with connected(self.relay, attempts=3) as dify:
            writer = dify.metrics.writer()
            while not self.may_end:
                await writer.add(*(self.observation(seen) for seen in self.next_batch()))
                await self.flush(writer)
                self.note(len(self.batches))

    async def flush(self, writer: Any) -> None:
        while True:
            try:
                return await writer.flush()
            except Unavailable as error:
                self.outages.append(error)

    def observation(self, seen: Seen) -> Observation:
        return Observation(
            app=self.name,
            model=seen.model,
            input_tokens=seen.input,
            output_tokens=seen.output,
            seconds=seen.micros / 1e6,
            error_type=seen.error,
        )


class BySingleCalls(Recorder):
    """By one call a batch; some are sent again though they were acknowledged."""

    async def run(self) -> None:
        async with self.stub() as stub:
            while not self.may_end:
                self.next_batch()
                await self.record(stub, len(self.batches))
                if self.rng.random() < 0.2:
                    answer = await self.record(
                        stub, self.rng.randrange(max(1, len(self.batches) - 5), len(self.batches) + 1)
                    )
                    assert answer.repeated

    async def record(self, stub: Any, sequence: int) -> pb.RecordResponse:
        request = pb.RecordRequest(batch=self.message(sequence))
        while True:
            try:
                answer = await stub.Record(request, wait_for_ready=True)
            except grpc.aio.AioRpcError as error:
                raise_unless_cut_off(error)
            else:
                self.note(answer.committed_sequence)
                return answer


class ByStream(Recorder):
    """By streams that do not wait for answers; a new one begins after the last acknowledged batch."""

    async def run(self) -> None:
        async with self.stub() as stub:
            while not self.may_end or self.acknowledged < len(self.batches):
                try:
                    async for answer in stub.RecordStream(self.messages(), wait_for_ready=True):
                        self.note(answer.committed_sequence)
                except grpc.aio.AioRpcError as error:
                    raise_unless_cut_off(error)

    async def messages(self) -> AsyncIterator[pb.RecordStreamRequest]:
        sequence = self.acknowledged
        for _ in range(self.rng.randrange(1, 40)):
            sequence += 1
            if sequence > len(self.batches):
                self.next_batch()
            yield pb.RecordStreamRequest(batch=self.message(sequence))


def raise_unless_cut_off(error: grpc.aio.AioRpcError) -> None:
    """Lets pass what gRPC itself says of a connection that broke; the server says why it refuses a call."""
    if details(error, ErrorInfo) is not None:
        raise error


class World:
    """Recorders that go on while the server behind the relay comes and goes."""

    def __init__(self, relay: Relay) -> None:
        self.rng = random.Random(SEED)
        self.relay = relay
        kinds = (ByWriter, BySingleCalls, ByStream)
        self.recorders = [kind(kind.__name__, relay, random.Random(SEED + len(kind.__name__))) for kind in kinds]
        self.running = [asyncio.create_task(recorder.run()) for recorder in self.recorders]

    async def until_struck(self, server: Process, kill: Callable[[], None]) -> None:
        """Kills after a random count of acknowledgements and a moment; returns when it has happened."""
        struck = asyncio.Event()

        def strike() -> None:
            kill()
            struck.set()

        doom = Doom(strike, self.rng.randrange(5, 120), self.rng.uniform(0, 0.02))
        for recorder in self.recorders:
            recorder.doom = doom
        waiting = asyncio.create_task(struck.wait())
        await asyncio.wait({waiting, *self.running}, return_when=asyncio.FIRST_COMPLETED)
        assert struck.is_set(), [task for task in self.running if task.done()]

    async def check(self) -> None:
        """Whatever is counted are whole batches of each recorder, at least the acknowledged ones."""
        least = {recorder.name: recorder.acknowledged for recorder in self.recorders}
        found = await self.counted()
        for recorder in self.recorders:
            assert found.get(recorder.name, Sums()) in recorder.sums[least[recorder.name] :], "a batch is lost or torn"

    async def counted(self) -> dict[str, Sums]:
        async with connected(self.relay) as dify:
            report = await dify.metrics.query_usage(group_by=["app"])
        return {series.labels[0]: sums_of(series.total) for series in report.series}

    async def end(self, server: Process) -> None:
        """Lets all batches be acknowledged, and finds each counted once: by a query, and where Prometheus looks."""
        for recorder in self.recorders:
            recorder.may_end = True
        await asyncio.gather(*self.running)
        await self.everything_counts_once(server)
        async with self.recorders[1].stub() as stub:
            for recorder in self.recorders[1:]:
                request = pb.RecordRequest(batch=recorder.message(len(recorder.batches)))
                assert (await stub.Record(request)).repeated
        await self.everything_counts_once(server)

    async def everything_counts_once(self, server: Process) -> None:
        expected = {recorder.name: recorder.sums[-1] for recorder in self.recorders}
        assert await self.counted() == expected
        total = Sums(*map(sum, zip(*expected.values(), strict=True)))
        assert await asyncio.to_thread(scraped, server.metrics_url) == total


@asynccontextmanager
async def connected(relay: Relay, attempts: int = 1000) -> AsyncIterator[AsyncDify]:
    retry = Retry(attempts=attempts, wait_min=0.05, wait_max=0.1)
    async with connect_async(relay.target, retry=retry, timeout=60) as dify:
        yield dify


def sums_of(usage: Reported) -> Sums:
    return Sums(usage.calls, usage.errors, usage.tokens.input, usage.tokens.output, round(usage.duration.sum * 10**6))


def scraped(url: str) -> Sums:
    """Adds up what /metrics shows of usage."""
    with urllib.request.urlopen(url, timeout=10) as answer:
        families = list(text_string_to_metric_families(answer.read().decode()))

    def total(name: str, **labels: str) -> float:
        samples = [sample for family in families for sample in family.samples if sample.name == name]
        return sum(sample.value for sample in samples if labels.items() <= sample.labels.items())

    return Sums(
        calls=int(total("difyrpc_usage_calls_total")),
        errors=int(total("difyrpc_usage_calls_total", status="error")),
        input=int(total("difyrpc_usage_tokens_total", gen_ai_token_type="input")),
        output=int(total("difyrpc_usage_tokens_total", gen_ai_token_type="output")),
        micros=round(total("gen_ai_client_operation_duration_seconds_sum") * 10**6),
    )


async def test_every_call_counts_once_however_often_the_server_is_killed() -> None:
    with state_folder() as state:
        async with Relay() as relay:
            world = World(relay)
            for _ in range(LIVES):
                async with Life("metrics", state=state, env=ENV) as server:
                    relay.leads_to(server)
                    await world.check()
                    kill = world.rng.choice((kill_house, kill_server))
                    await world.until_struck(server, lambda kill=kill, server=server: kill(server))
            async with Life("metrics", state=state, env=ENV) as server:
                relay.leads_to(server)
                await world.end(server)
                assert server.stop() == 0
    assert all(len(recorder.batches) > LIVES for recorder in world.recorders)
    assert world.recorders[0].outages


async def test_every_call_counts_once_when_workers_are_killed_one_by_one_and_then_all() -> None:
    with state_folder() as state:
        async with Relay() as relay:
            world = World(relay)
            async with Life("metrics", "--workers", "2", state=state, env=ENV) as server:
                relay.leads_to(server)
                for _ in range(DEATHS):
                    await world.until_struck(server, lambda: world.rng.choice(workers(server)).kill())
                    await world.check()
                await world.until_struck(server, lambda: kill_house(server))
            async with Life("metrics", "--workers", "2", state=state, env=ENV) as server:
                relay.leads_to(server)
                await world.check()
                await world.end(server)
                assert server.stop() == 0


def workers(server: Process) -> list[psutil.Process]:
    children = psutil.Process(server.popen.pid).children()
    return [child for child in children if "--worker-pipes" in child.cmdline()]
