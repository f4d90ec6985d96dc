"""Parses in supervised worker processes."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from typing import TYPE_CHECKING, Final

from difyrpc_services.documents.values import ParseTask, Part, Task
from difyrpc_services.documents.wire import JOB, pack_task, unpack
from difyrpc_services.runtime.errors import (
    DeadlineExceeded,
    Internal,
    ResourceExhausted,
    ServiceError,
    Unavailable,
)
from difyrpc_services.runtime.workers import (
    Blob,
    Job,
    JobCrashed,
    JobError,
    JobOutOfMemory,
    JobRun,
    JobTimedOut,
    OutputTooLarge,
    PoolStatus,
    QueueFull,
    WorkerLimits,
    WorkerPool,
)

if TYPE_CHECKING:
    from difyrpc_services.documents.backends.ocr_workers import OcrWorkers
    from difyrpc_services.documents.core import Run

# What workers import before they are forked, so that no job pays for it.
PRELOAD: Final = (
    "difyrpc_services.documents.wire",
    "difyrpc_services.documents.formats.pdf.render",
    "difyrpc_services.documents.formats.pdf",
    "difyrpc_services.documents.formats.docx",
    "difyrpc_services.documents.formats.odt",
    "difyrpc_services.documents.formats.rtf",
    "difyrpc_services.documents.formats.pptx",
    "difyrpc_services.documents.formats.xlsx",
    "difyrpc_services.documents.formats.xls",
    "difyrpc_services.documents.formats.ods",
    "difyrpc_services.documents.formats.odp",
    "difyrpc_services.documents.formats.csv",
    "difyrpc_services.documents.formats.html",
    "difyrpc_services.documents.formats.epub",
    "difyrpc_services.documents.formats.eml",
    "difyrpc_services.documents.formats.mhtml",
    "difyrpc_services.documents.formats.msg",
    "difyrpc_services.documents.formats.code",
    "difyrpc_services.documents.formats.notebook",
    "difyrpc_services.documents.formats.subtitles",
    "difyrpc_services.documents.formats.image",
    "difyrpc_services.documents.formats.markdown",
    "difyrpc_services.documents.formats.text",
)

MEMORY_SETTING: Final = "DIFYRPC_DOCUMENTS_WORKER_MEMORY_MB"
QUEUE_SETTING: Final = "DIFYRPC_DOCUMENTS_QUEUE"


class WorkersBackend:
    """A pool of workers that have the parsers loaded."""

    def __init__(
        self,
        limits: WorkerLimits,
        *,
        workers: int,
        waiting: int,
        waiting_per_tenant: int,
        slow_workers: int = 0,
        preload: Sequence[str] = (),
        ocr: OcrWorkers | None = None,
    ) -> None:
        """Takes the limits of each worker, how many there are, how many calls may wait, and where scans are read.

        `slow_workers` may be added while documents take long.
        """
        self._workers = workers
        self._ocr = ocr
        self._memory_mb = limits.memory_bytes // (1024 * 1024)
        self._pool = WorkerPool(
            limits,
            workers=workers,
            preload=(*PRELOAD, *preload),
            waiting=waiting,
            waiting_per_tenant=waiting_per_tenant,
            slow_workers=slow_workers,
        )

    async def start(self) -> None:
        """Starts the workers; WORKERS_NOT_READY with the cause."""
        try:
            await self._pool.start()
        except JobError as error:
            raise told(error) from error

    async def stop(self) -> None:
        """Kills the workers."""
        if self._ocr is not None:
            await self._ocr.stop()
        await self._pool.stop()

    def run(self, tenant: str, task: Task, content: Blob, *, seconds: float) -> Run:
        """Prepares a task."""
        if self._ocr is not None and isinstance(task, ParseTask) and task.ocr is not None and task.ocr.here:
            return self._ocr.run(tenant, task, content, seconds=seconds)
        job = Job(function=JOB, options=pack_task(task))
        return WorkersRun(self._pool.run(job, content, tenant=tenant, seconds=seconds))

    def describe(self) -> str:
        """Answers what it is, for people."""
        return f"{self._workers} worker processes of {self._memory_mb} MB"

    def status(self) -> PoolStatus:
        """Answers what the workers do now."""
        return self._pool.status()

    def pids(self) -> tuple[int, ...]:
        """Answers the process ids of the workers."""
        return self._pool.pids()

    @property
    def ocr(self) -> OcrWorkers | None:
        """The workers that read scans."""
        return self._ocr


class WorkersRun:
    """One task in a worker."""

    def __init__(
        self, run: JobRun, *, memory_setting: str = MEMORY_SETTING, queue_setting: str = QUEUE_SETTING
    ) -> None:
        """Takes the job, and the names of the settings that its errors are about."""
        self._run = run
        self._settings = (memory_setting, queue_setting)

    @property
    def waiting_seconds(self) -> float:
        """Time that it waited for a worker."""
        return self._run.waiting_seconds

    @property
    def cpu_seconds(self) -> float:
        """Processor time that it took."""
        return self._run.cpu_seconds

    async def parts(self) -> AsyncGenerator[Part, None]:
        """Answers the parts; what became of the worker is a ServiceError."""
        try:
            async with aclosing(self._run.items()) as items:
                async for item in items:
                    yield unpack(item)
        except JobError as error:
            raise told(error, *self._settings) from error
        except ValueError as error:
            raise Internal("PARSER_CRASHED", _CRASHED, cause=str(error)) from error


_CRASHED: Final = "the worker that parsed this document ended with {cause}"


def told(error: JobError, memory_setting: str = MEMORY_SETTING, queue_setting: str = QUEUE_SETTING) -> ServiceError:
    """Answers what a job's end means for its caller."""
    match error:
        case JobCrashed():
            return Internal("PARSER_CRASHED", _CRASHED, cause=error.cause)
        case JobTimedOut():
            return DeadlineExceeded("TIMED_OUT", "the document took longer than {seconds} s", seconds=error.seconds)
        case JobOutOfMemory():
            return ResourceExhausted(
                "OUT_OF_MEMORY",
                "the document needs more memory than {value} bytes",
                limit=memory_setting,
                value=error.limit_bytes,
            )
        case OutputTooLarge():
            return ResourceExhausted(
                "TOO_LARGE", "the answer exceeds {value} bytes", limit="output_bytes", value=error.limit_bytes
            )
        case QueueFull():
            return ResourceExhausted(
                "QUEUE_FULL",
                "{waiting} calls wait for a worker already",
                retry_after=error.retry_after,
                waiting=error.waiting,
                limit=queue_setting,
            )
    return Unavailable("WORKERS_NOT_READY", "no worker is ready: {cause}", retry_after=2, cause=str(error))
