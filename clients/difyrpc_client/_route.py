"""What this process knows of each method of each target: its circuit, its counts, the target's retry budget."""

from __future__ import annotations

import os
import threading
import time
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass

from difyrpc_client._budget import Budget
from difyrpc_client._circuit import Breaker, Circuit, State
from difyrpc_client._errors import CircuitOpen


@dataclass(frozen=True, kw_only=True)
class CallCounts:
    """What became of this process's calls of one method to one target."""

    target: str
    """The address."""
    method: str
    """Service and rpc: `files.GetFile`."""
    ended: Mapping[str, int]
    """Calls that ended, by status (`OK`, `UNAVAILABLE`, …), repetitions not counted; those that the caller broke off
    are `CANCELLED`."""
    seconds: float
    """Their time from the first try to the end, added up."""
    retries: int
    """Repetitions."""
    retries_denied: int
    """Repetitions that were not made since the target's budget was spent."""
    refused: int
    """Calls that were not made since the circuit was open."""
    circuit: State
    """How the circuit stands."""
    retry_after: float
    """Seconds until an open circuit lets a call try; 0 while it is closed."""


class Route:
    """Calls of one method to one target; may be used by several threads."""

    def __init__(self, target: str, method: str, budget: Budget) -> None:
        self.target = target
        """The address."""
        self.method = method
        """Service and rpc: `files.GetFile`."""
        self._budget = budget
        self._circuit = Circuit(target, method)
        self._ended: defaultdict[str, int] = defaultdict(int)
        self._seconds = 0.0
        self._retries = self._retries_denied = self._refused = 0

    def enter(self, now: float, breaker: Breaker | None, budget: float) -> bool:
        """Lets a call begin and answers whether it tries a half open circuit; raises CircuitOpen."""
        with self._budget.lock:
            self._budget.earn(now, budget)
            if breaker is None or self._circuit.state == "closed":
                return False
            try:
                return self._circuit.enter(now, breaker)
            except CircuitOpen:
                self._refused += 1
                raise

    def succeeded(self, now: float, seconds: float, breaker: Breaker | None) -> None:
        """Takes that a call was answered that tried no half open circuit; the short way of `leave`."""
        with self._budget.lock:
            self._ended["OK"] += 1
            self._seconds += seconds
            if breaker is not None:
                self._circuit.count(now, False, breaker)

    def leave(
        self,
        now: float,
        code: str,
        error: BaseException | None,
        *,
        seconds: float,
        breaker: Breaker | None,
        tries: bool,
    ) -> State | None:
        """Takes how a call ended; answers the circuit's state where that has changed."""
        circuit = self._circuit
        with self._budget.lock:
            self._ended[code] += 1
            self._seconds += seconds
            if breaker is None:
                return None
            before = circuit.state
            circuit.leave(now, error, breaker, tries=tries)
            return None if circuit.state == before else circuit.state

    def may_repeat(self, now: float) -> bool:
        """Answers whether the target's budget has a repetition left, and takes it."""
        with self._budget.lock:
            allowed = self._budget.spend(now)
            self._retries += allowed
            self._retries_denied += not allowed
            return allowed

    def retry_after(self, now: float) -> float:
        """Answers the seconds until a call may be made, 0 while the circuit is closed."""
        return self._circuit.retry_after(now)

    def counts(self, now: float) -> CallCounts:
        """Answers what has been counted."""
        with self._budget.lock:
            return CallCounts(
                target=self.target,
                method=self.method,
                ended=dict(self._ended),
                seconds=self._seconds,
                retries=self._retries,
                retries_denied=self._retries_denied,
                refused=self._refused,
                circuit=self._circuit.state,
                retry_after=self._circuit.retry_after(now),
            )


class Routes:
    """All routes of a process, made on use."""

    def __init__(self) -> None:
        self._routes: dict[tuple[str, str], Route] = {}
        self._budgets: dict[str, Budget] = {}

    def of(self, target: str, path: str) -> Route:
        """Answers the route of a method, by its path on the wire."""
        found = self._routes.get((target, path))
        if found is None:
            budget = self._budgets.setdefault(target, Budget())
            found = self._routes.setdefault((target, path), Route(target, name_of(path), budget))
        return found

    def counts(self, now: float) -> tuple[CallCounts, ...]:
        """Answers what has been counted, by target and method."""
        return tuple(self._routes[key].counts(now) for key in sorted(self._routes))

    def forget(self) -> None:
        """Begins anew, for tests: a port may come again, with another server behind it."""
        self._routes, self._budgets = {}, {}

    def renew_locks(self) -> None:
        """Makes the locks anew: after a fork one may be held by a thread that the child does not have."""
        for budget in self._budgets.values():
            budget.lock = threading.Lock()


def name_of(path: str) -> str:
    """Answers `files.GetFile` for `/difyrpc.files.v1.FileStorage/GetFile`, and other paths as they are."""
    parts = path.split(".")
    return f"{parts[1]}.{path.rpartition('/')[2]}" if path.startswith("/difyrpc.") and len(parts) > 2 else path


def call_counts() -> tuple[CallCounts, ...]:
    """Answers what became of this process's calls, for each method of each target, since it began."""
    return PROCESS_ROUTES.counts(time.monotonic())


PROCESS_ROUTES = Routes()
os.register_at_fork(after_in_child=PROCESS_ROUTES.renew_locks)
