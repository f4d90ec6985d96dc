"""The server's handles on the zygote and on each worker."""

from __future__ import annotations

import asyncio
import contextlib
import json
import math
import os
import resource
import signal
import socket
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from difyrpc_services.runtime.workers import frames
from difyrpc_services.runtime.workers.blob import Blob
from difyrpc_services.runtime.workers.limits import WorkerLimits
from difyrpc_services.runtime.workers.programs import Program
from difyrpc_services.runtime.workers.zygote import MESSAGE_BYTES, setup_message

START_SECONDS: Final = 60.0  # for the zygote's imports on a busy machine
END_SECONDS: Final = 5.0  # from a closed socket to the zygote's word how the worker ended
_INHERITED: Final = ("PATH", "LANG", "LC_ALL", "LD_LIBRARY_PATH", "HOME", "TZ")  # no secrets of the server's


@dataclass(frozen=True, kw_only=True)
class Exit:
    """How a worker ended."""

    status: int
    """As waitpid has it; -1 = not known, since the zygote ended too."""
    peak_bytes: int = 0
    """Greatest resident memory that it had."""

    @property
    def signal(self) -> int:
        """The signal that ended it; 0 for none."""
        return os.WTERMSIG(self.status) if self.status >= 0 and os.WIFSIGNALED(self.status) else 0

    @property
    def cause(self) -> str:
        """Name of the signal, or the exit status."""
        if self.status < 0:
            return "loss of its parent"
        if self.signal:
            return signal.Signals(self.signal).name
        return f"exit status {os.WEXITSTATUS(self.status)}"


class Worker:
    """One worker process, as the server sees it."""

    def __init__(self, sock: socket.socket, pid: int, pidfd: int) -> None:
        self.pid = pid
        self.jobs = 0
        self.virtual_bytes = 0
        self.cpu_seconds = 0.0
        self.program_seconds = 0.0
        self.resident_bytes = 0
        self.ended: asyncio.Future[Exit] = asyncio.get_running_loop().create_future()
        self._sock = sock
        self._pidfd = pidfd
        self._buffer = bytearray()

    def give(self, function: str, options: bytes, content: Blob, *, cpu_seconds: float, memory_bytes: int) -> None:
        """Hands it a job and sets the limits for it; OSError if it is gone."""
        self._limit(resource.RLIMIT_AS, self.virtual_bytes + content.size + memory_bytes)
        self._limit(resource.RLIMIT_CPU, math.ceil(self.cpu_seconds + cpu_seconds) + 1)
        frames.send_request(self._sock, function, options, content.fileno())
        self.jobs += 1

    async def frame(self, limit_bytes: int) -> tuple[int, bytes]:
        """Answers the next frame's kind and body; EOFError when it is gone, ValueError over the limit."""
        header = await self._read(frames.HEADER.size)
        length, kind = frames.HEADER.unpack(header)
        if length > limit_bytes:
            raise ValueError(f"a frame of {length} bytes")
        return kind, await self._read(length)

    async def answer(self, body: bytes) -> None:
        """Answers its question; EOFError when it is gone."""
        loop = asyncio.get_running_loop()
        try:
            await loop.sock_sendall(self._sock, frames.HEADER.pack(len(body), frames.ANSWER) + body)
        except OSError as error:
            raise EOFError from error

    def kill(self) -> None:
        """Ends it at once, whatever it does."""
        with contextlib.suppress(ProcessLookupError, OSError):
            signal.pidfd_send_signal(self._pidfd, signal.SIGKILL)

    def close(self) -> None:
        """Closes its socket, upon which an idle worker ends by itself."""
        self._sock.close()
        if self._pidfd >= 0:
            pidfd, self._pidfd = self._pidfd, -1
            os.close(pidfd)

    async def exit(self) -> Exit:
        """Answers how it ended, once its socket has closed."""
        try:
            async with asyncio.timeout(END_SECONDS):
                return await asyncio.shield(self.ended)
        except TimeoutError:
            return Exit(status=-1)

    def _limit(self, kind: int, value: int) -> None:
        """Sets a soft limit; the hard one, which only root may raise, stays."""
        _, hard = resource.prlimit(self.pid, kind)
        soft = value if hard == resource.RLIM_INFINITY else min(value, hard)
        resource.prlimit(self.pid, kind, (soft, hard))

    async def _read(self, length: int) -> bytes:
        loop = asyncio.get_running_loop()
        while len(self._buffer) < length:
            try:
                data = await loop.sock_recv(self._sock, min(max(length - len(self._buffer), 1 << 16), 1 << 20))
            except ConnectionError:
                data = b""
            if not data:
                raise EOFError
            self._buffer += data
        body = bytes(self._buffer[:length])
        del self._buffer[:length]
        return body


