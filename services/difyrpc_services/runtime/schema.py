"""Applies the numbered migrations of the runtime and of every service, each once and whole."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from psycopg import errors as pg
from psycopg import sql

from difyrpc_services.runtime.errors import FailedPrecondition
from difyrpc_services.runtime.settings import SettingsError

if TYPE_CHECKING:
    from difyrpc_services.runtime.database import Connection, Database

FILE_NAME = re.compile(r"(\d{4})_([a-z0-9_]+)\.sql")
LOCK = 0x6469667972706301
"""Key of the advisory lock that lets one process migrate at a time; the text `difyrpc` and a one."""
LOCK_TIMEOUT = "15s"
"""How long a migration waits for a table that others use, while those who come after wait behind it."""
LEAST_VECTOR_VERSION = (0, 7)

RECORD = """
CREATE TABLE IF NOT EXISTS runtime_migrations (
    service text NOT NULL,
    number integer NOT NULL,
    name text NOT NULL,
    sha256 text NOT NULL,
    applied_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (service, number)
)
"""


@dataclass(frozen=True, kw_only=True)
class Migration:
    """One numbered file of SQL."""

    service: str
    """Name of the folder's owner: `runtime`, `files`."""
    number: int
    """Its place in that service's order."""
    name: str
    """What it is for, from the file's name."""
    text: bytes
    """Statements that run in one transaction."""

    @property
    def sha256(self) -> str:
        """The hash that is kept with an applied file, in hexadecimal."""
        return hashlib.sha256(self.text).hexdigest()

    def __str__(self) -> str:
        return f"{self.service}/{self.number:04}_{self.name}"


def migration_folders() -> dict[str, Path]:
    """Answers the folders of migrations by service, the runtime's first."""
    package = Path(__file__).parent.parent
    found = {folder.parent.name: folder for folder in sorted(package.glob("*/migrations"))}
    return {"runtime": found.pop("runtime"), **found}


def read_migrations(folders: Mapping[str, Path]) -> list[Migration]:
    """Reads all files in the order in which they are applied; ValueError for a misnamed or doubled one."""
    found = []
    for service, folder in folders.items():
        files = sorted(folder.glob("*.sql"))
        ours = [_read(service, file) for file in files]
        if len({migration.number for migration in ours}) != len(ours):
            raise ValueError(f"{folder} holds two migrations of one number")
        found += ours
    return found


def _read(service: str, file: Path) -> Migration:
    match = FILE_NAME.fullmatch(file.name)
    if match is None:
        raise ValueError(f"{file} is not named like 0001_first.sql")
    return Migration(service=service, number=int(match[1]), name=match[2], text=file.read_bytes())


async def migrate(database: Database, folders: Mapping[str, Path] | None = None) -> list[Migration]:
    """Applies what is missing, each file in a transaction of its own, and answers what it applied.

    Safe to run in several processes at once. FailedPrecondition (SCHEMA_TOO_NEW, SCHEMA_CHANGED) when the
    database was changed by a newer release or an applied file is not what it was; SettingsError when the
    database cannot hold our tables.
    """
    migrations = read_migrations(migration_folders() if folders is None else folders)
    try:
        await _prepare(database)
        applied = [migration for migration in migrations if await _apply(database, migration, migrations)]
    except pg.InsufficientPrivilege as error:
        raise SettingsError(
            f"DIFYRPC_DATABASE_URL: its user may not do this: {error.diag.message_primary}; give it the right to"
            f" create, or run as an owner: {_owner_statements(database)}"
        ) from error
    await database.refresh()
    return applied


async def pending(database: Database, folders: Mapping[str, Path] | None = None) -> list[Migration]:
    """Answers what `migrate` would apply; raises what it would raise about the schema, and changes nothing."""
    migrations = read_migrations(migration_folders() if folders is None else folders)
    async with database.connection() as connection:
        return _missing(migrations, await _applied(connection))


