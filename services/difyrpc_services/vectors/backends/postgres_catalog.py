"""The records of collections in PostgreSQL."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any

from psycopg.rows import dict_row

from difyrpc_services.runtime.database import Database
from difyrpc_services.vectors.backends.postgres_values import from_json, to_json
from difyrpc_services.vectors.core.values import Collection, Metric

STREAM_LIFE = "7 days"  # vectors.proto, UpsertSpec.stream_id


class PostgresCatalog:
    """Keeps records in `vectors_collections`, and where streams stand in `vectors_streams`."""

    def __init__(self, database: Database) -> None:
        """Takes the house's database."""
        self._database = database

    def transaction(self) -> AbstractAsyncContextManager[Any]:
        """Begins a transaction that everything inside joins."""
        return self._database.transaction()

    async def add(self, draft: Collection) -> Collection | None:
        """Stores a new record and answers it with its key; None if the tenant has that name already."""
        return await self._one(
            """
            INSERT INTO vectors_collections
                (tenant, name, engine, metric, dimension, model, fingerprint, description, metadata)
            VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s::jsonb)
            ON CONFLICT (tenant, name) DO NOTHING
            RETURNING *
            """,
            draft.tenant,
            draft.name,
            draft.engine,
            draft.metric.value,
            draft.dimension,
            draft.model,
            draft.fingerprint,
            draft.description,
            to_json(draft.metadata),
        )

    async def find(self, tenant: str, name: str) -> Collection | None:
        """Answers one record."""
        return await self._one("SELECT * FROM vectors_collections WHERE tenant = %s AND name = %s", tenant, name)

    async def page(self, tenant: str, after: str, limit: int) -> Sequence[Collection]:
        """Answers up to `limit` records whose names come after `after`."""
        async with self._database.connection() as connection, connection.cursor(row_factory=dict_row) as cursor:
            await cursor.execute(
                "SELECT * FROM vectors_collections WHERE tenant = %s AND name > %s ORDER BY name LIMIT %s",
                (tenant, after, limit),
            )
            return [_collection(row) for row in await cursor.fetchall()]

    async def change(self, collection: Collection, changes: Mapping[str, Any]) -> Collection | None:
        """Changes a record; None if the version is no longer that of `collection`."""
        metadata = changes.get("metadata")
        return await self._one(
            """
            UPDATE vectors_collections
            SET description = COALESCE(%s, description), metadata = COALESCE(%s::jsonb, metadata),
                version = version + 1, update_time = clock_timestamp()
            WHERE key = %s AND version = %s
            RETURNING *
            """,
            changes.get("description"),
            None if metadata is None else to_json(metadata),
            collection.key,
            collection.version,
        )

    async def remove(self, collection: Collection) -> bool:
        """Deletes one record; False if the version is no longer that of `collection`."""
        return await self._changed(
            "DELETE FROM vectors_collections WHERE key = %s AND version = %s", collection.key, collection.version
        )

    async def hold(self, collection: Collection) -> bool:
        """Keeps a record from being deleted until the transaction ends; False if it is gone."""
        return await self._changed("SELECT FROM vectors_collections WHERE key = %s FOR KEY SHARE", collection.key)

    async def position(self, collection: Collection, stream_id: str) -> int:
        """Answers the last durable sequence of a stream, and forgets the collection's streams of long ago."""
        async with self._database.connection() as connection:
            await connection.execute(
                "DELETE FROM vectors_streams WHERE collection = %s AND update_time < now() - %s::interval",
                (collection.key, STREAM_LIFE),
            )
            cursor = await connection.execute(
                "SELECT sequence FROM vectors_streams WHERE collection = %s AND stream_id = %s",
                (collection.key, stream_id),
            )
            row = await cursor.fetchone()
            return row[0] if row else 0

    async def advance(self, collection: Collection, stream_id: str, sequence: int) -> bool:
        """Records a stream's sequence; False if it stands there or further already."""
        return await self._changed(
            """
            INSERT INTO vectors_streams AS stream (collection, stream_id, sequence) VALUES (%s, %s, %s)
            ON CONFLICT (collection, stream_id)
            DO UPDATE SET sequence = EXCLUDED.sequence, update_time = now() WHERE stream.sequence < EXCLUDED.sequence
            """,
            collection.key,
            stream_id,
            sequence,
        )

    async def _one(self, statement: str, *parameters: Any) -> Collection | None:
        async with self._database.connection() as connection, connection.cursor(row_factory=dict_row) as cursor:
            await cursor.execute(statement.encode(), parameters)
            row = await cursor.fetchone()
            return _collection(row) if row else None

    async def _changed(self, statement: str, *parameters: Any) -> bool:
        async with self._database.connection() as connection:
            cursor = await connection.execute(statement.encode(), parameters)
            return cursor.rowcount > 0


def _collection(row: dict[str, Any]) -> Collection:
    return Collection(**row | {"metric": Metric(row["metric"]), "metadata": from_json(row["metadata"])})
