"""A transaction that is open in the current context, and may be joined."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from difyrpc_services.runtime.patience import Connection


class Bound:
    """The transaction that a context is in: whoever asks for a connection meanwhile joins it."""

    def __init__(self, connection: Connection) -> None:
        """Takes the connection whose transaction has begun."""
        self.connection = connection
        self.is_open = True
        self.failure: BaseException | None = None
        self._joined = 0
        self._left = asyncio.Event()

    @asynccontextmanager
    async def join(self) -> AsyncIterator[Connection]:
        """Lends the connection; a failure inside fails the whole transaction."""
        self._joined += 1
        try:
            yield self.connection
        except BaseException as failure:
            self.failure = self.failure or failure
            raise
        finally:
            self._joined -= 1
            self._left.set()

    async def end(self) -> None:
        """Lets nobody join any more and waits for those who have."""
        self.is_open = False
        while self._joined:
            self._left.clear()
            await self._left.wait()
