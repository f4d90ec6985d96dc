"""Streams of numbered batches: each is kept until it is durable, and sent again on a new stream if it was not."""

from __future__ import annotations

import queue
import threading
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Generator, Iterator
from contextlib import suppress
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING, Generic, Self

from difyrpc_client._calls import AsyncCalls, Calls
from difyrpc_client._errors import DeadlineExceeded, DifyrpcError, Unavailable
from difyrpc_client._methods import Method, Req, Res
from difyrpc_client._retry import NO_RETRY, Resumption

if TYPE_CHECKING:
    import asyncio

WINDOW = 4  # batches on their way at most: enough to hide the network, and little to keep for a repetition


@dataclass(frozen=True, kw_only=True)
class Course(Generic[Req, Res]):
    """What differs between the rpcs that take numbered batches."""

    method: Method[Req, Res]
    """The rpc."""
    opening: Req | None = None
    """What each stream begins with; the server answers it by where it stands."""
    durable: Callable[[Res], int]
    """Answers up to which sequence everything is durable."""
    noted: Callable[[Res], None] = lambda answer: None
    """Is told each answer."""


class Outbox(Generic[Req, Res]):
    """The batches of one line, in order; shared by the twins."""

    def __init__(self, course: Course[Req, Res], durable: int) -> None:
        self.durable = durable
        """Every batch up to this one is durable."""
        self._course = course
        self._sequence = durable
        self._kept: deque[Req] = deque()

    def keep(self, request: Req) -> bool:
        """Takes the next batch; False if it is durable already."""
        self._sequence += 1
        if self._sequence <= self.durable:
            return False
        self._kept.append(request)
        return True

    def full(self) -> bool:
        """Answers whether the next batch has to wait."""
        return len(self._kept) >= WINDOW

    def empty(self) -> bool:
        """Answers whether every batch is durable."""
        return not self._kept

    def messages(self) -> list[Req]:
        """Answers what a new stream begins with: the opening, then what is not durable yet."""
        return [*([] if self._course.opening is None else [self._course.opening]), *self._kept]

    def note(self, answer: Res) -> None:
        """Takes an answer; drops what has become durable."""
        durable = self._course.durable(answer)
        for _ in range(min(durable - self.durable, len(self._kept))):
            self._kept.popleft()
        self.durable = max(self.durable, durable)
        self._course.noted(answer)

    def check_end(self, last: int) -> None:
        """Raises Unavailable where a stream ended well and yet before batch `last`, which it carried, was durable."""
        if self.durable < last:
            raise Unavailable(f"the stream ended before batch {self.durable + 1} was acknowledged")

    def wait_after(self, error: DifyrpcError, resumption: Resumption) -> float | None:
        """Answers the seconds to wait before the next stream, or None where this ended the line for good."""
        # A stream's time may be up before the line's; where both are up, there is no time left to wait.
        return resumption.after(error, self.durable, also=isinstance(error, DeadlineExceeded))


class Line(Generic[Req, Res]):
    """Sends batches over as many streams as it takes; `durable` are from before. Used by one thread."""

    def __init__(self, calls: Calls, course: Course[Req, Res], resumption: Resumption, durable: int = 0) -> None:
        self.outbox = Outbox(course, durable)
        """What is on its way."""
        self._calls = calls.changed(retry=NO_RETRY)
        self._course = course
        self._resumption = resumption
        self._stream: _Stream[Req] | None = None
        self._answers: Generator[Res, None, None] | None = None

    def open(self) -> None:
        """Begins a stream and waits for where the server stands; only for a course with an opening."""
        self._take(False)

    def send(self, request: Req) -> None:
        """Takes the next batch; waits while too many are on their way."""
        if self.outbox.keep(request) and self._stream:
            self._stream.ready.put(request)
        while self.outbox.full():
            self._take(False)

    def finish(self) -> None:
        """Returns when every batch is durable."""
        if self._stream:
            self._stream.ready.put(None)
        while not self.outbox.empty():
            self._take(True)
        if self._answers:
            with suppress(DifyrpcError):  # all is durable, however the stream ends
                next(self._answers, None)

    def _take(self, ending: bool) -> None:
        while True:
            try:
                answers = self._answers or self._opened(ending)
                if (answer := next(answers, None)) is not None:
                    return self.outbox.note(answer)
                self.outbox.check_end(self._closed())
            except DifyrpcError as error:
                self._closed()
                if (wait := self.outbox.wait_after(error, self._resumption)) is None:
                    raise
                self._resumption.pause(wait)

    def _opened(self, ending: bool) -> Generator[Res, None, None]:
        self._stream = stream = _Stream(self._course.opening, self.outbox.durable)
        for request in self.outbox.messages():
            stream.ready.put(request)
        if ending:
            stream.ready.put(None)
        self._answers = self._calls.stream(self._course.method, stream.messages, self._resumption.left())
        return self._answers

    def _closed(self) -> int:
        stream, self._stream = self._stream, None
        answers, self._answers = self._answers, None
        if stream:
            stream.ready.put(None)  # lets go the thread that waits for the next batch
        if answers:
            answers.close()
        return stream.last if stream else 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._closed()


