"""The embedded PostgreSQL: who may reach it, and what survives a killed process."""

from __future__ import annotations

import fcntl
import os
import signal
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psutil
import psycopg
import pytest

from difyrpc_services.runtime.locks import is_held
from difyrpc_services.runtime.postgres import EmbeddedPostgres, PostgresSettings
from difyrpc_services.runtime.postgres_folder import find_account, installed, usable
from difyrpc_services.runtime.settings import SettingsError

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root needs another user to run PostgreSQL")

USER = """
import sys
from pathlib import Path
from difyrpc_services.runtime.postgres import EmbeddedPostgres
server = EmbeddedPostgres(Path(sys.argv[1]))
server.start()
print(server.url(), flush=True)
sys.stdin.read()
server.stop()
"""


@pytest.fixture
def state(short_folder: Path, request: pytest.FixtureRequest) -> Path:
    return short_folder / f"s{abs(hash(request.node.nodeid)) % 10**8}"


@pytest.fixture
def server(state: Path) -> Iterator[EmbeddedPostgres]:
    server = EmbeddedPostgres(state)
    server.start()
    yield server
    server.stop()


class Process:
    """Another process that uses the server."""

    def __init__(self, state: Path) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", USER, str(state)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def url(self) -> str:
        return self.process.stdout.readline().strip()

    def leave(self) -> None:
        self.process.communicate()
        assert self.process.returncode == 0

    def kill(self) -> None:
        self.process.kill()
        self.process.communicate()


def run(url: str, statement: str) -> list[tuple]:
    with psycopg.connect(url) as connection:
        cursor = connection.execute(statement.encode())
        return cursor.fetchall() if cursor.description else []


def guard_of(state: Path) -> psutil.Process:
    for process in psutil.process_iter(["cmdline"]):
        words = process.info["cmdline"] or []
        if any("postgres_guard" in word for word in words) and any(f'"{state}/postgres"' in word for word in words):
            return process
    raise AssertionError(f"no guard runs in {state}")


def wait_until_free(path: Path) -> None:
    """Blocks in the kernel until the lock's holders have ended."""
    with path.open("r+") as file:
        fcntl.flock(file, fcntl.LOCK_EX)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_data_socket_and_password_are_closed_to_others(server, state):
    folder = state / "postgres"
    assert mode(folder / "data") == 0o700
    assert mode(folder / "socket.d") == 0o700
    assert mode(folder / "socket.d" / ".s.PGSQL.5432") == 0o700
    assert mode(folder) in (0o700, 0o711)
    files = [path for path in folder.iterdir() if path.is_file()]
    assert {"password", "postgres.log", "users.lock"} <= {path.name for path in files}
    assert {mode(path) for path in files} == {0o600}


def test_a_connection_needs_the_password(server):
    run(server.url(), "SELECT 1")
    right = server.conninfo()
    for password in ("wrong", ""):
        with pytest.raises(psycopg.OperationalError, match="password"):
            psycopg.connect(**{**right, "password": password})


def test_no_other_user_of_the_system_reaches_the_socket(server):
    path = f"{server.conninfo()['host']}/.s.PGSQL.5432"
    code = "import socket, sys; socket.socket(socket.AF_UNIX).connect(sys.argv[1])"
    if os.geteuid() != 0:
        pytest.skip("only root can become another user")
    done = subprocess.run(
        ["/usr/bin/env", "python3", "-I", "-c", code, path],
        user=12345, group=12345, extra_groups=[], capture_output=True, text=True, check=False, cwd="/",
    )  # fmt: skip
    assert "PermissionError" in done.stderr


def test_it_listens_on_no_network_address(server, state):
    processes = guard_of(state).children(recursive=True)
    assert processes
    families = {each.family for process in processes for each in process.net_connections("all")}
    assert families <= {socket.AF_UNIX}


def test_writes_reach_the_disk_before_they_are_confirmed(server):
    assert run(server.url(), "SELECT current_setting('fsync'), current_setting('synchronous_commit')") == [("on", "on")]


def test_it_ends_with_its_user_and_starts_again_with_the_data(state):
    server = EmbeddedPostgres(state)
    server.start()
    run(server.url(), "CREATE TABLE kept AS SELECT 7 AS number")
    server.stop()
    assert not is_held(state / "postgres" / "guard.lock")
    assert not is_held(state / "postgres" / "server.lock")
    server.start()
    assert run(server.url(), "SELECT number FROM kept") == [(7,)]
    server.stop()


def test_two_processes_that_start_at_once_share_one_server(state):
    first, second = Process(state), Process(state)
    assert first.url() == second.url()
    first.leave()
    server = EmbeddedPostgres(state)
    server.start()
    assert run(server.url(), "SELECT 1") == [(1,)]
    second.leave()
    assert run(server.url(), "SELECT 1") == [(1,)]
    server.stop()
    assert not is_held(state / "postgres" / "server.lock")


def test_it_ends_when_its_only_user_is_killed(state):
    user = Process(state)
    url = user.url()
    run(url, "CREATE TABLE kept AS SELECT 7 AS number")
    user.kill()
    wait_until_free(state / "postgres" / "guard.lock")
    assert not is_held(state / "postgres" / "server.lock")
    server = EmbeddedPostgres(state)
    server.start()
    assert run(server.url(), "SELECT number FROM kept") == [(7,)]
    server.stop()


