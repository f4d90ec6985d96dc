"""Runs the programs that print documents."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

PATIENCE_SECONDS = 180
ALWAYS = {"SOURCE_DATE_EPOCH": "1700000000", "FORCE_SOURCE_DATE": "1", "TZ": "UTC"}
"""So that a producer writes the same dates every time, where it heeds them."""


class Missing(Exception):
    """What a producer needs is not on this machine."""


def program(*names: str) -> str:
    """Answers the path of the first program that is installed; Missing."""
    for name in names:
        found = shutil.which(name)
        if found:
            return found
    raise Missing(f"{' or '.join(names)} is not installed")


def run(command: Sequence[str], *, folder: Path, given: bytes | None = None) -> bytes:
    """Answers what a program writes to its standard output; Missing with its last words if it fails."""
    done = subprocess.run(
        command, cwd=folder, input=given, capture_output=True, timeout=PATIENCE_SECONDS, check=False,
        env={**os.environ, **ALWAYS, "HOME": str(folder)},
    )  # fmt: skip
    if done.returncode:
        words = (done.stderr or done.stdout).decode(errors="replace").strip().splitlines()
        raise Missing(f"{command[0]} failed: {' '.join(words[-3:])}")
    return done.stdout
