"""The embedded PostgreSQL: comes from a wheel, lives in the state folder, ends with its last user.

The wheel's own Python package is never imported: it keeps registers of process ids in folders of its own and moves
the socket to a public folder when a path is long. Here the socket is in a folder that only the server's user and ours
can enter, every connection needs a random password, and locks that the kernel releases say who is alive.
"""

from __future__ import annotations

import fcntl
import json
import os
import secrets
import select
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal
from urllib.parse import quote

from difyrpc_services.runtime import postgres_guard
from difyrpc_services.runtime.locks import held, is_held, may_lock, take
from difyrpc_services.runtime.postgres_folder import (
    SUPERUSER,
    Account,
    bare_environment,
    find_account,
    initialise,
    installed,
    make_socket_folder,
    make_state,
    refuse_closed_folders,
    usable,
    write_secret,
)
from difyrpc_services.runtime.settings import SettingsError, read

MAJOR_VERSION = "18"
DATABASE_NAME = "postgres"
PASSWORD_BYTES = 24

START_SECONDS = 120.0
"""How long a start may take, recovery after a crash included."""
STOP_SECONDS = 30.0
POLL_SECONDS = 0.01

OPTIONS = {
    "listen_addresses": "",
    "unix_socket_permissions": "0700",
    "max_connections": "200",
    "shared_buffers": "48MB",
    "maintenance_work_mem": "128MB",
    "max_wal_size": "512MB",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "max_logical_replication_workers": "0",
    "io_method": "sync",
    "jit": "off",
    "huge_pages": "off",
    "dynamic_shared_memory_type": "mmap",  # /dev/shm is 64 MB in a container
    "autovacuum_max_workers": "2",
    "max_worker_processes": "4",
    "max_parallel_workers": "2",
    "max_parallel_workers_per_gather": "1",
    "max_parallel_maintenance_workers": "1",
    "log_min_messages": "log",  # no error of a statement: it may quote what a user stored
    "log_min_error_statement": "panic",
    "log_error_verbosity": "terse",
    "log_checkpoints": "off",
}


@dataclass(frozen=True, kw_only=True)
class PostgresSettings:
    """How the embedded PostgreSQL runs; `DIFYRPC_DATABASE_URL` names a server to use instead."""

    embedded_database: Literal["auto", "allow"] = "auto"
    """`allow` permits the embedded server inside Kubernetes, where a pod's folder may vanish with it."""
    postgres_user: str = ""
    """Who runs it when we are root, which PostgreSQL refuses; empty: `postgres` if there is one, else `nobody`."""

    @classmethod
    def from_env(cls, env: Mapping[str, str]) -> PostgresSettings:
        """Reads the settings; SettingsError inside Kubernetes unless it was allowed."""
        settings = read(cls, env, prefix="DIFYRPC_")
        if env.get("KUBERNETES_SERVICE_HOST") and settings.embedded_database != "allow":
            raise SettingsError(
                "DIFYRPC_DATABASE_URL is not set, and inside Kubernetes no database is embedded: set it to a PostgreSQL"
                " server (postgresql://user:password@host/name), or set DIFYRPC_EMBEDDED_DATABASE=allow and keep the"
                " state folder on a volume of its own"
            )
        return settings


