from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from pathlib import Path

import pytest

from difyrpc_services.runtime.errors import InvalidArgument
from difyrpc_services.runtime.workers import (
    Blob,
    Job,
    JobCrashed,
    JobOutOfMemory,
    JobTimedOut,
    OutputTooLarge,
    PoolNotReady,
    QueueFull,
    WorkerLimits,
    WorkerPool,
    confinement,
)

MakePool = Callable[..., Awaitable[WorkerPool]]
MIB = 1 << 20


@pytest.fixture(autouse=True)
def jobs_on_the_path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(Path(__file__).parent))


@pytest.fixture
async def make_pool() -> AsyncIterator[MakePool]:
    pools = []

    async def make(*, workers: int = 1, waiting: int = 8, slow_workers: int = 0, **limits: int) -> WorkerPool:
        pool = WorkerPool(
            WorkerLimits(**limits),
            workers=workers,
            waiting=waiting,
            slow_workers=slow_workers,
            preload=("json", "worker_jobs"),
        )
        pools.append(pool)
        await pool.start()
        return pool

    yield make
    for pool in pools:
        await pool.stop()


async def run(
    pool: WorkerPool, name: str, content: bytes = b"", options: bytes = b"", *, tenant: str = "a", seconds: float = 30
) -> list[bytes]:
    with Blob.of(content) as blob:
        job = Job(function=f"worker_jobs:{name}", options=options)
        return [item async for item in pool.run(job, blob, tenant=tenant, seconds=seconds)]


async def until_busy(pool: WorkerPool, name: str, *, tenant: str = "a") -> tuple[asyncio.Task[None], int]:
    """Starts an endless job; answers its task and its worker once it has begun."""
    begun: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    async def consume() -> None:
        with Blob.of(b"x") as blob:
            async for item in pool.run(Job(function=f"worker_jobs:{name}"), blob, tenant=tenant, seconds=60):
                begun.set_result(int(item))

    task = asyncio.get_running_loop().create_task(consume())
    return task, await begun


async def test_a_job_gets_its_content_and_its_options(make_pool: MakePool) -> None:
    assert await run(await make_pool(), "echo", b"content" * 100_000, b"options") == [b"content" * 100_000, b"options"]


async def test_a_job_may_have_no_content(make_pool: MakePool) -> None:
    assert await run(await make_pool(), "length") == [b"0"]


async def test_large_options_arrive_whole(make_pool: MakePool) -> None:
    options = bytes(range(256)) * 512
    assert await run(await make_pool(), "echo", b"x", options) == [b"x", options]


async def test_an_error_of_the_job_arrives_with_all_its_parts(make_pool: MakePool) -> None:
    with pytest.raises(InvalidArgument) as caught:
        await run(await make_pool(), "refuse")
    assert caught.value.reason == "CORRUPT"
    assert caught.value.metadata == {"position": "7"}
    assert caught.value.message == "byte 7 is {odd}"
    assert caught.value.violations[0].field == "content"


async def test_an_unexpected_exception_is_a_crash_and_its_message_is_not_logged(
    make_pool: MakePool, caplog: pytest.LogCaptureFixture
) -> None:
    pool = await make_pool()
    with pytest.raises(JobCrashed, match="ValueError"):
        await run(pool, "raise_value_error")
    assert "raise_value_error" in caplog.text
    assert "secret" not in caplog.text
    assert await run(pool, "length", b"abc") == [b"3"]


@pytest.mark.parametrize(("name", "cause"), [("crash", "SIGSEGV"), ("end_itself", "exit status 3")])
async def test_a_worker_that_dies_is_one_jobs_error(make_pool: MakePool, name: str, cause: str) -> None:
    pool = await make_pool()
    with pytest.raises(JobCrashed) as caught:
        await run(pool, name)
    assert caught.value.cause == cause
    assert await run(pool, "length", b"abc") == [b"3"]


async def test_a_worker_killed_from_outside_is_one_jobs_error(make_pool: MakePool) -> None:
    pool = await make_pool()
    task, pid = await until_busy(pool, "turn_for_ever")
    os.kill(pid, signal.SIGKILL)
    with pytest.raises(JobCrashed, match="SIGKILL"):
        await task
    assert await run(pool, "length", b"abc") == [b"3"]


async def test_a_worker_killed_while_idle_costs_no_job(make_pool: MakePool) -> None:
    pool = await make_pool()
    for _ in range(5):
        (pid,) = [int(item) for item in await run(pool, "process_id")]
        os.kill(pid, signal.SIGKILL)
        assert await run(pool, "length", b"abc") == [b"3"]


