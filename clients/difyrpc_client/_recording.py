"""What a writer of observations has still to send: batches keep their sequence until they are durable."""

from __future__ import annotations

import uuid
from collections import deque
from collections.abc import Callable, Iterable, Sequence

from difyrpc.metrics.v1 import metrics_pb2 as pb
from difyrpc.metrics.v1 import observation_pb2
from difyrpc_client._calls import AsyncCalls, Calls
from difyrpc_client._errors import DifyrpcError, InvalidArgument, ResourceExhausted
from difyrpc_client._methods import rpc
from difyrpc_client._retry import Resumption
from difyrpc_client._sequenced import AsyncLine, Course, Line
from difyrpc_client._usage import Observation, checked, write_batch

RECORD = rpc("MetricsCollector.Record", pb.RecordRequest, pb.RecordResponse)
RECORD_STREAM = rpc("MetricsCollector.RecordStream", pb.RecordStreamRequest, pb.RecordStreamResponse)

BATCH_SIZE = 500  # observations that a writer collects before it sends them; the server takes 10,000
CROWDED = 10 * BATCH_SIZE  # observations that may wait while another thread or task sends
MOST = 40 * BATCH_SIZE  # observations that are kept while nothing can be sent: some 10 MB
MOST_BATCHES = 10  # batches that are numbered, and so bound to their content, at a time


class Ledger:
    """What a writer holds, in the order in which it came."""

    def __init__(self) -> None:
        self.added = 0
        """Observations that were taken."""
        self.gone = 0
        """Observations of those that are durable, or were refused."""
        self._writer_id = str(uuid.uuid4())
        self._sequence = 0
        self._waiting: deque[Observation] = deque()
        self._pending: deque[observation_pb2.Batch] = deque()

    def add(self, observations: Iterable[Observation]) -> None:
        """Takes more observations, all or none; InvalidArgument for what is none."""
        new = list(map(checked, observations))
        self._waiting.extend(new)
        self.added += len(new)

    def full(self) -> bool:
        """Answers whether no more may be taken before something is sent."""
        return self.added - self.gone >= MOST

    def due(self) -> bool:
        """Answers whether it is time to send."""
        return len(self._waiting) >= BATCH_SIZE

    def crowded(self) -> bool:
        """Answers whether whoever adds has to wait."""
        return self.added - self.gone >= CROWDED

    def next_batches(self) -> list[observation_pb2.Batch]:
        """Answers the batches to send: those that are not known to be durable, and what else waits.

        InvalidArgument for what fits into none; what would have been its batch is dropped.
        """
        while self._waiting and len(self._pending) < MOST_BATCHES:
            some = [self._waiting.popleft() for _ in range(min(BATCH_SIZE, len(self._waiting)))]
            try:
                self._pending.append(write_batch(self._writer_id, self._sequence + 1, some))
            except InvalidArgument:
                self.gone += len(some)
                raise
            self._sequence += 1
        return list(self._pending)

    def settled(self, committed: int) -> None:
        """Takes that every batch up to this one is durable."""
        while self._pending and self._pending[0].sequence <= committed:
            self.gone += len(self._pending.popleft().observations)

    def refused(self) -> None:
        """Takes that the first batch will never be recorded; its sequence is that of the next, and so on."""
        self.gone += len(self._pending.popleft().observations)
        for batch in self._pending:
            batch.sequence -= 1
        self._sequence -= 1


def writer_is_full(error: DifyrpcError) -> ResourceExhausted:
    """Answers the error of a writer that takes no more, since it cannot send what it holds."""
    return ResourceExhausted(
        f"the writer holds {MOST} observations and cannot send them: {error.message}; what was added now is not taken",
        reason="WRITER_FULL",
        metadata={"held": str(MOST)},
    )


def refuses(error: DifyrpcError) -> bool:
    """Answers whether the server has looked at a batch and recorded nothing of it."""
    return isinstance(error, InvalidArgument)


def deliver(
    calls: Calls, batches: Sequence[observation_pb2.Batch], settle: Callable[[int], None], timeout: float | None
) -> None:
    """Sends batches of one writer, several by a stream; `settle` is told up to which sequence all is durable."""
    if len(batches) == 1:
        settle(calls.unary(RECORD, pb.RecordRequest(batch=batches[0]), timeout).committed_sequence)
        return
    with Line(calls, _course(settle), _resumption(calls, timeout), batches[0].sequence - 1) as line:
        for batch in batches:
            line.send(pb.RecordStreamRequest(batch=batch))
        line.finish()


async def deliver_async(
    calls: AsyncCalls, batches: Sequence[observation_pb2.Batch], settle: Callable[[int], None], timeout: float | None
) -> None:
    """Does the same in the event loop."""
    if len(batches) == 1:
        settle((await calls.unary(RECORD, pb.RecordRequest(batch=batches[0]), timeout)).committed_sequence)
        return
    async with AsyncLine(calls, _course(settle), _resumption(calls, timeout), batches[0].sequence - 1) as line:
        for batch in batches:
            await line.send(pb.RecordStreamRequest(batch=batch))
        await line.finish()


def _course(settle: Callable[[int], None]) -> Course[pb.RecordStreamRequest, pb.RecordStreamResponse]:
    return Course(
        method=RECORD_STREAM,
        durable=lambda answer: answer.committed_sequence,
        noted=lambda answer: settle(answer.committed_sequence),
    )


def _resumption(calls: Calls | AsyncCalls, timeout: float | None) -> Resumption:
    return calls.resumption(RECORD_STREAM, calls.options.timeout if timeout is None else timeout)
