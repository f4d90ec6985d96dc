"""Parses in threads of this process: for tests and trials. Nothing is confined, no limit of memory or time holds."""

from __future__ import annotations

import asyncio
import mmap
import time
from collections.abc import AsyncGenerator, Iterator

from difyrpc_services.documents.pipeline import perform
from difyrpc_services.documents.values import Part, Task
from difyrpc_services.runtime.workers import Blob


class MemoryBackend:
    """Does one task at a time: pdfium is not made for several threads."""

    def __init__(self) -> None:
        self._turn = asyncio.Lock()

    async def start(self) -> None:
        """Needs nothing."""

    async def stop(self) -> None:
        """Needs nothing."""

    def run(self, tenant: str, task: Task, content: Blob, *, seconds: float) -> MemoryRun:
        """Prepares a task."""
        return MemoryRun(self._turn, task, content)

    def describe(self) -> str:
        """Answers what it is, for people."""
        return "this process, without confinement"


class MemoryRun:
    """One task in a thread."""

    def __init__(self, turn: asyncio.Lock, task: Task, content: Blob) -> None:
        self.waiting_seconds = 0.0
        self.cpu_seconds = 0.0
        self._turn = turn
        self._task = task
        self._content = content

    async def parts(self) -> AsyncGenerator[Part, None]:
        """Answers the parts."""
        began = time.monotonic()
        async with self._turn:
            self.waiting_seconds = time.monotonic() - began
            with mmap.mmap(self._content.fileno(), self._content.size, access=mmap.ACCESS_READ) as content:
                parts = perform(memoryview(bytes(content)), self._task)
                while (part := await asyncio.to_thread(_next, parts)) is not None:
                    yield part


def _next(parts: Iterator[Part]) -> Part | None:
    return next(parts, None)
