"""One engine in a process of its own: reads a path a line, answers a JSON line for each.

The first file of each kind is read once before it counts, so that what an engine imports on use is not counted.
"""

from __future__ import annotations

import json
import os
import resource
import sys
import warnings
from pathlib import Path
from typing import Any, TextIO

from benchmarks.documents.engines import ENGINES, Reader


def main(name: str, memory_mb: int) -> None:
    """Answers until the input ends."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # what an engine prints is no answer
    warnings.simplefilter("ignore")
    if memory_mb:
        resource.setrlimit(resource.RLIMIT_AS, (memory_mb * 2**20, memory_mb * 2**20))
    try:
        reader = ENGINES[name].reader()
    except Exception as error:  # noqa: BLE001 - told in place of each answer
        _refuse(f"cannot be loaded: {type(error).__name__}: {error}", answers)
        return
    seen: set[str] = set()
    for line in sys.stdin:
        asked = json.loads(line)
        path = Path(asked["path"])
        try:
            if path.suffix not in seen:
                seen.add(path.suffix)
                reader.read(path)
            answer = _measured(reader, path, times=asked["times"])
            if asked["clauses"] and reader.clauses:
                answer["clauses"] = reader.clauses(path)
        except BaseException as error:
            if isinstance(error, KeyboardInterrupt | SystemExit):
                raise
            answer = {"error": f"{type(error).__name__}: {error}"[:300]}
        answers.write(json.dumps(answer, ensure_ascii=False) + "\n")
        answers.flush()


def _refuse(cause: str, answers: TextIO) -> None:
    for _ in sys.stdin:
        answers.write(json.dumps({"error": cause}) + "\n")
        answers.flush()


def _measured(reader: Reader, path: Path, *, times: int) -> dict[str, Any]:
    Path("/proc/self/clear_refs").write_text("5")  # the peak is counted anew; proc(5)
    began = _cpu()
    for _ in range(times):
        result = reader.read(path)
    cpu = (_cpu() - began) / times
    peak = max(_peak_mb(), resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024)
    output = reader.output(result)
    return {"text": output.text, "tables": output.tables, "cpu": cpu, "peak_mb": peak}


def _cpu() -> float:
    """Answers processor seconds, those of processes that have ended among them."""
    both = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(each.ru_utime + each.ru_stime for each in both)


def _peak_mb() -> float:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024
    return 0.0


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
