"""What an attack must leave alone: the calls of others, the server's memory, its count of running calls."""

from __future__ import annotations

import asyncio
import re
import threading
import urllib.request
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Self

import grpc
import psutil
from processes import Process

from difyrpc.files.v1 import files_pb2
from difyrpc.files.v1.files_pb2_grpc import FileStorageStub

MIB = 1 << 20
WITHOUT_SHEDDING = {"DIFYRPC_SHED_WAIT_SECONDS": "0", "DIFYRPC_SHED_MEMORY_PERCENT": "0"}
"""A busy machine must not look like an attack that succeeded."""
ASK_SECONDS = 0.05
WAIT_SECONDS = 60.0


class Memory:
    """The highest resident size of a server inside the block, over that at its beginning, in MiB."""

    def __init__(self, process: Process) -> None:
        self._process = psutil.Process(process.popen.pid)
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch)
        self._before = self._peak = self._resident()

    @property
    def growth(self) -> int:
        return (self._peak - self._before) // MIB

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *failure: object) -> None:
        self._ended.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._ended.wait(0.01):
            self._peak = max(self._peak, self._resident())

    def _resident(self) -> int:
        return int(self._process.memory_info().rss)


class Bystander:
    """A client with manners that asks for a file that is not there, on and on, over a connection of its own."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._stub = FileStorageStub(channel)
        self.codes: Counter[grpc.StatusCode] = Counter()
        self._may_end = False

    async def run(self) -> None:
        while not self._may_end:
            try:
                await self._stub.GetFile(files_pb2.GetFileRequest(name="files/none"), timeout=WAIT_SECONDS)
            except grpc.aio.AioRpcError as error:
                self.codes[error.code()] += 1
            await asyncio.sleep(0)

    def end(self) -> None:
        self._may_end = True


@asynccontextmanager
async def others_are_served(process: Process) -> AsyncIterator[None]:
    """Calls during the block; each call must be answered by the service itself, and no call be left at its end."""
    async with grpc.aio.insecure_channel(process.target) as channel:
        bystander = Bystander(channel)
        running = asyncio.create_task(bystander.run())
        try:
            yield
        finally:
            bystander.end()
            await running
    assert set(bystander.codes) == {grpc.StatusCode.NOT_FOUND}, bystander.codes
    await until(lambda: calls_in_flight(process) == 0)


async def until(is_so: Callable[[], bool]) -> None:
    """Asks again and again until it is so."""
    async with asyncio.timeout(WAIT_SECONDS):
        while not await asyncio.to_thread(is_so):
            await asyncio.sleep(ASK_SECONDS)


def calls_in_flight(process: Process) -> float:
    """What /metrics says."""
    with urllib.request.urlopen(process.metrics_url, timeout=20) as answer:
        gauges = re.findall(r"^difyrpc_calls_in_flight\{.*\} (\S+)$", answer.read().decode(), re.MULTILINE)
    return sum(map(float, gauges))
