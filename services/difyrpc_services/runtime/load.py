"""Watches how busy this process is, so that it refuses some new calls before all calls suffer."""

from __future__ import annotations

import asyncio
import random
import time
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Protocol

TICK_SECONDS = 0.1
STANDING_TICKS = 3  # so many late ticks in a row are a queue that stands (as in CoDel); one is a long step of one call
# The share of new calls that is refused grows fast and falls slowly, as TCP's window does the other way round
# (additive increase, multiplicative decrease), so that it settles near what the process can bear.
SHARE_UP = 0.2  # a busy tick
SHARE_DOWN = 0.05  # a calm tick
LARGEST_SHARE = 0.95  # the rest are let in, or nothing would show that it got better
CALM = 0.5  # share of the limit below which the event loop is calm; in between nothing changes
MEMORY_TICKS = 10  # memory is looked at once a second
MEMORY_CALM_PERCENT = 5.0  # that far below its limit memory is calm again
RETRY_SECONDS = (0.5, 1.5)  # callers come back at random in between
GROUPS = Path("/proc/self/cgroup")
GROUP_ROOT = Path("/sys/fs/cgroup")


class LoadMetrics(Protocol):
    """Shows what is seen."""

    def show_load(self, *, lag_seconds: float, shed_share: float) -> None:
        """Takes the event loop's delay and the share of new calls that is refused, 0 to 1."""


class Load:
    """How busy this process is; looks only while there are calls."""

    def __init__(
        self,
        *,
        lag_seconds: float,
        memory_percent: float,
        metrics: LoadMetrics,
        memory_used: Callable[[], float | None],
    ) -> None:
        """Takes the limits, 0 for none, and what answers the share of the memory that is used, 0 to 100."""
        self._lag_limit = lag_seconds
        self._memory_limit = memory_percent
        self._metrics = metrics
        self._memory_used = memory_used
        self._is_watching = self._was_called = self._is_tight = False
        self._share = self._debt = 0.0
        self._lags: deque[float] = deque(maxlen=STANDING_TICKS)
        self._ticks = 0

    @property
    def cause(self) -> str:
        """What is wrong, as words for the caller."""
        return "memory" if self._is_tight else "CPU"

    def refuses(self, running: int) -> bool:
        """Answers whether one more call beside `running` ones is one too many."""
        self._was_called = True
        if not self._is_watching:
            self._watch()
        if self._is_tight and running:  # without a call that could give memory back, refusing would never end
            return True
        self._debt += self._share
        if self._debt < 1:
            return False
        self._debt -= 1
        return True

    def see(self, lag_seconds: float) -> None:
        """Takes how late the event loop was at one tick, and looks at the memory now and then."""
        self._weigh(lag_seconds)
        if self._memory_limit and self._ticks % MEMORY_TICKS == 0:
            self._look_at_memory()
        self._ticks += 1
        self._metrics.show_load(lag_seconds=lag_seconds, shed_share=1.0 if self._is_tight else self._share)

    def retry_after(self) -> float:
        """Answers after how many seconds a caller that was refused may come back."""
        return random.uniform(*RETRY_SECONDS)  # noqa: S311  # spreads load, guards nothing

    def _watch(self) -> None:
        loop = asyncio.get_running_loop()
        self._is_watching = True
        self._lags.clear()
        self._ticks = 0
        loop.call_later(TICK_SECONDS, self._tick, loop, time.monotonic() + TICK_SECONDS)

    def _tick(self, loop: asyncio.AbstractEventLoop, due: float) -> None:
        now = time.monotonic()
        lag = max(0.0, now - due)
        self.see(lag)
        self._is_watching = self._was_called or self._share > 0 or self._is_tight
        self._was_called = False
        if self._is_watching:
            loop.call_later(TICK_SECONDS, self._tick, loop, now + TICK_SECONDS)
        else:
            self._metrics.show_load(lag_seconds=0.0, shed_share=0.0)

    def _weigh(self, lag: float) -> None:
        self._lags.append(lag)
        if not self._lag_limit:
            return
        if len(self._lags) == STANDING_TICKS and min(self._lags) >= self._lag_limit:
            self._share = min(LARGEST_SHARE, self._share + SHARE_UP)
        elif lag < self._lag_limit * CALM:
            self._share = max(0.0, round(self._share - SHARE_DOWN, 3))
        self._debt = self._debt if self._share else 0.0

    def _look_at_memory(self) -> None:
        used = self._memory_used()
        calm = self._memory_limit - MEMORY_CALM_PERCENT
        self._is_tight = used is not None and used >= (calm if self._is_tight else self._memory_limit)


def memory_of_container() -> Callable[[], float | None]:
    """Answers what reads the share of the container's memory limit that is used, in percent; None without a limit."""
    for folder, limit, usage, inactive in _groups():
        most = _number(folder / limit)
        if most is not None and most < 1 << 60:  # cgroup v1 writes a huge number for none
            return lambda: _percent(folder / usage, folder / "memory.stat", inactive, most)
    return lambda: None


def _groups() -> Iterator[tuple[Path, str, str, str]]:
    """Yields where memory limits may stand, the closest first: cgroup v2, then v1."""
    try:
        lines = [line.split(":", 2) for line in GROUPS.read_text().splitlines()]
    except OSError:
        return
    for _, kinds, path in lines:
        here = Path(path.lstrip("/"))
        for part in (here, *here.parents):
            if not kinds:
                yield GROUP_ROOT / part, "memory.max", "memory.current", "inactive_file "
            elif "memory" in kinds.split(","):
                folder = GROUP_ROOT / "memory" / part
                yield folder, "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file "


def _percent(usage: Path, statistics: Path, inactive: str, most: int) -> float | None:
    """Answers what counts against the limit, as the kubelet sees it: all but cached file pages that can be dropped."""
    used = _number(usage)
    if used is None:
        return None
    try:
        cached = sum(int(line.split()[1]) for line in statistics.read_text().splitlines() if line.startswith(inactive))
    except OSError:
        cached = 0
    return 100.0 * max(0, used - cached) / most


def _number(file: Path) -> int | None:
    try:
        return int(file.read_text())
    except (OSError, ValueError):
        return None
