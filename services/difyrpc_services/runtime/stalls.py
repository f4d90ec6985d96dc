"""Ends calls whose caller no longer reads the answer or sends the request."""

from __future__ import annotations

import asyncio
import time
from types import TracebackType
from typing import Self

from difyrpc_services.runtime.errors import DeadlineExceeded

LOOKS = 8  # in one limit; a call ends up to an eighth later than it might
READER, SENDER = "READER_TOO_SLOW", "SENDER_TOO_SLOW"
MESSAGES = {
    READER: "one message of the answer was not read for {limit_value} s; read faster, or ask for less at a time",
    SENDER: "the next message of the request did not come for {limit_value} s; send the call again without a pause",
}


class Patience:
    """Waits for a caller, and raises DeadlineExceeded out of its block when that takes too long.

    One timer a call looks at a mark that each wait sets and clears: a timer a message would cost more than the message.
    Like asyncio.timeout it cancels the task and turns that into the error on the way out.
    """

    __slots__ = ("_before", "_is_over", "_reason", "_seconds", "_since", "_task", "_timer")

    def __init__(self, seconds: float) -> None:
        """Takes the longest wait in seconds; 0 waits for ever."""
        self._seconds = seconds
        self._since = 0.0
        self._reason = ""
        self._is_over = False
        self._timer: asyncio.TimerHandle | None = None

    def __enter__(self) -> Self:
        task = asyncio.current_task()
        assert task is not None
        self._task, self._before = task, task.cancelling()
        if self._seconds:
            self._look()
        return self

    def wait_for(self, reason: str) -> None:
        """Marks that from now on it is the caller's turn; `reason` is what the error will have."""
        self._reason = reason
        self._since = time.monotonic()

    def rest(self) -> None:
        """Marks that the caller did its part."""
        self._since = 0.0

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        if self._timer is not None:
            self._timer.cancel()
        if self._is_over and self._task.uncancel() <= self._before and kind is asyncio.CancelledError:
            raise DeadlineExceeded(
                self._reason,
                MESSAGES[self._reason],
                limit="DIFYRPC_MAX_STALL_SECONDS",
                limit_value=f"{self._seconds:g}",
            ) from error

    def _look(self) -> None:
        if self._since and time.monotonic() - self._since >= self._seconds:
            self._is_over = True
            self._task.cancel()
            return
        self._timer = asyncio.get_running_loop().call_later(self._seconds / LOOKS, self._look)
