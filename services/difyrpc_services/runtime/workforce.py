"""Several worker processes on one port: started, watched, replaced when one dies, stopped together."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import sys
from collections.abc import Callable, Mapping, Sequence

from difyrpc_services.runtime.settings import SettingsError

log = logging.getLogger(__name__)

FIRST_WAIT_SECONDS = 0.2  # before a dead worker is replaced; doubled up to the next line
LONGEST_WAIT_SECONDS = 10.0
READY = b"ready"


def reserve_port(address: str) -> tuple[socket.socket, str]:
    """Takes a port that workers may share, so that 0 means the same to all; answers the socket and the address."""
    host, _, port = address.rpartition(":")
    host = host.strip("[]")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    held = socket.socket(family, socket.SOCK_STREAM)
    held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    try:
        held.bind((host, int(port)))
    except OSError as error:
        held.close()
        raise SettingsError(f"DIFYRPC_LISTEN={address}: cannot listen there ({error.strerror})") from error
    return held, f"{address.rpartition(':')[0]}:{held.getsockname()[1]}"


class Workforce:
    """Keeps `count` copies of a command running.

    A worker inherits two pipes: it writes READY to one when it serves, and stops by itself when the other closes,
    so workers never outlive this process, however it ends.
    """

    def __init__(
        self,
        command: Callable[[int, int], Sequence[str]],
        *,
        count: int,
        env: Mapping[str, str],
        on_death: Callable[[int], None],
    ) -> None:
        """Takes what makes the command from the two pipes' descriptors (ready, lifeline); starts nothing."""
        self._command = command
        self._count = count
        self._env = dict(env)
        self._on_death = on_death
        self._processes: set[asyncio.subprocess.Process] = set()
        self._keepers: list[asyncio.Task[None]] = []
        self._stopping = False

    async def start(self) -> None:
        """Starts all and waits until each is ready; RuntimeError when one ends before it is."""
        lifeline, self._lifeline = os.pipe()
        self._lifeline_read = lifeline
        first = [asyncio.get_running_loop().create_future() for _ in range(self._count)]
        self._keepers = [asyncio.create_task(self._keep(ready)) for ready in first]
        await asyncio.gather(*first)

    @property
    def pids(self) -> list[int]:
        """The workers that run now."""
        return [process.pid for process in self._processes]

    async def stop(self) -> None:
        """Lets go of the lifeline and waits for all to end."""
        self._stopping = True
        os.close(self._lifeline)
        await asyncio.gather(*self._keepers, return_exceptions=True)
        os.close(self._lifeline_read)

    async def _keep(self, first: asyncio.Future[None]) -> None:
        wait = FIRST_WAIT_SECONDS
        while not self._stopping:
            started = asyncio.get_running_loop().time()
            code = await self._run(first)
            if not first.done():
                first.set_exception(RuntimeError(f"a worker ended with status {code} before it was ready"))
                return
            if self._stopping:
                return
            if asyncio.get_running_loop().time() - started > LONGEST_WAIT_SECONDS:
                wait = FIRST_WAIT_SECONDS
            log.error("a worker process ended with status %s; the next one starts in %.1f s", code, wait)
            await asyncio.sleep(wait)
            wait = min(2 * wait, LONGEST_WAIT_SECONDS)

    async def _run(self, first: asyncio.Future[None]) -> int:
        ready, tell = os.pipe()
        command = [sys.executable, *self._command(tell, self._lifeline_read)]
        process = await asyncio.create_subprocess_exec(*command, env=self._env, pass_fds=(tell, self._lifeline_read))
        os.close(tell)
        self._processes.add(process)
        told = asyncio.create_task(asyncio.to_thread(_read, ready))
        told.add_done_callback(lambda task: _settle(first, task.result()))
        code = await process.wait()
        self._processes.discard(process)
        await told
        self._on_death(process.pid)
        return code


def tell_ready(descriptor: int) -> None:
    """Tells the parent that this worker serves."""
    os.write(descriptor, READY)
    os.close(descriptor)


def _read(descriptor: int) -> bytes:
    with os.fdopen(descriptor, "rb") as pipe:
        return pipe.read()


def _settle(first: asyncio.Future[None], told: bytes) -> None:
    if told == READY and not first.done():
        first.set_result(None)