class EmbeddedPostgres:
    """One PostgreSQL in `state/postgres`, shared by every process that starts it."""

    def __init__(self, state: Path, settings: PostgresSettings | None = None) -> None:
        """Takes the state folder, which is made on start; nothing is touched before."""
        self._state = state.absolute()
        self._folder = self._state / "postgres"
        self._settings = settings or PostgresSettings()
        self._users: int | None = None
        self._socket: Path | None = None

    @property
    def folder(self) -> Path:
        """Where data, log and locks are."""
        return self._folder

    def conninfo(self) -> dict[str, str]:
        """Answers what a driver needs to connect; RuntimeError before `start`."""
        if self._socket is None:
            raise RuntimeError("the embedded PostgreSQL was not started")
        password = (self._folder / "password").read_text().strip()
        return {"host": str(self._socket), "user": SUPERUSER, "password": password, "dbname": DATABASE_NAME}

    def url(self) -> str:
        """Answers the same as a URL, for another process."""
        parts = {name: quote(value, safe="") for name, value in self.conninfo().items()}
        return "postgresql://{user}:{password}@/{dbname}?host={host}".format_map(parts)

    def start(self) -> None:
        """Makes sure that the server runs and that it stays as long as this process uses it; blocks.

        May be called again, by any number of processes and threads, to revive a server that was killed.
        SettingsError when it cannot run here.
        """
        account = self._prepare_folder()
        with held(self._folder / "start.lock", START_SECONDS):
            if self._users is None:
                self._users = take(self._folder / "users.lock", fcntl.LOCK_SH, START_SECONDS)
            if not is_held(self._folder / "guard.lock"):
                self._launch(account)
            self._socket = Path((self._folder / "socket").read_text())

    def stop(self) -> None:
        """Gives up the server, which ends when nobody else uses it; waits for that end, at most 30 seconds."""
        if self._users is None:
            return
        os.close(self._users)
        self._users = self._socket = None
        deadline = time.monotonic() + STOP_SECONDS
        while is_held(self._folder / "guard.lock") and not self._is_used() and time.monotonic() < deadline:
            time.sleep(POLL_SECONDS)

    def _is_used(self) -> bool:
        """Says whether some process still uses the server; the guard, which locks it alone to stop it, does not."""
        descriptor = os.open(self._folder / "users.lock", os.O_RDWR | os.O_CLOEXEC)
        try:
            return may_lock(descriptor, fcntl.LOCK_SH) and not may_lock(descriptor, fcntl.LOCK_EX)
        finally:
            os.close(descriptor)

    def _prepare_folder(self) -> Account:
        try:
            account = find_account(self._settings.postgres_user, self._folder / "data")
            make_state(self._state)
            self._folder.mkdir(exist_ok=True, mode=0o711 if account.switch else 0o700)
            for name in ("start.lock", "users.lock", "guard.lock", "server.lock"):
                os.close(os.open(self._folder / name, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
        except OSError as error:
            raise SettingsError(
                f"DIFYRPC_STATE={self._state}: the embedded PostgreSQL cannot live there ({error.strerror}:"
                f" {error.filename}); choose a folder that can be written, or set DIFYRPC_DATABASE_URL"
            ) from error
        refuse_closed_folders(self._folder, account)
        return account

    def _launch(self, account: Account) -> None:
        installation = usable(installed(), self._folder, account)
        data = self._folder / "data"
        if not data.exists():
            initialise(installation, data, self._password(), account)
        version = (data / "PG_VERSION").read_text().strip()
        if version != MAJOR_VERSION:
            raise SettingsError(
                f"{data} was written by PostgreSQL {version} and this is {MAJOR_VERSION}: dump it with the older"
                " release of difyrpc and restore it into an empty state folder"
            )
        run_guard(self._plan(installation, data, account), self._folder / "postgres.log")

    def _plan(self, installation: Path, data: Path, account: Account) -> dict[str, Any]:
        """Writes down what the guard shall run; it knows nothing else."""
        socket, is_temporary = make_socket_folder(self._folder, account)
        options = [word for name, value in OPTIONS.items() for word in ("-c", f"{name}={value}")]
        return {
            "folder": str(self._folder),
            "data": str(data),
            "socket": str(socket),
            "remove_socket_folder": is_temporary,
            "command": [str(installation / "bin/postgres"), "-D", str(data), "-k", str(socket), *options],
            "environment": bare_environment(),
            "account": account.arguments,
        }

    def _password(self) -> str:
        password = secrets.token_urlsafe(PASSWORD_BYTES)
        write_secret(self._folder / "password", password)
        return password


def run_guard(plan: Mapping[str, Any], log_file: Path) -> None:
    """Starts the guard, which starts the server, and waits until it takes connections."""
    reader, writer = os.pipe()
    try:
        subprocess.run(
            [sys.executable, "-I", "-S", postgres_guard.__file__, json.dumps({**plan, "report": writer})],
            check=True,
            cwd="/",
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            pass_fds=(writer,),
            start_new_session=True,
        )
        os.close(writer)
        _read_report(reader, log_file)
    finally:
        os.close(reader)


def _read_report(reader: int, log_file: Path) -> None:
    ready, _, _ = select.select([reader], [], [], START_SECONDS)
    report = os.read(reader, 4096).decode() if ready else f"it was not ready after {START_SECONDS:.0f} seconds"
    if report != postgres_guard.READY:
        raise SettingsError(f"the embedded PostgreSQL does not start: {report or 'its guard ended'} ({log_file})")
