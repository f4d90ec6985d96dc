"""Tells the calls of one service of this process to another from those of strangers."""

from __future__ import annotations

import secrets
from collections.abc import Iterable
from typing import Any

KEY = "x-difyrpc-colleague"
PASS = secrets.token_hex(16)  # this process's own; it is sent over the socket alone that only this process can reach


def is_colleague(metadata: Iterable[tuple[str, Any]] | None) -> bool:
    """Answers whether a call shows the pass: it is part of one that was let in and counted when it began."""
    return any(key == KEY and secrets.compare_digest(value.encode(), PASS.encode()) for key, value in metadata or ())
