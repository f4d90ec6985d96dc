"""Nothing is left of calls that ended in whatever way, neither in the client's process nor on the server."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from pathlib import Path

import pytest
from scripted import scene
from watched import Watched, idle

CYCLES = Path(__file__).parent.parent / "cycles/cycles.py"
LONG = os.environ.get("DIFYRPC_TEST_LONG") == "1"
COUNT = 10_000 if LONG else 150
MIB = 1 << 20
RSS_GROWTH_BYTES = 12 * MIB
"""Less than 1.3 KB a cycle of the long form, where one leaked call has 5 KB or more, a channel 50; and for the short
form what allocators take now and then: a leaked channel a cycle would still be 20 MB."""
KEPT_BYTES = 3_000
"""What grpc.aio keeps of a stream that was cancelled soon before its channel closed, outside of Python's own memory;
of one whose channel stays it keeps 100."""
SPARE = 6
"""Threads, descriptors and objects that come and go by themselves: grpc's pool grows and shrinks with its load."""
OF_GRPC = 1.0
"""What grpc.aio may keep a cycle, each of which has an event loop of its own: it holds closed loops until their place
is taken (143 in 750 cycles, no more after that), and the some 8 objects of a cancelled call whose loop closed before
its last event came (about one in 60). A call a cycle would be 8."""

KINDS = [
    "connecting",
    "new_channels",
    "leaving_streams",
    "running_out_of_time",
    "cancelling",
    "calling_nobody",
    "breaking_uploads",
    "connecting_async",
    "leaving_streams_async",
    "running_out_of_time_async",
    "cancelling_async",
    "cancelling_in_one_loop",
    "calling_nobody_async",
]


@pytest.mark.timeout(1800 if LONG else 120)
@pytest.mark.parametrize("kind", KINDS)
async def test_cycles_leave_nothing(kind: str, record_property: pytest.RecordProperty) -> None:
    watched = Watched()
    async with scene(servicer=watched) as at:
        tasks = len(asyncio.all_tasks())
        before, after = await cycles(kind, at.target)
        await idle(at)
        assert watched.running.total() == 0
        await gone(tasks + SPARE)
    record_property("before", before)
    record_property("after", after)
    grown = {name: after[name] - before[name] for name in before}
    print(f"{kind} × {COUNT}: {grown}")
    rss_bytes = grown.pop("rss_bytes")
    assert grown.pop("objects_of_grpc") <= SPARE + COUNT * OF_GRPC
    assert max(grown.values()) <= SPARE, grown
    assert rss_bytes <= RSS_GROWTH_BYTES + (COUNT * KEPT_BYTES if kind.startswith("cancelling_") else 0)


async def gone(most: int) -> None:
    """Returns when the server has no more tasks than that; TimeoutError where those of calls or connections stay."""
    async with asyncio.timeout(20):
        while len(asyncio.all_tasks()) > most:
            await asyncio.sleep(0.02)


async def cycles(kind: str, target: str) -> list[dict[str, int]]:
    """Runs the cycles in a process of their own and answers what it held before and after."""
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(
        sys.executable, str(CYCLES), kind, str(COUNT), target, stdout=pipe, stderr=pipe
    )
    try:
        out, complaint = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert process.returncode == 0, complaint.decode()[-4000:]
    return json.loads(out)
