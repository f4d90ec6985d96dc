"""Locks on files, which the kernel releases whatever ends their holder."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from difyrpc_services.runtime.settings import SettingsError

POLL_SECONDS = 0.01


def take(path: Path, kind: int, wait_seconds: float) -> int:
    """Takes a lock and answers the descriptor that holds it; SettingsError when it stays taken."""
    descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    deadline = time.monotonic() + wait_seconds
    while True:
        if may_lock(descriptor, kind):
            return descriptor
        if time.monotonic() > deadline:
            os.close(descriptor)
            raise SettingsError(f"{path} is held by a process that does not end; `fuser` says which")
        time.sleep(POLL_SECONDS)


@contextmanager
def held(path: Path, wait_seconds: float) -> Iterator[None]:
    """Holds a lock alone for the length of a block."""
    descriptor = take(path, fcntl.LOCK_EX, wait_seconds)
    try:
        yield
    finally:
        os.close(descriptor)


def is_held(path: Path) -> bool:
    """Says whether some process holds the lock alone."""
    descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    try:
        return not may_lock(descriptor, fcntl.LOCK_SH)
    finally:
        os.close(descriptor)


def may_lock(descriptor: int, kind: int) -> bool:
    """Takes a lock of fcntl's `kind` if that is possible at once, and says whether it was."""
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
