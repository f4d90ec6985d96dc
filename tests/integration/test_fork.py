"""Forks between calls and in the middle of them: no process hangs, and none closes what is another's.

A child that was forked while its parent's call was under way neither calls here nor destroys what it inherited: grpc
itself may abort then, and with GRPC_ENABLE_FORK_SUPPORT it may hold such a fork until the call has ended.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from scripted import Scene, scene
from watched import TOGETHER, Watched, idle

FORKS = Path(__file__).parent.parent / "forked/forks.py"
SECONDS = 60.0
FORK_SUPPORT = pytest.mark.parametrize("env", [{}, {"GRPC_ENABLE_FORK_SUPPORT": "1"}], ids=["unset", "enabled"])
pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="there is no fork")


@pytest.fixture
async def watched() -> Watched:
    return Watched(together=2)


@pytest.fixture
async def at(watched: Watched) -> AsyncIterator[Scene]:
    async with scene(servicer=watched) as served:
        yield served
        await idle(served)


@asynccontextmanager
async def forks(scenario: str, target: str, env: Mapping[str, str]) -> AsyncIterator[asyncio.subprocess.Process]:
    """Runs a scenario in a process of its own, which forks; ends it after a minute at the latest."""
    pipe = asyncio.subprocess.PIPE
    inherited = {name: value for name, value in os.environ.items() if name != "GRPC_ENABLE_FORK_SUPPORT"}
    process = await asyncio.create_subprocess_exec(
        sys.executable, str(FORKS), scenario, target, stdin=pipe, stdout=pipe, stderr=pipe, env={**inherited, **env}
    )
    try:
        async with asyncio.timeout(SECONDS):
            yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def answer(process: asyncio.subprocess.Process) -> Any:
    out, complaint = await process.communicate(b"\n")
    assert process.returncode == 0, f"{process.returncode}: {complaint.decode()}"
    return json.loads(out.decode().splitlines()[-1])


async def answer_of(scenario: str, target: str, env: Mapping[str, str]) -> Any:
    async with forks(scenario, target, env) as process:
        return await answer(process)


@FORK_SUPPORT
async def test_parent_and_child_call_on_after_a_call(at: Scene, env: dict[str, str]) -> None:
    assert await answer_of("after_a_call", at.target, env) == [["files/child", 0], "files/parent"]


async def test_a_call_that_is_under_way_at_a_fork_is_answered_to_the_parent(at: Scene, watched: Watched) -> None:
    async with forks("during_a_call", at.target, {}) as process:
        assert await process.stdout.readline() == b"calling\n"
        await watched.until(lambda: watched.running[TOGETHER] == 1)
        assert await answer(process) == [["ended", 0], [TOGETHER]]
    assert watched.ended["CANCELLED"] == 0, "the child's end leaves the parent's call alone"


async def test_a_stream_that_is_under_way_at_a_fork_goes_on_in_the_parent(at: Scene, watched: Watched) -> None:
    assert await answer_of("during_a_stream", at.target, {}) == [["ended", 0], 5]
    assert watched.ended["CANCELLED"] == 0


async def test_what_a_child_closes_stays_open_in_the_parent(at: Scene, watched: Watched) -> None:
    assert await answer_of("closing_in_the_child", at.target, {}) == [[None, 0], 5]
    assert watched.ended["CANCELLED"] == 0


@FORK_SUPPORT
async def test_workers_that_were_forked_beforehand_call_side_by_side(at: Scene, env: dict[str, str]) -> None:
    names, channels, last = await answer_of("with_many_children", at.target, env)
    assert names == [f"files/{number}" for number in range(4)]
    assert (channels, last) == (1, "files/parent")


async def test_a_client_made_before_a_fork_may_be_called_first_after_it(at: Scene) -> None:
    assert await answer_of("without_a_call_before", at.target, {}) == [[["files/child", 0]] * 3, "files/parent"]


async def test_a_childs_child_calls_too(at: Scene) -> None:
    child = [["files/child", ["files/grandchild", 0]], 0]
    assert await answer_of("of_a_child", at.target, {}) == [child, "files/parent"]


async def test_a_channel_for_generated_stubs_works_in_the_child(at: Scene) -> None:
    assert await answer_of("with_generated_stubs", at.target, {}) == ["files/one", ["files/one", 0], "files/one"]


async def test_loops_before_a_fork_leave_those_after_it_alone(at: Scene) -> None:
    assert await answer_of("between_loops", at.target, {}) == ["files/one", ["files/one", 0], "files/one"]


async def test_an_asynchronous_client_in_a_child_of_an_open_one_says_why_it_cannot_be(at: Scene) -> None:
    async with forks("with_an_open_asynchronous_client", at.target, {}) as process:
        (said, code), name = await answer(process)
    assert code == 0
    assert "forked while an asynchronous client was open" in said
    assert name == "files/parent"
