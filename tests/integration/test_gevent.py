"""The client in a process that gevent has patched, as every Dify plugin is; the servers are in the test's own."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from scripted import Scene, scene
from watched import BUSY, STUCK, Watched, idle

PLUGIN = Path(__file__).parent.parent / "patched/plugin.py"
WHENS = pytest.mark.parametrize("when", ["first", "imported", "late"])
SECONDS = 60.0


class Plugin:
    """A patched process that runs one scenario."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    async def says(self, word: str) -> None:
        """Waits until it says a word."""
        assert (await self._process.stdout.readline()).decode().strip() == word, await self._complaint()

    def go_on(self) -> None:
        """Lets it go on after a word."""
        self._process.stdin.write(b"\n")

    async def answer(self) -> Any:
        """Answers what its scenario came to."""
        out, complaint = await self._process.communicate()
        assert self._process.returncode == 0, f"{self._process.returncode}: {complaint.decode()}"
        return json.loads(out.decode().splitlines()[-1])

    async def _complaint(self) -> str:
        return (await self._process.communicate())[1].decode()


@asynccontextmanager
async def plugin(when: str, scenario: str, target: str) -> AsyncIterator[Plugin]:
    """Starts a scenario of the plugin against a server; ends it after a minute at the latest."""
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(
        sys.executable, str(PLUGIN), when, scenario, target, stdin=pipe, stdout=pipe, stderr=pipe
    )
    try:
        async with asyncio.timeout(SECONDS):
            yield Plugin(process)
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def answer_of(when: str, scenario: str, target: str) -> Any:
    async with plugin(when, scenario, target) as running:
        return await running.answer()


@pytest.fixture
async def watched() -> Watched:
    return Watched()


@pytest.fixture
async def at(watched: Watched) -> AsyncIterator[Scene]:
    async with scene(servicer=watched) as served:
        yield served


@WHENS
async def test_a_call_is_answered(at: Scene, when: str) -> None:
    assert await answer_of(when, "unary", at.target) == "files/one"


@WHENS
async def test_a_stream_arrives_piece_by_piece(at: Scene, when: str) -> None:
    assert await answer_of(when, "acknowledged", at.target) == 5


@WHENS
async def test_twenty_mebibytes_go_up_and_come_back(house_server, when: str) -> None:
    assert await answer_of(when, "bulk", house_server.target) == [20 << 20, True]


@WHENS
async def test_forty_calls_are_in_flight_together(at: Scene, watched: Watched, when: str) -> None:
    assert await answer_of(when, "together", at.target) == 1
    assert watched.most_running == watched.together == 40
    assert watched.ended["CANCELLED"] == 0


async def test_greenlets_that_all_open_the_same_channels_do_not_lock_each_other_out(
    at: Scene, watched: Watched
) -> None:
    assert await answer_of("first", "together_over_new_clients", at.target) == [40, 3]
    assert watched.most_running == 40


@WHENS
async def test_a_killed_greenlets_call_is_cancelled_on_the_server(at: Scene, watched: Watched, when: str) -> None:
    async with plugin(when, "killed", at.target) as running:
        await running.says("waiting")
        await watched.until(lambda: watched.running[STUCK] == 5)
        running.go_on()
        await watched.until(lambda: watched.ended["CANCELLED"] == 5)
        assert await running.answer() == [True, "files/one"]
    await idle(at)


async def test_killing_greenlets_again_and_again_breaks_nothing(at: Scene, watched: Watched) -> None:
    async with plugin("first", "killed_often", at.target) as running:
        for _ in range(10):
            await running.says("waiting")
            await watched.until(lambda: watched.running[STUCK] == 20)
            running.go_on()
            await watched.until(lambda: watched.running[STUCK] == 0)
        assert await running.answer() == "files/one"
    assert watched.ended["CANCELLED"] == 200


@WHENS
async def test_gevents_timeout_ends_a_call_and_leaves_nothing(at: Scene, watched: Watched, when: str) -> None:
    async with plugin(when, "timed_out", at.target) as running:
        await running.says("ended")
        await watched.until(lambda: watched.running[STUCK] == 0)
        running.go_on()
        assert await running.answer() == [["Timeout"] * 10, "files/one", 0]
    assert watched.ended["CANCELLED"] > 0
    await idle(at)


@WHENS
async def test_the_calls_own_timeout_ends_it(at: Scene, when: str) -> None:
    assert await answer_of(when, "deadline", at.target) == ["DeadlineExceeded"] * 2


@WHENS
async def test_the_asynchronous_api_is_refused_and_says_what_to_use(at: Scene, when: str) -> None:
    refused = await answer_of(when, "refusals", at.target)
    assert len(refused) == 2
    assert all("gevent" in message and "use connect()" in message for message in refused)


@WHENS
async def test_generated_stubs_call_in_every_shape(at: Scene, when: str) -> None:
    parts = ["file"] + ["chunk"] * 5
    assert await answer_of(when, "stubs", at.target) == ["files/one", "files/two", parts, 20 << 20]


@WHENS
async def test_other_greenlets_run_while_a_call_waits_for_its_next_try(at: Scene, watched: Watched, when: str) -> None:
    watched.busy = 2
    assert await answer_of(when, "retries", at.target) == [BUSY, 2, True]
