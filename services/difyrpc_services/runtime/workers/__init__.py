"""Supervised worker processes: CPU work and hostile input away from the server's own process.

    pool = WorkerPool(WorkerLimits(), workers=2, preload=("lxml.etree",))
    await pool.start()
    with Blob.of(data) as content:
        run = pool.run(Job("package.module:function", options=b"{}"), content, tenant="a", seconds=30)
        async for item in run:      # each bytes that the function yields, as it yields them
            ...
    await pool.stop()

A job is a function `(content: memoryview, options: bytes) -> Iterator[bytes]` named by its import path. It runs
without network, without new processes, unable to write files, under limits of memory, processor time and wall
clock. What it does to its worker is one `JobError` here. Where the pool names programs, a job may have them run
(`programs.run`), as confined as itself; where the pool answers questions, it may ask the server (`asking.ask`).
"""

from __future__ import annotations

from difyrpc_services.runtime.workers.blob import Blob
from difyrpc_services.runtime.workers.errors import (
    JobCrashed,
    JobError,
    JobOutOfMemory,
    JobTimedOut,
    OutputTooLarge,
    PoolNotReady,
    QueueFull,
)
from difyrpc_services.runtime.workers.jobs import Answer, Job, JobRun, PoolStatus
from difyrpc_services.runtime.workers.limits import WorkerLimits
from difyrpc_services.runtime.workers.pool import WorkerPool
from difyrpc_services.runtime.workers.programs import Program, ProgramFailed
from difyrpc_services.runtime.workers.sandbox import confinement

__all__ = [
    "Answer",
    "Blob",
    "Job",
    "JobCrashed",
    "JobError",
    "JobOutOfMemory",
    "JobRun",
    "JobTimedOut",
    "OutputTooLarge",
    "PoolNotReady",
    "PoolStatus",
    "Program",
    "ProgramFailed",
    "QueueFull",
    "WorkerLimits",
    "WorkerPool",
    "confinement",
]
