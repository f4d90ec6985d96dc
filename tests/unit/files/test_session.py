"""A call that writes lets go of its place, whatever becomes of its caller."""

from __future__ import annotations

import asyncio

import pytest

from difyrpc_services.files.core.session import Cadence, Session


class SlowWriter:
    """A place whose bytes become durable when told."""

    def __init__(self) -> None:
        self.position = 0
        self.syncing, self.go = asyncio.Event(), asyncio.Event()
        self.is_closed = False

    async def append(self, data: bytes) -> None:
        self.position += len(data)

    async def sync(self) -> int:
        self.syncing.set()
        await self.go.wait()
        return self.position

    async def close(self) -> object | None:
        self.is_closed = True
        return None


async def test_a_caller_that_is_cancelled_while_it_stops_leaves_nothing_locked() -> None:
    noted: list[int] = []

    async def record(durable: int) -> None:
        noted.append(durable)

    writer = SlowWriter()
    session = Session(writer, record, Cadence())
    await session.append(0, b"abc")
    stopping = asyncio.create_task(session.stop())
    await writer.syncing.wait()
    stopping.cancel()
    with pytest.raises(asyncio.CancelledError):
        await stopping
    writer.go.set()
    await session.stop()
    assert (writer.is_closed, noted) == (True, [3])


async def test_a_place_is_let_go_of_though_nobody_stops_its_session_again() -> None:
    async def record(durable: int) -> None:
        closing.set()

    closing, writer = asyncio.Event(), SlowWriter()
    session = Session(writer, record, Cadence())
    await session.append(0, b"abc")
    stopping = asyncio.create_task(session.stop())
    await writer.syncing.wait()
    stopping.cancel()
    await asyncio.wait([stopping])
    writer.go.set()
    await closing.wait()
    for task in asyncio.all_tasks() - {asyncio.current_task()}:
        await asyncio.wait([task])
    assert writer.is_closed
