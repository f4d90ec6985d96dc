"""Says what was measured, and on what."""

from __future__ import annotations

import os
import platform
import subprocess
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def described(packages: Sequence[str]) -> str:
    """Answers the machine, the versions and the commit in a few lines."""
    system = f"{platform.system()} {platform.release()}"
    versions = ", ".join(f"{name} {_version(name)}" for name in ("Python", *packages))
    lines = (
        f"machine  {_processor()}, {os.cpu_count()} processors, {system}, load {os.getloadavg()[0]:.2f}",
        f"versions {versions}",
        f"commit   {_commit()}",
    )
    return "\n".join(lines)


def _version(package: str) -> str:
    if package == "Python":
        return platform.python_version()
    try:
        return version(package)
    except PackageNotFoundError:
        return "missing"


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def _commit() -> str:
    commit = _git("describe", "--always", "--abbrev=10")
    return f"{commit} with changes" if _git("status", "--porcelain", "clients", "generated", "benchmarks") else commit


def _git(*arguments: str) -> str:
    return subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=False).stdout.strip()


def processors() -> tuple[int, int] | None:
    """Answers one processor for callers and another for servers; None where there is one only."""
    free = sorted(os.sched_getaffinity(0))
    return (free[0], free[-1]) if len(free) > 1 else None
