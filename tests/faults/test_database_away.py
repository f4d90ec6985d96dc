"""The user's own PostgreSQL is away for a while: what needs none goes on, the rest says so soon and comes back."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import grpc
import pytest
from database_outages import OUTAGES, OwnPostgres
from killing import Life
from processes import Process, run, state_folder
from statuses import reason, retry_seconds

from difyrpc.files.v1 import files_pb2
from difyrpc.files.v1.files_pb2_grpc import FileStorageStub
from difyrpc_client import AsyncDify, DeadlineExceeded, Observation, Retry, Unavailable, channel_async, connect_async
from difyrpc_services.runtime.keys import make_token

IS_LONG = os.environ.get("DIFYRPC_TEST_LONG") == "1"
AWAY_SECONDS = 30.0 if IS_LONG else 5.0
CONNECT_SECONDS = 5.0 if IS_LONG else 2.0  # DIFYRPC_DATABASE_CONNECT_TIMEOUT_SECONDS; 5 is its default
BUSY_SECONDS = 5.0  # what a busy machine may add to any bound
AGAIN_SECONDS = 20.0
PAUSE_SECONDS = 0.05


@dataclass
class Seen:
    """The calls that a task made, each with its seconds and its error, if any."""

    calls: list[tuple[float, grpc.aio.AioRpcError | None]] = field(default_factory=list)
    may_end: bool = False

    async def repeat(self, call: Callable[[], object]) -> None:
        while not self.may_end:
            started, error = time.monotonic(), None
            try:
                await call()
            except grpc.aio.AioRpcError as failure:
                error = failure
            self.calls.append((time.monotonic() - started, error))
            await asyncio.sleep(PAUSE_SECONDS)

    @property
    def errors(self) -> list[grpc.aio.AioRpcError]:
        return [error for _, error in self.calls if error]

    @property
    def longest(self) -> float:
        return max(seconds for seconds, _ in self.calls)


def says_that_the_database_is_away(error: grpc.aio.AioRpcError) -> bool:
    told = (error.code(), reason(error)) == (grpc.StatusCode.UNAVAILABLE, "DATABASE_UNAVAILABLE")
    return told and (retry_seconds(error) or 0) > 0


@pytest.mark.timeout(400)
@pytest.mark.parametrize("kind", OUTAGES)
async def test_calls_go_on_or_say_unavailable_and_come_back_by_themselves(kind: str) -> None:
    with state_folder() as state:
        (state / "theirs").mkdir()
        (state / "theirs").chmod(0o711)
        async with OwnPostgres(state / "theirs") as postgres:
            env = {
                "DIFYRPC_DATABASE_URL": postgres.url,
                "DIFYRPC_DATABASE_CONNECT_TIMEOUT_SECONDS": str(CONNECT_SECONDS),
            }
            migrated = await asyncio.to_thread(run, "migrate", state=state / "ours", env=env)
            assert migrated.returncode == 0, migrated.stderr
            async with Life("documents", "files", "metrics", state=state / "ours", env=env) as process:
                await one_outage(process, postgres, kind)
                assert process.stop() == 0
            assert "Traceback" not in "".join(process.log)


async def one_outage(process: Process, postgres: OwnPostgres, kind: str) -> None:
    async with (
        connect_async(
            process.target, token=process.token, timeout=AWAY_SECONDS + 60, retry=Retry(attempts=200)
        ) as dify,
        channel_async(process.target, token=process.token) as channel,
    ):
        kept = await dify.files.upload(b"kept", name="kept")
        writer = dify.metrics.writer()
        await writer.add(*(Observation(app="before") for _ in range(7)))
        await writer.flush()
        await dify.documents.parse(b"# Before", name="before.md")
        stub = FileStorageStub(channel)
        parses, reads = Seen(), Seen()
        OUTAGES[kind](postgres)
        began = time.monotonic()
        running = [
            asyncio.create_task(parses.repeat(lambda: dify.documents.parse(b"# During", name="during.md"))),
            asyncio.create_task(reads.repeat(lambda: stub.GetFile(files_pb2.GetFileRequest(name=kept.name)))),
        ]
        patient = asyncio.create_task(dify.files.get(kept))
        counted = asyncio.create_task(count_during(dify))
        await strangers_are_not_told_that_their_key_is_wrong(process)
        await asyncio.sleep(began + AWAY_SECONDS - time.monotonic())
        assert not patient.done()
        errors = list(reads.errors)
        await postgres.come_back()
        ended = time.monotonic()
        async with asyncio.timeout(AGAIN_SECONDS):
            await until_a_read_succeeds(reads)
        print(
            f"{kind}: recovered after {time.monotonic() - ended:.2f} s; longest read {reads.longest:.2f} s, "
            f"longest parse {parses.longest:.2f} s; {len(errors)} refusals, {len(parses.calls)} parses"
        )
        parses.may_end = reads.may_end = True
        await asyncio.gather(*running)
        assert errors
        assert all(says_that_the_database_is_away(error) for error in reads.errors)
        assert reads.longest < CONNECT_SECONDS + BUSY_SECONDS
        assert not parses.errors
        assert len(parses.calls) > 5
        assert parses.longest < 1 + BUSY_SECONDS, "a remembered key waits a second for the store"
        assert (await patient).name == kept.name
        await counted
        assert [file.name async for file in dify.files.list()] == [kept.name]
        usage = await dify.metrics.query_usage()
        assert usage.total.calls == 7 + 11


async def count_during(dify: AsyncDify) -> None:
    """Records eleven observations, as often as a writer has to, while the database is away."""
    writer = dify.metrics.writer()
    await writer.add(*(Observation(app="during") for _ in range(11)))
    while True:
        try:
            return await writer.flush(timeout=1)
        except (Unavailable, DeadlineExceeded):
            await asyncio.sleep(PAUSE_SECONDS)


async def strangers_are_not_told_that_their_key_is_wrong(process: Process) -> None:
    """A key that was never seen cannot be judged now."""
    async with channel_async(process.target, token=make_token()[2]) as channel:
        started = time.monotonic()
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await FileStorageStub(channel).GetFile(files_pb2.GetFileRequest(name="files/none"))
        assert says_that_the_database_is_away(caught.value)
        assert time.monotonic() - started < CONNECT_SECONDS + BUSY_SECONDS


async def until_a_read_succeeds(reads: Seen) -> None:
    known = len(reads.calls)
    while not any(error is None for _, error in reads.calls[known:]):
        await asyncio.sleep(PAUSE_SECONDS)
