"""Runs an engine over files in a process of its own; one that dies or hangs is started again for the next file."""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, cast

from benchmarks.documents.cases import Case
from benchmarks.machine import ROOT


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What an engine made of a file."""

    text: str = ""
    tables: Sequence[Sequence[Sequence[str]]] | None = None
    clauses: dict[str, int] | None = None
    cpu: float = 0.0
    """Processor seconds of user and system, of all threads."""
    peak_mb: float = 0.0
    """Greatest resident memory of the process while it read this file."""
    error: str = ""


class Running:
    """An engine that answers."""

    def __init__(self, name: str, *, memory_mb: int, seconds: float) -> None:
        """Says which engine; it starts with the first file."""
        self.name = name
        self._command = [sys.executable, "-m", "benchmarks.documents.child", name, str(memory_mb)]
        self._seconds = seconds
        self._process: subprocess.Popen[bytes] | None = None

    def read(self, case: Case, *, times: int = 1) -> Answer:
        """Lets it read a file."""
        process = self._process or self._started()
        asked = {"path": str(case.path), "times": times, "clauses": case.truth.clauses is not None}
        assert process.stdin is not None
        try:
            process.stdin.write(json.dumps(asked).encode() + b"\n")
            process.stdin.flush()
            line = self._line(process)
        except BrokenPipeError:
            line = b""
        if not line:
            return Answer(error=self._ended(process))
        return Answer(**cast("dict[str, Any]", json.loads(line)))

    def stop(self) -> None:
        """Ends the process."""
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
            self._process = None

    def _started(self) -> subprocess.Popen[bytes]:
        self._process = subprocess.Popen(
            self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, cwd=ROOT, bufsize=0
        )
        return self._process

    def _line(self, process: subprocess.Popen[bytes]) -> bytes:
        """Waits for an answer; nothing when the process ended or took too long."""
        assert process.stdout is not None
        parts: list[bytes] = []
        while not parts or not parts[-1].endswith(b"\n"):
            ready, _, _ = select.select([process.stdout], [], [], self._seconds)
            part = os.read(process.stdout.fileno(), 1 << 20) if ready else b""
            if not part:
                return b""
            parts.append(part)
        return b"".join(parts)

    def _ended(self, process: subprocess.Popen[bytes]) -> str:
        try:
            status = process.wait(timeout=1)
        except subprocess.TimeoutExpired:
            self.stop()
            return f"no answer in {self._seconds:.0f} s"
        self.stop()
        return f"its process died with {status}"


@contextmanager
def engine(name: str, *, memory_mb: int = 0, seconds: float = 120.0) -> Iterator[Running]:
    """Opens an engine and ends it."""
    running = Running(name, memory_mb=memory_mb, seconds=seconds)
    try:
        yield running
    finally:
        running.stop()
