"""Kills servers at chosen moments, with their embedded PostgreSQL or without, and starts them again."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from contextlib import suppress
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

    @property
    def target(self) -> str:
        host, port = self._server.sockets[0].getsockname()
        return f"{host}:{port}"

    def leads_to(self, server: Process) -> None:
        self._behind, self._is_mute = server, False

    def swallow_answers(self) -> None:
        """Lets nothing come back any more until it leads to another server."""
        self._is_mute = True

    async def __aenter__(self) -> Self:
        self._callers: dict[asyncio.Task[None], asyncio.StreamWriter] = {}
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        return self

    async def __aexit__(self, *failure: object) -> None:
        self._server.close()
        for writer in self._callers.values():
            writer.close()
        await asyncio.gather(*self._callers, return_exceptions=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        self._callers[task] = writer
        try:
            await self._connect(reader, writer)
        finally:
            await _closed(writer)
            del self._callers[task]

    async def _connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        server = self._behind
        if server is None:
            return
        host, port = server.target.split(":")
        try:
            there, back = await asyncio.open_connection(host, int(port))
        except ConnectionError:
            return
        try:
            asking = asyncio.create_task(_pass_on(reader, back))
            answering = asyncio.create_task(_pass_on(there, writer, lambda: self._is_mute and self._behind is server))
            _, waiting = await asyncio.wait({asking, answering}, return_when=asyncio.FIRST_COMPLETED)
            for task in waiting:
                task.cancel()
            await asyncio.gather(asking, answering, return_exceptions=True)
        finally:
            await _closed(back)


async def _pass_on(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, is_mute: Callable[[], bool] = lambda: False
) -> None:
    with suppress(ConnectionError):
        while data := await reader.read(1 << 16):
            if not is_mute():
                writer.write(data)
                await writer.drain()


async def _closed(writer: asyncio.StreamWriter) -> None:
    writer.close()
    with suppress(ConnectionError):
        await writer.wait_closed()
