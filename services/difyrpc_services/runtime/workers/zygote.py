"""The process that workers are forked from: single-threaded, warm, knows nothing of the server's memory.

Forking the server itself is out of the question (gRPC's threads and locks), and a fresh interpreter with its imports
costs hundreds of milliseconds. So one interpreter imports what jobs need, once, and forks.

It speaks JSON over a SEQPACKET socket. From the server: the setup, then `{"spawn": n}` with the worker's end of a
socket pair. To the server: `{"ready": true}` or `{"failed": …}`, `{"started": n, "pid": p}` with a pidfd,
`{"ended": p, "status": s, "peak_bytes": b}`. When the server's end closes, it ends, and the kernel ends its workers.
"""

from __future__ import annotations

import contextlib
import dataclasses
import gc
import json
import os
import select
import signal
import socket
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import Any, Final, NoReturn

from difyrpc_services.runtime.workers import sandbox, worker
from difyrpc_services.runtime.workers.limits import WorkerLimits
from difyrpc_services.runtime.workers.programs import Program

MESSAGE_BYTES: Final = 1 << 17  # greatest message on the control socket


def main() -> NoReturn:
    """Runs the zygote over the control socket whose descriptor is the first argument."""
    control = socket.socket(fileno=int(sys.argv[1]))
    setup = json.loads(control.recv(MESSAGE_BYTES))
    sys.path[:] = setup["path"]
    sys.dont_write_bytecode = True
    try:
        for name in setup["preload"]:
            import_module(name)
    except ImportError as error:
        _tell(control, {"failed": str(error)})
        os._exit(1)
    gc.collect()
    gc.freeze()
    _tell(control, {"ready": True})
    programs = [Program(**program) for program in setup["programs"]]
    Zygote(control, WorkerLimits(**setup["limits"]), programs).run()
    os._exit(0)


def setup_message(preload: tuple[str, ...], limits: WorkerLimits, programs: Sequence[Program] = ()) -> bytes:
    """Answers the first message to a zygote."""
    value = {
        "path": [entry for entry in sys.path if entry],
        "preload": preload,
        "limits": dataclasses.asdict(limits),
        "programs": [dataclasses.asdict(program) for program in programs],
    }
    return json.dumps(value).encode()


class Zygote:
    """Forks workers on demand and tells how they ended."""

    def __init__(self, control: socket.socket, limits: WorkerLimits, programs: Sequence[Program]) -> None:
        self._control = control
        self._limits = limits
        self._programs = programs
        self._workers: set[int] = set()
        sandbox.adopt_orphans()  # launchers of dead workers are reaped here, not left to the system
        self._woken, waker = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._waker = waker
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(waker, warn_on_full_buffer=False)

    def run(self) -> None:
        """Serves until the server's end of the control socket closes."""
        poll = select.poll()
        poll.register(self._control, select.POLLIN)
        poll.register(self._woken, select.POLLIN)
        while True:
            ready = {fd for fd, _ in poll.poll()}
            if self._woken in ready:
                self._reap()
            if self._control.fileno() in ready and not self._obey():
                return

    def _obey(self) -> bool:
        data, fds, _, _ = socket.recv_fds(self._control, MESSAGE_BYTES, 1)
        if not data:
            return False
        self._spawn(json.loads(data)["spawn"], fds[0])
        return True

    def _spawn(self, number: int, fd: int) -> None:
        parent = os.getpid()
        pid = os.fork()
        if pid == 0:
            self._become_worker(parent, fd)
        os.close(fd)
        self._workers.add(pid)
        pidfd = os.pidfd_open(pid)
        _tell(self._control, {"started": number, "pid": pid}, pidfd)
        os.close(pidfd)

    def _become_worker(self, parent: int, fd: int) -> NoReturn:
        status = 1
        try:
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            self._control.close()
            os.close(self._woken)
            os.close(self._waker)
            sandbox.die_with_parent(parent)
            with contextlib.suppress(ConnectionError):
                worker.serve(socket.socket(fileno=fd), self._limits, self._programs)
            status = 0
        finally:
            os._exit(status)

    def _reap(self) -> None:
        with contextlib.suppress(BlockingIOError):
            os.read(self._woken, 4096)
        while True:
            try:
                pid, status, usage = os.wait4(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if not pid:
                return
            if pid not in self._workers:
                continue
            self._workers.discard(pid)
            _tell(self._control, {"ended": pid, "status": status, "peak_bytes": usage.ru_maxrss * 1024})


def _tell(control: socket.socket, message: dict[str, Any], *fds: int) -> None:
    """Sends one message; a server that is gone needs none."""
    with contextlib.suppress(OSError):
        socket.send_fds(control, [json.dumps(message).encode()], list(fds))


if __name__ == "__main__":
    main()