class _Stream(Generic[Req]):
    """What one stream sends, as it becomes ready.

    A transport that takes all messages before it answers takes them in the thread that makes them: there a stream
    ends with what is ready, and the next batches go by a new one.
    """

    def __init__(self, opening: Req | None, durable: int) -> None:
        self.ready: queue.SimpleQueue[Req | None] = queue.SimpleQueue()
        """Messages to send; None after the last."""
        self.last = durable
        """The last batch that was sent."""
        self._opening = opening
        self._owner = threading.get_ident()

    def messages(self) -> Iterator[Req]:
        """Yields the messages."""
        while not (self.ready.empty() and threading.get_ident() == self._owner):
            request = self.ready.get()
            if request is None:
                return
            self.last += request is not self._opening
            yield request


class AsyncLine(Generic[Req, Res]):
    """Does the same in the event loop. Used by one task."""

    def __init__(self, calls: AsyncCalls, course: Course[Req, Res], resumption: Resumption, durable: int = 0) -> None:
        self.outbox = Outbox(course, durable)
        """What is on its way."""
        self._calls = calls.changed(retry=NO_RETRY)
        self._course = course
        self._resumption = resumption
        self._stream: _AsyncStream[Req] | None = None
        self._answers: AsyncGenerator[Res, None] | None = None

    async def open(self) -> None:
        """Begins a stream and waits for where the server stands; only for a course with an opening."""
        await self._take(False)

    async def send(self, request: Req) -> None:
        """Takes the next batch; waits while too many are on their way."""
        if self.outbox.keep(request) and self._stream:
            self._stream.ready.put_nowait(request)
        while self.outbox.full():
            await self._take(False)

    async def finish(self) -> None:
        """Returns when every batch is durable."""
        if self._stream:
            self._stream.ready.put_nowait(None)
        while not self.outbox.empty():
            await self._take(True)
        if self._answers:
            with suppress(DifyrpcError):  # all is durable, however the stream ends
                await anext(self._answers, None)

    async def _take(self, ending: bool) -> None:
        while True:
            try:
                answers = self._answers or self._opened(ending)
                if (answer := await anext(answers, None)) is not None:
                    return self.outbox.note(answer)
                self.outbox.check_end(await self._closed())
            except DifyrpcError as error:
                await self._closed()
                if (wait := self.outbox.wait_after(error, self._resumption)) is None:
                    raise
                await self._resumption.pause_async(wait)

    def _opened(self, ending: bool) -> AsyncGenerator[Res, None]:
        self._stream = stream = _AsyncStream(self._course.opening, self.outbox.durable)
        for request in self.outbox.messages():
            stream.ready.put_nowait(request)
        if ending:
            stream.ready.put_nowait(None)
        self._answers = self._calls.stream(self._course.method, stream.messages, self._resumption.left())
        return self._answers

    async def _closed(self) -> int:
        stream, self._stream = self._stream, None
        answers, self._answers = self._answers, None
        if stream:
            stream.ready.put_nowait(None)  # lets go the task that waits for the next batch
        if answers:
            await answers.aclose()
        return stream.last if stream else 0

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._closed()


class _AsyncStream(Generic[Req]):
    """The same in the event loop, where each task counts as a thread."""

    def __init__(self, opening: Req | None, durable: int) -> None:
        import asyncio

        self.ready: asyncio.Queue[Req | None] = asyncio.Queue()
        """Messages to send; None after the last."""
        self.last = durable
        """The last batch that was sent."""
        self._opening = opening
        self._owner = asyncio.current_task()

    async def messages(self) -> AsyncIterator[Req]:
        """Yields the messages."""
        import asyncio

        while not (self.ready.empty() and asyncio.current_task() is self._owner):
            request = await self.ready.get()
            if request is None:
                return
            self.last += request is not self._opening
            yield request
