"""How much memory there is: of the container, where it has a limit, and of the machine."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import psutil

GROUPS = Path("/proc/self/cgroup")
GROUP_ROOT = Path("/sys/fs/cgroup")


def memory_of_container() -> Callable[[], float | None]:
    """Answers what reads the share of the container's memory limit that is used, in percent; None without a limit."""
    container = _container()
    return container.percent if container else lambda: None


def free_bytes() -> int:
    """Answers the bytes that processes may still take, of the machine's and of the container's limit."""
    free = int(psutil.virtual_memory().available)
    container = _container()
    used = container.used_bytes() if container else None
    return free if container is None or used is None else min(free, container.limit_bytes - used)


@dataclass(frozen=True, kw_only=True)
class _Container:
    """A group of processes with a limit."""

    limit_bytes: int
    usage: Path
    statistics: Path
    inactive: str

    def percent(self) -> float | None:
        used = self.used_bytes()
        return None if used is None else 100.0 * used / self.limit_bytes

    def used_bytes(self) -> int | None:
        """Answers what counts against the limit, as the kubelet sees it: all but cached pages that can be dropped."""
        used = _number(self.usage)
        if used is None:
            return None
        try:
            lines = self.statistics.read_text().splitlines()
        except OSError:
            lines = []
        return max(0, used - sum(int(line.split()[1]) for line in lines if line.startswith(self.inactive)))


@cache
def _container() -> _Container | None:
    for folder, limit, usage, inactive in _groups():
        most = _number(folder / limit)
        if most is not None and most < 1 << 60:  # cgroup v1 writes a huge number for none
            statistics = folder / "memory.stat"
            return _Container(limit_bytes=most, usage=folder / usage, statistics=statistics, inactive=inactive)
    return None


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


def _number(file: Path) -> int | None:
    try:
        return int(file.read_text())
    except (OSError, ValueError):
        return None
