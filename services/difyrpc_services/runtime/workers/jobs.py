"""What is asked of a pool of workers, and how a job stands."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from difyrpc_services.runtime.workers.blob import Blob

if TYPE_CHECKING:
    from difyrpc_services.runtime.workers.pool import WorkerPool

Answer = Callable[[bytes], Awaitable[bytes]]
"""Answers the question of a job; its error ends the job."""


@dataclass(frozen=True, kw_only=True)
class Job:
    """What a worker is to do."""

    function: str
    """`package.module:function`."""
    options: bytes = b""
    """What the function gets beside the content; up to 1 MiB."""


@dataclass(frozen=True, kw_only=True)
class PoolStatus:
    """What the pool does now and has done so far."""

    workers: int
    """Worker processes that are ready or busy."""
    busy: int
    """Of those, the ones that have a job."""
    waiting: int
    """Jobs that wait for a worker."""
    slow: int = 0
    """Of the busy ones, those whose job takes long."""
    ended: dict[str, int] = field(default_factory=dict)
    """Workers that ended, by cause: `SIGKILL`, `timeout`, `cancelled`, `memory`, `recycled`, …"""


class JobRun:
    """One job on its way; iterate over it once, to the end or with `aclosing(run.items())`."""

    def __init__(self, pool: WorkerPool, job: Job, content: Blob, tenant: str, seconds: float) -> None:
        self.waiting_seconds = 0.0
        """Time that it waited for a worker."""
        self.cpu_seconds = 0.0
        """Processor time that it took; known at the end."""
        self._pool = pool
        self._arguments = (job, content, tenant, seconds)

    def items(self) -> AsyncGenerator[bytes, None]:
        """Answers what the job yields, as it yields it; closing it early kills the job."""
        return self._pool._perform(self, *self._arguments)

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self.items()