class ZygoteFailed(Exception):
    """The zygote is gone or could not import what it was to preload."""


class ZygoteProcess:
    """The server's handle on the zygote: makes workers and hears how they end."""

    def __init__(self, preload: tuple[str, ...], limits: WorkerLimits, programs: Sequence[Program] = ()) -> None:
        self._preload = preload
        self._limits = limits
        self._programs = programs
        self._control: socket.socket | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._workers: dict[int, Worker] = {}
        self._starting: dict[int, tuple[socket.socket, asyncio.Future[Worker]]] = {}
        self._count = 0
        self._ready: asyncio.Future[None] | None = None

    @property
    def alive(self) -> bool:
        """Whether workers can be asked for."""
        return self._control is not None

    async def start(self) -> None:
        """Starts the interpreter and waits until it is warm; ZygoteFailed with the cause."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            command = [sys.executable, "-X", "utf8", "-E", "-s", "-P", "-m", "difyrpc_services.runtime.workers.zygote"]
            self._process = subprocess.Popen(  # noqa: ASYNC220  # exec'd at once; no fork of this process's threads
                [*command, str(theirs.fileno())],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                env={name: os.environ[name] for name in _INHERITED if name in os.environ},
                start_new_session=True,
            )
        ours.setblocking(False)
        ours.send(setup_message(self._preload, self._limits, self._programs))
        loop = asyncio.get_running_loop()
        self._control = ours
        self._ready = loop.create_future()
        loop.add_reader(ours.fileno(), self._hear)
        try:
            async with asyncio.timeout(START_SECONDS):
                await self._ready
        except TimeoutError as error:
            self.close()
            raise ZygoteFailed(f"not ready after {START_SECONDS:g} s") from error

    async def spawn(self) -> Worker:
        """Makes one worker and waits until it is ready for a job; ZygoteFailed if it cannot."""
        if self._control is None:
            raise ZygoteFailed("the process that makes workers has ended")
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        started: asyncio.Future[Worker] = asyncio.get_running_loop().create_future()
        self._count += 1
        self._starting[self._count] = (ours, started)
        with theirs:
            socket.send_fds(self._control, [json.dumps({"spawn": self._count}).encode()], [theirs.fileno()])
        try:
            worker = await asyncio.shield(started)
        except asyncio.CancelledError:
            started.add_done_callback(_discard)
            raise
        try:
            kind, body = await worker.frame(1 << 10)
        except asyncio.CancelledError:
            worker.close()
            raise
        except (EOFError, ValueError) as error:
            cause = (await worker.exit()).cause
            worker.close()
            raise ZygoteFailed(f"a new worker ended with {cause}") from error
        if kind != frames.READY:
            raise ZygoteFailed(f"a new worker said {kind}")
        worker.virtual_bytes = int(frames.unpack(body).get("virtual_bytes", 0))
        return worker

    def close(self) -> None:
        """Ends the zygote; the kernel ends its workers."""
        self._lost("it was stopped")
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.wait()

    def _hear(self) -> None:
        assert self._control is not None
        try:
            data, fds, _, _ = socket.recv_fds(self._control, MESSAGE_BYTES, 4)
        except BlockingIOError:
            return
        except ConnectionError:
            data, fds = b"", []
        if not data:
            self._lost("it ended")
        else:
            self._take(json.loads(data), fds)

    def _take(self, message: dict[str, Any], fds: list[int]) -> None:
        if "started" in message:
            sock, started = self._starting.pop(message["started"])
            worker = Worker(sock, message["pid"], fds[0])
            self._workers[worker.pid] = worker
            _settle(started, worker)
        elif "ended" in message:
            ended = self._workers.pop(message["ended"])
            _settle(ended.ended, Exit(status=message["status"], peak_bytes=message["peak_bytes"]))
        elif "ready" in message and self._ready is not None:
            _settle(self._ready, None)
        else:
            self._lost(str(message.get("failed", "it sent an unknown message")))

    def _lost(self, cause: str) -> None:
        control, self._control = self._control, None
        if control is None:
            return
        asyncio.get_running_loop().remove_reader(control.fileno())
        control.close()
        failure = ZygoteFailed(cause)
        if self._ready is not None and not self._ready.done():
            self._ready.set_exception(failure)
        for sock, started in self._starting.values():
            sock.close()
            if not started.done():
                started.set_exception(failure)
        self._starting.clear()
        for worker in self._workers.values():
            _settle(worker.ended, Exit(status=-1))
        self._workers.clear()


def _discard(started: asyncio.Future[Worker]) -> None:
    """Ends a worker that nobody waits for any more."""
    if started.exception() is None:
        started.result().kill()
        started.result().close()


def _settle(future: asyncio.Future[Any], value: object) -> None:
    if not future.done():
        future.set_result(value)
