"""Who is moved out of the way, and who is not."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from difyrpc_services.runtime.workers.lanes import LOWEST_PRIORITY, SlowLane

MEMORY = 1 << 20
SECONDS = 30.0


@dataclass(frozen=True)
class Process:
    """All that the lane needs of a worker."""

    pid: int


@pytest.fixture
def worker() -> Iterator[Any]:
    waiting = [sys.executable, "-c", "input()"]
    with subprocess.Popen(waiting, stdin=subprocess.PIPE) as process:
        yield Process(pid=process.pid)
        process.kill()


async def moved(lane: SlowLane, worker: Any) -> bool:
    entered = asyncio.Event()
    timer = lane.watch(worker, entered.set)
    asyncio.get_running_loop().call_at(timer.when(), entered.set)
    async with asyncio.timeout(SECONDS):
        await entered.wait()
    return worker in lane.workers


async def test_a_long_job_moves_behind_all_others(worker: Any) -> None:
    lane = SlowLane(most=1, memory_bytes=MEMORY, free=lambda: 2 * MEMORY)
    assert await moved(lane, worker)
    assert os.getpriority(os.PRIO_PROCESS, worker.pid) == LOWEST_PRIORITY
    assert lane.left(worker)
    assert not lane.left(worker)


async def test_nothing_moves_without_memory_for_one_more_worker(worker: Any) -> None:
    lane = SlowLane(most=1, memory_bytes=MEMORY, free=lambda: 2 * MEMORY - 1)
    assert not await moved(lane, worker)
    assert os.getpriority(os.PRIO_PROCESS, worker.pid) < LOWEST_PRIORITY


async def test_the_lane_holds_no_more_than_its_number(worker: Any) -> None:
    lane = SlowLane(most=0, memory_bytes=MEMORY, free=lambda: 2 * MEMORY)
    assert not await moved(lane, worker)


async def test_a_worker_that_has_just_ended_harms_nobody() -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        process.wait()
    lane = SlowLane(most=1, memory_bytes=MEMORY, free=lambda: 2 * MEMORY)
    assert await moved(lane, Process(pid=process.pid))
