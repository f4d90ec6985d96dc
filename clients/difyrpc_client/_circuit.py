"""Stops calling what keeps failing: one circuit for each method of each target, shared by the process."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Literal

from difyrpc_client._errors import (
    Cancelled,
    CircuitOpen,
    ConfigurationError,
    DeadlineExceeded,
    DifyrpcError,
    Internal,
    TLSError,
    Unavailable,
    Unknown,
)

State = Literal["closed", "half_open", "open"]

SLICE_SECONDS = 1  # outcomes are counted by slices of this length
LONGEST_WINDOW_SECONDS = 600.0  # for so long they may be kept
ILL = (Unavailable, DeadlineExceeded, Cancelled, Internal, Unknown)  # other errors are answers of a healthy server
OWN = (ConfigurationError, TLSError)  # of this client's settings; they say nothing of the server to others


@dataclass(frozen=True, kw_only=True)
class Breaker:
    """When calls to a method that keeps failing are refused at once, with CircuitOpen.

    What counts is how calls end, their repetitions included: UNAVAILABLE, DEADLINE_EXCEEDED, CANCELLED by the server,
    INTERNAL and UNKNOWN are failures, every other answer is a success; what the caller breaks off, and a TLSError, is
    neither.
    The defaults are those that Hystrix made common, over a longer window, since repetitions make outcomes rare.
    """

    failure_rate: float = 0.5
    """Share of failures in the window that opens the circuit, above 0 to 1."""
    least_calls: int = 20
    """Calls in the window below which it never opens."""
    window_seconds: float = 30.0
    """How far back outcomes count, 1 to 600 seconds."""
    open_seconds: float = 5.0
    """How long calls are refused before one may try; it is not doubled, since one call is little load, and what is well
    again shall soon be called."""

    def __post_init__(self) -> None:
        _check("failure_rate", self.failure_rate, 0 < self.failure_rate <= 1, "above 0, to 1")
        _check("least_calls", self.least_calls, self.least_calls >= 1, "at least 1")
        fits = SLICE_SECONDS <= self.window_seconds <= LONGEST_WINDOW_SECONDS
        _check("window_seconds", self.window_seconds, fits, f"{SLICE_SECONDS} to {LONGEST_WINDOW_SECONDS:.0f}")
        _check("open_seconds", self.open_seconds, self.open_seconds > 0, "above 0")


def _check(name: str, value: float, good: bool, choices: str) -> None:
    if not good:
        raise ConfigurationError(f"Breaker({name}={value}) is out of range: {choices}")


class Circuit:
    """Closed while calls succeed, open while they are refused, half open while one of them tries.

    Takes the time as an argument and no lock: its route holds the target's.
    """

    def __init__(self, target: str, method: str) -> None:
        self.state: State = "closed"
        """How it stands."""
        self._target = target
        self._method = method
        self._window = 0.0  # the longest that a breaker has asked for
        self._slice = _Slice(-1)
        self._slices: deque[_Slice] = deque()
        self._open_until = 0.0

    def enter(self, now: float, breaker: Breaker) -> bool:
        """Lets a call begin and answers whether it is the one that tries; raises CircuitOpen."""
        if self.state == "closed":
            return False
        if now < self._open_until:
            raise self._refusal(now, breaker)
        self.state = "half_open"
        self._open_until = now + breaker.open_seconds  # if the one that tries does not end by then, another may
        return True

    def leave(self, now: float, error: BaseException | None, breaker: Breaker, *, tries: bool) -> None:
        """Takes how a call ended; what is no error of the server says nothing."""
        tries = tries and self.state == "half_open"  # else another has tried since then
        if error is not None and (not isinstance(error, DifyrpcError) or isinstance(error, OWN)):
            if tries:
                self._open_until = now  # nothing was learnt: the next call tries
            return
        ill = isinstance(error, ILL)
        self.count(now, ill, breaker)
        if tries and not ill:
            self._close()
        elif ill and (tries or (self.state == "closed" and self._fails(now, breaker))):
            self._open(now, breaker)

    def count(self, now: float, ill: bool, breaker: Breaker) -> None:
        """Takes how a call ended that opens and closes nothing."""
        current, number = self._slice, int(now / SLICE_SECONDS)
        if current.number != number:
            self._window = max(self._window, breaker.window_seconds)
            current = self._begin_slice(number)
        current.calls += 1
        current.failures += ill

    def retry_after(self, now: float) -> float:
        """Answers the seconds until a call may be made, 0 while it is closed."""
        return 0.0 if self.state == "closed" else max(0.0, self._open_until - now)

    def _begin_slice(self, number: int) -> _Slice:
        self._slice = _Slice(number)
        self._slices.append(self._slice)
        while self._slices[0].number < number - self._window / SLICE_SECONDS:
            self._slices.popleft()
        return self._slice

    def _fails(self, now: float, breaker: Breaker) -> bool:
        calls, failures = self._sums(now, breaker)
        return calls >= breaker.least_calls and failures >= breaker.failure_rate * calls

    def _sums(self, now: float, breaker: Breaker) -> tuple[int, int]:
        first = int((now - breaker.window_seconds) / SLICE_SECONDS)
        counted = [one for one in self._slices if one.number > first]
        return sum(one.calls for one in counted), sum(one.failures for one in counted)

    def _open(self, now: float, breaker: Breaker) -> None:
        self._open_until = now + breaker.open_seconds
        self.state = "open"

    def _close(self) -> None:
        self._slice = _Slice(-1)
        self._slices.clear()
        self.state = "closed"

    def _refusal(self, now: float, breaker: Breaker) -> CircuitOpen:
        calls, failures = self._sums(now, breaker)
        after = self.retry_after(now)
        return CircuitOpen(
            f"{self._method} at {self._target} is not called for {after:.1f} s: "
            f"{failures} of {calls} calls failed in the last {breaker.window_seconds:g} s",
            reason="CIRCUIT_OPEN",
            metadata={"target": self._target, "method": self._method, "failures": str(failures), "calls": str(calls)},
            retry_after=after,
            attempts=0,
        )


class _Slice:
    """How calls ended during one slice of time."""

    __slots__ = ("calls", "failures", "number")

    def __init__(self, number: int) -> None:
        self.number = number
        self.calls = 0
        self.failures = 0
