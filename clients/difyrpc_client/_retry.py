"""When a call is sent again: tenacity, entered only after a first failure, within one deadline."""

from __future__ import annotations

import random
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, TypeVar, cast

from difyrpc_client._errors import (
    Cancelled,
    ConfigurationError,
    DifyrpcError,
    ResourceExhausted,
    TLSError,
    Unavailable,
)

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
    budget: float = 0.2
    """Share of all calls of this process to a target that may be repetitions; 10 a second are always allowed, and 100,
    and the share of 10 seconds' calls, are saved up. One more is not made: the call fails with what its last try ended
    with. At least 0."""

    def __post_init__(self) -> None:
        _check("attempts", self.attempts, self.attempts >= 1, "at least 1")
        _check("wait_min", self.wait_min, 0 <= self.wait_min <= self.wait_max, "0 to wait_max")
        _check("factor", self.factor, self.factor >= 1, "at least 1")
        _check("jitter", self.jitter, 0 <= self.jitter <= 1, "0 to 1")
        _check("budget", self.budget, self.budget >= 0, "at least 0")

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
    return isinstance(error, Unavailable | Cancelled) and not isinstance(error, TLSError)


class Watcher(Protocol):
    """Follows a call; says whether one more repetition may be made, and is told of it."""

    def may_repeat(self) -> bool:
        """Answers whether the target's budget has one more repetition, and takes it."""

    def repeats(self, error: DifyrpcError, wait: float) -> None:
        """Takes that the call is sent again after `wait` seconds."""


class Attempts:
    """The tries of one call; the first has failed already, and tenacity makes the others."""

    def __init__(
        self, first: DifyrpcError, retry: Retry, deadline: float, watcher: Watcher, clock: Clock = SYSTEM_CLOCK
    ) -> None:
        """Takes how the first try failed; `deadline` is in the clock's time."""
        self.clock = clock
        """Time, and how to wait."""
        self._first: DifyrpcError | None = first
        self._last = first
        self._retry = retry
        self._deadline = deadline
        self._watcher = watcher
        self._count = 1

    def options(self) -> dict[str, Any]:
        """Answers what tenacity is told."""
        import tenacity

        return {
            "stop": self._spent,
            "wait": self._wait,
            "retry": tenacity.retry_if_exception(passing),
            "before_sleep": self._tell,
            "reraise": True,
        }

    def replay_first(self) -> None:
        """Raises the failure that brought us here, once."""
        first, self._first = self._first, None
        if first is not None:
            raise first
        self._count += 1

    def left(self) -> float:
        """Answers the seconds until the deadline; raises the last error where a wait has outlasted it."""
        left = self._deadline - self.clock.now()
        if left <= 0:
            raise self._last
        return left

    def failed(self, error: DifyrpcError) -> None:
        """Takes how a try failed, and notes on the error how often the call was sent."""
        if error is not self._last:
            error.attempts = self._count
            self._last = error

    def _wait(self, state: tenacity.RetryCallState) -> float:
        return self._retry.wait(state.attempt_number, state.outcome.exception() if state.outcome else None)

    def _spent(self, state: tenacity.RetryCallState) -> bool:
        """Answers whether no try is left, none that could begin before the deadline, or the budget has none."""
        if state.attempt_number >= self._retry.attempts or self.clock.now() + state.upcoming_sleep >= self._deadline:
            return True
        return not self._watcher.may_repeat()

    def _tell(self, state: tenacity.RetryCallState) -> None:
        self._watcher.repeats(cast("DifyrpcError", state.outcome and state.outcome.exception()), state.upcoming_sleep)


def repeat(send: Callable[[], T], attempts: Attempts) -> T:
    """Sends again what failed, until it succeeds, fails for good, or its tries, time or budget are spent.

    `send` asks for the time that is left right before it sends. Raises the last error.
    """
    import tenacity

    def attempt() -> T:
        attempts.replay_first()
        try:
            return send()
        except DifyrpcError as error:
            attempts.failed(error)
            raise

    return tenacity.Retrying(sleep=attempts.clock.sleep, **attempts.options())(attempt)


async def repeat_async(send: Callable[[], Awaitable[T]], attempts: Attempts) -> T:
    """Does the same as `repeat` in the event loop."""
    import asyncio

    import tenacity

    async def attempt() -> T:
        attempts.replay_first()
        try:
            return await send()
        except DifyrpcError as error:
            attempts.failed(error)
            raise

    sleep = attempts.clock.sleep_async or asyncio.sleep
    return await tenacity.AsyncRetrying(sleep=sleep, **attempts.options())(attempt)


class _Unwatched:
    """Allows every repetition and tells nobody."""

    def may_repeat(self) -> bool:
        """Answers True."""
        return True

    def repeats(self, error: DifyrpcError, wait: float) -> None:
        """Does nothing."""


UNWATCHED = _Unwatched()


class Resumption:
    """Decides how long to wait before a transfer goes on from where it stood; tries without progress count."""

    def __init__(
        self, retry: Retry, deadline: float, watcher: Watcher = UNWATCHED, clock: Clock = SYSTEM_CLOCK
    ) -> None:
        self.clock = clock
        self._retry = retry
        self._watcher = watcher
        self._deadline = deadline
        self._failures = 0
        self._tries = 1
        self._position = -1
        self._last: DifyrpcError | None = None

    def left(self) -> float:
        """Answers the seconds until the deadline; raises the last error where a wait has outlasted it."""
        left = self._deadline - self.clock.now()
        if left <= 0 and self._last is not None:
            raise self._last
        return max(0.001, left)

    def after(self, error: DifyrpcError, position: int, also: bool = False) -> float | None:
        """Answers the seconds to wait after a failure at `position`; None where going on is no use, and it is raised.

        `also` says that this error, though not a passing one by its class, will pass. The error is not raised here:
        it would hold this frame, and the frame it, and both the call with its event loop until garbage is collected.
        """
        self._failures = 1 if position > self._position else self._failures + 1
        self._position = max(position, self._position)
        error.attempts = self._tries
        self._tries += 1
        self._last = None
        wait = self._retry.wait(self._failures, error.with_traceback(None))
        if (
            not (also or passing(error))
            or self._failures >= self._retry.attempts
            or wait >= self._deadline - self.clock.now()
        ):
            return None
        if not self._watcher.may_repeat():
            return None
        self._watcher.repeats(error, wait)
        self._last = error
        return wait

    def pause(self, seconds: float) -> None:
        """Waits, blocking the thread."""
        self.clock.sleep(seconds)

    async def pause_async(self, seconds: float) -> None:
        """Waits in the event loop."""
        import asyncio

        await (self.clock.sleep_async or asyncio.sleep)(seconds)
