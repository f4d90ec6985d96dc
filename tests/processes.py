"""`difyrpc` as a process of its own, the way people run it."""

from __future__ import annotations

import fcntl
import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

BIN = Path(sys.executable).parent
DIFYRPC = str(BIN / "difyrpc")
START_SECONDS = 60.0
FREE_PORTS = {
    "DIFYRPC_LISTEN": "127.0.0.1:0",
    "DIFYRPC_HEALTH_LISTEN": "127.0.0.1:0",
    "DIFYRPC_METRICS_LISTEN": "127.0.0.1:0",
    "DIFYRPC_GRACE_SECONDS": "5",
}


@dataclass(kw_only=True)
class Process:
    """A server that was started and has said where it listens."""

    popen: subprocess.Popen[str]
    banner: str
    state: Path
    log: list[str] = field(default_factory=list)

    @property
    def target(self) -> str:
        return self._found(r"serves on (127.0.0.1:\d+)")

    @property
    def health_target(self) -> str:
        return self._found(r"health   (127.0.0.1:\d+)")

    @property
    def metrics_url(self) -> str:
        return self._found(r"metrics  (http://127.0.0.1:\d+/metrics)")

    @property
    def token(self) -> str:
        return re.search(r"difyrpc_[a-z0-9]{12}_\w+", self.banner)[0]

    def press_ctrl_c(self) -> int:
        """Does what a terminal does: signals every process of the group; answers the exit status."""
        os.killpg(self.popen.pid, signal.SIGINT)
        return self.popen.wait(START_SECONDS)

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Sends a signal and answers the exit status."""
        self.popen.send_signal(number)
        return self.popen.wait(START_SECONDS)

    def _found(self, pattern: str) -> str:
        return re.search(pattern, self.banner)[1]


@contextmanager
def state_folder() -> Iterator[Path]:
    """A folder with a short path that the embedded PostgreSQL's user may enter."""
    with tempfile.TemporaryDirectory(prefix="difyrpc-e2e-") as name:
        folder = Path(name)
        folder.chmod(0o711)
        try:
            yield folder
        finally:
            wait_until_free(folder / "postgres/guard.lock")  # a killed server's PostgreSQL ends a moment after it


def wait_until_free(lock: Path) -> None:
    """Blocks in the kernel until the lock's holder has ended, if there is one."""
    if lock.exists():
        with lock.open("r+") as file:
            fcntl.flock(file, fcntl.LOCK_EX)


@contextmanager
def serve(
    *arguments: str, state: Path, env: Mapping[str, str] | None = None, program: Sequence[str] = (DIFYRPC,)
) -> Iterator[Process]:
    """Runs `difyrpc serve`; yields when it has said where it listens, kills it at the end."""
    popen = subprocess.Popen(
        [*program, "serve", *arguments],
        env={**os.environ, "DIFYRPC_STATE": str(state), **FREE_PORTS, **(env or {})},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        process_group=0,
    )
    log: list[str] = []
    reader = threading.Thread(target=_collect, args=(popen.stderr, log), daemon=True)
    reader.start()
    guard = threading.Timer(START_SECONDS, popen.kill)
    guard.start()
    try:
        banner = _banner(popen)
        guard.cancel()
        assert banner, f"the server did not start: {''.join(log)}"
        yield Process(popen=popen, banner=banner, state=state, log=log)
    finally:
        guard.cancel()
        popen.kill()
        popen.wait()
        reader.join()
        popen.stdout.close()
        popen.stderr.close()


def run(
    *arguments: str,
    state: Path | None = None,
    env: Mapping[str, str] | None = None,
    program: Sequence[str] = (DIFYRPC,),
) -> subprocess.CompletedProcess:
    """Runs one command of `difyrpc` to its end."""
    where = {"DIFYRPC_STATE": str(state)} if state else {}
    return subprocess.run(
        [*program, *arguments], env={**os.environ, **where, **(env or {})}, capture_output=True, text=True, timeout=100
    )


def _banner(popen: subprocess.Popen[str]) -> str:
    lines = []
    for line in popen.stdout:
        lines.append(line)
        if line.startswith("difyrpc is ready"):
            return "".join(lines)
    return ""


def _collect(stream: object, log: list[str]) -> None:
    log.extend(stream)
