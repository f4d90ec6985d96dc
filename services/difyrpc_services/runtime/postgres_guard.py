"""Runs the embedded PostgreSQL until its last user has gone; a detached process of its own, standard library only.

Four lock files say all there is to know, and the kernel lets go of them whatever kills a process:

    start.lock    held while a user starts the server
    users.lock    held shared by every process that uses the server; the guard waits to hold it alone
    guard.lock    held by the guard
    server.lock   held by PostgreSQL and each of its processes, who inherit it from the guard
"""

from __future__ import annotations

import ctypes
import fcntl
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

LOCK_WAIT_SECONDS = 60.0
"""How long a server whose guard was killed may take to end before a new one gives up."""
POLL_SECONDS = 0.01
STOP_SECONDS = 60.0
"""How long a fast shutdown may take before the server is made to quit; it recovers at its next start."""
LOG_BYTES = 4 * 1024 * 1024
"""The log starts anew above this size."""
PR_SET_PDEATHSIG = 1  # linux/prctl.h

READY = "ready"


class ServerEnded(Exception):
    """PostgreSQL ended by itself."""


def main() -> None:
    """Detaches, starts the server that the first argument describes, and stays until its last user has gone."""
    plan = json.loads(sys.argv[1])
    if os.fork():
        os._exit(0)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)  # a whole process group may be told to stop: the users go first
    report = os.fdopen(plan["report"], "w")
    folder = Path(plan["folder"])
    if not lock(folder / "guard.lock", wait_seconds=1):
        report.write("another guard runs already")
    elif (server := lock(folder / "server.lock", wait_seconds=LOCK_WAIT_SECONDS)) is None:
        report.write("the server that ran before has not ended yet")
    else:
        guard(plan, folder, server, report)


def guard(plan: Mapping[str, Any], folder: Path, server: int, report: Any) -> None:
    """Starts the server, reports, waits for the last user and stops it."""
    signal.signal(signal.SIGCHLD, ended)
    users = os.open(folder / "users.lock", os.O_RDWR | os.O_CLOEXEC)
    try:
        forget_the_dead(plan)
        process = start(plan, server)
        wait_until_ready(plan, process)
        report.write(READY)
        report.close()
        fcntl.flock(users, fcntl.LOCK_EX)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        stop(process)
    except ServerEnded:
        if not report.closed:
            report.write("PostgreSQL ended while it started; its log says why")
    finally:
        tidy(plan)


def lock(path: Path, *, wait_seconds: float) -> int | None:
    """Holds `path` alone and answers its descriptor; None when somebody else keeps it for so long."""
    descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    deadline = time.monotonic() + wait_seconds
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > deadline:
                os.close(descriptor)
                return None
            time.sleep(POLL_SECONDS)
        else:
            return descriptor


def forget_the_dead(plan: Mapping[str, Any]) -> None:
    """Removes what a killed server left: `server.lock` proves it dead, whoever has its process id today."""
    left = [Path(plan["data"]) / "postmaster.pid", *Path(plan["socket"]).glob(".s.PGSQL.*")]
    for path in left:
        path.unlink(missing_ok=True)


def start(plan: Mapping[str, Any], server: int) -> subprocess.Popen[bytes]:
    """Starts PostgreSQL as the user that the plan names, its output in the log."""
    log_file = Path(plan["folder"]) / "postgres.log"
    fresh = not log_file.exists() or log_file.stat().st_size > LOG_BYTES
    descriptor = os.open(log_file, os.O_WRONLY | os.O_CREAT | os.O_APPEND | (os.O_TRUNC if fresh else 0), 0o600)
    libc = ctypes.CDLL(None) if sys.platform == "linux" else None
    parent = os.getpid()

    def die_with_the_guard() -> None:
        if libc is not None:
            libc.prctl(PR_SET_PDEATHSIG, signal.SIGINT)
        if os.getppid() != parent:
            os._exit(1)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGCHLD):
            signal.signal(number, signal.SIG_DFL)

    try:
        return subprocess.Popen(
            plan["command"],
            stdin=subprocess.DEVNULL,
            stdout=descriptor,
            stderr=descriptor,
            cwd="/",
            env=plan["environment"],
            **plan["account"],
            umask=0o077,
            pass_fds=(server,),
            preexec_fn=die_with_the_guard,  # noqa: PLW1509  # the guard has one thread
        )
    finally:
        os.close(descriptor)


def wait_until_ready(plan: Mapping[str, Any], process: subprocess.Popen[bytes]) -> None:
    """Waits until the server's own status file says that it takes connections, recovery included."""
    status = Path(plan["data"]) / "postmaster.pid"
    while True:
        try:
            lines = status.read_text().splitlines()
        except FileNotFoundError:
            lines = []
        if len(lines) >= 8 and lines[0] == str(process.pid) and lines[7].strip() == READY:
            return
        time.sleep(POLL_SECONDS)


def stop(process: subprocess.Popen[bytes]) -> None:
    """Shuts the server down: open transactions are rolled back, everything committed is on disk."""
    process.send_signal(signal.SIGINT)
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGQUIT)
        process.wait()


def tidy(plan: Mapping[str, Any]) -> None:
    """Removes the socket's folder when it was made for this run, outside of the state folder."""
    socket = Path(plan["socket"])
    if plan["remove_socket_folder"] and socket.exists():
        for path in socket.glob(".s.PGSQL.*"):
            path.unlink(missing_ok=True)
        socket.rmdir()


def ended(_number: int, _frame: object) -> None:
    """Ends a wait when the server has ended by itself; that it was stopped or goes on is told by the same signal."""
    if os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None:
        raise ServerEnded


if __name__ == "__main__":
    main()
