"""Makes the indexes of collections that have grown, beside the writers and not before them.

An index is made when a collection is large enough and has been left alone for a moment: building once over all rows is
several times faster than adding them one by one, and a bulk upsert would otherwise pay for each row.
"""

from __future__ import annotations

import asyncio
import contextvars
import logging
from dataclasses import dataclass, field

import psycopg
from psycopg import sql

from difyrpc_services.runtime.database import Connection, Database
from difyrpc_services.runtime.errors import ServiceError
from difyrpc_services.vectors.backends.pgvector_tables import MAX_INDEXED_DIMENSION, MEASURES, table_name
from difyrpc_services.vectors.core.values import Collection, Metric

log = logging.getLogger(__name__)

MOST_DELAYS = 30
"""A collection that is never left alone gets its index after this many quiet times."""
AGAIN_SECONDS = 1.0
"""How soon an index that could not be made is tried again; each time twice as long, up to the next line."""
LONGEST_SECONDS = 60.0


class UnderWay(Exception):
    """Another process makes an index of the collection, or a server that was killed left one half made."""


@dataclass
class _Waiting:
    since: float
    timer: asyncio.TimerHandle | None = None


@dataclass
class IndexBuilder:
    """Waits for quiet, one index at a time."""

    database: Database
    rows: int
    """Points from which on a collection gets an index."""
    quiet_seconds: float
    _waiting: dict[int, _Waiting] = field(default_factory=dict)
    _tries: dict[int, int] = field(default_factory=dict)
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)
    _one: asyncio.Lock = field(default_factory=asyncio.Lock)
    _idle: asyncio.Event = field(default_factory=asyncio.Event)

    async def start(self) -> None:
        """Takes up what an earlier process left undone."""
        async with self.database.connection() as connection:
            cursor = await connection.execute(
                "SELECT key, metric FROM vectors_collections "
                "WHERE engine = 'pgvector' AND NOT is_indexed AND dimension <= %s",
                (MAX_INDEXED_DIMENSION,),
            )
            for key, metric in await cursor.fetchall():
                self._wait(key, Metric(metric), self.quiet_seconds)

    async def stop(self) -> None:
        """Ends what waits and what is under way."""
        self._forget()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._forget()

    async def settled(self) -> None:
        """Waits until nothing waits for quiet and nothing is under way."""
        while self._waiting or self._tasks:
            self._idle.clear()
            await self._idle.wait()

    def touched(self, collection: Collection) -> None:
        """Notes that points were written."""
        if not collection.is_indexed and collection.dimension <= MAX_INDEXED_DIMENSION:
            self._tries.pop(collection.key, None)
            self._wait(collection.key, collection.metric, self.quiet_seconds)

    async def build(self, key: int, metric: Metric) -> bool:
        """Makes the indexes of one collection if it is large enough; answers whether it has them now.

        UnderWay when somebody else is at it: of two who make an index of one table, PostgreSQL ends one as a
        deadlock, and that may be the one who is nearly done.
        """
        async with self._one, self.database.connection() as connection:
            if not await self._is_large(connection, key):
                return False
            await _refuse_company(connection, key)
            schema, extension = await _schemas(connection)
            # The rest runs outside of a transaction: an index can only be made beside writers there.
            await connection.commit()
            nearest = sql.SQL("USING hnsw (embedding {}.{})").format(
                sql.Identifier(extension), sql.Identifier(MEASURES[metric].operator_class)
            )
            metadata = sql.SQL("USING gin (metadata jsonb_path_ops)")
            made = [
                await _indexed(connection, schema, key, "nearest", nearest),
                await _indexed(connection, schema, key, "metadata", metadata),
            ]
            if not all(made):
                raise UnderWay
            await connection.execute(sql.SQL("ANALYZE {}").format(sql.Identifier(schema, table_name(key))))
            await connection.execute(
                sql.SQL("UPDATE {} SET is_indexed = true WHERE key = %s").format(
                    sql.Identifier(schema, "vectors_collections")
                ),
                (key,),
            )
            return True

    def _wait(self, key: int, metric: Metric, seconds: float) -> None:
        loop = asyncio.get_running_loop()
        waiting = self._waiting.setdefault(key, _Waiting(loop.time()))
        if waiting.timer is not None:
            waiting.timer.cancel()
        latest = waiting.since + max(MOST_DELAYS * self.quiet_seconds, seconds)
        # A context of its own: nobody's transaction is joined, nobody's tenant is taken on.
        waiting.timer = loop.call_at(
            min(loop.time() + seconds, latest), self._begin, key, metric, context=contextvars.Context()
        )

    def _wait_longer(self, key: int, metric: Metric) -> None:
        tries = self._tries[key] = self._tries.get(key, 0) + 1
        self._wait(key, metric, min(AGAIN_SECONDS * 2.0 ** min(tries - 1, 10), LONGEST_SECONDS))

    def _forget(self) -> None:
        for waiting in self._waiting.values():
            if waiting.timer is not None:
                waiting.timer.cancel()
        self._waiting.clear()

    def _begin(self, key: int, metric: Metric) -> None:
        self._waiting.pop(key, None)
        task = asyncio.get_running_loop().create_task(self._try(key, metric))
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        self._idle.set()

    async def _try(self, key: int, metric: Metric) -> None:
        try:
            if await self.build(key, metric):
                log.info("collection %d is indexed", key)
            self._tries.pop(key, None)
        except UnderWay:
            self._wait_longer(key, metric)
        except (ServiceError, psycopg.Error) as error:
            log.warning("collection %d is searched without an index until it can be made: %s", key, error)
            self._wait_longer(key, metric)

    async def _is_large(self, connection: Connection, key: int) -> bool:
        statement = sql.SQL("SELECT count(*) FROM (SELECT FROM {} LIMIT %s) AS enough").format(
            sql.Identifier(table_name(key))
        )
        cursor = await connection.execute(
            "SELECT to_regclass(%s) IS NOT NULL AND NOT is_indexed FROM vectors_collections WHERE key = %s",
            (table_name(key), key),
        )
        row = await cursor.fetchone()
        if row is None or not row[0]:
            return False
        cursor = await connection.execute(statement, (self.rows,))
        row = await cursor.fetchone()
        return row is not None and row[0] >= self.rows


