"""The last release's client passes against this server, this client against the last server; state goes forward."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest
from compatibility.releases import Release, Told, last_release, named_release, this_release, version_at
from processes import FREE_PORTS, Process, run, serve, state_folder

KINDS = pytest.mark.parametrize("kind", ["sync", "async"])
SCHEMA = "difyrpc_last_release"


@dataclass(frozen=True, kw_only=True)
class Past:
    """What happened at the last release's server, before it was replaced by this one's."""

    state: Path
    token: str
    told: dict[str, Told]


@pytest.fixture(scope="module")
def last(tmp_path_factory: pytest.TempPathFactory) -> Release:
    return last_release(tmp_path_factory.mktemp("last-release"))


@pytest.fixture(scope="module")
def past(last: Release, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Past]:
    """This release's clients at the last server; its own client leaves something behind."""
    with state_folder() as state:
        with serve(state=state, program=last.program) as server:
            told = {
                kind: this_release().tell(kind, server, tmp_path_factory.mktemp(f"new-{kind}"), server.token)
                for kind in ("sync", "async")
            }
            last.tell("keep", server, state, server.token).facts()
            token = server.token
            assert server.stop() == 0
        yield Past(state=state, token=token, told=told)


@pytest.fixture(scope="module")
def server(past: Past) -> Iterator[Process]:
    """This release's server over the state that the last one has left."""
    with serve(state=past.state) as process:
        yield process


@KINDS
def test_this_client_passes_against_the_last_server(past: Past, last: Release, kind: str):
    told = past.told[kind].facts()
    assert not [module for module in told["modules"] if module.startswith(str(last.tree))]
    assert told["called"]


@KINDS
def test_the_last_client_passes_against_this_server(
    server: Process, past: Past, last: Release, kind: str, tmp_path: Path
):
    told = last.tell(kind, server, tmp_path, past.token).facts()
    assert all(module.startswith(str(last.tree)) for module in told["modules"])
    assert told["called"] == told["methods"]  # nothing that the last release offers was left out
    assert told["called"] == past.told[kind].facts()["called"]


@pytest.mark.parametrize("reader", ["last", "this"])
def test_what_the_last_server_stored_is_found_in_this_one(
    server: Process, past: Past, last: Release, reader: str, tmp_path: Path
):
    release = last if reader == "last" else this_release()
    release.tell("look", server, tmp_path, past.token).facts()


def test_the_last_server_refuses_a_database_that_a_newer_release_has_changed(last: Release, database_url: str):
    env = {"DIFYRPC_DATABASE_URL": database_url, "DIFYRPC_DATABASE_SCHEMA": SCHEMA, **FREE_PORTS}
    with state_folder() as state, psycopg.connect(database_url, autocommit=True) as connection:
        try:
            assert run("migrate", state=state, env=env).returncode == 0
            connection.execute(f"INSERT INTO {SCHEMA}.runtime_migrations VALUES ('files', 9999, 'later', 'unknown')")
            refused = run("serve", "files", state=state, env=env, program=last.program)
        finally:
            connection.execute(f"DROP SCHEMA IF EXISTS {SCHEMA} CASCADE")
    assert refused.returncode == 1
    assert "the database has migration" in refused.stderr
    assert "which this release does not know: run the newer release" in refused.stderr
    assert "Traceback" not in refused.stderr


def test_the_last_release_runs_its_own_sources_in_its_workers_too(last: Release):
    ask = "import difyrpc, difyrpc_client, difyrpc_services as services; print(difyrpc, difyrpc_client, services)"
    flags = ("-E", "-s", "-P")  # as worker processes are started
    told = subprocess.run([last.python, *flags, "-c", ask], capture_output=True, text=True, check=True, timeout=60)
    assert told.stdout.count(f"'{last.tree}/") == 3, told.stdout


def test_the_named_commit_is_the_named_version():
    assert version_at(named_release()["commit"]) == named_release()["version"]
