"""Batches texts across callers: one queue a purpose, and a number of runs of the model at a time for each."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from difyrpc_services.vectors.core.seams import Embedder
from difyrpc_services.vectors.core.values import Floats, Purpose


@dataclass(frozen=True)
class _Wanted:
    text: str
    answer: asyncio.Future[Floats]


class Batcher:
    """Runs the texts of all callers through one model.

    A run takes what has gathered while the run before it was under way, so nobody waits for company. Queries do not
    stand in line behind passages.
    """

    def __init__(self, embedder: Embedder, batch: int, runs: int = 1) -> None:
        """Takes the most texts of one run, and how many runs of a purpose there may be at a time."""
        self._embedder = embedder
        self._batch = batch
        self._runs = runs
        self._queues: dict[Purpose, asyncio.Queue[_Wanted]] = {}
        self._workers: list[asyncio.Task[None]] = []

    async def embed(self, texts: Sequence[str], purpose: Purpose) -> list[Floats]:
        """Answers one vector a text, in order."""
        queue = self._queue(purpose)
        loop = asyncio.get_running_loop()
        wanted = [_Wanted(text, loop.create_future()) for text in texts]
        for one in wanted:
            queue.put_nowait(one)
        return await asyncio.gather(*(one.answer for one in wanted))

    async def close(self) -> None:
        """Ends the workers; who still waits is cancelled."""
        for worker in self._workers:
            worker.cancel()
        await asyncio.gather(*self._workers, return_exceptions=True)
        for queue in self._queues.values():
            while not queue.empty():
                queue.get_nowait().answer.cancel()
        self._workers.clear()
        self._queues.clear()

    def _queue(self, purpose: Purpose) -> asyncio.Queue[_Wanted]:
        queue = self._queues.get(purpose)
        if queue is None:
            queue = self._queues[purpose] = asyncio.Queue()
            for _ in range(self._runs):
                self._workers.append(asyncio.create_task(self._work(queue, purpose)))
        return queue

    async def _work(self, queue: asyncio.Queue[_Wanted], purpose: Purpose) -> None:
        while True:
            gathered = [await queue.get()]
            while len(gathered) < self._batch and not queue.empty():
                gathered.append(queue.get_nowait())
            wanted = [one for one in gathered if not one.answer.done()]
            if wanted:
                await self._run(wanted, purpose)

    async def _run(self, wanted: Sequence[_Wanted], purpose: Purpose) -> None:
        try:
            vectors = await self._embedder.embed([one.text for one in wanted], purpose)
        except asyncio.CancelledError:
            for one in wanted:
                one.answer.cancel()
            raise
        except Exception as error:  # noqa: BLE001  # its callers get it; the worker lives on for the others
            for one in _waiting(wanted):
                one.answer.set_exception(error)
        else:
            for index, one in enumerate(wanted):
                if not one.answer.done():
                    one.answer.set_result(vectors[index])


def _waiting(wanted: Sequence[_Wanted]) -> list[_Wanted]:
    return [one for one in wanted if not one.answer.done()]
