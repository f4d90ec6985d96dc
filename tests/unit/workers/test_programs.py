"""What workers may have done for them: named programs, questions to the server."""

from __future__ import annotations

import asyncio
import json
import os
import select
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import psutil
import pytest

from difyrpc_services.runtime.errors import Unavailable
from difyrpc_services.runtime.workers import (
    Answer,
    Blob,
    Job,
    JobCrashed,
    JobOutOfMemory,
    JobTimedOut,
    Program,
    WorkerLimits,
    WorkerPool,
    confinement,
)

MakePool = Callable[..., Awaitable[WorkerPool]]
MIB = 1 << 20
PYTHON = Program(name="python", path=sys.executable, memory_bytes=256 * MIB, cpu_seconds=2, output_bytes=MIB)

_TRY = """
import json, os, socket, subprocess, sys
attempts = {
    "socket": lambda: socket.socket(),
    "fork": os.fork,
    "exec": lambda: os.execv("/bin/true", ["true"]),
    "exec_itself": lambda: os.execv(sys.executable, [sys.executable]),
    "program": lambda: subprocess.run(["true"]),
    "write": lambda: open(sys.argv[1] + ".new", "w"),
    "unlink": lambda: os.unlink(sys.argv[1]),
    "kill": lambda: os.kill(os.getppid(), 0),
    "raise_limit": lambda: __import__("resource").setrlimit(7, (4096, 4096)),
}
found = {}
for name, attempt in attempts.items():
    try:
        attempt()
        found[name] = "done"
    except OSError as error:
        found[name] = type(error).__name__
    except ValueError:
        found[name] = "PermissionError"
found["environment"] = sorted(os.environ)
found["descriptors"] = [int(name) for name in os.listdir("/proc/self/fd") if os.path.exists("/proc/self/fd/" + name)]
print(json.dumps(found))
"""


@pytest.fixture(autouse=True)
def jobs_on_the_path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(Path(__file__).parent))


@pytest.fixture
async def make_pool() -> AsyncIterator[MakePool]:
    pools = []

    async def make(*programs: Program, answer: Answer | None = None, niceness: int = 0) -> WorkerPool:
        pool = WorkerPool(
            WorkerLimits(memory_bytes=128 * MIB, niceness=niceness),
            workers=1,
            preload=("json", "worker_jobs"),
            programs=programs,
            answer=answer,
        )
        pools.append(pool)
        await pool.start()
        return pool

    yield make
    for pool in pools:
        await pool.stop()


async def run(pool: WorkerPool, job: Job, content: bytes = b"x", *, seconds: float = 30) -> list[bytes]:
    with Blob.of(content) as blob:
        return [item async for item in pool.run(job, blob, tenant="a", seconds=seconds)]


def having_run(*words: str, function: str = "have_run") -> Job:
    return Job(function=f"worker_jobs:{function}", options=json.dumps(words).encode())


def python(code: str, *arguments: str) -> Job:
    return having_run("python", "-E", "-S", "-c", code, *arguments)


async def until_running(pool: WorkerPool) -> int:
    """Answers the process id of the program that the pool's worker has run, once it runs."""
    (worker,) = pool.pids()
    for _ in range(1000):
        found = [child.pid for child in psutil.Process(worker).children(recursive=True) if "-c" in child.cmdline()]
        if found:
            return found[0]
        await asyncio.sleep(0.01)
    raise AssertionError("the program does not run")


async def test_a_named_program_gets_the_content_and_its_output_comes_back(make_pool: MakePool) -> None:
    pool = await make_pool(Program(name="copy", path="/bin/cat"))
    content = bytes(range(256)) * 20_000
    assert await run(pool, having_run("copy", function="have_run_twice"), content) == [content, content]


async def test_a_program_that_was_not_named_does_not_run(make_pool: MakePool) -> None:
    pool = await make_pool(Program(name="copy", path="/bin/cat"))
    with pytest.raises(JobCrashed, match="ProgramFailed"):
        await run(pool, having_run("/bin/cat"))
    assert await run(pool, having_run("copy"), b"well") == [b"well"]


async def test_without_programs_nothing_can_be_run(make_pool: MakePool) -> None:
    with pytest.raises(JobCrashed, match="ProgramFailed"):
        await run(await make_pool(), having_run("copy"))


async def test_a_program_can_reach_nothing(make_pool: MakePool, tmp_path: Path) -> None:
    if confinement():
        pytest.skip(confinement())
    file = tmp_path / "kept"
    file.write_text("here")
    (found,) = await run(await make_pool(PYTHON), python(_TRY, str(file)))
    outcome = json.loads(found)
    assert outcome.pop("environment") == ["LC_CTYPE"]  # which Python sets itself
    assert outcome.pop("descriptors") == [0, 1, 2]
    assert set(outcome.values()) == {"PermissionError"}, outcome
    assert file.read_text() == "here"


