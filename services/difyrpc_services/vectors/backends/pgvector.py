"""pgvector: a table for the points of each collection, exact scans while it is small, then an HNSW index.

Names of tables are made from the catalog's number of the collection, never from what a caller wrote. Rows are locked
in the order of their ids, so that writers wait for each other and never in a circle.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from psycopg import errors as pg
from psycopg import sql

from difyrpc_services.runtime.database import Connection, Database
from difyrpc_services.vectors.backends.pgvector_index import IndexBuilder
from difyrpc_services.vectors.backends.pgvector_search import Searcher
from difyrpc_services.vectors.backends.pgvector_tables import MAX_INDEXED_DIMENSION, table
from difyrpc_services.vectors.backends.postgres_filters import Piece, where
from difyrpc_services.vectors.backends.postgres_values import (
    Binary,
    BinaryDumper,
    from_json,
    to_json,
    vector_from,
    vectors_parameter,
)
from difyrpc_services.vectors.core.collections import missing
from difyrpc_services.vectors.core.filters import Filter
from difyrpc_services.vectors.core.values import (
    Capabilities,
    Collection,
    Feature,
    Found,
    MetadataChange,
    Metric,
    Payload,
    Point,
    Probe,
    Selector,
)
from difyrpc_services.vectors.settings import VectorsSettings

MAX_DIMENSION = 16_000  # pgvector's type `vector`
INLINE_DIMENSION = 1000
"""Up to here a vector is kept inside its row (4 KB of a page's 8), where a scan finds it without a second read."""

TABLE = """
CREATE TABLE {table} (
    id text COLLATE "C" PRIMARY KEY, text text NOT NULL, metadata jsonb NOT NULL, embedding vector({dimension}) NOT NULL
)
"""
UPSERT = """
INSERT INTO {table} (id, text, metadata, embedding)
SELECT id, text, metadata::jsonb, embedding
FROM unnest(%b::text[], %b::text[], %b::text[], %b::vector[]) AS new (id, text, metadata, embedding)
ON CONFLICT (id) DO UPDATE SET text = EXCLUDED.text, metadata = EXCLUDED.metadata, embedding = EXCLUDED.embedding
"""
REPLACE = sql.SQL("UPDATE {table} AS point SET metadata = %s::jsonb FROM chosen")
MERGE = sql.SQL("UPDATE {table} AS point SET metadata = (point.metadata - %s::text[]) || %s::jsonb FROM chosen")


class PgvectorBackend:
    """Points in the house's PostgreSQL."""

    kind = "pgvector"
    capabilities = Capabilities(
        features=frozenset({Feature.DENSE, Feature.EXACT_SEARCH}),
        metrics=tuple(Metric),
        max_dimension=MAX_DIMENSION,
        max_indexed_dimension=MAX_INDEXED_DIMENSION,
    )

    def __init__(self, database: Database, settings: VectorsSettings) -> None:
        """Takes the database that holds the catalog, too."""
        self._database = database
        self._searcher = Searcher(exact_rows=settings.exact_rows)
        self.indexes = IndexBuilder(database, rows=settings.index_rows, quiet_seconds=settings.index_quiet_seconds)
        self._vector_oid = 0

    async def start(self) -> None:
        """Looks for collections that should have an index and have none."""
        await self.indexes.start()

    async def stop(self) -> None:
        """Ends the making of indexes; one that is half made is dropped and begun anew later."""
        await self.indexes.stop()

    async def check(self) -> str:
        """Has PostgreSQL compare two vectors, and says which pgvector did."""
        async with self._database.connection() as connection:
            cursor = await connection.execute(
                "SELECT extversion, '[1,2]'::vector <=> '[2,1]' FROM pg_extension WHERE extname = 'vector'"
            )
            row = await cursor.fetchone()
        if row is None:
            raise LookupError("the extension vector is not installed")
        return f"pgvector {row[0]}"

    async def create(self, collection: Collection) -> None:
        """Makes the table of a collection, in the transaction that stores its record."""
        async with self._database.connection() as connection:
            await connection.execute(_filled(TABLE, collection, dimension=sql.Literal(collection.dimension)))
            if collection.dimension <= INLINE_DIMENSION:
                await connection.execute(_filled("ALTER TABLE {table} ALTER embedding SET STORAGE PLAIN", collection))

    async def drop(self, collection: Collection) -> None:
        """Drops the table of a collection."""
        async with self._database.connection() as connection:
            await connection.execute(_filled("DROP TABLE IF EXISTS {table}", collection))

    async def write(self, collection: Collection, points: Sequence[Point]) -> None:
        """Stores points by one statement."""
        ordered = sorted(points, key=lambda point: point.id)
        async with self._points(collection) as connection:
            vectors = vectors_parameter(
                [point.vector for point in ordered if point.vector is not None], await self._oid(connection)
            )
            async with connection.cursor() as cursor:
                cursor.adapters.register_dumper(Binary, BinaryDumper)
                await cursor.execute(
                    _filled(UPSERT, collection),
                    (
                        [point.id for point in ordered],
                        [point.text for point in ordered],
                        [to_json(point.metadata) for point in ordered],
                        vectors,
                    ),
                )

    def written(self, collection: Collection) -> None:
        """Has an index made when it is time."""
        self.indexes.touched(collection)

    async def fetch(self, collection: Collection, ids: Sequence[str], payload: Payload) -> Sequence[Point]:
        """Answers the points that there are."""
        return await self._read(collection, payload, Piece("id = ANY(%s)", (list(ids),)), limit=len(ids))

    async def scroll(
        self, collection: Collection, found: Filter | None, after: str, limit: int, payload: Payload
    ) -> Sequence[Point]:
        """Answers up to `limit` matching points whose ids come after `after`."""
        wanted = where(found)
        piece = Piece("id > %s AND " + wanted.text, (after, *wanted.parameters))
        return await self._read(collection, payload, piece, limit=limit)

    async def count(self, collection: Collection, found: Filter | None) -> int:
        """Counts the matching points."""
        wanted = where(found)
        async with self._points(collection) as connection:
            cursor = await connection.execute(
                _filled("SELECT count(*) FROM {table} WHERE {where}", collection, where=wanted.composed),
                wanted.parameters,
            )
            row = await cursor.fetchone()
            return row[0] if row else 0

    async def delete(self, collection: Collection, selector: Selector) -> int:
        """Deletes points."""
        return await self._change(collection, selector, sql.SQL("DELETE FROM {table} AS point USING chosen"), ())

    async def change_metadata(self, collection: Collection, selector: Selector, change: MetadataChange) -> int:
        """Changes metadata."""
        if change.replace:
            return await self._change(collection, selector, REPLACE, (to_json(change.set),))
        return await self._change(collection, selector, MERGE, (list(change.remove), to_json(change.set)))

    async def search(self, collection: Collection, probe: Probe) -> Found:
        """Finds the nearest points by the plan that fits."""
        async with self._points(collection) as connection:
            return await self._searcher.search(connection, collection, probe)

    async def _read(self, collection: Collection, payload: Payload, wanted: Piece, *, limit: int) -> list[Point]:
        statement = _filled(
            "SELECT id, {text}, {metadata}, {vector} FROM {table} WHERE {where} ORDER BY id LIMIT %s",
            collection,
            text=sql.SQL("text" if payload.text else "''"),
            metadata=sql.SQL("metadata" if payload.metadata else "'{}'::jsonb"),
            vector=sql.SQL("vector_send(embedding)" if payload.vector else "NULL::bytea"),
            where=wanted.composed,
        )
        async with self._points(collection) as connection, connection.cursor(binary=True) as cursor:
            await cursor.execute(statement, (*wanted.parameters, limit))
            return [
                Point(id=point_id, text=text, metadata=payload.cut(from_json(metadata)), vector=vector_from(vector))
                for point_id, text, metadata, vector in await cursor.fetchall()
            ]

    async def _change(
        self, collection: Collection, selector: Selector, change: sql.SQL, parameters: tuple[Any, ...]
    ) -> int:
        chosen = where(selector.filter) if selector.ids is None else Piece("id = ANY(%s)", (list(selector.ids),))
        statement = _filled(
            "WITH chosen AS MATERIALIZED (SELECT id FROM {table} WHERE {where} ORDER BY id FOR UPDATE) "
            "{change} WHERE point.id = chosen.id",
            collection,
            where=chosen.composed,
            change=change.format(table=table(collection)),
        )
        async with self._points(collection) as connection:
            cursor = await connection.execute(statement, (*chosen.parameters, *parameters))
            changed: int = cursor.rowcount
            return changed

    @asynccontextmanager
    async def _points(self, collection: Collection) -> AsyncIterator[Connection]:
        try:
            async with self._database.connection() as connection:
                yield connection
        except pg.UndefinedTable as error:
            raise missing(collection.name) from error

    async def _oid(self, connection: Connection) -> int:
        if not self._vector_oid:
            cursor = await connection.execute("SELECT 'vector'::regtype::oid::bigint")
            row = await cursor.fetchone()
            self._vector_oid = row[0] if row else 0
        return self._vector_oid


def _filled(statement: str, collection: Collection, **parts: sql.Composable) -> sql.Composed:
    """Puts names into a statement that is made of our own words only; values stay parameters."""
    return sql.SQL(statement).format(table=table(collection), **parts)
