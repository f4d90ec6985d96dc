"""Uploads whose server, client or network dies at random points: whole bytes or a clear error, never OK but short."""

from __future__ import annotations

import asyncio
import hashlib
import os
import random
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from killing import Life, kill_server
from processes import Process
from rough_relay import RoughRelay

from difyrpc_client import AsyncDify, DifyrpcError, File, connect, connect_async
from difyrpc_services.runtime.database import Database, DatabaseSettings

IS_LONG = os.environ.get("DIFYRPC_TEST_LONG") == "1"
ROUNDS = 300 if IS_LONG else 12
SEED = 20261122
KINDS = ("cut", "server", "client", "swallow", "delay", "cut twice")
MB = 1 << 20
TESTS = str(Path(__file__).parent.parent)


class House:
    """One server for many rounds; another over the same state when it was killed."""

    def __init__(self, stack: AsyncExitStack, state: Path, env: Mapping[str, str]) -> None:
        self._stack, self._state, self._env = stack, state, env
        self.server: Process

    async def start(self) -> None:
        self.server = await self._stack.enter_async_context(Life("files", state=self._state, env=self._env))

    @asynccontextmanager
    async def client(self) -> AsyncIterator[AsyncDify]:
        """A client on a way without trouble."""
        async with connect_async(self.server.target) as dify:
            yield dify


@dataclass(kw_only=True)
class Round:
    """One upload and what happens to it."""

    number: int
    house: House
    relay: RoughRelay

    def __post_init__(self) -> None:
        self.seed = SEED + self.number
        self.rng = random.Random(self.seed)
        self.kind = KINDS[self.number % len(KINDS)]
        self.is_async = self.number // len(KINDS) % 2 == 0
        sizes = (self.rng.randrange(MB), self.rng.randrange(MB, 17 * MB), self.rng.randrange(17 * MB, 40 * MB))
        self.size = self.rng.choices(sizes, (1, 2, 3))[0]
        self.content = random.Random(self.seed).randbytes(self.size)
        self.name = f"round-{self.number}"
        self.upload = ""
        self.struck = asyncio.Event()

    def __str__(self) -> str:
        kind = "async" if self.is_async else "sync"
        return f"round {self.number} (seed {self.seed}, {self.kind}, {kind}, {self.size} bytes)"

    async def run(self) -> str:
        """Answers how it ended: whole, or the name of the error, after which it was gone on with."""
        self.relay.leads_to(self.house.server)
        self.plan_trouble()
        aftermath = asyncio.create_task(self.clear_up())
        try:
            outcome = await (self.by_process() if self.kind == "client" else self.by_client())
        finally:
            aftermath.cancel() if not self.struck.is_set() else await aftermath
        await self.check()
        return outcome

    def plan_trouble(self) -> None:
        """Says what happens after how many bytes."""
        if self.kind == "delay":
            self.relay.delay_seconds = self.rng.uniform(0.001, 0.01)
            return
        self.relay.when_up(self.rng.randrange(self.size + 2000), self.strike)
        if self.kind == "cut twice":
            self.relay.when_down(self.rng.randrange(100, 1500), self.relay.cut)

    def strike(self) -> None:
        self.struck.set()
        match self.kind:
            case "server":
                kill_server(self.house.server)
            case "client":
                self.process.kill()
            case "swallow":
                self.relay.swallow()
            case _:
                self.relay.cut()

    async def clear_up(self) -> None:
        """Starts a new server where one was killed."""
        await self.struck.wait()
        if self.kind == "server":
            await self.house.start()
            self.relay.leads_to(self.house.server)

    async def by_client(self) -> str:
        try:
            self.check_answer(await self.uploaded())
        except DifyrpcError as error:
            await self.settled()
            await self.go_on(error.metadata.get("upload", ""))
            return type(error).__name__
        return "whole"

    async def by_process(self) -> str:
        """Uploads in a process that is killed, and goes on in this one."""
        kind = "async" if self.is_async else "sync"
        arguments = ("-m", "upload_by_process", kind, self.relay.target, str(self.seed), str(self.size), self.name)
        path = os.pathsep.join([TESTS, os.environ.get("PYTHONPATH", "")])
        self.process = await asyncio.create_subprocess_exec(
            sys.executable, *arguments, stdout=asyncio.subprocess.PIPE, env={**os.environ, "PYTHONPATH": path}
        )
        output, _ = await self.process.communicate()
        if self.process.returncode == 0:
            return "whole"
        await self.go_on(output.decode().strip())
        return "killed and resumed" if output else "killed before it began"

    async def settled(self) -> None:
        """Waits until there is a server again."""
        if self.kind == "server" and self.struck.is_set():
            while self.house.server.popen.poll() is not None:
                await asyncio.sleep(0.05)

    async def go_on(self, upload: str) -> None:
        """Goes on as an error says, or begins anew where nothing was begun, on a way without trouble."""
        self.upload = upload
        self.relay.delay_seconds = 0
        self.check_answer(await self.uploaded(resume=upload))

    async def uploaded(self, **options: str) -> File:
        settings = {"keepalive_seconds": 2, "stream_timeout": 60}
        if not self.is_async:
            return await asyncio.to_thread(self.uploaded_in_thread, options, settings)
        async with connect_async(self.relay.target, **settings) as dify:
            return await dify.files.upload(self.content, name=self.name, **options)

    def uploaded_in_thread(self, options: dict[str, str], settings: dict[str, float]) -> File:
        with connect(self.relay.target, **settings) as dify:
            return dify.files.upload(self.content, name=self.name, **options)

    def check_answer(self, file: File) -> None:
        assert (file.size_bytes, file.sha256) == (self.size, hashlib.sha256(self.content).hexdigest())

    async def check(self) -> None:
        """Whatever is visible is the whole file, once."""
        async with self.house.client() as dify:
            found = [file async for file in dify.files.list(prefix=f"{self.name}")]
            assert [file.size_bytes for file in found] == [self.size], "the file is missing, doubled or short"
            assert await dify.files.read(found[0]) == self.content
            await dify.files.delete(found[0])


@pytest.mark.timeout(3000 if IS_LONG else 240)
async def test_an_upload_ends_with_whole_bytes_or_a_clear_error(
    database: Database, database_settings: DatabaseSettings, tmp_path: Path
) -> None:
    env = {
        "DIFYRPC_AUTH": "none",
        "DIFYRPC_DATABASE_URL": database_settings.url,
        "DIFYRPC_DATABASE_SCHEMA": database_settings.schema,
    }
    outcomes: Counter[tuple[str, str]] = Counter()
    failures: list[str] = []
    disturbed = 0
    async with AsyncExitStack() as stack:
        house = House(stack, tmp_path, env)
        await house.start()
        for number in range(ROUNDS):
            began = time.monotonic()
            async with RoughRelay(random.Random(number)) as relay:
                one = Round(number=number, house=house, relay=relay)
                try:
                    outcome = await one.run()
                except Exception as error:  # noqa: BLE001  # one round that fails shall not hide the others
                    failures.append(f"{one}: {error!r}")
                    outcome = "failed"
            outcomes[one.kind, outcome] += 1
            disturbed += one.kind == "delay" or one.struck.is_set()
            print(f"{one}: {outcome}, {time.monotonic() - began:.1f} s", flush=True)
            if one.kind == "server" and outcome == "failed" and house.server.popen.poll() is not None:
                await house.start()
    print(*(f"{kind}: {outcome}: {count}" for (kind, outcome), count in sorted(outcomes.items())), sep="\n")
    assert failures == []
    assert disturbed > ROUNDS * 0.9
