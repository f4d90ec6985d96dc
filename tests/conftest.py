"""What every test starts from: no inherited settings, and a real PostgreSQL for those that ask for one."""

from __future__ import annotations

import asyncio
import os
import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import hypothesis
import pytest

from difyrpc_services.runtime.database import Database, DatabaseSettings
from difyrpc_services.runtime.postgres import EmbeddedPostgres
from difyrpc_services.runtime.schema import migrate

TEST_SCHEMA = "difyrpc_test"

EMPTY_AGAIN = """
DO $$
DECLARE
    relation regclass;
    is_filled boolean;
BEGIN
    FOR relation IN
        SELECT oid FROM pg_class
        WHERE relnamespace = current_schema()::regnamespace AND relkind IN ('r', 'p') AND NOT relispartition
    LOOP
        IF relation::oid <> ALL (MIGRATED) THEN
            EXECUTE format('DROP TABLE %s CASCADE', relation);
        ELSIF relation <> 'runtime_migrations'::regclass THEN
            EXECUTE format('SELECT EXISTS (SELECT FROM %s)', relation) INTO is_filled;
            IF is_filled THEN
                EXECUTE format('TRUNCATE %s RESTART IDENTITY CASCADE', relation);
            END IF;
        END IF;
    END LOOP;
END
$$
"""
"""Truncates the tables that were written and drops those that a test made; 2 ms when there is nothing to do."""

NAMING_BYTES = 40
"""A longer content does not name its test: a zip holds the time, and each process that runs tests makes its own."""

hypothesis.settings.register_profile("busy", deadline=None)  # a late example tells of the machine
hypothesis.settings.load_profile("busy")


def pytest_make_parametrize_id(val: object, argname: str) -> str | None:
    """Names a long content by its argument; pytest adds a number."""
    return argname if isinstance(val, bytes) and len(val) > NAMING_BYTES else None


@pytest.fixture(autouse=True, scope="session")
def _no_inherited_settings() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith("DIFYRPC_")]:
            if not name.startswith("DIFYRPC_TEST_"):
                patch.delenv(name)
        yield


@pytest.fixture(scope="session")
def short_folder() -> Iterator[Path]:
    """A folder whose path is short and through which the server's user may pass, unlike pytest's own."""
    folder = Path(tempfile.mkdtemp(prefix="difyrpc-test-"))
    folder.chmod(0o711)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture(scope="session")
def database_url(short_folder: Path) -> Iterator[str]:
    """The URL of a PostgreSQL of this run: DIFYRPC_TEST_DATABASE_URL, or an embedded one."""
    given = os.environ.get("DIFYRPC_TEST_DATABASE_URL")
    if given:
        yield given
        return
    embedded = EmbeddedPostgres(short_folder / "state")
    embedded.start()
    yield embedded.url()
    embedded.stop()


@pytest.fixture(scope="session")
def database_settings(database_url: str) -> DatabaseSettings:
    return DatabaseSettings(url=database_url, schema=TEST_SCHEMA)


@pytest.fixture(scope="session")
def migrated_tables(database_settings: DatabaseSettings) -> list[int]:
    """Migrates an empty schema and answers the oids of the tables that belong there."""
    return asyncio.run(_migrate(database_settings))


async def _migrate(settings: DatabaseSettings) -> list[int]:
    database = Database(settings)
    await database.open()
    try:
        async with database.connection() as connection:
            await connection.execute(f"DROP SCHEMA IF EXISTS {TEST_SCHEMA} CASCADE")
        await migrate(database)
        async with database.connection() as connection:
            cursor = await connection.execute(
                "SELECT oid FROM pg_class WHERE relnamespace = current_schema()::regnamespace"
            )
            return [oid for (oid,) in await cursor.fetchall()]
    finally:
        await database.close()


@pytest.fixture
async def database(database_settings: DatabaseSettings, migrated_tables: list[int]) -> AsyncIterator[Database]:
    """An open, migrated and empty database."""
    database = Database(database_settings)
    await database.open()
    tables = ", ".join(map(str, migrated_tables))
    async with database.connection() as connection:
        await connection.execute(EMPTY_AGAIN.replace("MIGRATED", f"ARRAY[{tables}]::oid[]").encode())
    yield database
    await database.close()
