"""Keeps repetitions from multiplying the load on a server that is failing: a budget for each target."""

from __future__ import annotations

import threading

FREE_PER_SECOND = 10.0  # repetitions that are always allowed, as in Finagle's RetryBudget
LEAST_SAVED = 100.0  # repetitions that may be saved up at least; also what a process starts with
SAVING_SECONDS = 10.0  # calls of so long ago may be saved for, so that a lost server's calls can all go elsewhere


class Budget:
    """Repetitions that the calls of this process to one target may still make; a bucket of tokens.

    Every call adds its share, time adds FREE_PER_SECOND, every repetition takes one. Takes the time as an argument.
    """

    def __init__(self) -> None:
        self.lock = threading.Lock()
        """The target's, which the routes hold while they touch it; for a few operations, never while anything waits."""
        self._tokens = self._most = LEAST_SAVED
        self._filled_at = 0.0
        self._earned = 0.0
        self._earning_since = 0.0

    def earn(self, now: float, share: float) -> None:
        """Takes that a call was made, of whose like `share` may be repetitions."""
        if now - self._earning_since >= SAVING_SECONDS:
            self._most = LEAST_SAVED + self._earned
            self._earned, self._earning_since = 0.0, now
        self._earned += share
        if self._tokens < self._most:
            self._tokens = min(self._most, self._tokens + share)

    def spend(self, now: float) -> bool:
        """Takes one repetition out, and answers whether there was one."""
        earned = max(0.0, now - self._filled_at) * FREE_PER_SECOND
        self._filled_at = now
        self._tokens = min(self._most, self._tokens + earned)
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True
