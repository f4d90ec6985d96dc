"""A scripted servicer that counts what is under way, and what of it ended by cancellation, by the file's name."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import grpc
from scripted import Scene, Scripted

from difyrpc.files.v1 import files_pb2 as pb

PATIENCE_SECONDS = 30.0
TOGETHER = "files/together"
"""Is answered when `together` calls for it are under way."""
STUCK = "files/stuck"
"""Is never answered; a stream of it stops after its first message."""
STEPS = "files/steps"
"""A stream whose next message comes when the one before was acknowledged by GetFile of `files/step`."""
STEP = "files/step"
BUSY = "files/busy"
"""Is refused as UNAVAILABLE until `busy` refusals are used up."""


@dataclass(frozen=True, kw_only=True)
class Arrival:
    """A call as it came."""

    method: str
    name: str
    at: float
    """When it came, in seconds of `time.monotonic`, which all processes of a machine share."""
    left_seconds: float | None
    """Seconds that its deadline left it then."""


class Watched(Scripted):
    """Answers as the name of the file says."""

    def __init__(self, *, together: int = 40, steps: int = 5) -> None:
        super().__init__()
        self.together = together
        self.steps = steps
        self.busy = 0
        self.arrivals: list[Arrival] = []
        self.ended: Counter[str] = Counter()
        """Calls by how they ended: `OK`, `CANCELLED` or an exception's name."""
        self.running: Counter[str] = Counter()
        self.most_running = 0
        self._gate = asyncio.Event()
        self._acknowledged = asyncio.Semaphore(0)
        self._changed = asyncio.Event()

    async def until(self, happened: Callable[[], bool]) -> None:
        """Waits for what calls that come or end make true; TimeoutError after half a minute."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            while not happened():
                await self._changed.wait()

    async def GetFile(self, request: Any, context: Any) -> pb.GetFileResponse:
        with self._watched("GetFile", request.name, context):
            await self._answerable(request.name, context)
            return pb.GetFileResponse(file=pb.File(name=request.name))

    async def DownloadFile(self, request: Any, context: Any) -> AsyncIterator[pb.DownloadFileResponse]:
        with self._watched("DownloadFile", request.name, context):
            yield pb.DownloadFileResponse(file=pb.File(name=request.name, size_bytes=self.steps, generation=1))
            if request.name == STUCK:
                await asyncio.Event().wait()
            for _ in range(self.steps):
                if request.name == STEPS:
                    await self._acknowledged.acquire()
                yield pb.DownloadFileResponse(chunk=pb.Chunk(data=b"x"))

    async def UploadFile(self, request_iterator: Any, context: Any) -> pb.UploadFileResponse:
        first = await anext(request_iterator)
        name, size = f"files/{first.spec.display_name}", 0
        with self._watched("UploadFile", name, context):
            if name == STUCK:
                await asyncio.Event().wait()
            async for part in request_iterator:
                size += len(part.chunk.data)
            return pb.UploadFileResponse(file=pb.File(name=name, size_bytes=size))

    async def _answerable(self, name: str, context: Any) -> None:
        if name == STEP:
            self._acknowledged.release()
        elif name == STUCK:
            await asyncio.Event().wait()
        elif name == TOGETHER:
            if self.running[name] >= self.together:
                self._gate.set()
            await self._gate.wait()
        elif name == BUSY and self.busy:
            self.busy -= 1
            await context.abort(grpc.StatusCode.UNAVAILABLE, "busy")

    @contextmanager
    def _watched(self, method: str, name: str, context: Any) -> Iterator[None]:
        left = context.time_remaining()
        self.arrivals.append(Arrival(method=method, name=name, at=time.monotonic(), left_seconds=left))
        self._count(name, 1)
        how = "OK"
        try:
            yield
        except (asyncio.CancelledError, GeneratorExit):
            how = "CANCELLED"
            raise
        except BaseException as error:
            how = type(error).__name__
            raise
        finally:
            self.ended[how] += 1
            self._count(name, -1)

    def _count(self, name: str, change: int) -> None:
        self.running[name] += change
        self.most_running = max(self.most_running, self.running.total())
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()


async def idle(at: Scene) -> None:
    """Waits until the server has no call left: no slot taken and the gauge of calls in flight at zero."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while at.limits.running or in_flight(at):
            await asyncio.sleep(0.01)


def in_flight(at: Scene) -> float:
    """Answers what the server's own gauge says."""
    return sum(
        sample.value
        for family in at.registry.collect()
        for sample in family.samples
        if sample.name == "difyrpc_calls_in_flight"
    )
