"""The pool over PostgreSQL, the user's or the embedded one; each block is one transaction.

Every transaction begins with one round trip that also sets the schema and the time limit for that transaction alone:
nothing is left on a connection, so a pooler that hands out connections by transaction (PgBouncer) may stand between.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
from psycopg import errors as pg
from psycopg import sql
from psycopg.pq import TransactionStatus
from psycopg_pool import AsyncConnectionPool, PoolTimeout

from difyrpc_services.runtime.errors import Unavailable
from difyrpc_services.runtime.outages import RETRY_SECONDS, translated, unavailable
from difyrpc_services.runtime.patience import Connection
from difyrpc_services.runtime.postgres import EmbeddedPostgres, PostgresSettings
from difyrpc_services.runtime.settings import SettingsError, at_least, read, secret
from difyrpc_services.runtime.transactions import Bound

__all__ = ["Connection", "Database", "DatabaseSettings", "open_database"]

LEAST_VERSION = 140000
"""PostgreSQL 14, as `server_version_num` counts."""
SHORT_WAIT_SECONDS = 0.25
"""How long a caller waits for a connection while there is none to be had."""
SHORT_PATIENCE_SECONDS = 1.0
"""How long a caller waits for a connection's first answer while the database says nothing."""
STATEMENT_MARGIN_SECONDS = 5.0
"""A statement that the server has not ended so long after its time limit is not going to be answered."""


@dataclass(frozen=True, kw_only=True)
class DatabaseSettings:
    """Where the state is kept and how it is reached."""

    url: str = secret()
    """`postgresql://user:password@host:port/name`; empty: an embedded PostgreSQL in the state folder."""
    schema: str = "difyrpc"
    """The schema that holds our tables; made when it is missing."""
    pool_min: int = at_least(0, 1)
    """Connections that are kept open by each process."""
    pool_max: int = at_least(1, 10)
    """Connections that each process opens at most; further callers wait."""
    connect_timeout_seconds: float = at_least(1, 5.0)
    """How long a new connection may take, how long a caller waits for one of the pool, and for its first answer."""
    statement_timeout_seconds: float = at_least(0, 30.0)
    """How long one statement may run; 0: for ever."""
    prepare: bool = True
    """Whether statements are prepared; false for a pooler by transaction that cannot follow them."""

    @classmethod
    def from_env(cls, env: Mapping[str, str]) -> DatabaseSettings:
        """Reads the settings; SettingsError for the first wrong one."""
        settings = read(cls, env, prefix="DIFYRPC_DATABASE_")
        if settings.pool_min > settings.pool_max:
            raise SettingsError(
                f"DIFYRPC_DATABASE_POOL_MIN={settings.pool_min} is above DIFYRPC_DATABASE_POOL_MAX={settings.pool_max}"
            )
        return settings


