"""Knows how long calls take at least just now, so that none is begun that cannot end in its caller's time.

Calls wait in gRPC's own queue before Python sees them, and nothing tells for how long. What shows it is the time that
they have left: behind a long queue every call begins with too little, and all the work is for nothing.
"""

from __future__ import annotations

from collections import deque

REMEMBERED = 20  # calls of a method, the last ones
KNOWN = 5  # fewer tell nothing


class Durations:
    """The times of the last calls that succeeded, by method."""

    def __init__(self) -> None:
        """Starts without any."""
        self._seconds: dict[str, deque[float]] = {}

    def note(self, method: str, seconds: float) -> None:
        """Takes how long a call took."""
        self._seconds.setdefault(method, deque(maxlen=REMEMBERED)).append(seconds)

    def least(self, method: str) -> float:
        """Answers the shortest of the last times, in seconds; 0 while too few are known."""
        known = self._seconds.get(method, ())
        return min(known) if len(known) >= KNOWN else 0.0

    def doubt(self, method: str) -> None:
        """Forgets the oldest time: what refuses calls by what it knows would else never learn better."""
        self._seconds[method].popleft()
