"""The process beside a worker that starts programs for it: forked before any content came, and never sees any."""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import resource
import secrets
import socket
from collections.abc import Sequence
from typing import Any, Final, NoReturn

from difyrpc_services.runtime.workers import sandbox, seccomp
from difyrpc_services.runtime.workers.programs import MESSAGE_BYTES, Program

NEAR_THE_LIMIT: Final = 0.75  # of the memory limit; a failure above it counts as a lack of memory
NOT_STARTED: Final = 127  # exit status, as shells have it
_PR_SET_DUMPABLE: Final = 4
_FILES: Final = 32  # RLIMIT_NOFILE of a program


def start(programs: Sequence[Program]) -> socket.socket:
    """Forks the launcher of this process; answers the socket that `programs.use_launcher` takes."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    parent = os.getpid()
    if os.fork() == 0:
        _become_launcher(parent, theirs, ours, programs)
    theirs.close()
    return ours


def _become_launcher(parent: int, sock: socket.socket, other: socket.socket, programs: Sequence[Program]) -> NoReturn:
    status = 1
    try:
        other.close()
        sandbox.die_with_parent(parent)
        with contextlib.suppress(ConnectionError):
            Launcher(sock, programs).serve()
        status = 0
    finally:
        os._exit(status)


class Launcher:
    """Starts one program at a time and tells how it ended."""

    def __init__(self, sock: socket.socket, programs: Sequence[Program]) -> None:
        """Confines this process for good."""
        sandbox.kill_first()
        self._sock = sock
        self._programs = {program.name: program for program in programs}
        self._errors = os.open(os.devnull, os.O_WRONLY)
        self._cookie = secrets.randbits(64)
        _close_others({sock.fileno(), self._errors})
        ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)  # nobody may read the cookie out of this memory
        if seccomp.supported():
            seccomp.apply_launcher(self._cookie)

    def serve(self) -> None:
        """Serves until the worker's end of the socket closes."""
        while True:
            data, fds, _, _ = socket.recv_fds(self._sock, MESSAGE_BYTES, 2)
            if not data:
                return
            for fd in fds:
                os.set_inheritable(fd, False)
            self._sock.send(json.dumps(self._launched(data, fds)).encode())
            for fd in fds:
                os.close(fd)

    def _launched(self, data: bytes, fds: list[int]) -> dict[str, Any]:
        message = json.loads(data)
        program = self._programs.get(message["program"])
        if program is None or len(fds) != 2:
            return {"failed": "an unknown program"}
        parent = os.getpid()
        pid = os.fork()
        if pid == 0:
            self._become(parent, program, [str(argument) for argument in message["arguments"]], fds)
        _, status, usage = os.wait4(pid, 0)
        return {
            "status": status,
            "cpu_seconds": usage.ru_utime + usage.ru_stime,
            "near_memory": usage.ru_maxrss * 1024 > NEAR_THE_LIMIT * program.memory_bytes,
        }

    def _become(self, parent: int, program: Program, arguments: list[str], fds: list[int]) -> NoReturn:
        try:
            for fd, place in ((fds[0], 0), (fds[1], 1), (self._errors, 2)):
                os.dup2(fd, place)
            os.lseek(0, 0, os.SEEK_SET)
            sandbox.die_with_parent(parent)
            _limit(program)
            _execute(program, arguments, self._cookie)
        finally:
            os._exit(NOT_STARTED)


def _limit(program: Program) -> None:
    for kind, value in (
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_NOFILE, _FILES),
        (resource.RLIMIT_FSIZE, program.output_bytes),
        (resource.RLIMIT_CPU, program.cpu_seconds),
        (resource.RLIMIT_AS, program.memory_bytes),
    ):
        sandbox.limit(kind, value)


def _execute(program: Program, arguments: list[str], cookie: int) -> None:
    vector = [program.path, *arguments]
    if seccomp.supported():
        seccomp.apply_program()
        seccomp.execute(program.path, vector, dict(program.environment), cookie)
    else:
        os.execve(program.path, vector, dict(program.environment))  # noqa: S606  # the operator named it


def _close_others(kept: set[int]) -> None:
    for name in os.listdir("/proc/self/fd"):
        if int(name) > 2 and int(name) not in kept:
            with contextlib.suppress(OSError):
                os.close(int(name))
