"""Functions of the caller's that are told of calls, repetitions and circuits."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from difyrpc_client._circuit import State
from difyrpc_client._errors import DifyrpcError

log = logging.getLogger(__name__)

Event = TypeVar("Event")


@dataclass(frozen=True, kw_only=True)
class CallEnded:
    """One call that has ended, its repetitions included."""

    target: str
    """The address."""
    method: str
    """Service and rpc: `files.GetFile`."""
    code: str
    """Name of the status: `OK`, `NOT_FOUND`, …; `CANCELLED` where the caller broke it off."""
    seconds: float
    """From the first try to the end."""
    attempts: int
    """How often it was sent; 0 where an open circuit refused it."""
    request_id: str
    """Its `x-request-id`."""
    error: BaseException | None
    """What is raised to the caller; None for a success."""


@dataclass(frozen=True, kw_only=True)
class CallRepeated:
    """One try that failed and is repeated."""

    target: str
    """The address."""
    method: str
    """Service and rpc: `files.GetFile`."""
    attempt: int
    """Number of the try that failed, from 1."""
    wait_seconds: float
    """How long the client waits before the next one."""
    request_id: str
    """The call's `x-request-id`."""
    error: DifyrpcError
    """What the try ended with."""


@dataclass(frozen=True, kw_only=True)
class CircuitChanged:
    """A circuit that has opened or closed with the outcome of one of this client's calls."""

    target: str
    """The address."""
    method: str
    """Service and rpc: `files.GetFile`."""
    state: State
    """How it stands now."""
    retry_after: float
    """Seconds until a call may be made; 0 for a closed one."""


@dataclass(frozen=True, kw_only=True)
class Hooks:
    """Functions that are told what happens; called in the caller's thread, so they must be quick and must not wait.

    What they raise is logged and goes no further.
    """

    on_call: Callable[[CallEnded], object] | None = None
    """After each call."""
    on_retry: Callable[[CallRepeated], object] | None = None
    """Before each repetition."""
    on_circuit: Callable[[CircuitChanged], object] | None = None
    """When a circuit opens or closes."""


def tell(hook: Callable[[Event], Any] | None, event: Event) -> None:
    """Calls a hook; what it raises is logged and goes no further."""
    try:
        if hook is not None:
            hook(event)
    except Exception:  # a hook of the caller's must not break the caller's call
        log.exception("the hook %r broke", hook)