async def test_all_workers_lost_with_their_parent_come_back(make_pool: MakePool) -> None:
    pool = await make_pool(workers=2)
    task, pid = await until_busy(pool, "turn_for_ever")
    parent = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    os.kill(parent, signal.SIGKILL)
    with pytest.raises(JobCrashed):
        await task
    assert await run(pool, "length", b"abc") == [b"3"]


async def test_an_endless_job_is_killed_on_time(make_pool: MakePool) -> None:
    pool = await make_pool()
    with pytest.raises(JobTimedOut) as caught:
        await run(pool, "turn_for_ever", seconds=0.3)
    assert caught.value.seconds == 0.3
    assert await run(pool, "length", b"abc") == [b"3"]


@pytest.mark.parametrize("name", ["eat_memory", "eat_memory_in_c"])
async def test_a_job_that_eats_memory_is_stopped(make_pool: MakePool, name: str) -> None:
    pool = await make_pool(memory_bytes=64 * MIB)
    with pytest.raises(JobOutOfMemory):
        await run(pool, name)
    assert await run(pool, "length", b"abc") == [b"3"]


async def test_content_does_not_count_as_memory_of_the_job(make_pool: MakePool) -> None:
    pool = await make_pool(memory_bytes=32 * MIB)
    assert await run(pool, "length", bytes(64 * MIB)) == [str(64 * MIB).encode()]


async def test_a_job_that_pours_is_stopped(make_pool: MakePool) -> None:
    pool = await make_pool(output_bytes=5 * MIB)
    with pytest.raises(OutputTooLarge):
        await run(pool, "pour")
    assert await run(pool, "length", b"abc") == [b"3"]


async def test_cancelling_a_job_frees_its_worker(make_pool: MakePool) -> None:
    pool = await make_pool()
    task, pid = await until_busy(pool, "turn_for_ever")
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    (other,) = await run(pool, "process_id")
    assert int(other) != pid
    assert pool.status().ended == {"cancelled": 1}


async def test_leaving_a_job_early_frees_its_worker(make_pool: MakePool) -> None:
    pool = await make_pool()
    with Blob.of(b"") as blob:
        job = Job(function="worker_jobs:pour")
        async with aclosing(pool.run(job, blob, tenant="a", seconds=60).items()) as items:
            await anext(items)
    assert await run(pool, "length", b"abc") == [b"3"]


async def test_a_worker_is_replaced_after_its_number_of_jobs(make_pool: MakePool) -> None:
    pool = await make_pool(jobs=3)
    pids = [(await run(pool, "process_id"))[0] for _ in range(7)]
    assert len(set(pids)) == 3


async def test_a_worker_that_grew_is_replaced(make_pool: MakePool) -> None:
    pool = await make_pool(recycle_rss_bytes=60 * MIB)
    (pid,) = await run(pool, "keep_memory", options=str(80 * MIB).encode())
    assert await run(pool, "process_id") != [pid]


async def test_more_than_the_queue_holds_is_refused(make_pool: MakePool) -> None:
    pool = await make_pool(waiting=1)
    busy, _ = await until_busy(pool, "turn_for_ever")
    waiting = asyncio.ensure_future(run(pool, "length", b"abc"))
    await asyncio.sleep(0)
    with pytest.raises(QueueFull) as caught:
        await run(pool, "length", b"abc")
    assert caught.value.retry_after > 0
    busy.cancel()
    assert await waiting == [b"3"]
    await asyncio.gather(busy, return_exceptions=True)


async def test_a_cancelled_waiter_leaves_the_queue(make_pool: MakePool) -> None:
    pool = await make_pool(waiting=1)
    busy, _ = await until_busy(pool, "turn_for_ever")
    waiting = asyncio.ensure_future(run(pool, "length", b"abc"))
    await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    assert pool.status().waiting == 0
    busy.cancel()
    await asyncio.gather(busy, return_exceptions=True)
    assert await run(pool, "length", b"abc") == [b"3"]


async def test_tenants_take_turns(make_pool: MakePool) -> None:
    pool = await make_pool(waiting=20)
    busy, _ = await until_busy(pool, "turn_for_ever")
    order: list[str] = []

    async def one(tenant: str) -> None:
        await run(pool, "length", b"abc", tenant=tenant)
        order.append(tenant)

    tasks = [asyncio.ensure_future(one(tenant)) for tenant in ["greedy"] * 6 + ["small"]]
    await asyncio.sleep(0)
    busy.cancel()
    await asyncio.gather(busy, *tasks, return_exceptions=True)
    assert order.index("small") <= 1


async def given(pool: WorkerPool, jobs: int) -> None:
    """Returns when the pool has so many jobs, those that wait included."""
    while (status := pool.status()).busy + status.waiting < jobs:
        await asyncio.sleep(0)


