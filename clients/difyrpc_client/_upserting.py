"""Points on their way by a stream: cut into batches, counted as they become durable, named where one is refused."""

from __future__ import annotations

import re
import uuid
from collections import deque
from collections.abc import AsyncIterable, Callable, Iterable
from dataclasses import replace
from typing import Any

from difyrpc.vectors.v1 import point_pb2
from difyrpc.vectors.v1 import vectors_pb2 as pb
from difyrpc_client._calls import AsyncCalls, Calls
from difyrpc_client._errors import DeadlineExceeded, DifyrpcError
from difyrpc_client._message import is_number, make, wrong
from difyrpc_client._methods import rpc
from difyrpc_client._point import Upserted
from difyrpc_client._retry import passing
from difyrpc_client._searching import BATCH_BYTES, batches, batches_async, read_upserts
from difyrpc_client._sequenced import AsyncLine, Course, Line

UPSERT_STREAM = rpc("VectorSearch.UpsertPointsStream", pb.UpsertPointsStreamRequest, pb.UpsertPointsStreamResponse)

MOST_POINTS = 1000  # in one batch; vectors.proto, UpsertBatch.points
SENT_POINT = re.compile(r"batch\.points\[(\d+)\]")
POINT = re.compile(r"points\[(\d+)\]")
Progress = Callable[[int], None]


class Load:
    """What one stream of points knows of itself while it runs; shared by the twins."""

    def __init__(self, collection: str, stream_id: str, batch_size: int, progress: Progress | None) -> None:
        if not is_number(batch_size) or not 1 <= batch_size <= MOST_POINTS:
            raise wrong("batch_size", batch_size, f"a number of points from 1 to {MOST_POINTS}")
        self.size = batch_size
        """Most points of a batch."""
        self._collection = collection
        self._stream_id = stream_id or str(uuid.uuid4())
        self._progress = progress
        self._stored = 0
        self._cut = 0
        self._ends: deque[tuple[int, int]] = deque()
        self._sequence = 0
        self._answers: list[Any] = []

    def course(self) -> Course[pb.UpsertPointsStreamRequest, pb.UpsertPointsStreamResponse]:
        """Answers how the batches travel."""
        # Batches that are cut otherwise are other batches: no batch of one stream may pass for one of another.
        name = f"{self._stream_id}:{self.size}:{BATCH_BYTES}"
        spec = make(pb.UpsertSpec, collection=self._collection, stream_id=name)
        return Course(
            method=UPSERT_STREAM,
            opening=pb.UpsertPointsStreamRequest(spec=spec),
            durable=lambda answer: answer.durable_sequence,
            noted=self._note,
        )

    def request(self, points: list[point_pb2.Point]) -> pb.UpsertPointsStreamRequest:
        """Makes the next batch."""
        self._sequence += 1
        self._cut += len(points)
        self._ends.append((self._sequence, self._cut))
        return pb.UpsertPointsStreamRequest(batch=pb.UpsertBatch(sequence=self._sequence, points=points))

    def settle(self, durable: int) -> None:
        """Takes that every batch up to this one is durable, and tells the caller what that comes to."""
        while self._ends and self._ends[0][0] <= durable:
            _, self._stored = self._ends.popleft()
            if self._progress:
                self._progress(self._stored)

    def result(self) -> Upserted:
        """Answers what was stored, now and by earlier calls with this stream's id."""
        told = read_upserts(self._answers)
        token = next((answer.read_token for answer in reversed(self._answers) if answer.read_token), "")
        return replace(told, count=self._stored, read_token=token)

    def explained(self, error: DifyrpcError) -> DifyrpcError:
        """Answers the error with what is durable, how to go on, and which point was refused."""
        error.metadata |= {"stream_id": self._stream_id, "durable_points": str(self._stored)}
        error.field_violations = tuple(
            replace(one, field=SENT_POINT.sub(self._place, one.field)) for one in error.field_violations
        )
        refused = next((place for one in error.field_violations if (place := POINT.match(one.field))), None)
        if refused:
            error.metadata["index"] = refused[1]
        error.message = f"{error.message}; {self._advice(error, refused and refused[0])}"
        error.args = (error.message,)
        return error

    def _place(self, found: re.Match[str]) -> str:
        return f"points[{self._stored + int(found[1])}]"

    def _advice(self, error: DifyrpcError, refused: str | None) -> str:
        stored = f"the first {self._stored} points are stored"
        if refused:
            return f"this is {refused}, and {stored}"
        if passing(error) or isinstance(error, DeadlineExceeded):
            return f"at least {stored}: go on with stream_id={self._stream_id!r} and the same points"
        return f"at least {stored}"

    def _note(self, answer: pb.UpsertPointsStreamResponse) -> None:
        self._answers.append(answer)
        self.settle(answer.durable_sequence)


def upsert_stream(
    calls: Calls,
    collection: str,
    points: Iterable[Any],
    *,
    stream_id: str,
    batch_size: int,
    progress: Progress | None,
    timeout: float | None,
) -> Upserted:
    """Stores points over as many streams as it takes; they are read, and the caller is told, in its own thread."""
    load = Load(collection, stream_id, batch_size, progress)
    try:
        with Line(calls, load.course(), calls.resumption(UPSERT_STREAM, timeout)) as line:
            line.open()
            for batch in batches(points, load.size):
                line.send(load.request(batch))
                load.settle(line.outbox.durable)
            line.finish()
    except DifyrpcError as error:
        raise load.explained(error) from None
    return load.result()


async def upsert_stream_async(
    calls: AsyncCalls,
    collection: str,
    points: Iterable[Any] | AsyncIterable[Any],
    *,
    stream_id: str,
    batch_size: int,
    progress: Progress | None,
    timeout: float | None,
) -> Upserted:
    """Does the same in the event loop."""
    load = Load(collection, stream_id, batch_size, progress)
    try:
        async with AsyncLine(calls, load.course(), calls.resumption(UPSERT_STREAM, timeout)) as line:
            await line.open()
            async for batch in batches_async(points, load.size):
                await line.send(load.request(batch))
                load.settle(line.outbox.durable)
            await line.finish()
    except DifyrpcError as error:
        raise load.explained(error) from None
    return load.result()
