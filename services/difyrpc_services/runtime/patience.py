"""A connection to PostgreSQL that hangs up when the server says nothing for too long.

Servers that are killed close their connections; one that was stopped, swapped out or cut off keeps them, and every
call would wait for ever: the server's own time limits do not run then.
"""

from __future__ import annotations

import asyncio
import os
import socket
from typing import Any, TypeVar

import psycopg
from psycopg.abc import PQGen

Answer = TypeVar("Answer")


class Connection(psycopg.AsyncConnection[tuple[Any, ...]]):
    """A connection whose every wait for the server ends; a wait in vain raises OperationalError and closes it."""

    patience_seconds = 0.0
    """How long the server may take to answer; 0: for ever."""
    was_silent = False
    """Whether it was closed because the server said nothing."""

    async def wait(self, gen: PQGen[Answer], *arguments: Any, **options: Any) -> Answer:
        """Waits as psycopg does, which knows no limit of its own."""
        if not self.patience_seconds:
            return await super().wait(gen, *arguments, **options)
        timer = asyncio.get_running_loop().call_later(self.patience_seconds, self._hang_up)
        try:
            return await super().wait(gen, *arguments, **options)
        finally:
            timer.cancel()

    def _hang_up(self) -> None:
        """Shuts the socket, so that whoever waits for it reads an end, as if the server had been killed."""
        self.was_silent = True
        with socket.socket(fileno=os.dup(self.pgconn.socket)) as own:
            own.shutdown(socket.SHUT_RDWR)
