"""When a call is sent again: tenacity, entered only after a first failure, within one deadline."""

from __future__ import annotations

import random
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from difyrpc_client._errors import Cancelled, ConfigurationError, DifyrpcError, ResourceExhausted, Unavailable

if TYPE_CHECKING:
    import tenacity

T = TypeVar("T")
JITTER = 0.1  # share of the server's RetryInfo that is added at random, so that not all come back at once


@dataclass(frozen=True, kw_only=True)
class Retry:
    """How often and how fast a call is sent again.

    Only what the contract marks as repeatable is; only after UNAVAILABLE, after RESOURCE_EXHAUSTED that says when
    to come back, and after CANCELLED that the caller did not ask for. The call's timeout covers all tries and waits.
    """

    attempts: int = 5
    """How often a call is sent at most, the first time included; 1 never repeats."""
    wait_min: float = 0.2
    """Seconds before the second try; each later wait is `factor` times longer."""
    wait_max: float = 5.0
    """Longest wait between two tries, in seconds. A server's RetryInfo may ask for more and is obeyed."""
    factor: float = 3.0
    """How much longer each wait is than the one before; at least 1."""
    jitter: float = 0.5
    """Share of each wait that is random, 0 to 1: a wait of 1 s with .5 lasts .5 to 1 s."""
    wait_for_ready: bool = False
    """Lets repeated tries wait for a connection as long as the timeout allows, instead of failing at once."""

    def __post_init__(self) -> None:
        _check("attempts", self.attempts, self.attempts >= 1, "at least 1")
        _check("wait_min", self.wait_min, 0 <= self.wait_min <= self.wait_max, "0 to wait_max")
        _check("factor", self.factor, self.factor >= 1, "at least 1")
        _check("jitter", self.jitter, 0 <= self.jitter <= 1, "0 to 1")

    def wait(self, failures: int, error: BaseException | None = None) -> float:
        """Answers the seconds to wait after so many failures in a row, the last of which was `error`."""
        asked = getattr(error, "retry_after", None)
        if asked is not None:
            return float(asked * (1 + random.uniform(0, JITTER)))  # noqa: S311  # spreads load, guards nothing
        longest = min(self.wait_max, self.wait_min * self.factor ** (failures - 1))
        return longest * (1 - random.uniform(0, self.jitter))  # noqa: S311


def _check(name: str, value: float, good: bool, choices: str) -> None:
    if not good:
        raise ConfigurationError(f"Retry({name}={value}) is out of range: {choices}")


NO_RETRY = Retry(attempts=1)


def _sleep(seconds: float) -> None:
    time.sleep(seconds)  # looked up at each call, since gevent may patch it late


@dataclass(frozen=True, kw_only=True)
class Clock:
    """Time as the client sees it, so that tests need not wait."""

    now: Callable[[], float] = time.monotonic
    """Seconds since some point in the past."""
    sleep: Callable[[float], None] = _sleep
    """Waits, blocking the thread."""
    sleep_async: Callable[[float], Awaitable[None]] | None = None
    """Waits in the event loop; None for asyncio.sleep."""


SYSTEM_CLOCK = Clock()


def passing(error: BaseException) -> bool:
    """Answers whether the same call may succeed later without a change."""
    if isinstance(error, ResourceExhausted):
        return error.retry_after is not None
    return isinstance(error, Unavailable | Cancelled)


def repeat(
    send: Callable[[float], T], first: DifyrpcError, retry: Retry, deadline: float, clock: Clock = SYSTEM_CLOCK
) -> T:
    """Sends again what failed with `first`, until it succeeds, fails for good or its time is up.

    `send` takes the seconds that are left; `deadline` is in the clock's time. Raises the last error.
    """
    import tenacity

    attempts = _Attempts(first, retry, deadline, clock)
    retrying = tenacity.Retrying(
        stop=attempts.spent,
        wait=attempts.wait,
        retry=tenacity.retry_if_exception(passing),
        sleep=clock.sleep,
        reraise=True,
    )

    def attempt() -> T:
        attempts.replay_first()
        try:
            return send(attempts.left())
        except DifyrpcError as error:
            attempts.count_on(error)
            raise

    return retrying(attempt)


async def repeat_async(
    send: Callable[[float], Awaitable[T]],
    first: DifyrpcError,
    retry: Retry,
    deadline: float,
    clock: Clock = SYSTEM_CLOCK,
) -> T:
    """Does the same as `repeat` in the event loop."""
    import asyncio

    import tenacity

    attempts = _Attempts(first, retry, deadline, clock)
    retrying = tenacity.AsyncRetrying(
        stop=attempts.spent,
        wait=attempts.wait,
        retry=tenacity.retry_if_exception(passing),
        sleep=clock.sleep_async or asyncio.sleep,
        reraise=True,
    )

    async def attempt() -> T:
        attempts.replay_first()
        try:
            return await send(attempts.left())
        except DifyrpcError as error:
            attempts.count_on(error)
            raise

    return await retrying(attempt)


class _Attempts:
    """Counts the tries of one call for tenacity; the first has failed already and is only replayed."""

    def __init__(self, first: DifyrpcError, retry: Retry, deadline: float, clock: Clock) -> None:
        self._first: DifyrpcError | None = first
        self._retry = retry
        self._deadline = deadline
        self._clock = clock
        self._count = 1

    def replay_first(self) -> None:
        """Raises the failure that brought us here, once."""
        first, self._first = self._first, None
        if first is not None:
            raise first
        self._count += 1

    def left(self) -> float:
        """Answers the seconds until the deadline, never less than one millisecond."""
        return max(0.001, self._deadline - self._clock.now())

    def count_on(self, error: DifyrpcError) -> None:
        """Notes on the error how often the call was sent."""
        error.attempts = self._count

    def wait(self, state: tenacity.RetryCallState) -> float:
        """Answers the seconds to wait before the next try."""
        return self._retry.wait(state.attempt_number, state.outcome.exception() if state.outcome else None)

    def spent(self, state: tenacity.RetryCallState) -> bool:
        """Answers whether no try is left, or none that could begin before the deadline."""
        ends = self._clock.now() + state.upcoming_sleep
        return state.attempt_number >= self._retry.attempts or ends >= self._deadline


class Resumption:
    """Decides how long to wait before a transfer goes on from where it stood; tries without progress count."""

    def __init__(self, retry: Retry, deadline: float, clock: Clock = SYSTEM_CLOCK) -> None:
        self.clock = clock
        self._retry = retry
        self._deadline = deadline
        self._failures = 0
        self._tries = 1
        self._position = -1

    def left(self) -> float:
        """Answers the seconds until the deadline, never less than one millisecond."""
        return max(0.001, self._deadline - self.clock.now())

    def after(self, error: DifyrpcError, position: int, also: bool = False) -> float:
        """Answers the seconds to wait after a failure at `position`; raises the error where going on is no use.

        `also` says that this error, though not a passing one by its class, will pass.
        """
        self._failures = 1 if position > self._position else self._failures + 1
        self._position = max(position, self._position)
        error.attempts = self._tries
        self._tries += 1
        wait = self._retry.wait(self._failures, error)
        if not (also or passing(error)) or self._failures >= self._retry.attempts or wait >= self.left():
            raise error.with_traceback(None)
        return wait

    def pause(self, seconds: float) -> None:
        """Waits, blocking the thread."""
        self.clock.sleep(seconds)

    async def pause_async(self, seconds: float) -> None:
        """Waits in the event loop."""
        import asyncio

        await (self.clock.sleep_async or asyncio.sleep)(seconds)
