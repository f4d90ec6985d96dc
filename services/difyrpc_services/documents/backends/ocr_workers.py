"""The pool of workers that read scans: apart from the others, and not there until the first scan comes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from typing import TYPE_CHECKING

from difyrpc_services.documents.backends.workers import PRELOAD, WorkersRun, told
from difyrpc_services.documents.wire import JOB, pack_task
from difyrpc_services.runtime.workers import (
    Answer,
    Job,
    JobError,
    PoolNotReady,
    PoolStatus,
    Program,
    WorkerLimits,
    WorkerPool,
)

if TYPE_CHECKING:
    from difyrpc_services.documents.values import Part, Task
    from difyrpc_services.runtime.workers import Blob

MEMORY_SETTING = "DIFYRPC_DOCUMENTS_OCR_MEMORY_MB"
QUEUE_SETTING = "DIFYRPC_DOCUMENTS_OCR_QUEUE"


class OcrWorkers:
    """Workers with an engine; started by the first task."""

    def __init__(
        self,
        limits: WorkerLimits,
        *,
        workers: int,
        waiting: int,
        waiting_per_tenant: int,
        preload: Sequence[str] = (),
        programs: Sequence[Program] = (),
        answer: Answer | None = None,
    ) -> None:
        """Takes what WorkerPool takes; the parsers are preloaded in any case."""
        self._limits = limits
        self._workers = workers
        self._waiting = (waiting, waiting_per_tenant)
        self._preload = (*PRELOAD, *preload)
        self._programs = programs
        self._answer = answer
        self._pool: WorkerPool | None = None
        self._starting = asyncio.Lock()
        self._stopped = False

    def run(self, tenant: str, task: Task, content: Blob, *, seconds: float) -> OcrRun:
        """Prepares a task."""
        return OcrRun(self, tenant, task, content, seconds)

    async def pool(self) -> WorkerPool:
        """Answers the pool, started if it was not yet; PoolNotReady."""
        async with self._starting:
            if self._stopped:
                raise PoolNotReady("the server stops")
            if self._pool is None:
                pool = self._made()
                try:
                    await pool.start()
                except BaseException:
                    await pool.stop()
                    raise
                self._pool = pool
            return self._pool

    def _made(self) -> WorkerPool:
        waiting, waiting_per_tenant = self._waiting
        return WorkerPool(
            self._limits,
            workers=self._workers,
            preload=self._preload,
            waiting=waiting,
            waiting_per_tenant=waiting_per_tenant,
            programs=self._programs,
            answer=self._answer,
        )

    async def stop(self) -> None:
        """Kills the workers."""
        self._stopped = True
        if self._pool is not None:
            await self._pool.stop()

    def status(self) -> PoolStatus:
        """Answers what the workers do now."""
        return PoolStatus(workers=0, busy=0, waiting=0) if self._pool is None else self._pool.status()

    def pids(self) -> tuple[int, ...]:
        """Answers the process ids of the workers."""
        return () if self._pool is None else self._pool.pids()


class OcrRun:
    """One task among the workers that read scans."""

    def __init__(self, workers: OcrWorkers, tenant: str, task: Task, content: Blob, seconds: float) -> None:
        self._workers = workers
        self._start = (tenant, task, content, seconds)
        self._run: WorkersRun | None = None

    @property
    def waiting_seconds(self) -> float:
        """Time that it waited for a worker."""
        return self._run.waiting_seconds if self._run else 0.0

    @property
    def cpu_seconds(self) -> float:
        """Processor time that it took, with that of its programs."""
        return self._run.cpu_seconds if self._run else 0.0

    async def parts(self) -> AsyncGenerator[Part, None]:
        """Answers the parts; what became of the worker is a ServiceError."""
        tenant, task, content, seconds = self._start
        try:
            pool = await self._workers.pool()
        except JobError as error:
            raise told(error) from error
        job = Job(function=JOB, options=pack_task(task))
        run = pool.run(job, content, tenant=tenant, seconds=seconds)
        self._run = WorkersRun(run, memory_setting=MEMORY_SETTING, queue_setting=QUEUE_SETTING)
        async with aclosing(self._run.parts()) as parts:
            async for part in parts:
                yield part
