"""Blocking work beside an event loop; asyncio is imported with the first of it, since synchronous callers need none."""

from __future__ import annotations

from collections.abc import Callable
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


async def in_thread(work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Does the work in a thread of the running loop."""
    import asyncio

    return await asyncio.to_thread(work, *args, **kwargs)
