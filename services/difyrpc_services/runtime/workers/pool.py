"""Keeps workers warm, gives them jobs, and replaces those that end, grow or run out of time."""

from __future__ import annotations

import asyncio
import logging
import signal
import time
from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from typing import Any, Final

from difyrpc_services.runtime.workers import frames
from difyrpc_services.runtime.workers.blob import Blob
from difyrpc_services.runtime.workers.errors import (
    JobCrashed,
    JobOutOfMemory,
    JobTimedOut,
    OutputTooLarge,
    PoolNotReady,
    QueueFull,
)
from difyrpc_services.runtime.workers.jobs import Answer, Job, JobRun, PoolStatus
from difyrpc_services.runtime.workers.lanes import SlowLane
from difyrpc_services.runtime.workers.limits import WorkerLimits
from difyrpc_services.runtime.workers.process import Worker, ZygoteFailed, ZygoteProcess
from difyrpc_services.runtime.workers.programs import Program
from difyrpc_services.runtime.workers.turns import Turns

log = logging.getLogger(__name__)

PAUSES: Final = (0.0, 0.1, 0.5, 1.0, 2.0, 5.0)  # seconds before each further try to start a worker
TRIES: Final = 10  # workers that may die idle, one after the other, before a job gives up
NEAR_THE_LIMIT: Final = 0.75  # of the memory limit; a crash above it counts as a lack of memory


