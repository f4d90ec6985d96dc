"""One call that writes an upload: bytes are made durable beside the writing, and then acknowledged."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from dataclasses import dataclass
from typing import Any

from difyrpc_services.files.core.ports import BlobWriter
from difyrpc_services.runtime.errors import FailedPrecondition, ServiceError


@dataclass(frozen=True, kw_only=True)
class Cadence:
    """When written bytes are made durable."""

    sync_bytes: int = 16 << 20
    """As soon as so many bytes wait and no sync runs; four times as many stop the writing until one is done."""
    pause_seconds: float = 0.25
    """When so long nothing more came."""
    lease_seconds: float = 5.0
    """How often a call that has nothing to write makes sure that no other took its upload."""


class Session:
    """Writes at the end of one upload until it is stopped; made with a running loop."""

    def __init__(self, writer: BlobWriter, record: Callable[[int], Awaitable[None]], cadence: Cadence) -> None:
        """Takes over `writer`. `record(durable)` notes a count; it raises when the upload was lost to another call."""
        self._writer = writer
        self._record = record
        self._cadence = cadence
        self._loop = asyncio.get_running_loop()
        self._moved = asyncio.Event()
        self._closing = asyncio.Lock()
        self._error: BaseException | None = None
        self._work: asyncio.Task[Any] | None = None
        self._syncing: asyncio.Task[None] | None = None
        self._feeding: asyncio.Task[None] | None = None
        self._stopping: asyncio.Task[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._closed = False
        self.committed = writer.position
        """Bytes that are durable and noted."""
        self.checkpoint: object | None = None
        """What spares the next session to read the bytes again; set by `stop`."""
        self._arm()

    @property
    def position(self) -> int:
        """Bytes that are written, durable or not."""
        return self._writer.position

    async def append(self, offset: int, data: bytes) -> None:
        """Writes `data` at `offset`, which is not past the end; what is there already is compared.

        The bytes are on their way when this returns; the next call waits for them and tells what went wrong.
        """
        await self._settle()
        known = self._writer.position - offset
        if known > 0:
            await self._compare(offset, data[:known])
            data = data[known:]
        await self._keep_pace()
        if data:
            self._work = asyncio.create_task(self._writer.append(data))
            self._work.add_done_callback(self._written)

    async def flush(self) -> None:
        """Waits until everything written is durable and noted."""
        await self._settle()
        while self.committed < self._writer.position:
            self._check()
            await asyncio.wait([self._syncing or self._sync_now()])
        self._check()

    async def follow(self, feeding: Coroutine[Any, Any, None]) -> AsyncIterator[int]:
        """Runs `feeding`, which appends, and answers the durable count whenever it grew; flushes at the end."""
        self._feeding = asyncio.create_task(feeding)
        self._feeding.add_done_callback(lambda _: self._moved.set())
        seen = self.committed
        while not self._feeding.done():
            await self._moved.wait()
            self._moved.clear()
            self._check()
            if self.committed > seen:
                seen = self.committed
                yield seen
        self._check()
        await self._feeding
        await self.flush()

    async def digest(self) -> str:
        """Answers the SHA-256 of everything that was written."""
        await self._settle()
        return await self._writer.digest()

    async def seal(self) -> None:
        """Makes everything durable and readable; nothing can be written after it."""
        await self._settle()
        if self._syncing:
            await asyncio.wait([self._syncing])
        self._disarm()
        self._work = asyncio.create_task(self._writer.seal())
        await self._settle()
        self.committed = self._writer.position

    async def stop(self, reason: ServiceError | None = None, *, keep: bool = True) -> None:
        """Ends the writing and lets go; a call that still writes gets `reason`. May be repeated.

        With `keep` what came is made durable and noted first, as far as that is still possible. A caller that is
        cancelled leaves it running: a place that nobody lets go of is locked until the server ends.
        """
        self._error = self._error or reason
        self._moved.set()
        self._stopping = asyncio.create_task(self._stop(asyncio.current_task(), keep))
        await asyncio.shield(self._stopping)

    async def _stop(self, caller: asyncio.Task[Any] | None, keep: bool) -> None:
        async with self._closing:
            if not self._closed:
                await self._end_feeding(caller)
                if keep:
                    await self._keep_what_came()
                self.checkpoint = await self._writer.close()
                self._closed = True

    async def _end_feeding(self, caller: asyncio.Task[Any] | None) -> None:
        self._disarm()
        feeding = self._feeding
        if feeding and feeding is not caller:
            feeding.cancel()
            await asyncio.gather(feeding, return_exceptions=True)
        if self._work:
            await asyncio.gather(self._work, return_exceptions=True)
        if self._syncing:
            await asyncio.wait([self._syncing])
        self._disarm()

    async def _keep_what_came(self) -> None:
        if self.committed < self._writer.position and not self._broken():
            await asyncio.wait([self._sync_now()])
        self._disarm()

    def _broken(self) -> bool:
        """Answers whether the writing itself went wrong, so that nothing more may be noted."""
        return self._work is not None and (self._work.cancelled() or self._work.exception() is not None)

    async def _compare(self, offset: int, data: bytes) -> None:
        self._work = comparing = asyncio.create_task(self._writer.matches(offset, data))
        await self._settle()
        if not comparing.result():
            raise FailedPrecondition(
                "CONTENT_DIFFERS",
                "the {count} bytes at {offset} are not those that are stored; this is another file",
                offset=offset,
                count=len(data),
            )

    async def _keep_pace(self) -> None:
        """Waits when much more was written than is durable."""
        if self._syncing and self._writer.position - self.committed >= 4 * self._cadence.sync_bytes:
            await asyncio.wait([self._syncing])
            self._check()

    def _written(self, _: asyncio.Task[None]) -> None:
        if self._syncing or self._closed:
            return
        if self._writer.position - self.committed >= self._cadence.sync_bytes:
            self._sync_now()
        else:
            self._arm()

    async def _settle(self) -> None:
        """Waits for work of the writer; it goes on if the waiting is cancelled, so that `stop` can wait again."""
        if self._work:
            if not self._work.done():
                await asyncio.wait([self._work])
            self._work.result()
        self._check()

    def _arm(self) -> None:
        self._disarm()
        idle = self._writer.position == self.committed
        delay = self._cadence.lease_seconds if idle else self._cadence.pause_seconds
        self._timer = self._loop.call_later(delay, self._on_timer)

    def _disarm(self) -> None:
        if self._timer:
            self._timer.cancel()
            self._timer = None

    def _on_timer(self) -> None:
        if not self._syncing:
            self._sync_now()

    def _sync_now(self) -> asyncio.Task[None]:
        self._syncing = asyncio.create_task(self._sync())
        self._syncing.add_done_callback(self._synced)
        return self._syncing

    async def _sync(self) -> None:
        durable = self.committed
        if durable < self._writer.position:
            durable = await self._writer.sync()
        await self._record(durable)
        self.committed = durable

    def _synced(self, task: asyncio.Task[None]) -> None:
        self._syncing = None
        if task.cancelled() or task.exception():
            self._error = self._error or task.exception() or asyncio.CancelledError()
        else:
            self._arm()
        self._moved.set()

    def _check(self) -> None:
        if self._error:
            raise self._error