async def test_a_worker_with_programs_can_still_reach_nothing_itself(make_pool: MakePool, tmp_path: Path) -> None:
    if confinement():
        pytest.skip(confinement())
    file = tmp_path / "kept"
    file.write_text("here")
    job = Job(function="worker_jobs:try_everything", options=str(file).encode())
    (found,) = await run(await make_pool(PYTHON), job)
    outcome = json.loads(found)
    assert (outcome.pop("thread"), outcome.pop("read")) == ("done", "here")
    assert set(outcome.values()) == {"PermissionError"}, outcome


async def test_a_program_that_eats_memory_is_its_jobs_lack_of_memory(make_pool: MakePool) -> None:
    pool = await make_pool(PYTHON)
    with pytest.raises(JobOutOfMemory):
        await run(pool, python("eaten = [bytes(range(256)) * 4096 for _ in range(1000)]"))


@pytest.mark.parametrize(
    "code",
    ["while True: pass", "print('x' * (1 << 22))", "raise SystemExit(3)", "import os; os.abort()"],
    ids=["endless", "pouring", "failing", "crashing"],
)
async def test_a_program_that_ends_badly_is_its_jobs_error(make_pool: MakePool, code: str) -> None:
    pool = await make_pool(PYTHON)
    with pytest.raises(JobCrashed, match="ProgramFailed"):
        await run(pool, python(code))
    assert await run(pool, python("print(7)")) == [b"7\n"]


async def test_a_program_dies_with_the_worker_whose_time_is_up(make_pool: MakePool) -> None:
    pool = await make_pool(Program(name="python", path=sys.executable))
    job = asyncio.ensure_future(run(pool, python("import time; time.sleep(600)"), seconds=5))
    descriptor = os.pidfd_open(await until_running(pool))
    with pytest.raises(JobTimedOut):
        await job
    ended, _, _ = await asyncio.to_thread(select.select, [descriptor], [], [], 10)
    os.close(descriptor)
    assert ended


async def test_a_program_dies_with_its_cancelled_job(make_pool: MakePool) -> None:
    pool = await make_pool(Program(name="python", path=sys.executable))
    job = asyncio.ensure_future(run(pool, python("import time; time.sleep(600)")))
    descriptor = os.pidfd_open(await until_running(pool))
    job.cancel()
    ended, _, _ = await asyncio.to_thread(select.select, [descriptor], [], [], 10)
    os.close(descriptor)
    assert ended
    await asyncio.gather(job, return_exceptions=True)


async def test_a_run_counts_the_time_of_its_programs(make_pool: MakePool) -> None:
    pool = await make_pool(PYTHON)
    with Blob.of(b"x") as blob:
        code = "import time\nwhile time.process_time() < .2: pass"
        job = pool.run(python(code), blob, tenant="a", seconds=30)
        assert [item async for item in job] == [b""]
    assert 0.2 <= job.cpu_seconds < 2


async def test_workers_and_their_programs_stand_back(make_pool: MakePool) -> None:
    pool = await make_pool(PYTHON, niceness=3)
    here = os.getpriority(os.PRIO_PROCESS, 0)
    (found,) = await run(pool, python("import os; print(os.nice(0))"))
    (worker,) = pool.pids()
    assert int(found) == os.getpriority(os.PRIO_PROCESS, worker) == min(here + 3, 19)


async def test_a_job_is_answered_what_it_asks(make_pool: MakePool) -> None:
    async def answer(question: bytes) -> bytes:
        return question[::-1] * 100_000

    pool = await make_pool(answer=answer)
    found = await run(pool, Job(function="worker_jobs:ask_twice", options=b"cd"), b"ab")
    assert found == [b"ba" * 100_000, b"dc" * 100_000]


async def test_an_error_of_the_answer_is_the_jobs(make_pool: MakePool) -> None:
    async def answer(question: bytes) -> bytes:
        raise Unavailable("NOT_REACHABLE", "nobody there")

    pool = await make_pool(answer=answer)
    with pytest.raises(Unavailable, match="nobody there"):
        await run(pool, Job(function="worker_jobs:ask_twice"))


async def test_a_job_that_waits_for_its_answer_too_long_is_out_of_time(make_pool: MakePool) -> None:
    async def answer(question: bytes) -> bytes:
        await asyncio.Event().wait()
        return b""

    pool = await make_pool(answer=answer)
    with pytest.raises(JobTimedOut):
        await run(pool, Job(function="worker_jobs:ask_twice"), seconds=0.3)


async def test_where_nobody_answers_a_question_ends_the_job(make_pool: MakePool) -> None:
    pool = await make_pool()
    with pytest.raises(JobCrashed):
        await run(pool, Job(function="worker_jobs:ask_twice"))
