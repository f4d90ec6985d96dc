"""How much memory the server's own workers take over the files: `python -m benchmarks.documents.memory [FOLDER …]`.

The workers are those of a server, confined and limited alike. Resident memory counts what they share with each other
and with the process that they are forked from in each of them; proportional memory divides it, so that sums are true.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import tempfile
from collections.abc import Iterable
from pathlib import Path

from benchmarks import machine
from benchmarks.documents import corpus
from benchmarks.documents.cases import Case, cases_in
from benchmarks.documents.engines.ours import EXPANDED_BYTES, PAGES
from difyrpc_services.documents.backends.workers import PRELOAD
from difyrpc_services.documents.values import Limits, ParseOptions, ParseTask
from difyrpc_services.documents.wire import JOB, pack_task
from difyrpc_services.runtime.errors import ServiceError
from difyrpc_services.runtime.workers import Blob, Job, JobError, WorkerLimits, WorkerPool

MIB = 1024 * 1024
SECONDS = 60.0  # for one file
EVERYTHING = ("text", "markdown", "elements", "clauses", "chunks")


async def measured(cases: Iterable[Case], *, workers: int, memory_mb: int) -> dict[int, tuple[float, str]]:
    """Lets workers read the files, several at a time; answers each one's greatest resident MB and for which file."""
    pool = WorkerPool(WorkerLimits(memory_bytes=memory_mb * MIB, jobs=1_000_000), workers=workers, preload=PRELOAD)
    await pool.start()
    peaks: dict[int, tuple[float, str]] = {}
    files = iter(cases)

    async def one_after_the_other() -> None:
        for case in files:
            try:
                await _read(pool, case)
            except (JobError, ServiceError) as error:
                print(f"{case.name}: {type(error).__name__}: {error}"[:160])
            for pid in pool.pids():
                peak = _status(pid, "VmHWM")
                if peak > peaks.get(pid, (0.0, ""))[0]:
                    peaks[pid] = (peak, case.name)

    try:
        await asyncio.gather(*(one_after_the_other() for _ in range(workers)))
        _tell(pool.pids())
    finally:
        await pool.stop()
    return peaks


async def _read(pool: WorkerPool, case: Case) -> None:
    limits = Limits(pages=PAGES, expanded_bytes=EXPANDED_BYTES)
    task = ParseTask(name=case.path.name, media_type="", options=ParseOptions(outputs=EVERYTHING, limits=limits))
    with Blob.of(case.path.read_bytes()) as content:
        async for _ in pool.run(Job(function=JOB, options=pack_task(task)), content, tenant="a", seconds=SECONDS):
            pass


def _tell(pids: Iterable[int]) -> None:
    for pid in pids:
        proportional = _rollup(pid, "Pss")
        print(f"worker {pid}: {_status(pid, 'VmRSS'):.0f} MB resident when idle, {proportional:.0f} MB proportional")


def _status(pid: int, name: str) -> float:
    return _field(Path(f"/proc/{pid}/status"), name)


def _rollup(pid: int, name: str) -> float:
    return _field(Path(f"/proc/{pid}/smaps_rollup"), name)


def _field(path: Path, name: str) -> float:
    """Answers a field of kilobytes in MB; nothing of a process that has ended."""
    try:
        for line in path.read_text().splitlines():
            if line.startswith(f"{name}:"):
                return int(line.split()[1]) / 1024
    except FileNotFoundError:
        pass
    return 0.0


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.documents.memory", description=__doc__)
    parser.add_argument("folders", nargs="*", type=Path, metavar="FOLDER")
    parser.add_argument("--workers", type=int, default=4)
    parser.add_argument("--limit", type=int, default=256, help="MB that a worker may take (default: 256)")
    parser.add_argument("--rounds", type=int, default=1, help="how often all files are read (default: once)")
    options = parser.parse_args()
    print(machine.described(("pypdfium2", "lxml")), f"\nprocessors {os.cpu_count()}")
    with tempfile.TemporaryDirectory(prefix="difyrpc-documents-") as made:
        folders = options.folders or [Path(made)]
        if not options.folders:
            for said in corpus.make(Path(made), seed=4):
                print(said)
        cases = [case for folder in folders for case in cases_in(folder)] * options.rounds
        peaks = asyncio.run(measured(cases, workers=options.workers, memory_mb=options.limit))
    for pid, (peak, name) in peaks.items():
        print(f"worker {pid}: {peak:.0f} MB at most, while {name} was read")


if __name__ == "__main__":
    main()
