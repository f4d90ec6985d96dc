"""Migrations: each once, whole, in order, whoever else migrates at the same time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest

from difyrpc_services.runtime.database import Database, DatabaseSettings
from difyrpc_services.runtime.errors import FailedPrecondition
from difyrpc_services.runtime.schema import check_vector_version, migrate, migration_folders, pending
from difyrpc_services.runtime.settings import SettingsError

SCHEMA = "difyrpc_migrations"


@pytest.fixture
async def fresh(database_settings: DatabaseSettings) -> AsyncIterator[Database]:
    """A database without our schema."""
    database = Database(replace(database_settings, schema=SCHEMA))
    await database.open()
    await drop(database)
    yield database
    await drop(database)
    await database.close()


async def drop(database: Database) -> None:
    async with database.connection() as connection:
        await connection.execute(f"DROP SCHEMA IF EXISTS {SCHEMA} CASCADE")


@pytest.fixture
def folders(tmp_path: Path) -> dict[str, Path]:
    for service, files in {
        "runtime": {"0001_first.sql": "CREATE TABLE one (a integer); INSERT INTO one VALUES (1)"},
        "files": {
            "0001_first.sql": "CREATE TABLE two (b integer)",
            "0002_second.sql": "ALTER TABLE two ADD COLUMN c text DEFAULT '100%'",
        },
    }.items():
        (tmp_path / service).mkdir()
        for name, text in files.items():
            (tmp_path / service / name).write_text(text)
    return {"runtime": tmp_path / "runtime", "files": tmp_path / "files"}


async def rows(database: Database, statement: str) -> list[tuple]:
    async with database.connection() as connection:
        cursor = await connection.execute(statement.encode())
        return await cursor.fetchall()


def names(migrations) -> list[str]:
    return [str(migration) for migration in migrations]


async def test_all_files_are_applied_in_order_and_only_once(fresh, folders):
    everything = ["runtime/0001_first", "files/0001_first", "files/0002_second"]
    assert names(await pending(fresh, folders)) == everything
    assert names(await migrate(fresh, folders)) == everything
    assert await pending(fresh, folders) == []
    assert await migrate(fresh, folders) == []
    assert await rows(fresh, "SELECT a FROM one") == [(1,)]


async def test_what_is_pending_is_told_without_a_change(fresh, folders):
    await pending(fresh, folders)
    assert await rows(fresh, f"SELECT nspname FROM pg_namespace WHERE nspname = '{SCHEMA}'") == []


async def test_a_file_that_comes_later_is_applied_to_what_is_there(fresh, folders):
    await migrate(fresh, folders)
    (folders["files"] / "0003_third.sql").write_text("INSERT INTO two VALUES (5)")
    assert names(await migrate(fresh, folders)) == ["files/0003_third"]
    assert await rows(fresh, "SELECT b, c FROM two") == [(5, "100%")]


async def test_processes_that_migrate_at_once_apply_each_file_once(fresh, folders, database_settings):
    others = [Database(fresh.settings) for _ in range(4)]
    for other in others:
        await other.open()
    applied = await asyncio.gather(*(migrate(other, folders) for other in (fresh, *others)))
    assert sorted(name for each in applied for name in names(each)) == sorted(
        ["runtime/0001_first", "files/0001_first", "files/0002_second"]
    )
    assert await rows(fresh, "SELECT count(*) FROM one") == [(1,)]
    for other in others:
        await other.close()


async def test_a_file_that_fails_leaves_nothing_of_itself_and_keeps_those_before(fresh, folders):
    (folders["files"] / "0002_second.sql").write_text("INSERT INTO two VALUES (1); SELECT FROM nowhere")
    with pytest.raises(psycopg.errors.UndefinedTable):
        await migrate(fresh, folders)
    assert await rows(fresh, "SELECT count(*) FROM two") == [(0,)]
    assert names(await pending(fresh, folders)) == ["files/0002_second"]


async def test_an_applied_file_that_was_changed_is_refused(fresh, folders):
    await migrate(fresh, folders)
    (folders["files"] / "0001_first.sql").write_text("CREATE TABLE two (b bigint)")
    for attempt in (migrate, pending):
        with pytest.raises(FailedPrecondition) as caught:
            await attempt(fresh, folders)
        assert caught.value.reason == "SCHEMA_CHANGED"
        assert caught.value.metadata == {"migration": "files/0001_first"}


async def test_a_newer_schema_is_refused(fresh, folders):
    await migrate(fresh, folders)
    (folders["files"] / "0002_second.sql").unlink()
    for attempt in (migrate, pending):
        with pytest.raises(FailedPrecondition) as caught:
            await attempt(fresh, folders)
        assert caught.value.reason == "SCHEMA_TOO_NEW"
        assert caught.value.metadata == {"service": "files", "number": "2"}


@pytest.mark.parametrize("name", ["1_first.sql", "0001-first.sql", "0001_.sql"])
async def test_a_misnamed_file_is_a_mistake_of_ours(fresh, folders, name):
    (folders["files"] / name).write_text("SELECT 1")
    with pytest.raises(ValueError, match="0001_first"):
        await migrate(fresh, folders)


async def test_two_files_of_one_number_are_a_mistake_of_ours(fresh, folders):
    (folders["files"] / "0001_again.sql").write_text("SELECT 1")
    with pytest.raises(ValueError, match="two migrations of one number"):
        await migrate(fresh, folders)


async def test_the_products_own_migrations_come_with_the_runtime_first(fresh):
    assert next(iter(migration_folders())) == "runtime"
    applied = names(await migrate(fresh))
    assert applied[0] == "runtime/0001_first"
    assert await rows(fresh, "SELECT '[1,2]'::vector <-> '[1,3]'") == [(1.0,)]


async def own_database(settings: DatabaseSettings, name: str, *statements: str) -> str:
    """Makes an empty database and answers its URL."""
    async with await psycopg.AsyncConnection.connect(settings.url, autocommit=True) as connection:
        await connection.execute(f"DROP DATABASE IF EXISTS {name}")
        await connection.execute(f"CREATE DATABASE {name}")
    url = psycopg.conninfo.make_conninfo(settings.url, dbname=name)
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:
        for statement in statements:
            await connection.execute(statement.encode())
    return url


async def drop_database(settings: DatabaseSettings, name: str) -> None:
    async with await psycopg.AsyncConnection.connect(settings.url, autocommit=True) as connection:
        await connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


async def test_pgvector_in_a_schema_of_its_own_is_found_there(database_settings):
    url = await own_database(
        database_settings, "difyrpc_elsewhere", "CREATE SCHEMA extensions", "CREATE EXTENSION vector SCHEMA extensions"
    )
    database = Database(DatabaseSettings(url=url))
    await database.open()
    await migrate(database)
    assert await rows(database, "SELECT '[1,2]'::vector <-> '[1,3]'") == [(1.0,)]
    await database.close()
    await drop_database(database_settings, "difyrpc_elsewhere")


async def test_a_user_who_may_not_create_is_told_what_the_owner_shall_run(database_settings):
    url = await own_database(
        database_settings,
        "difyrpc_poor",
        "DROP ROLE IF EXISTS difyrpc_poor_user",
        "CREATE ROLE difyrpc_poor_user LOGIN PASSWORD 'poor'",
    )
    poor = psycopg.conninfo.make_conninfo(url, user="difyrpc_poor_user", password="poor")
    database = Database(DatabaseSettings(url=poor))
    await database.open()
    with pytest.raises(SettingsError, match="CREATE EXTENSION IF NOT EXISTS vector") as caught:
        await migrate(database)
    assert 'CREATE SCHEMA IF NOT EXISTS "difyrpc" AUTHORIZATION "difyrpc_poor_user"' in str(caught.value)
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as owner:
        for statement in str(caught.value).split("run as an owner: ")[1].split("; "):
            await owner.execute(statement.encode())
    assert names(await migrate(database))[0] == "runtime/0001_first"
    await database.close()
    await drop_database(database_settings, "difyrpc_poor")
    async with await psycopg.AsyncConnection.connect(database_settings.url, autocommit=True) as owner:
        await owner.execute("DROP ROLE difyrpc_poor_user")


@pytest.mark.parametrize(
    ("installed", "default", "advice"),
    [("0.5.1", "0.8.0", "ALTER EXTENSION vector UPDATE"), (None, "0.6.2", "install a newer package")],
)
def test_a_pgvector_that_is_too_old_is_refused_with_advice(installed, default, advice):
    with pytest.raises(SettingsError, match=advice):
        check_vector_version(installed, default)


@pytest.mark.parametrize(
    ("installed", "default"), [("0.7.0", "0.8.0"), (None, "0.8.5"), ("0.10.1", "0.10.1"), ("1.0", "1.0")]
)
def test_a_newer_pgvector_is_taken(installed, default):
    check_vector_version(installed, default)