class Database:
    """A pool of connections to one PostgreSQL; opened and closed in the same event loop."""

    def __init__(self, settings: DatabaseSettings, embedded: EmbeddedPostgres | None = None) -> None:
        """Takes the embedded server that `settings.url` would otherwise name."""
        self.settings = settings
        self.embedded = embedded
        self._pool: AsyncConnectionPool[Connection] | None = None
        self._bound: ContextVar[Bound | None] = ContextVar("difyrpc_transaction", default=None)
        self._begin = b""
        self._server = ""
        self._is_away = False
        self.user = ""

    @property
    def is_embedded(self) -> bool:
        """Says whether the server is ours, so that its schema may be changed without asking."""
        return self.embedded is not None

    def describe(self) -> str:
        """Says for people what it is: the server, its version and, of the user's, host and name."""
        return self._server

    async def open(self) -> None:
        """Starts the embedded server when there is one, connects, and checks the server's version.

        SettingsError when the settings can never work; Unavailable, with the server's own words for the operator,
        when it does not take us now.
        """
        schema = await self._first_look()
        self._begin = _begin_statement(self.settings, schema)
        self._pool = AsyncConnectionPool(
            conninfo=self.settings.url,
            connection_class=Connection,
            kwargs=self._arguments,
            min_size=self.settings.pool_min,
            max_size=self.settings.pool_max,
            timeout=self.settings.connect_timeout_seconds,
            reconnect_timeout=self.settings.connect_timeout_seconds,
            name="database",
            open=False,
        )
        await self._pool.open()

    async def close(self) -> None:
        """Closes the pool and gives up the embedded server; may be called twice."""
        if self._pool is not None:
            await self._pool.close()
            self._pool = None
        if self.embedded is not None:
            await asyncio.to_thread(self.embedded.stop)

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[Connection]:
        """Lends a connection with one transaction: committed at the end, rolled back by an error.

        Inside `transaction()` it is that one's connection.
        """
        bound = self._bound.get()
        with translated():
            if bound is not None and bound.is_open:
                async with bound.join() as connection:
                    yield connection
            else:
                async with self._begun() as connection:
                    yield connection

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Connection]:
        """Lends a connection like `connection()`, which joins it for the length of the block.

        When a block that joined failed, so does the whole, even if that error was caught in between.
        """
        bound = self._bound.get()
        if bound is not None and bound.is_open:
            async with self.connection() as connection:
                yield connection
            return
        with translated():
            async with self._begun() as connection:
                bound = Bound(connection)
                self._bound.set(bound)
                try:
                    yield connection
                finally:
                    self._bound.set(None)
                    await bound.end()
                if bound.failure is not None:
                    raise bound.failure

    @asynccontextmanager
    async def _begun(self) -> AsyncIterator[Connection]:
        pool = self._opened_pool()
        connection = await self._take(pool)
        try:
            yield connection
            if connection.info.transaction_status == TransactionStatus.INERROR:
                raise pg.InFailedSqlTransaction("a statement failed and its error was swallowed: nothing is committed")
            await connection.commit()
        except BaseException:
            await _roll_back(connection)
            raise
        finally:
            await pool.putconn(connection)

    async def _take(self, pool: AsyncConnectionPool[Connection]) -> Connection:
        """Takes a connection and begins; one that died while it lay in the pool is passed over, unseen by callers."""
        for _ in range(self.settings.pool_max):
            connection = await self._wait(pool)
            try:
                await self._begin_on(connection)
            except BaseException as error:
                await pool.putconn(connection)
                if connection.was_silent or not (isinstance(error, psycopg.OperationalError) and connection.closed):
                    raise
            else:
                return connection
        raise PoolTimeout("no connection of the pool is alive")

    async def _begin_on(self, connection: Connection) -> None:
        """Begins; a server that says nothing to one caller is not waited for as long by those who come after."""
        first = self.settings.connect_timeout_seconds
        connection.patience_seconds = min(SHORT_PATIENCE_SECONDS, first) if self._is_away else first
        try:
            await connection.execute(self._begin, prepare=False)
        finally:
            self._is_away = self._is_away or connection.was_silent
        self._is_away = False
        limit = self.settings.statement_timeout_seconds
        connection.patience_seconds = limit + STATEMENT_MARGIN_SECONDS if limit else 0.0

    async def _wait(self, pool: AsyncConnectionPool[Connection]) -> Connection:
        """Waits for a connection; once that was in vain, those who come after wait shortly until one is had again."""
        try:
            return await pool.getconn(SHORT_WAIT_SECONDS if self._is_away else None)
        except PoolTimeout:
            self._is_away = True
            raise

    def _opened_pool(self) -> AsyncConnectionPool[Connection]:
        if self._pool is None:
            raise unavailable()  # a call that outlived the server's stop
        return self._pool

    async def _arguments(self) -> dict[str, Any]:
        """Answers how to connect; a killed embedded server is started again first."""
        arguments: dict[str, Any] = {
            "autocommit": True,
            "application_name": "difyrpc",
            "connect_timeout": max(2, round(self.settings.connect_timeout_seconds)),
        }
        if not self.settings.prepare:
            arguments["prepare_threshold"] = None
        if self.embedded is not None:
            await asyncio.to_thread(self.embedded.start)
            arguments |= self.embedded.conninfo()
        return arguments

    async def _first_look(self) -> str:
        """Connects once outside of the pool, which hides errors, and answers the schema of pgvector, if any."""
        try:
            arguments = await self._arguments()
            async with await Connection.connect(self.settings.url, **arguments) as connection:
                version = connection.info.server_version
                if version < LEAST_VERSION:
                    raise SettingsError(
                        f"DIFYRPC_DATABASE_URL: the server is PostgreSQL {version // 10000}; 14 or newer is needed"
                    )
                self._server, self.user = self._describe(connection), connection.info.user
                return await _vector_schema(connection)
        except psycopg.ProgrammingError as error:
            raise SettingsError("DIFYRPC_DATABASE_URL is not a PostgreSQL URL: postgresql://user@host/name") from error
        except psycopg.OperationalError as error:
            raise Unavailable(
                "DATABASE_UNAVAILABLE",
                "the database of DIFYRPC_DATABASE_URL cannot be used now: {cause}",
                retry_after=RETRY_SECONDS,
                cause=" ".join(str(error).split()),
            ) from error

    def _describe(self, connection: Connection) -> str:
        info = connection.info
        version = info.parameter_status("server_version")
        if self.embedded is not None:
            return f"PostgreSQL {version}, embedded in {self.embedded.folder}"
        return f"PostgreSQL {version}, {info.dbname} at {info.host}"

    async def refresh(self) -> None:
        """Looks again where pgvector lives; to be called after migrations."""
        async with self.connection() as connection:
            schema = await _vector_schema(connection)
        self._begin = _begin_statement(self.settings, schema)


async def open_database(env: Mapping[str, str], state: Path) -> Database:
    """Opens the user's database, or the embedded one in the state folder when `DIFYRPC_DATABASE_URL` is unset."""
    settings = DatabaseSettings.from_env(env)
    embedded = None if settings.url else EmbeddedPostgres(state, PostgresSettings.from_env(env))
    database = Database(settings, embedded)
    try:
        await database.open()
    except BaseException:
        await database.close()
        raise
    return database


def _begin_statement(settings: DatabaseSettings, vector_schema: str) -> bytes:
    """Writes what begins a transaction; one simple query of three statements costs one round trip."""
    schemas = dict.fromkeys((settings.schema, "public", vector_schema or "public"))
    statement = sql.SQL("BEGIN; SET LOCAL search_path TO {}; SET LOCAL statement_timeout TO {}").format(
        sql.SQL(", ").join(map(sql.Identifier, schemas)), sql.Literal(round(settings.statement_timeout_seconds * 1000))
    )
    return statement.as_bytes(None)


async def _vector_schema(connection: Connection) -> str:
    cursor = await connection.execute(
        "SELECT nspname FROM pg_extension JOIN pg_namespace n ON n.oid = extnamespace WHERE extname = 'vector'"
    )
    row = await cursor.fetchone()
    return row[0] if row else ""


async def _roll_back(connection: Connection) -> None:
    try:
        await connection.rollback()
    except psycopg.Error:
        await connection.close()  # the pool replaces it