class WorkerPool:
    """A number of warm workers with a bounded queue that is fair between tenants.

    A job that takes long does not hold one of that number: its worker becomes an extra one until it ends.
    """

    def __init__(
        self,
        limits: WorkerLimits,
        *,
        workers: int,
        preload: tuple[str, ...] = (),
        waiting: int = 64,
        waiting_per_tenant: int | None = None,
        slow_workers: int = 0,
        programs: Sequence[Program] = (),
        answer: Answer | None = None,
    ) -> None:
        """Takes how many workers to keep, modules to import before forking, and how many jobs may wait.

        `slow_workers` is how many more there may be while jobs take long and memory allows it.
        Jobs may have `programs` run, and may ask what `answer` answers.
        """
        self._limits = limits
        self._count = workers
        self._waiting = waiting
        self._waiting_per_tenant = waiting if waiting_per_tenant is None else waiting_per_tenant
        self._preload = preload
        self._programs = programs
        self._answer = answer
        self._zygote = ZygoteProcess(preload, limits, programs)
        self._slow = SlowLane(most=slow_workers, memory_bytes=limits.memory_bytes)
        self._turns: Turns[Worker] = Turns()
        self._workers: set[Worker] = set()
        self._busy: set[Worker] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._zygote_lock = asyncio.Lock()
        self._ended: Counter[str] = Counter()
        self._stopping = False
        self._failures = 0

    async def start(self) -> None:
        """Starts the workers and waits for the first; PoolNotReady with the cause."""
        try:
            await self._add()
        except ZygoteFailed as error:
            raise PoolNotReady(str(error)) from error
        for _ in range(self._count - 1):
            self._replace()

    async def stop(self) -> None:
        """Kills all workers; jobs that run or wait end with an error."""
        self._stopping = True
        self._turns.fail(PoolNotReady("the server stops"))
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._zygote.close()
        for worker in tuple(self._workers - self._busy):
            self._drop(worker)

    def run(self, job: Job, content: Blob, *, tenant: str, seconds: float) -> JobRun:
        """Prepares a job. It ends with a JobError, or with the ServiceError that the function raised.

        `seconds` is wall clock from the start of the work until its last item was taken.
        """
        return JobRun(self, job, content, tenant, seconds)

    def status(self) -> PoolStatus:
        """Answers what the pool does now."""
        return PoolStatus(
            workers=len(self._workers),
            busy=len(self._busy),
            waiting=self._turns.waiting,
            slow=len(self._slow.workers),
            ended=dict(self._ended),
        )

    def pids(self) -> tuple[int, ...]:
        """Answers the process ids of the workers, for tests and measurements."""
        return tuple(sorted(worker.pid for worker in self._workers))

    def busy_pids(self) -> tuple[int, ...]:
        """Answers the process ids of the workers that have a job."""
        return tuple(sorted(worker.pid for worker in self._busy))

    async def _perform(
        self, run: JobRun, job: Job, content: Blob, tenant: str, seconds: float
    ) -> AsyncGenerator[bytes, None]:
        worker = await self._begin(run, job, content, tenant, seconds)
        watch, way = _Watch(worker, seconds), self._slow.watch(worker, self._replace)
        cause = "cancelled"
        try:
            async for item in self._outputs(run, worker, watch):
                yield item
            cause = self._worn(worker)
        except (JobTimedOut, JobOutOfMemory, OutputTooLarge) as error:
            cause = type(error).__name__
            raise
        except JobCrashed as error:
            cause = error.cause if worker.ended.done() else ""
            raise
        except _Refused as refused:
            cause = self._worn(worker)
            raise refused.error from None
        finally:
            watch.end()
            way.cancel()
            self._release(worker, cause)

    async def _begin(self, run: JobRun, job: Job, content: Blob, tenant: str, seconds: float) -> Worker:
        """Waits for a worker and gives it the job; goes on to the next if one died idle."""
        began = time.monotonic()
        for _ in range(TRIES):
            self._check_queue(tenant)
            worker = await self._turns.take(tenant)
            self._busy.add(worker)
            if await self._give(worker, job, content, seconds):
                run.waiting_seconds = time.monotonic() - began
                return worker
        raise PoolNotReady("workers end before they take a job")

    async def _give(self, worker: Worker, job: Job, content: Blob, seconds: float) -> bool:
        """Answers whether the worker has the job; one that died before it began gives way to the next."""
        cause = "cancelled"
        try:
            worker.give(job.function, job.options, content, cpu_seconds=seconds, memory_bytes=self._limits.memory_bytes)
            kind, _ = await worker.frame(0)
            cause = "" if kind == frames.TAKEN else "an unknown frame"
        except (OSError, EOFError, ValueError):
            cause = "died idle"
        finally:
            if cause:
                self._release(worker, cause)
        return not cause

    def _check_queue(self, tenant: str) -> None:
        if self._stopping:
            raise PoolNotReady("the server stops")
        if not self._workers and self._failures >= len(PAUSES):
            raise PoolNotReady("workers end as soon as they start")
        turns = self._turns
        if turns.free:
            return
        if turns.waiting >= self._waiting or turns.waiting_of(tenant) >= self._waiting_per_tenant:
            raise QueueFull(turns.waiting, retry_after=1.0 + turns.waiting / self._count / 4)

    async def _outputs(self, run: JobRun, worker: Worker, watch: _Watch) -> AsyncIterator[bytes]:
        left = self._limits.output_bytes
        while True:
            try:
                kind, body = await worker.frame(min(left, self._limits.frame_bytes))
            except EOFError:
                raise await self._death(worker, watch) from None
            except ValueError:
                raise OutputTooLarge(min(self._limits.output_bytes, self._limits.frame_bytes)) from None
            left -= len(body)
            if kind == frames.OUTPUT:
                yield body
                continue
            if kind == frames.ASK and self._answer is not None:
                await self._answered(worker, body, watch, self._answer)
                continue
            self._finish(run, worker, kind, body)
            return

    async def _answered(self, worker: Worker, question: bytes, watch: _Watch, answer: Answer) -> None:
        """Answers a question of the job, unless the worker ends first."""
        asked = asyncio.ensure_future(answer(question))
        first: set[asyncio.Future[Any]] = {asked, worker.ended}
        try:
            await asyncio.wait(first, return_when=asyncio.FIRST_COMPLETED)
            if not asked.done():
                raise await self._death(worker, watch)
            await worker.answer(asked.result())
        except EOFError:
            raise await self._death(worker, watch) from None
        finally:
            asked.cancel()

    def _finish(self, run: JobRun, worker: Worker, kind: int, body: bytes) -> None:
        """Reads the last frame of a job; raises what it says."""
        if kind == frames.NO_MEMORY:
            raise JobOutOfMemory(self._limits.memory_bytes)
        if kind == frames.REFUSED:
            raise _Refused(frames.unpack_error(body))
        if kind != frames.END:
            found = frames.unpack(body)
            log.error("a job raised %s at %s", found.get("class"), " < ".join(reversed(found.get("places", ()))))
            raise JobCrashed(str(found.get("class", "an unknown frame")))
        found = frames.unpack(body)
        total, programs = float(found.get("cpu_seconds", 0.0)), float(found.get("program_seconds", 0.0))
        run.cpu_seconds = max(0.0, total - worker.cpu_seconds + programs - worker.program_seconds)
        worker.cpu_seconds, worker.program_seconds = total, programs
        worker.resident_bytes = int(found.get("resident_bytes", 0))

    async def _death(self, worker: Worker, watch: _Watch) -> Exception:
        """Answers the error for a worker that ended in the middle of a job."""
        if watch.fired:
            return JobTimedOut(watch.seconds)
        exit_ = await worker.exit()
        if exit_.signal == signal.SIGXCPU:
            return JobTimedOut(watch.seconds)
        if exit_.signal != signal.SIGKILL and exit_.peak_bytes > NEAR_THE_LIMIT * self._limits.memory_bytes:
            return JobOutOfMemory(self._limits.memory_bytes)
        return JobCrashed(exit_.cause)

    def _worn(self, worker: Worker) -> str:
        """Answers why a worker that did its job is to be replaced all the same; empty = it is not."""
        worn = worker.jobs >= self._limits.jobs or worker.resident_bytes > self._limits.recycle_rss_bytes
        return "recycled" if worn else ""

    def _release(self, worker: Worker, cause: str) -> None:
        self._busy.discard(worker)
        if self._slow.left(worker):
            self._end(worker, cause or "slow")
        elif cause or worker.ended.done() or self._stopping:
            self._retire(worker, cause or "died")
        else:
            self._turns.give(worker)

    def _retire(self, worker: Worker, cause: str) -> None:
        """Ends a worker and starts another in its place."""
        if self._end(worker, cause) and not self._stopping:
            self._replace()

    def _end(self, worker: Worker, cause: str) -> bool:
        """Ends a worker, and answers whether it had not ended before."""
        if worker not in self._workers:
            return False
        self._ended[cause] += 1
        self._drop(worker)
        return True

    def _drop(self, worker: Worker) -> None:
        self._workers.discard(worker)
        if worker in self._turns.free:
            self._turns.free.remove(worker)
        worker.kill()
        worker.close()

    def _replace(self) -> None:
        task = asyncio.get_running_loop().create_task(self._keep_trying(), name="workers: start one")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _keep_trying(self) -> None:
        """Starts one worker, again and again with growing pauses."""
        while not self._stopping:
            await asyncio.sleep(PAUSES[min(self._failures, len(PAUSES) - 1)])
            try:
                await self._add()
            except ZygoteFailed as error:
                self._failures += 1
                log.error("no worker could be started: %s", error)
                if self._failures == len(PAUSES):
                    self._turns.fail(PoolNotReady(str(error)))
            else:
                return

    async def _add(self) -> None:
        async with self._zygote_lock:
            if not self._zygote.alive:
                self._zygote.close()
                self._zygote = ZygoteProcess(self._preload, self._limits, self._programs)
                await self._zygote.start()
        worker = await self._zygote.spawn()
        self._failures = 0
        self._workers.add(worker)
        worker.ended.add_done_callback(lambda _: self._ended_alone(worker))
        self._turns.give(worker)

    def _ended_alone(self, worker: Worker) -> None:
        """Replaces a worker that ended while it had no job."""
        if worker not in self._busy and not self._stopping:
            self._retire(worker, worker.ended.result().cause)


class _Refused(Exception):
    """Carries the ServiceError that a job raised."""

    def __init__(self, error: Exception) -> None:
        self.error = error


class _Watch:
    """Kills a worker when its time is up."""

    def __init__(self, worker: Worker, seconds: float) -> None:
        self.seconds = seconds
        self.fired = False
        self._worker = worker
        self._timer = asyncio.get_running_loop().call_later(seconds, self._fire)

    def end(self) -> None:
        """Stops watching."""
        self._timer.cancel()

    def _fire(self) -> None:
        self.fired = True
        self._worker.kill()
