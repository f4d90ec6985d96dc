"""Values out of files that may be replaced while the server runs, and the task that looks at the files."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from enum import Enum
from typing import Any, Generic, TypeVar

from prometheus_client import CollectorRegistry, Counter, Gauge

from difyrpc_services.runtime.settings import SettingsError

log = logging.getLogger(__name__)

T = TypeVar("T")
LOOK_SECONDS = 1.0  # reading three small files takes a ten-thousandth of that


class Outcome(Enum):
    """What a look at the files came to."""

    SAME = "same"
    NEW = "new"
    UNUSABLE = "unusable"


class Watched(Generic[T]):
    """A value out of files; files that cannot be used leave it as it was."""

    def __init__(self, value: T, read: Callable[[], T]) -> None:
        """Takes the value as it is, and what reads it again and raises SettingsError."""
        self.value = value
        """What is in use."""
        self.trouble = ""
        """Why the files cannot be used; empty while they are in use."""
        self._failed = ""
        self._read = read

    def look(self) -> Outcome:
        """Reads the files; what they hold is compared, since a link may be swapped without a newer time.

        Answers UNUSABLE once for each fault, and only when it is still there at the second look: who writes a key
        and a certificate one after the other is in between for a moment.
        """
        try:
            found = self._read()
        except SettingsError as error:
            return self._fails(str(error))
        self._failed = self.trouble = ""
        if found == self.value:
            return Outcome.SAME
        self.value = found
        return Outcome.NEW

    def _fails(self, why: str) -> Outcome:
        before, self._failed = self._failed, why
        if why in {self.trouble, ""} or why != before:
            return Outcome.SAME
        self.trouble = why
        return Outcome.UNUSABLE


class Lookout:
    """Looks at watched files again and again while the server runs."""

    def __init__(self, registry: CollectorRegistry, watched: Mapping[str, Watched[Any]]) -> None:
        """Takes where to count, and values that need no more than to be read again."""
        self._watched: dict[str, Watched[Any]] = {}
        self._on_new: dict[str, Callable[[], None]] = {}
        self._task: asyncio.Task[None] | None = None
        self._reloads = Counter(
            "difyrpc_file_reloads", "Times that replaced files were taken into use", ("files",), registry=registry
        )
        self._failures = Counter(
            "difyrpc_file_reload_failures", "Times that replaced files could not be used", ("files",), registry=registry
        )
        self._unusable = Gauge(
            "difyrpc_files_unusable",
            "1 while files cannot be used, and the server goes on with what it read before",
            ("files",),
            registry=registry,
            multiprocess_mode="livemax",
        )
        for name, one in watched.items():
            self.add(name, one, _nothing)

    def add(self, name: str, watched: Watched[Any], on_new: Callable[[], None]) -> None:
        """Takes one more value to look after; `on_new` is told of each change, in a thread."""
        self._watched[name], self._on_new[name] = watched, on_new
        self._reloads.labels(name)
        self._failures.labels(name)
        self._unusable.labels(name).set(0)

    def start(self) -> None:
        """Begins to look, unless there is nothing to look at."""
        if self._watched:
            self._task = asyncio.create_task(self._keep_looking())

    async def stop(self) -> None:
        """Looks no more."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.wait([task])

    def look(self) -> None:
        """Looks once at everything."""
        for name, watched in self._watched.items():
            self._tell(name, watched, watched.look())
            self._unusable.labels(name).set(bool(watched.trouble))

    def _tell(self, name: str, watched: Watched[Any], outcome: Outcome) -> None:
        if outcome is Outcome.NEW:
            self._reloads.labels(name).inc()
            self._on_new[name]()
            log.info("%s: the files have changed, and what they hold is in use now", name)
        if outcome is Outcome.UNUSABLE:
            self._failures.labels(name).inc()
            log.error("%s; the server goes on with what it read before", watched.trouble)

    async def _keep_looking(self) -> None:
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            await asyncio.to_thread(self.look)


def _nothing() -> None:
    """Does nothing: who uses the value asks for it each time."""
