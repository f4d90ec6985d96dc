"""Confines a worker process: it dies with its parent, and can neither grow, write, connect nor start programs."""

from __future__ import annotations

import contextlib
import ctypes
import os
import resource
import signal
from pathlib import Path
from typing import Final

from difyrpc_services.runtime.workers import seccomp
from difyrpc_services.runtime.workers.limits import WorkerLimits

_PR_SET_PDEATHSIG: Final = 1
_PR_SET_CHILD_SUBREAPER: Final = 36
_PAGE: Final = resource.getpagesize()


def confine(limits: WorkerLimits) -> None:
    """Puts all limits on this process, for good; the server sets those of memory and time for each job."""
    kill_first()
    limit(resource.RLIMIT_CORE, 0)
    limit(resource.RLIMIT_NOFILE, limits.open_files)
    if seccomp.supported():
        seccomp.apply()


def confinement() -> str:
    """Answers what is missing of the confinement on this machine; empty when nothing is."""
    return "" if seccomp.supported() else "no seccomp filter: the kernel or the processor has none that is known here"


def die_with_parent(parent: int) -> None:
    """Asks the kernel to kill this process when `parent` ends; ends it if that has happened already."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        os._exit(1)


def adopt_orphans() -> None:
    """Makes this process the parent of what its dead children leave behind."""
    ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def virtual_bytes() -> int:
    """Answers the address space of this process."""
    return _statm()[0] * _PAGE


def resident_bytes() -> int:
    """Answers the resident memory of this process."""
    return _statm()[1] * _PAGE


def limit(kind: int, value: int) -> None:
    """Lowers both limits of a kind to `value`, or keeps the lower ones that hold."""
    _, hard = resource.getrlimit(kind)
    if hard != resource.RLIM_INFINITY:
        value = min(value, hard)
    resource.setrlimit(kind, (value, value))


def kill_first() -> None:
    """Makes the kernel choose a worker, not the server, when memory ends."""
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("900")


def _statm() -> list[int]:
    return [int(number) for number in Path("/proc/self/statm").read_bytes().split()]
