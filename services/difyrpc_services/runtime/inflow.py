"""Lets so many calls a second begin that none waits for long."""

from __future__ import annotations

from collections import deque

TICK_SECONDS = 0.1
STANDING_TICKS = 3  # so many long waits in a row are a queue that stands (as in CoDel); one is a long step of one call
COUNTED_TICKS = 10  # over which the calls are counted that begin when refusing starts
QUIET_TICKS = 10  # so many without a refusal end it
CUT = 0.8  # of the rate is left when the queue stands again
# The wait is held at a share of the limit, as PIE does (RFC 8033): by its distance from there and by its change.
TARGET = 0.4
GAIN = 0.03  # of the rate, a tick, for a wait of nothing or of twice the target
MOST_HASTE = 4.0  # that much faster, within 15 ticks, while the wait stays below half the target
DAMPING = 0.1  # of the rate, for a change by the target
LARGEST_STEP = 0.2  # of the rate, a tick
LEAST_RATE = 1.0  # calls a second; the rest is refused, and one shows whether it got better
BURST_SECONDS = 0.02  # of the rate may begin at once; calls that begin together make the loop's turns long


class Inflow:
    """The calls a second that may begin; any number until the queue stands."""

    def __init__(self, limit_seconds: float) -> None:
        """Takes the longest wait that is allowed."""
        self._limit = limit_seconds
        self._target = TARGET * limit_seconds
        self._rate: float | None = None
        self._allowed = self._allowed_at = 0.0
        self._is_draining = False
        self._waits: deque[float] = deque([0.0] * STANDING_TICKS, maxlen=STANDING_TICKS)
        self._begun: deque[int] = deque([0], maxlen=COUNTED_TICKS)
        self._refused = self._calm_ticks = self._quiet_ticks = 0
        self.shed_share = 0.0
        """Share of the calls of the last tick that was refused, 0 to 1."""

    @property
    def rate(self) -> float | None:
        """Calls a second that may begin; None for any number."""
        return self._rate

    def lets_in(self, now: float) -> bool:
        """Answers whether a call that came up at `now`, in seconds, may begin."""
        if self._rate is not None:
            if not self._is_draining:
                most = max(1.0, self._rate * BURST_SECONDS)
                self._allowed = min(most, self._allowed + (now - self._allowed_at) * self._rate)
            self._allowed_at = now
            if self._allowed < 1:
                self._refused += 1
                return False
            self._allowed -= 1
        self._begun[-1] += 1
        return True

    def tick(self, wait: float) -> None:
        """Takes how long new calls wait, in seconds, once in TICK_SECONDS."""
        self._waits.append(wait)
        begun, refused, self._refused = self._begun[-1], self._refused, 0
        self.shed_share = refused / (begun + refused) if refused else 0.0
        self._quiet_ticks = 0 if refused else self._quiet_ticks + 1
        if self._rate is None:
            self._watch()
        elif wait >= self._limit:
            self._drain(self._rate if self._is_draining else CUT * self._rate)
        elif self._quiet_ticks >= QUIET_TICKS:
            self._rate = None
        else:
            self._adjust(wait, self._rate)
        self._begun.append(0)

    def _watch(self) -> None:
        if min(self._waits) >= self._limit:
            self._drain(sum(self._begun) / len(self._begun) / TICK_SECONDS)

    def _drain(self, rate: float) -> None:
        """Lets nothing in until the queue is short again: what stands in it has waited for too long already."""
        self._rate, self._is_draining = max(LEAST_RATE, rate), True
        self._allowed = 0.0
        self._calm_ticks = self._quiet_ticks = 0

    def _adjust(self, wait: float, rate: float) -> None:
        before = wait if self._is_draining else self._waits[-2]  # a queue that was drained fell by no merit of the rate
        self._is_draining = False
        self._calm_ticks = self._calm_ticks + 1 if wait < self._target / 2 else 0
        haste = min(MOST_HASTE, 1 + self._calm_ticks / 5)
        step = GAIN * haste * (1 - wait / self._target) - DAMPING * (wait - before) / self._target
        self._rate = max(LEAST_RATE, rate * (1 + max(-LARGEST_STEP, min(LARGEST_STEP, step))))
