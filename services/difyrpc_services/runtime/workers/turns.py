"""Who gets the next free worker: tenants in turn, each tenant's jobs in their order."""

from __future__ import annotations

import asyncio
from collections import OrderedDict, deque
from typing import Generic, TypeVar

Thing = TypeVar("Thing")


class Turns(Generic[Thing]):
    """Free things and those who wait for one. Never both at once."""

    def __init__(self) -> None:
        self.free: deque[Thing] = deque()
        self.waiting = 0
        self._tenants: OrderedDict[str, deque[asyncio.Future[Thing]]] = OrderedDict()

    def waiting_of(self, tenant: str) -> int:
        """Answers how many of one tenant wait."""
        return len(self._tenants.get(tenant, ()))

    async def take(self, tenant: str) -> Thing:
        """Answers a free thing, waiting for this tenant's turn if there is none."""
        if self.free:
            return self.free.pop()  # the one used last: its memory is warm
        turn: asyncio.Future[Thing] = asyncio.get_running_loop().create_future()
        self._tenants.setdefault(tenant, deque()).append(turn)
        self.waiting += 1
        try:
            return await turn
        except asyncio.CancelledError:
            self._forget(tenant, turn)
            raise

    def give(self, thing: Thing) -> None:
        """Hands a thing to the next in turn, or keeps it free."""
        while self._tenants:
            tenant, queue = self._tenants.popitem(last=False)
            turn = queue.popleft()
            self.waiting -= 1
            if queue:
                self._tenants[tenant] = queue  # to the end of the round
            if not turn.done():
                turn.set_result(thing)
                return
        self.free.append(thing)

    def fail(self, error: Exception) -> None:
        """Tells everybody who waits that there will be none."""
        for queue in self._tenants.values():
            for turn in queue:
                if not turn.done():
                    turn.set_exception(error)
        self._tenants.clear()
        self.waiting = 0

    def _forget(self, tenant: str, turn: asyncio.Future[Thing]) -> None:
        if turn.done() and not turn.cancelled() and turn.exception() is None:
            self.give(turn.result())  # it was given in the moment of cancelling
            return
        queue = self._tenants.get(tenant)
        if queue is not None and turn in queue:
            queue.remove(turn)
            self.waiting -= 1
            if not queue:
                del self._tenants[tenant]
