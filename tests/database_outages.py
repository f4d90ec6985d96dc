"""A PostgreSQL of a test's own behind an address that stays the same: goes away in several ways, comes back."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Self

import psutil
from killing import kill, postgres_of

from difyrpc_services.runtime.postgres import EmbeddedPostgres


class OwnPostgres:
    """The server and a relay before it; a user's own database, as `difyrpc serve` sees it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._embedded = EmbeddedPostgres(folder)
        self._is_through = asyncio.Event()
        self._is_through.set()
        self._stopped: list[psutil.Process] = []

    @property
    def url(self) -> str:
        host, port = self._relay.sockets[0].getsockname()
        parts = self._embedded.conninfo()
        return f"postgresql://{parts['user']}:{parts['password']}@{host}:{port}/{parts['dbname']}"

    async def __aenter__(self) -> Self:
        await asyncio.to_thread(self._embedded.start)
        self._relay = await asyncio.start_server(self._carry, "127.0.0.1", 0)
        return self

    async def __aexit__(self, *failure: object) -> None:
        self._wake()
        self._is_through.set()
        self._relay.close()
        await asyncio.to_thread(self._embedded.stop)

    def die(self) -> None:
        """kill -9 of all its processes; connections break."""
        kill(postgres_of(self._folder))

    def hang(self) -> None:
        """SIGSTOP of all its processes but the guard; connections stand, new ones are taken, nothing is answered."""
        _, *self._stopped = postgres_of(self._folder)
        for process in self._stopped:
            process.suspend()

    def vanish(self) -> None:
        """Nothing passes in either direction any more, as behind a firewall that drops."""
        self._is_through.clear()

    async def come_back(self) -> None:
        """Ends any of these."""
        self._wake()
        self._is_through.set()
        await asyncio.to_thread(self._embedded.start)

    def _wake(self) -> None:
        for process in self._stopped:
            with suppress(psutil.NoSuchProcess):
                process.resume()
        self._stopped = []

    async def _carry(self, near: asyncio.StreamReader, answer: asyncio.StreamWriter) -> None:
        folder = self._embedded.conninfo()["host"]
        try:
            far, question = await asyncio.open_unix_connection(f"{folder}/.s.PGSQL.5432")
        except OSError:
            answer.close()
            return
        passing = [asyncio.create_task(self._pass_on(*pair)) for pair in ((near, question), (far, answer))]
        await asyncio.wait(passing, return_when=asyncio.FIRST_COMPLETED)
        for task in passing:
            task.cancel()
        await asyncio.gather(*passing, return_exceptions=True)
        for writer in (question, answer):
            writer.close()

    async def _pass_on(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError):
            while content := await source.read(1 << 16):
                await self._is_through.wait()
                sink.write(content)
                await sink.drain()


OUTAGES: dict[str, Callable[[OwnPostgres], None]] = {
    "killed": OwnPostgres.die,
    "stopped": OwnPostgres.hang,
    "cut off": OwnPostgres.vanish,
}
