"""Servers on hosts of their own under the steady load of clients on another; what happened, call by call."""

from __future__ import annotations

import itertools
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
from network import Host

PORT = 50051
START_SECONDS = 60.0
WAIT_SECONDS = 90.0  # for what a scenario waits for at most
SLOW_SECONDS = 0.1  # a call that was sent twice lasts longer: the first wait between two tries is .1 to .2 s
QUIET_SECONDS = 1.0  # without a slow call: the disturbance is over
TESTS = Path(__file__).parent
_numbers = itertools.count()


@dataclass(frozen=True, kw_only=True)
class Call:
    """One call as its caller saw it; times are of this machine's monotonic clock."""

    who: str
    kind: str
    begun: float
    ended: float
    error: str
    message: str

    @property
    def seconds(self) -> float:
        return self.ended - self.begun

    @property
    def is_disturbed(self) -> bool:
        return self.seconds > SLOW_SECONDS or bool(self.error)


@dataclass(frozen=True, kw_only=True)
class Arrival:
    """One call as a server saw it."""

    at: float
    kind: str
    who: str
    request_id: str


class Node:
    """One server that is started, killed and started again on its host."""

    def __init__(self, host: Host, folder: Path, program: Sequence[str], env: Mapping[str, str]) -> None:
        self.host = host
        self.address = f"{host.address}:{PORT}"
        self.journal = folder / f"{host.name}.journal"
        self._log = folder / f"{host.name}.log"
        self._program = program
        self._env = {
            "DIFYRPC_LISTEN": self.address,
            "DIFYRPC_AUTH": "none",
            "DIFYRPC_TENANT": "fleet",
            "DIFYRPC_STATE": str(folder / host.name),
            **env,
        }
        self._process: subprocess.Popen[str] | None = None

    def launch(self) -> None:
        """Starts it without waiting."""
        with self._log.open("a") as log:
            self._process = subprocess.Popen(
                self.host.command(sys.executable, *(part.format(journal=self.journal) for part in self._program)),
                env=environment(self._env),
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )

    def await_ready(self) -> float:
        """Blocks until it has said that it is ready; answers when."""
        guard = threading.Timer(START_SECONDS, self._process.kill)
        guard.start()
        ready = any("is ready" in line for line in self._process.stdout)
        guard.cancel()
        assert ready, f"{self.host.name} did not start: {self._log.read_text()[-2000:]}"
        at = time.monotonic()
        go_first(self._process.pid)
        return at

    def start(self) -> float:
        """Starts it; answers when it was ready."""
        self.launch()
        return self.await_ready()

    def end(self, number: int) -> float:
        """Sends a signal and waits for the end; answers when it was sent."""
        at = time.monotonic()
        if self._process is not None:
            self._process.send_signal(number)
            self._process.wait(START_SECONDS)
            self._process.stdout.close()
            self._process = None
        return at

    def cut_off(self) -> float:
        """Lets nothing reach it any more; answers when."""
        self.host.cut_off()
        return time.monotonic()

    def join(self) -> float:
        """Lets it be reached again; answers when."""
        at = time.monotonic()
        self.host.join()
        return at

    @property
    def is_up(self) -> bool:
        return self._process is not None

    def arrivals(self) -> list[Arrival]:
        """Answers what has reached it, over all its lives."""
        lines = self.journal.read_text().splitlines() if self.journal.exists() else []
        return [
            Arrival(at=float(at), kind=kind, who=who, request_id=request_id)
            for at, kind, who, request_id in map(str.split, lines)
        ]


class Load:
    """A client process that calls steadily, and what it has told."""

    def __init__(self, name: str, process: subprocess.Popen[str]) -> None:
        self.name = name
        self.calls: list[Call] = []
        self._process = process
        self._told = threading.Condition()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def until(self, happened: Callable[[], bool]) -> None:
        """Blocks until something holds after a call has ended."""
        with self._told:
            assert self._told.wait_for(happened, WAIT_SECONDS), f"{len(self.calls)} calls and no end"

    def go_on(self, seconds: float) -> None:
        """Blocks until calls have begun, and ended, so much later than now."""
        go_first(self._process.pid)
        until = time.monotonic() + seconds
        self.until(lambda: bool(self.calls) and self.calls[-1].begun > until)

    def finish(self) -> list[Call]:
        """Begins no more calls, waits for those under way and answers all."""
        self._process.stdin.close()
        self._reader.join(WAIT_SECONDS)
        assert self._process.wait(WAIT_SECONDS) == 0
        self._process.stdout.close()
        return self.calls

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()

    def _read(self) -> None:
        for line in self._process.stdout:
            with self._told:
                self.calls.append(Call(**json.loads(line)))
                self._told.notify_all()


@contextmanager
def started(nodes: Sequence[Node]) -> Iterator[None]:
    """Starts servers, side by side; kills what of them runs at the end."""
    with ExitStack() as stack:
        for node in nodes:
            stack.callback(node.end, signal.SIGKILL)
            node.launch()
        for node in nodes:
            node.await_ready()
        yield


@contextmanager
def load(host: Host, pace: Sequence[str], *, env: Mapping[str, str], hosts: Path) -> Iterator[Load]:
    """Runs a client that calls until it is told to finish; `pace` is its API, what it calls, and calls a second."""
    name = f"{pace[0]}{next(_numbers)}"
    process = subprocess.Popen(
        host.command(sys.executable, "-m", "steady_load", *pace, name, hosts=hosts),
        env=environment(env),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    running = Load(name, process)
    try:
        yield running
    finally:
        running.kill()


def go_first(pid: int) -> None:
    """Runs a process and its children before the machine's other work, so that the network alone is blamed."""
    process = psutil.Process(pid)
    for each in [process, *process.children(recursive=True)]:
        with suppress(OSError):  # not permitted, or a thread that has just ended
            for thread in Path(f"/proc/{each.pid}/task").iterdir():
                os.sched_setscheduler(int(thread.name), os.SCHED_RR, os.sched_param(1))


def environment(more: Mapping[str, str]) -> dict[str, str]:
    """Answers the environment of a child: no proxy, the tests' own modules."""
    kept = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
    return {**kept, "PYTHONPATH": os.pathsep.join(filter(None, [os.environ.get("PYTHONPATH"), str(TESTS)])), **more}


def recovery(calls: Sequence[Call], since: float) -> float:
    """Answers the seconds from `since` until the last disturbed call had ended before a quiet second."""
    last = since
    for call in sorted((call for call in calls if call.ended > since and call.is_disturbed), key=lambda one: one.begun):
        if call.begun > last + QUIET_SECONDS:
            break
        last = max(last, call.ended)
    return last - since


def figures(calls: Sequence[Call], arrivals: Sequence[Arrival]) -> dict[str, Any]:
    """Answers what happened, in numbers."""
    sent: dict[str, int] = {}
    for arrival in arrivals:
        sent[arrival.who] = sent.get(arrival.who, 0) + 1
    repeatable = [call for call in calls if call.kind != "upload"]
    return {
        "calls": len(calls),
        "failed repeatable": sum(1 for call in repeatable if call.error),
        "failed once-only": sum(1 for call in calls if call.kind == "upload" and call.error),
        "slow": sum(1 for call in calls if call.is_disturbed),
        "arrived twice": sum(1 for call in calls if sent.get(call.who, 0) > 1),
        "longest": round(max(call.seconds for call in calls), 2),
    }
