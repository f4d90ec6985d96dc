"""Behind PgBouncer, which hands out one server connection by transaction."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest

from difyrpc_services.runtime.database import Database
from difyrpc_services.runtime.keys import DatabaseKeys
from difyrpc_services.runtime.postgres_folder import find_account
from difyrpc_services.runtime.replay import Replay
from difyrpc_services.runtime.schema import migrate

PROGRAM = shutil.which("pgbouncer", path=os.environ.get("PATH", "") + ":/usr/sbin")

pytestmark = pytest.mark.skipif(PROGRAM is None, reason="pgbouncer is not on the PATH")

CONFIGURATION = """
[databases]
postgres = host={host} user={user} password={password} dbname=postgres
[pgbouncer]
listen_addr =
listen_port = 6432
unix_socket_dir = {folder}
auth_type = any
pool_mode = transaction
default_pool_size = 1
"""


@pytest.fixture
def bouncer(database_url: str, short_folder: Path) -> Iterator[str]:
    """The URL of a PgBouncer with a single connection to the server."""
    folder = short_folder / "bouncer"
    folder.mkdir(mode=0o755)
    account = find_account("", short_folder / "none")
    parts = psycopg.conninfo.conninfo_to_dict(database_url)
    (folder / "bouncer.ini").write_text(CONFIGURATION.format(folder=folder, **parts))
    os.chown(folder, account.uid, account.gid)
    with subprocess.Popen(
        [PROGRAM, str(folder / "bouncer.ini")], stderr=subprocess.PIPE, text=True, cwd="/", **account.arguments
    ) as process:
        for line in process.stderr:
            if "process up" in line:
                break
        yield f"postgresql://difyrpc@/postgres?host={folder}&port=6432"
        process.kill()
    shutil.rmtree(folder)


@pytest.fixture
async def pooled(bouncer: str, database: Database) -> AsyncIterator[Database]:
    """Our database through the pooler, without prepared statements."""
    database = Database(replace(database.settings, url=bouncer, prepare=False))
    await database.open()
    yield database
    await database.close()


async def test_transactions_of_many_connections_take_turns_on_one(pooled):
    keys = DatabaseKeys(pooled)
    await asyncio.gather(*(keys.create("acme", ["files:read"]) for _ in range(20)))
    assert len(await keys.list_keys()) == 20


async def test_nothing_of_ours_is_left_for_the_poolers_other_clients(pooled, bouncer):
    await DatabaseKeys(pooled).list_keys()
    async with await psycopg.AsyncConnection.connect(bouncer, autocommit=True) as other:
        cursor = await other.execute("SELECT current_setting('search_path'), current_setting('statement_timeout')")
        assert await cursor.fetchone() == ('"$user", public', "0")


async def test_repeated_requests_and_migrations_work(pooled):
    async def effect() -> bytes:
        return b"answer"

    replay = Replay(pooled)
    assert await migrate(pooled) == []
    for _ in range(2):
        assert await replay.once("acme", "/a/B", "id", b"body", effect) == b"answer"