async def _refuse_company(connection: Connection, key: int) -> None:
    """Raises UnderWay while anybody holds the lock that making an index takes; lets go of it at the commit."""
    statement = sql.SQL("LOCK TABLE {} IN SHARE UPDATE EXCLUSIVE MODE NOWAIT")
    try:
        await connection.execute(statement.format(sql.Identifier(table_name(key))))
    except psycopg.errors.LockNotAvailable as error:
        await connection.rollback()
        raise UnderWay from error


async def _indexed(connection: Connection, schema: str, key: int, name: str, how: sql.Composable) -> bool:
    """Makes one index unless it is there; one that an ended process left half made is dropped first."""
    index = f"{table_name(key)}_{name}"
    if await _is_abandoned(connection, schema, index):
        await connection.execute(sql.SQL("DROP INDEX CONCURRENTLY IF EXISTS {}").format(sql.Identifier(schema, index)))
    await connection.execute(
        sql.SQL("CREATE INDEX CONCURRENTLY IF NOT EXISTS {} ON {} {}").format(
            sql.Identifier(index), sql.Identifier(schema, table_name(key)), how
        )
    )
    cursor = await connection.execute(
        "SELECT indisvalid FROM pg_index WHERE indexrelid = to_regclass(%s)",
        (sql.Identifier(schema, index).as_string(None),),
    )
    row = await cursor.fetchone()
    return row is not None and bool(row[0])


async def _is_abandoned(connection: Connection, schema: str, index: str) -> bool:
    cursor = await connection.execute(
        "SELECT FROM pg_index WHERE indexrelid = to_regclass(%s) AND NOT indisvalid "
        "AND NOT EXISTS (SELECT FROM pg_stat_progress_create_index WHERE index_relid = indexrelid)",
        (sql.Identifier(schema, index).as_string(None),),
    )
    return await cursor.fetchone() is not None


async def _schemas(connection: Connection) -> tuple[str, str]:
    cursor = await connection.execute(
        "SELECT current_schema(), nspname FROM pg_extension JOIN pg_namespace AS space ON space.oid = extnamespace "
        "WHERE extname = 'vector'"
    )
    row = await cursor.fetchone()
    if row is None:
        raise psycopg.errors.UndefinedObject("the extension vector is not installed")
    return row[0], row[1]
