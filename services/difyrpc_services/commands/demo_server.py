"""The server that `difyrpc demo` shows: a process of its own in a temporary state folder, ended with the demo."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

from difyrpc_services.runtime.keys import make_token

READY = "difyrpc is ready"
LISTENS = re.compile(r"serves on (127\.0\.0\.1:\d+)")
METRICS = re.compile(r"(http://127\.0\.0\.1:\d+/metrics)")
STOP_SECONDS = 30.0
# None of the user's own settings reach the demo, so that it is the same everywhere and touches nothing of theirs.
SETTINGS = {
    "DIFYRPC_LISTEN": "127.0.0.1:0",
    "DIFYRPC_HEALTH_LISTEN": "off",
    "DIFYRPC_METRICS_LISTEN": "127.0.0.1:0",
    "DIFYRPC_EMBEDDED_DATABASE": "allow",
    # The demo searches with hundreds of clauses, several at a time.
    "DIFYRPC_VECTORS_THREADS": "1",
    "DIFYRPC_VECTORS_EMBEDDING_RUNS": str(max(2, min(4, os.cpu_count() or 1))),
    "DIFYRPC_VECTORS_EMBEDDING_BATCH": "1",
}


class DemoServerFailed(Exception):
    """The server did not start; the message is what it said."""


@dataclass(frozen=True, kw_only=True)
class DemoServer:
    """A server that answers."""

    target: str
    """Where it listens, `host:port`."""
    metrics_url: str
    """Where Prometheus would scrape it."""
    token: str
    """A key with every scope."""
    services: list[str]
    """What it said of each service: name, contract, backend."""
    pid: int
    """Its process."""

    def memory_bytes(self) -> int:
        """Answers the memory of all its processes, pages that they share counted once."""
        parent = psutil.Process(self.pid)
        return sum(_memory(process) for process in (parent, *_family(parent)))


@contextmanager
def demo_server() -> Iterator[DemoServer]:
    """Starts every service with the embedded defaults; stops it and removes its state at the end."""
    with tempfile.TemporaryDirectory(prefix="difyrpc-demo-") as folder:
        state = Path(folder)
        state.chmod(0o711)  # PostgreSQL's own user must pass through when the demo is run by root
        token = make_token()[2]
        key_file = state / "key"
        key_file.write_text(token)
        env = {name: value for name, value in os.environ.items() if not name.startswith("DIFYRPC_")}
        env |= SETTINGS | {"DIFYRPC_STATE": str(state / "state"), "DIFYRPC_BOOTSTRAP_KEY_FILE": str(key_file)}
        with (state / "log").open("w+") as log:
            command = [sys.executable, "-m", "difyrpc_services", "serve"]
            with subprocess.Popen(command, env=env, stdout=subprocess.PIPE, stderr=log, text=True) as process:
                try:
                    banner = _banner(process)
                    if not banner:
                        log.seek(0)
                        raise DemoServerFailed(log.read())
                    yield _described(banner, token, process.pid)
                finally:
                    _stop(process)


def _banner(process: subprocess.Popen[str]) -> str:
    lines = []
    for line in process.stdout or ():
        lines.append(line)
        if line.startswith(READY):
            return "".join(lines)
    return ""


def _described(banner: str, token: str, pid: int) -> DemoServer:
    listens, metrics = LISTENS.search(banner), METRICS.search(banner)
    if listens is None or metrics is None:
        raise DemoServerFailed(banner)
    services = [line.strip() for line in banner.splitlines() if line.startswith("  ")]
    return DemoServer(target=listens[1], metrics_url=metrics[1], token=token, services=services, pid=pid)


def _stop(process: subprocess.Popen[str]) -> None:
    process.terminate()
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()


def _family(parent: psutil.Process) -> list[psutil.Process]:
    """Answers the children, and the detached PostgreSQL that works in the same state folder."""
    children = parent.children(recursive=True)
    guards = [process for process in psutil.process_iter(["cmdline", "environ"]) if _is_guard_of(process, parent)]
    return children + [each for guard in guards for each in (guard, *guard.children(recursive=True))]


def _is_guard_of(process: psutil.Process, parent: psutil.Process) -> bool:
    command = " ".join(process.info["cmdline"] or ())
    return "postgres_guard" in command and parent.environ()["DIFYRPC_STATE"] in command


def _memory(process: psutil.Process) -> int:
    try:
        full = process.memory_full_info()
    except psutil.Error:
        return 0
    return int(getattr(full, "pss", full.rss))
