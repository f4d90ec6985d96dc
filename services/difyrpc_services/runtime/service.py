"""What a service hands to the server that runs it, and what it is handed to build itself with."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Protocol

import grpc

if TYPE_CHECKING:
    from prometheus_client.registry import Collector

    from difyrpc_services.runtime.database import Database
    from difyrpc_services.runtime.peers import Peers


@dataclass(frozen=True, kw_only=True)
class Check:
    """One line of `difyrpc doctor`."""

    name: str
    """What was looked at: `files: disk folder`."""
    level: Literal["ok", "warning", "error"]
    """`error` makes the doctor exit with 1."""
    found: str
    """What was found, with the value."""
    advice: str = ""
    """What to do; empty when all is well."""


async def nothing() -> None:
    """Does nothing; the start or stop of a service that needs none."""


async def no_checks() -> Sequence[Check]:
    """Answers no checks."""
    return ()


@dataclass(frozen=True, kw_only=True)
class Service:
    """One service, ready to be added to a server."""

    name: str
    """The name on the command line: `files`."""
    full_name: str
    """The contract's name: `difyrpc.files.v1.FileStorage`."""
    register: Callable[[grpc.aio.Server], None]
    """Adds the servicer to a server."""
    backend: str
    """What it stands on, for people: `disk /var/lib/difyrpc/files`."""
    start: Callable[[], Awaitable[None]] = nothing
    """Runs once before the port opens, after the migrations."""
    stop: Callable[[], Awaitable[None]] = nothing
    """Runs once after the last call ended."""
    check: Callable[[], Awaitable[Sequence[Check]]] = no_checks
    """Proves its backend for `difyrpc doctor`; may be called without `start`."""
    collectors: Sequence[Collector] = field(default=())
    """What it adds to `/metrics` of this process; added up over worker processes. The runtime counts the calls."""
    shared_collectors: Sequence[Collector] = field(default=())
    """What it adds to `/metrics` that is the same in every process, out of the database."""


@dataclass(frozen=True, kw_only=True)
class House:
    """What the runtime offers to every service."""

    env: Mapping[str, str]
    """The environment that settings are read from."""
    state: Path
    """Folder for what must outlive the process; a service uses `state / name`."""
    database: Database
    """PostgreSQL, the user's or the embedded one; migrated before a service starts."""
    peers: Peers
    """The other services, called with the current caller's token."""


class Build(Protocol):
    """The `build` function of every service's `service.py`."""

    def __call__(self, house: House) -> Service:
        """Reads the service's settings, makes its parts meet and answers the service; starts nothing."""