async def test_jobs_that_take_long_make_way_for_others(make_pool: MakePool) -> None:
    pool = await make_pool(slow_workers=2)
    long = [asyncio.create_task(run(pool, "turn_for_ever")) for _ in range(2)]
    await given(pool, 2)
    assert await run(pool, "echo", b"short", b"") == [b"short", b""]
    assert pool.status().slow == 2
    assert {os.getpriority(os.PRIO_PROCESS, pid) for pid in pool.busy_pids()} == {19}
    for task in long:
        task.cancel()
    await asyncio.gather(*long, return_exceptions=True)
    status = pool.status()
    assert (status.workers, status.busy, status.slow) == (1, 0, 0)


async def test_only_so_many_jobs_make_way(make_pool: MakePool) -> None:
    pool = await make_pool(slow_workers=1)
    long = [asyncio.create_task(run(pool, "turn_for_ever", seconds=2)) for _ in range(2)]
    await given(pool, 2)
    assert await run(pool, "echo", b"short", b"") == [b"short", b""]
    ended = await asyncio.gather(*long, return_exceptions=True)
    assert [type(error) for error in ended] == [JobTimedOut, JobTimedOut]
    assert pool.status().workers == 1


async def test_a_worker_of_a_long_job_is_not_used_again(make_pool: MakePool) -> None:
    pool = await make_pool(slow_workers=1)
    (before,) = pool.pids()
    await run(pool, "turn_for", options=b"0.6")
    assert pool.status().ended == {"slow": 1}
    assert await run(pool, "process_id") != [str(before).encode()]


async def test_a_worker_can_reach_nothing(make_pool: MakePool, tmp_path: Path) -> None:
    if confinement():
        pytest.skip(confinement())
    file = tmp_path / "kept"
    file.write_text("here")
    (found,) = await run(await make_pool(), "try_everything", options=str(file).encode())
    outcome = json.loads(found)
    assert outcome.pop("thread") == "done"
    assert outcome.pop("read") == "here"
    assert set(outcome.values()) == {"PermissionError"}, outcome
    assert file.exists()


async def test_what_cannot_be_imported_is_named() -> None:
    pool = WorkerPool(WorkerLimits(), workers=1, preload=("no_such_module_at_all",))
    with pytest.raises(PoolNotReady, match="no_such_module_at_all"):
        await pool.start()
    await pool.stop()


async def test_a_stopped_pool_says_so(make_pool: MakePool) -> None:
    pool = await make_pool()
    await pool.stop()
    with pytest.raises(PoolNotReady):
        await run(pool, "length", b"abc")


async def test_a_run_knows_what_it_cost(make_pool: MakePool) -> None:
    pool = await make_pool()
    with Blob.of(b"") as blob:
        job = pool.run(Job(function="worker_jobs:spend", options=b"0.05"), blob, tenant="a", seconds=30)
        assert [item async for item in job] == [b"spent"]
    assert 0.04 < job.cpu_seconds < 1


async def test_many_jobs_at_once_all_end(make_pool: MakePool) -> None:
    pool = await make_pool(workers=2, waiting=200)
    names = ["length", "crash", "refuse", "count_up"] * 15
    results = await asyncio.gather(*(run(pool, name, b"abc", b"5") for name in names), return_exceptions=True)
    assert [result == [b"3"] for result in results] == [name == "length" for name in names]


def test_workers_die_with_a_killed_server() -> None:
    server = subprocess.Popen(
        [sys.executable, "-c", _SERVER, str(Path(__file__).parent)], stdout=subprocess.PIPE, text=True
    )
    assert server.stdout is not None
    with server.stdout as out:
        pids = [int(word) for word in out.readline().split()]
        descriptors = [os.pidfd_open(pid) for pid in pids]
        server.kill()
        server.wait()
    poll = __import__("select").poll()
    for fd in descriptors:
        poll.register(fd)
        assert poll.poll(10_000)
        poll.unregister(fd)
        os.close(fd)
    assert len(pids) == 2


_SERVER = """
import asyncio, sys
sys.path.insert(0, sys.argv[1])
from difyrpc_services.runtime.workers import *
async def main():
    pool = WorkerPool(WorkerLimits(), workers=2, preload=("worker_jobs",))
    await pool.start()
    with Blob.of(b"x") as one, Blob.of(b"y") as two:
        job = Job(function="worker_jobs:turn_for_ever")
        runs = [pool.run(job, blob, tenant="a", seconds=60).items() for blob in (one, two)]
        pids = [(await anext(run)).decode() for run in runs]
        print(*pids, flush=True)
        await asyncio.Event().wait()
asyncio.run(main())
"""
