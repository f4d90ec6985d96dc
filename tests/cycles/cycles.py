"""Makes the same cycle again and again: `cycles.py KIND COUNT TARGET` prints what the process held before and after."""

from __future__ import annotations

import asyncio
import gc
import itertools
import json
import socket
import sys
import threading
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import suppress
from typing import Any

import grpc
import psutil

from difyrpc.files.v1 import files_pb2 as pb
from difyrpc.files.v1 import files_pb2_grpc as rpc
from difyrpc_client import DeadlineExceeded, Retry, Unavailable, channel, connect, connect_async
from difyrpc_client._pool import IDLE_SECONDS, PROCESS_POOL

KIND, COUNT, TARGET = sys.argv[1], int(sys.argv[2]), sys.argv[3]
WARM_UP = min(200, COUNT // 2)  # cycles until allocators and caches have what they keep
SHORT_SECONDS = 0.01
ONCE = Retry(attempts=1)
NUMBERS = itertools.count()


def connecting() -> None:
    with connect(TARGET, breaker=False, env={}) as dify:
        dify.files.get("files/one")


def new_channels() -> None:
    """Every client has a channel of its own, and the pool believes that a minute has passed since the last one."""
    now = next(NUMBERS)
    PROCESS_POOL.now = lambda: now * (IDLE_SECONDS + 1)
    with connect(TARGET, max_message_bytes=(1 << 20) + now % 1000, channels=1, breaker=False, env={}) as dify:
        dify.files.get("files/one")


def leaving_streams() -> None:
    with connect(TARGET, breaker=False, env={}) as dify:
        pieces = dify.files.iter_bytes("files/one")
        assert next(pieces) == b"x"
        pieces.close()
        dropped = dify.files.iter_bytes("files/one")
        assert next(dropped) == b"x"


def running_out_of_time() -> None:
    with connect(TARGET, retry=ONCE, breaker=False, env={}) as dify:
        with suppress(DeadlineExceeded):
            dify.files.get("files/stuck", timeout=SHORT_SECONDS)
        with suppress(DeadlineExceeded):
            list(dify.files.iter_bytes("files/stuck", timeout=SHORT_SECONDS))


def cancelling() -> None:
    with channel(TARGET, breaker=False, env={}) as opened:
        stub = rpc.FileStorageStub(opened)
        stub.GetFile.future(pb.GetFileRequest(name="files/stuck")).cancel()
        stub.DownloadFile(pb.DownloadFileRequest(name="files/stuck")).cancel()


def calling_nobody() -> None:
    with connect(DEAD, retry=ONCE, breaker=False, env={}) as dify, suppress(Unavailable):
        dify.files.get("files/one")


def breaking_uploads() -> None:
    with channel(TARGET, breaker=False, env={}) as opened, suppress(grpc.RpcError):
        rpc.FileStorageStub(opened).UploadFile(_broken_off())


def _broken_off() -> Iterator[pb.UploadFileRequest]:
    yield pb.UploadFileRequest(spec=pb.FileSpec(display_name="x"))
    yield pb.UploadFileRequest(chunk=pb.Chunk(data=bytes(1 << 16)))
    raise OSError("the source is gone")


async def connecting_async() -> None:
    async with connect_async(TARGET, breaker=False, env={}) as dify:
        await dify.files.get("files/one")


async def leaving_streams_async() -> None:
    async with connect_async(TARGET, breaker=False, env={}) as dify:
        pieces = dify.files.iter_bytes("files/one")
        assert await anext(pieces) == b"x"
        await pieces.aclose()


async def running_out_of_time_async() -> None:
    async with connect_async(TARGET, retry=ONCE, breaker=False, env={}) as dify:
        with suppress(DeadlineExceeded):
            await dify.files.get("files/stuck", timeout=SHORT_SECONDS)
        with suppress(DeadlineExceeded):
            await _consume(dify.files.iter_bytes("files/stuck", timeout=SHORT_SECONDS))


async def cancelling_async() -> None:
    async with connect_async(TARGET, breaker=False, env={}) as dify:
        await dify.files.get("files/one")
        tasks = [
            asyncio.ensure_future(dify.files.get("files/stuck")),
            asyncio.ensure_future(_consume(dify.files.iter_bytes("files/stuck"))),
        ]
        await dify.files.get("files/one")
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def cancelling_in_one_loop() -> None:
    await cancelling_async()


async def calling_nobody_async() -> None:
    async with connect_async(DEAD, retry=ONCE, breaker=False, env={}) as dify:
        with suppress(Unavailable):
            await dify.files.get("files/one")


async def _consume(pieces: AsyncIterator[bytes]) -> None:
    async for _ in pieces:
        pass


def cycle() -> Callable[[], None]:
    """Answers one cycle; an asynchronous one has a new event loop each time, or one for all, and leaves no task."""
    work = globals()[KIND]
    if not asyncio.iscoroutinefunction(work):
        return work
    run = asyncio.Runner().run if KIND.endswith("_in_one_loop") else asyncio.run
    return lambda: run(_alone(work))


async def _alone(work: Callable[[], Any]) -> None:
    await work()
    ending = asyncio.all_tasks() - {asyncio.current_task()}  # grpc's own, which take a cancelled call's status
    _, left = await asyncio.wait(ending, timeout=10) if ending else (ending, ending)
    if left:
        raise AssertionError(f"tasks are left: {left}")


def held() -> dict[str, Any]:
    """Answers what this process holds now, what only a collection of garbage would free included."""
    process = psutil.Process()
    kinds = Counter(str(type(each).__module__) for each in gc.get_objects())
    return {
        "fds": process.num_fds(),
        "threads": process.num_threads(),
        "python_threads": threading.active_count(),
        "rss_bytes": process.memory_info().rss,
        "objects": sum(number for name, number in kinds.items() if name.startswith("difyrpc_client")),
        "objects_of_grpc": sum(number for name, number in kinds.items() if name.startswith("grpc")),
        "channels": PROCESS_POOL.size(),
    }


def main() -> None:
    once = cycle()
    for _ in range(WARM_UP):
        once()
    gc.collect()
    gc.disable()  # a call that waits for a collection holds its channel and, in an event loop, the loop
    before = held()
    for _ in range(COUNT):
        once()
    print(json.dumps([before, held()]), flush=True)


if __name__ == "__main__":
    with socket.socket() as bound:  # bound and not listening: a port that refuses, and that nobody else takes
        bound.bind(("127.0.0.1", 0))
        DEAD = f"127.0.0.1:{bound.getsockname()[1]}"
        main()