async def _prepare(database: Database) -> None:
    schema = database.settings.schema
    async with database.connection() as connection:
        await connection.execute("SELECT pg_advisory_xact_lock(%s)", (LOCK,))
        await _require_vector(database, connection)
        cursor = await connection.execute("SELECT FROM pg_namespace WHERE nspname = %s", (schema,))
        if await cursor.fetchone() is None:
            await connection.execute(sql.SQL("CREATE SCHEMA {}").format(sql.Identifier(schema)))
        await connection.execute(RECORD)


async def _apply(database: Database, migration: Migration, known: Iterable[Migration]) -> bool:
    async with database.connection() as connection:
        await connection.execute("SET LOCAL statement_timeout TO 0")
        connection.patience_seconds = 0.0
        await connection.execute("SELECT pg_advisory_xact_lock(%s)", (LOCK,))
        if migration not in _missing(known, await _applied(connection)):
            return False
        await connection.execute(sql.SQL("SET LOCAL lock_timeout TO {}").format(LOCK_TIMEOUT))
        await connection.execute(migration.text, prepare=False)
        await connection.execute(
            "INSERT INTO runtime_migrations (service, number, name, sha256) VALUES (%s, %s, %s, %s)",
            (migration.service, migration.number, migration.name, migration.sha256),
        )
        return True


async def _applied(connection: Connection) -> dict[tuple[str, int], str]:
    cursor = await connection.execute("SELECT to_regclass('runtime_migrations')")
    row = await cursor.fetchone()
    if row is None or row[0] is None:
        return {}
    cursor = await connection.execute("SELECT service, number, sha256 FROM runtime_migrations")
    return {(service, number): sha256 for service, number, sha256 in await cursor.fetchall()}


def _missing(known: Iterable[Migration], applied: Mapping[tuple[str, int], str]) -> list[Migration]:
    """Answers what is not applied yet; FailedPrecondition when what is applied is not what is known."""
    by_key = {(migration.service, migration.number): migration for migration in known}
    services = {service for service, _ in by_key}
    for (service, number), sha256 in sorted(applied.items()):
        if service in services:
            _compare(by_key.get((service, number)), service, number, sha256)
    return [migration for key, migration in by_key.items() if key not in applied]


def _compare(migration: Migration | None, service: str, number: int, sha256: str) -> None:
    if migration is None:
        raise FailedPrecondition(
            "SCHEMA_TOO_NEW",
            "the database has migration {number} of {service}, which this release does not know:"
            " run the newer release, or restore a backup made before it",
            service=service,
            number=number,
        )
    if migration.sha256 != sha256:
        raise FailedPrecondition(
            "SCHEMA_CHANGED",
            "{migration} is not the file that was applied to this database: restore the file, and put the change into"
            " a new one",
            migration=migration,
        )


async def _require_vector(database: Database, connection: Connection) -> None:
    """Refuses a server without pgvector, or with one that is too old."""
    cursor = await connection.execute(
        "SELECT installed_version, default_version FROM pg_available_extensions WHERE name = 'vector'"
    )
    row = await cursor.fetchone()
    if row is None:
        raise SettingsError(
            "DIFYRPC_DATABASE_URL: the server has no pgvector; install the package (postgresql-<version>-pgvector) or"
            f" use the image pgvector/pgvector, then run: {_owner_statements(database)}"
        )
    check_vector_version(*row)


def check_vector_version(installed: str | None, default: str) -> None:
    """Refuses a pgvector that is too old, saying how to come by a newer one; `default` is what could be installed."""
    version = installed or default
    if tuple(int(part) for part in re.findall(r"\d+", version)[:2]) < LEAST_VECTOR_VERSION:
        advice = "run ALTER EXTENSION vector UPDATE" if installed else "install a newer package of it"
        raise SettingsError(f"DIFYRPC_DATABASE_URL: pgvector {version} is too old, 0.7 is needed; {advice}")


def _owner_statements(database: Database) -> str:
    statement = sql.SQL("CREATE EXTENSION IF NOT EXISTS vector; CREATE SCHEMA IF NOT EXISTS {} AUTHORIZATION {}")
    return statement.format(sql.Identifier(database.settings.schema), sql.Identifier(database.user)).as_string(None)
