"""Measures how long a new call waits in gRPC's own queue, by calls of this server to itself.

grpc.aio takes up one call of a method in about five turns of the event loop. What is more waits inside gRPC, where
Python does not see it: the loop is on time, and yet calls begin seconds after they came.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any

import grpc

KEY = "x-difyrpc-probe"
LONGEST_SECONDS = 60.0  # of one probe; while it is under way its age is what is known of the wait


class Queue:
    """The wait of new calls, as probes see it: one at a time, of the method that is called most."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """Takes the clock, in seconds; nothing is measured before `open`."""
        self._clock = clock
        self._calls: Counter[str] = Counter()
        self._channel: grpc.aio.Channel | None = None
        self._probe: asyncio.Task[None] | None = None
        self._nonce = b""
        self._sent = self._waited = 0.0

    def open(self, address: str) -> None:
        """Begins to measure over an address of this very server, a Unix socket, so that no TLS is in the way."""
        self._channel = grpc.aio.insecure_channel(address)

    async def close(self) -> None:
        """Measures no more, and closes the connection."""
        channel, self._channel = self._channel, None
        if self._probe is not None:
            self._probe.cancel()
        if channel is not None:
            await channel.close()

    @property
    def is_under_way(self) -> bool:
        """Whether a probe waits now."""
        return bool(self._nonce)

    def note(self, path: str) -> None:
        """Takes the path of a call that came."""
        self._calls[path] += 1

    def look(self) -> float:
        """Answers how long new calls wait, in seconds, and sends the next probe unless one is under way."""
        if self.is_under_way:
            return max(self._waited, self._clock() - self._sent)
        if not self._calls:
            self._waited = 0.0  # what is known is old
        elif self._channel is not None and self._is_free(self._channel):
            self._nonce, self._sent = secrets.token_hex(16).encode(), self._clock()
            self._probe = asyncio.create_task(self._ask(self._channel, self._calls.most_common(1)[0][0]))
        self._calls.clear()
        return self._waited

    def is_probe(self, metadata: Iterable[tuple[str, Any]] | None) -> bool:
        """Answers whether a call is the probe that is under way; being asked this is the end of its wait."""
        if not self._nonce:
            return False
        for key, value in metadata or ():
            if key == KEY and secrets.compare_digest(value.encode(), self._nonce):
                self._waited, self._nonce = self._clock() - self._sent, b""
                return True
        return False

    def _is_free(self, channel: grpc.aio.Channel) -> bool:
        """Whether a probe may be sent: the last one is over, and connecting will not count as waiting."""
        if self._probe is not None and not self._probe.done():
            return False
        return channel.get_state(try_to_connect=True) is grpc.ChannelConnectivity.READY

    async def _ask(self, channel: grpc.aio.Channel, path: str) -> None:
        metadata = ((KEY, self._nonce.decode()),)
        ask: Any = channel.unary_unary(path)
        try:
            await ask(b"", metadata=metadata, timeout=LONGEST_SECONDS)
        except (grpc.aio.AioRpcError, grpc.aio.UsageError):
            pass  # it was lost, or the channel is closed; the next one tells more
        finally:
            if self._nonce:
                self._nonce, self._waited = b"", 0.0


async def _answer(_requests: Any, context: Any) -> None:
    try:
        await context.write(b"")
    except grpc.aio.InternalError as gone:  # a stopping server cancels its probe; gRPC would log that with a trace
        raise asyncio.CancelledError from gone


ANSWER: Any = grpc.stream_stream_rpc_method_handler(_answer)
"""The handler of probes; it reads no request and so fits every method."""