def test_it_ends_with_its_guard_and_is_started_again(server, state):
    run(server.url(), "CREATE TABLE kept AS SELECT 7 AS number")
    guard_of(state).kill()
    wait_until_free(state / "postgres" / "server.lock")
    with pytest.raises(psycopg.OperationalError):
        run(server.url(), "SELECT 1")
    server.start()
    assert run(server.url(), "SELECT number FROM kept") == [(7,)]


def test_committed_data_survives_the_death_of_every_process(server, state):
    run(server.url(), "CREATE TABLE kept AS SELECT 7 AS number")
    guard = guard_of(state)
    for process in [guard, *guard.children(recursive=True)]:
        process.kill()
    wait_until_free(state / "postgres" / "server.lock")
    assert (state / "postgres" / "data" / "postmaster.pid").exists()
    server.start()
    assert run(server.url(), "SELECT number FROM kept") == [(7,)]


@as_root
def test_a_stale_process_id_that_somebody_has_today_stops_nobody(state):
    server = EmbeddedPostgres(state)
    server.start()
    account = find_account("", state / "postgres" / "data")
    guard = guard_of(state)
    for process in [guard, *guard.children(recursive=True)]:
        with suppress(psutil.NoSuchProcess):  # it ends by itself when the one before it is gone
            process.kill()
    wait_until_free(state / "postgres" / "server.lock")
    with subprocess.Popen(["/bin/cat"], stdin=subprocess.PIPE, cwd="/", **account.arguments) as other:
        pid_file = state / "postgres" / "data" / "postmaster.pid"
        pid_file.write_text("\n".join([str(other.pid), *pid_file.read_text().splitlines()[1:]]))
        server.start()
        assert run(server.url(), "SELECT 1") == [(1,)]
        other.stdin.close()
    server.stop()


def test_a_stop_signal_to_the_guard_leaves_the_server_to_its_users(server, state):
    guard = guard_of(state)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        guard.send_signal(number)
    assert run(server.url(), "SELECT 1") == [(1,)]
    assert guard.is_running()


def test_a_start_that_was_cut_short_leaves_nothing_half_made(state):
    folder = state / "postgres"
    server = EmbeddedPostgres(state)
    server.start()
    server.stop()
    (folder / "data").rename(folder / "data.unfinished")
    (folder / "data.unfinished" / "PG_VERSION").unlink()
    server.start()
    assert run(server.url(), "SELECT 1") == [(1,)]
    server.stop()


def test_a_long_path_gets_a_short_private_socket_folder_which_goes_with_the_server(state):
    server = EmbeddedPostgres(state / ("long" * 30))
    server.start()
    host = Path(server.conninfo()["host"])
    assert not host.is_relative_to(state)
    assert mode(host) == 0o700
    assert run(server.url(), "SELECT 1") == [(1,)]
    server.stop()
    assert not host.exists()


def test_data_of_another_release_of_postgresql_is_refused(state):
    server = EmbeddedPostgres(state)
    server.start()
    server.stop()
    (state / "postgres" / "data" / "PG_VERSION").write_text("17\n")
    with pytest.raises(SettingsError, match="PostgreSQL 17"):
        server.start()
    server.stop()


def test_its_log_holds_nothing_of_what_was_stored(server, state):
    run(server.url(), "CREATE TABLE names (name text UNIQUE)")
    with pytest.raises(psycopg.errors.UniqueViolation):
        run(server.url(), "INSERT INTO names VALUES ('hidden words'), ('hidden words')")
    log = (state / "postgres" / "postgres.log").read_text()
    assert "ready to accept connections" in log
    assert "hidden words" not in log


@as_root
def test_a_state_folder_that_the_servers_user_cannot_reach_is_refused_by_name(short_folder):
    closed = short_folder / "closed"
    closed.mkdir(mode=0o700)
    with pytest.raises(SettingsError, match=rf"DIFYRPC_STATE={closed}.*0700.*/var/lib/difyrpc") as caught:
        EmbeddedPostgres(closed).start()
    assert f"chmod o+x {closed}" in str(caught.value)
    assert mode(closed) == 0o700


@as_root
def test_programs_that_the_servers_user_cannot_reach_are_copied_once(short_folder):
    hidden = short_folder / "hidden"
    hidden.mkdir(mode=0o700)
    (hidden / "installation").symlink_to(installed())
    account = find_account("", short_folder / "none")
    folder = short_folder / "copies"
    folder.mkdir(mode=0o711)
    copy = usable(hidden / "installation", folder, account)
    assert copy.parent == folder
    assert usable(installed(), folder, account) == installed()
    assert usable(hidden / "installation", folder, account) == copy


@as_root
@pytest.mark.parametrize(("name", "message"), [("root", "refuses to run as root"), ("no-such-user", "no-such-user")])
def test_a_user_that_cannot_run_it_is_refused(state, name, message):
    with pytest.raises(SettingsError, match=f"DIFYRPC_POSTGRES_USER.*{message}"):
        EmbeddedPostgres(state, PostgresSettings(postgres_user=name)).start()


def test_a_file_in_the_place_of_the_state_folder_is_refused_by_name(short_folder):
    (short_folder / "file").touch()
    with pytest.raises(SettingsError, match=f"DIFYRPC_STATE={short_folder}/file"):
        EmbeddedPostgres(short_folder / "file").start()


def test_inside_kubernetes_it_is_refused_unless_allowed():
    inside = {"KUBERNETES_SERVICE_HOST": "10.0.0.1"}
    with pytest.raises(SettingsError, match="DIFYRPC_DATABASE_URL"):
        PostgresSettings.from_env(inside)
    assert PostgresSettings.from_env({**inside, "DIFYRPC_EMBEDDED_DATABASE": "allow"}).embedded_database == "allow"
