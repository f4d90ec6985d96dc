"""Kills servers at chosen moments, with their embedded PostgreSQL or without, and starts them again."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Self

import psutil
import psycopg
from processes import Process, serve

from difyrpc_services.runtime.postgres_folder import SUPERUSER


class Life:
    """A server process that is started off the event loop."""

    def __init__(self, *arguments: str, state: Path, env: Mapping[str, str] | None = None) -> None:
        self._serving = serve(*arguments, state=state, env=env)

    async def __aenter__(self) -> Process:
        return await asyncio.to_thread(self._serving.__enter__)

    async def __aexit__(self, *failure: object) -> None:
        await asyncio.to_thread(self._serving.__exit__, None, None, None)


class Doom:
    """Kills so many acts from now, and a moment later than that."""

    def __init__(self, kill: Callable[[], None], acts: int, delay_seconds: float) -> None:
        self._kill, self._acts, self._delay = kill, acts, delay_seconds
        self.acts = 0

    def count(self) -> None:
        self.acts += 1
        if self.acts == self._acts:
            self.strike()

    def strike(self) -> None:
        asyncio.get_running_loop().call_later(self._delay, self._kill)


def kill_server(server: Process) -> None:
    """Kills a server and its workers; its embedded PostgreSQL loses its last user and is stopped by its guard."""
    kill([psutil.Process(server.popen.pid), *psutil.Process(server.popen.pid).children(recursive=True)])


def kill_house(server: Process) -> None:
    """Kills a server and its embedded PostgreSQL, which has to recover from its log at the next start."""
    database = postgres_of(server.state)
    kill_server(server)
    kill(database)


def postgres_of(state: Path) -> list[psutil.Process]:
    """The processes of the embedded PostgreSQL in a state folder: guard, postmaster, then all the others."""
    postmaster = psutil.Process(int((state / "postgres/data/postmaster.pid").read_text().split()[0]))
    return [postmaster.parent(), postmaster, *postmaster.children(recursive=True)]


def kill(processes: list[psutil.Process]) -> None:
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            process.kill()


def looking_into(state: Path) -> psycopg.Connection:
    """A connection to the embedded PostgreSQL of a state folder that does not keep it alive."""
    folder = state / "postgres"
    return psycopg.connect(
        host=(folder / "socket").read_text(),
        password=(folder / "password").read_text().strip(),
        user=SUPERUSER,
        dbname="postgres",
        autocommit=True,
    )


class Relay:
    """An address that stays the same while the server behind it is killed and started anew at another."""

    def __init__(self) -> None:
        self._behind: Process | None = None
        self._is_mute = False
        self._is_open = True
        self._carrying: dict[asyncio.Task[None], socket.socket] = {}

    @property
    def target(self) -> str:
        host, port = self._listener.getsockname()
        return f"{host}:{port}"

    def leads_to(self, server: Process) -> None:
        self._behind, self._is_mute = server, False

    def swallow_answers(self) -> None:
        """Lets nothing come back any more until it leads to another server."""
        self._is_mute = True

    async def __aenter__(self) -> Self:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.setblocking(False)
        self._listening = asyncio.create_task(self._listen())
        return self

    async def __aexit__(self, *failure: object) -> None:
        self._is_open = False
        with self._listener, socket.create_connection(self._listener.getsockname()):
            await self._listening
        for task in self._carrying:
            task.cancel()
        await asyncio.gather(*self._carrying, return_exceptions=True)
        for near in self._carrying.values():
            near.close()

    async def _listen(self) -> None:
        while self._is_open:
            near, _ = await asyncio.get_running_loop().sock_accept(self._listener)
            self._carrying[asyncio.create_task(self._carry(near))] = near

    async def _carry(self, near: socket.socket) -> None:
        server = self._behind
        with near, socket.socket() as far:
            if server is None:
                return
            far.setblocking(False)
            host, port = server.target.split(":")
            with _broken_off():
                await asyncio.get_running_loop().sock_connect(far, (host, int(port)))
                async with asyncio.TaskGroup() as both:
                    both.create_task(_pass_on(near, far))
                    both.create_task(_pass_on(far, near, lambda: self._is_mute and self._behind is server))


@contextmanager
def _broken_off() -> Iterator[None]:
    try:
        yield
    except* ConnectionError:
        pass


class _Ended(ConnectionError):
    """One side has closed the connection: so shall the other."""


async def _pass_on(source: socket.socket, sink: socket.socket, is_mute: Callable[[], bool] = lambda: False) -> None:
    loop = asyncio.get_running_loop()
    while data := await loop.sock_recv(source, 1 << 16):
        if not is_mute():
            await loop.sock_sendall(sink, data)
    raise _Ended
