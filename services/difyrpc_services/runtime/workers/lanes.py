"""Keeps jobs that take long out of the way of short ones."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from difyrpc_services.runtime.memory import free_bytes
from difyrpc_services.runtime.workers.process import Worker

LONG_SECONDS: Final = 0.25  # a job that takes longer makes way; nine in ten documents take less
LOWEST_PRIORITY: Final = 19  # as nice(2): such a process gets 1.5 % of a processor that another one wants
ROOM: Final = 2  # memory limits of workers that must be free for one more


class SlowLane:
    """Workers whose job takes long: behind all others at the processor, and others are started in their place."""

    def __init__(self, *, most: int, memory_bytes: int, free: Callable[[], int] = free_bytes) -> None:
        """Takes how many workers it holds at most, and the memory that each may take."""
        self.workers: set[Worker] = set()
        """Those in it."""
        self._most = most
        self._room_bytes = ROOM * memory_bytes
        self._free = free

    def watch(self, worker: Worker, entered: Callable[[], None]) -> asyncio.TimerHandle:
        """Takes that a worker begins a job; calls `entered` when it has moved here."""
        return asyncio.get_running_loop().call_later(LONG_SECONDS, self._move, worker, entered)

    def left(self, worker: Worker) -> bool:
        """Takes that a worker's job has ended; answers whether it was here, and is of no more use."""
        was_here = worker in self.workers
        self.workers.discard(worker)
        return was_here

    def _move(self, worker: Worker, entered: Callable[[], None]) -> None:
        if len(self.workers) >= self._most or self._free() < self._room_bytes:
            return
        with suppress(OSError):  # it has just ended
            os.setpriority(os.PRIO_PROCESS, worker.pid, LOWEST_PRIORITY)  # for good: only root can raise it again
        self.workers.add(worker)
        entered()
