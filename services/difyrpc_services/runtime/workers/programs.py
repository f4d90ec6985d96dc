"""Programs that a worker may have run: named by the operator, fed and read through anonymous memory.

A worker itself can start nothing. Beside it lives a launcher, forked before the worker saw any content, that knows
the programs by name and starts one at a time: without network, unable to write files or start other programs, under
limits of its own, and killed with the worker.
"""

from __future__ import annotations

import json
import os
import signal
import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

MESSAGE_BYTES: Final = 1 << 16


@dataclass(frozen=True, kw_only=True)
class Program:
    """A program that workers may have run."""

    name: str
    """What jobs call it."""
    path: str
    """Absolute path of the file; an interpreted script needs its interpreter to run it without further programs."""
    environment: Mapping[str, str] = field(default_factory=dict)
    """All variables that it gets."""
    memory_bytes: int = 1 << 30
    """Its address space (RLIMIT_AS)."""
    cpu_seconds: int = 120
    """Processor time of one run (RLIMIT_CPU)."""
    output_bytes: int = 64 << 20
    """What one run may answer (RLIMIT_FSIZE)."""


class ProgramFailed(Exception):
    """A program that ended otherwise than well."""

    def __init__(self, name: str, cause: str) -> None:
        """Takes its name, and the name of the signal or the exit status that ended it."""
        super().__init__(f"{name} ended with {cause}")
        self.name = name
        self.cause = cause


@dataclass
class _Own:
    """What belongs to this worker process."""

    launcher: socket.socket | None = None
    cpu_seconds: float = 0.0


_own = _Own()


def use_launcher(sock: socket.socket | None) -> None:
    """Makes `run` of this process ask the launcher at the other end of `sock`."""
    _own.launcher = sock


def spent_seconds() -> float:
    """Answers the processor time of all programs that this process had run."""
    return _own.cpu_seconds


def run(name: str, arguments: Sequence[str], content: Sequence[bytes | memoryview]) -> bytes:
    """Has a program run over `content`, its standard input, and answers its standard output.

    ProgramFailed if it is not there or did not end with 0; MemoryError if it reached its limit of memory.
    """
    if _own.launcher is None:
        raise ProgramFailed(name, "no launcher: this process may have no programs run")
    source, target = os.memfd_create(name), os.memfd_create(name)
    try:
        for piece in content:
            _write(source, memoryview(piece))
        ended = _launched(_own.launcher, name, arguments, source, target)
        _own.cpu_seconds += float(ended.get("cpu_seconds", 0.0))
        _check(name, ended)
        return os.pread(target, os.fstat(target).st_size, 0)
    finally:
        os.close(source)
        os.close(target)


def _launched(sock: socket.socket, name: str, arguments: Sequence[str], source: int, target: int) -> dict[str, Any]:
    message = json.dumps({"program": name, "arguments": list(arguments)}).encode()
    socket.send_fds(sock, [message], [source, target])
    answer = sock.recv(MESSAGE_BYTES)
    if not answer:
        raise ProgramFailed(name, "the end of its launcher")
    ended: dict[str, Any] = json.loads(answer)
    return ended


def _check(name: str, ended: dict[str, Any]) -> None:
    status = int(ended.get("status", -1))
    if status == 0:
        return
    if ended.get("near_memory"):
        raise MemoryError
    raise ProgramFailed(name, str(ended.get("failed") or _cause(status)))


def _cause(status: int) -> str:
    if os.WIFSIGNALED(status):
        return signal.Signals(os.WTERMSIG(status)).name
    return f"exit status {os.WEXITSTATUS(status)}"


def _write(fd: int, view: memoryview) -> None:
    view = view.cast("B")
    while view:
        view = view[os.write(fd, view) :]
