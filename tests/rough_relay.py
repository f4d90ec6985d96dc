"""A relay that breaks, swallows or delays what it carries, at chosen points."""

from __future__ import annotations

import asyncio
import random
import socket
import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

from killing import Relay

RESET = struct.pack("ii", 1, 0)  # linger for 0 seconds: closing sends RST
PIECE = 1 << 16  # bytes


@dataclass(kw_only=True, eq=False)
class Pair:
    """One connection of a client and the one of ours behind it."""

    near: socket.socket
    far: socket.socket
    is_mute: bool = False
    tasks: list[asyncio.Task[None]] = field(default_factory=list)

    def cut(self) -> None:
        """Resets both connections."""
        for end in (self.near, self.far):
            with suppress(OSError):
                end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        for task in self.tasks:
            task.cancel()


class RoughRelay(Relay):
    """Counts the bytes that pass, and acts when it has come to a number."""

    def __init__(self, rng: random.Random | None = None) -> None:
        super().__init__()
        self.up = self.down = 0
        """Bytes that went to the server, and back."""
        self.delay_seconds = 0.0
        """Longest time that a piece is held back."""
        self._rng = rng or random.Random()
        self._pairs: set[Pair] = set()
        self._acts: list[tuple[bool, int, Callable[[], None]]] = []

    def when_up(self, count: int, act: Callable[[], None]) -> None:
        """Acts once when so many more bytes have gone to the server."""
        self._acts.append((True, self.up + count, act))

    def when_down(self, count: int, act: Callable[[], None]) -> None:
        """Acts once when so many more bytes have come back."""
        self._acts.append((False, self.down + count, act))

    def cut(self) -> None:
        """Resets all connections; new ones are carried."""
        for pair in self._pairs:
            pair.cut()

    def swallow(self) -> None:
        """Takes in what comes by the present connections, and passes on nothing; new ones are carried."""
        for pair in self._pairs:
            pair.is_mute = True

    async def _carry(self, near: socket.socket) -> None:
        server = self._behind
        with near, socket.socket() as far:
            if server is None:
                return
            far.setblocking(False)
            host, port = server.target.split(":")
            pair = Pair(near=near, far=far)
            with _ended():
                await asyncio.get_running_loop().sock_connect(far, (host, int(port)))
                self._pairs.add(pair)
                pair.tasks += [asyncio.create_task(self._pass_on(pair, up)) for up in (True, False)]
                try:
                    await asyncio.wait(pair.tasks, return_when=asyncio.FIRST_COMPLETED)
                finally:
                    self._pairs.discard(pair)
                    for task in pair.tasks:
                        task.cancel()
                    await asyncio.gather(*pair.tasks, return_exceptions=True)

    async def _pass_on(self, pair: Pair, up: bool) -> None:
        loop = asyncio.get_running_loop()
        source, sink = (pair.near, pair.far) if up else (pair.far, pair.near)
        with _ended():
            while data := await loop.sock_recv(source, PIECE):
                if self.delay_seconds:
                    await asyncio.sleep(self._rng.uniform(0, self.delay_seconds))
                if not pair.is_mute:
                    await loop.sock_sendall(sink, data)
                    self._count(up, len(data))

    def _count(self, up: bool, count: int) -> None:
        self.up, self.down = (self.up + count, self.down) if up else (self.up, self.down + count)
        due = [one for one in self._acts if (self.up if one[0] else self.down) >= one[1]]
        self._acts = [one for one in self._acts if one not in due]
        for _, _, act in due:
            act()


@contextmanager
def _ended() -> Iterator[None]:
    with suppress(OSError):
        yield
