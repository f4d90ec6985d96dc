"""Records in PostgreSQL; a transaction here is a transaction there."""

from __future__ import annotations

import dataclasses
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from typing import TYPE_CHECKING, Any

from psycopg.rows import dict_row
from psycopg.types.json import Jsonb

from difyrpc_services.files.core.values import File, Listing, Place, Upload, Usage
from difyrpc_services.files.records.packing import pack_metadata, pack_spec, unpack_metadata, unpack_spec

if TYPE_CHECKING:
    from difyrpc_services.runtime.database import Connection, Database

SLOTS = 16  # rows that the used bytes of a tenant are spread over


class PostgresRecords:
    """Opens transactions of the database."""

    def __init__(self, database: Database) -> None:
        """Takes the database; it is open and migrated before the first transaction."""
        self._database = database

    @asynccontextmanager
    async def transaction(self, *, durable: bool = True) -> AsyncIterator[PostgresRows]:
        """Opens a transaction, or joins the one that the call is in."""
        async with self._database.connection() as connection:
            if not durable:
                await connection.execute("SET LOCAL synchronous_commit = off")
            yield PostgresRows(connection)


class PostgresRows:
    """The records within one transaction."""

    def __init__(self, connection: Connection) -> None:
        """Takes a connection in a transaction."""
        self._connection = connection

    async def upload(self, tenant: str, upload_id: str, *, lock: bool = False) -> Upload | None:
        """Answers one upload."""
        found = await self._rows(_one("files_uploads", lock), (tenant, upload_id))
        return _upload(found[0]) if found else None

    async def put_upload(self, upload: Upload) -> None:
        """Adds or replaces one upload."""
        values = _columns(upload) | {"spec": Jsonb(pack_spec(upload.spec))}
        await self._put("files_uploads", values)

    async def delete_upload(self, upload: Upload) -> None:
        """Removes one upload."""
        await self._run("DELETE FROM files_uploads WHERE tenant = %s AND id = %s", (upload.tenant, upload.id))

    async def due_uploads(self, now: datetime, limit: int) -> Sequence[Upload]:
        """Answers uploads that expired."""
        found = await self._rows("SELECT * FROM files_uploads WHERE expire_time <= %s LIMIT %s", (now, limit))
        return [_upload(row) for row in found]

    async def file(self, tenant: str, file_id: str, *, lock: bool = False) -> File | None:
        """Answers one file, expired or not."""
        found = await self._rows(_one("files_files", lock), (tenant, file_id))
        return _file(found[0]) if found else None

    async def put_file(self, file: File) -> None:
        """Adds or replaces one file."""
        values = _columns(file) | {"metadata": Jsonb(pack_metadata(file.metadata)), "tags": list(file.tags)}
        await self._put("files_files", values)

    async def delete_file(self, file: File) -> None:
        """Removes one file."""
        await self._run("DELETE FROM files_files WHERE tenant = %s AND id = %s", (file.tenant, file.id))

    async def files(self, tenant: str, listing: Listing, now: datetime) -> Sequence[File]:
        """Answers the files of one page that are not expired."""
        query, values = _listing(tenant, listing, now)
        return [_file(row) for row in await self._rows(query, values)]

    async def due_files(self, now: datetime, limit: int) -> Sequence[File]:
        """Answers files that expired."""
        found = await self._rows("SELECT * FROM files_files WHERE expire_time <= %s LIMIT %s", (now, limit))
        return [_file(row) for row in found]

    async def name_is_taken(self, tenant: str, display_name: str, now: datetime, *, other_than: str) -> bool:
        """Answers whether another file has the name, after waiting for those who ask the same."""
        await self._wait_for_lock("name", tenant, display_name)
        found = await self._rows(
            "SELECT 1 FROM files_files WHERE tenant = %s AND display_name = %s AND id <> %s"
            " AND (expire_time IS NULL OR expire_time > %s) LIMIT 1",
            (tenant, display_name, other_than, now),
        )
        return bool(found)

    async def share_blob(self, tenant: str, key: str, sha256: str, size_bytes: int) -> str:
        """Counts one more user of this content; answers the key of its bytes."""
        (row,) = await self._rows(
            "INSERT INTO files_blobs (tenant, key, sha256, size_bytes, refs) VALUES (%s, %s, %s, %s, 1)"
            " ON CONFLICT (tenant, sha256) DO UPDATE SET refs = files_blobs.refs + 1 RETURNING key",
            (tenant, key, sha256, size_bytes),
        )
        return str(row["key"])

    async def release_blob(self, tenant: str, key: str) -> bool:
        """Counts one user less; answers whether it was the last."""
        found = await self._rows(
            "SELECT refs FROM files_blobs WHERE tenant = %s AND key = %s FOR UPDATE", (tenant, key)
        )
        if found and found[0]["refs"] > 1:
            await self._run("UPDATE files_blobs SET refs = refs - 1 WHERE tenant = %s AND key = %s", (tenant, key))
            return False
        await self._run("DELETE FROM files_blobs WHERE tenant = %s AND key = %s", (tenant, key))
        return True

    async def usage(self, tenant: str, *, lock: bool = False) -> Usage:
        """Answers what the tenant uses; with `lock` after waiting for those who ask the same."""
        if lock:
            await self._wait_for_lock("quota", tenant, "")
        (row,) = await self._rows(
            "SELECT (SELECT coalesce(sum(used_bytes), 0) FROM files_usage WHERE tenant = %(tenant)s)::bigint AS used,"
            " (SELECT coalesce(sum(reserved_bytes), 0) FROM files_uploads"
            " WHERE tenant = %(tenant)s AND file_id = '')::bigint AS reserved",
            {"tenant": tenant},
        )
        return Usage(used_bytes=row["used"], reserved_bytes=row["reserved"])

    async def add_usage(self, file: File, difference: int) -> None:
        """Changes the tenant's used bytes, in the slot that the file's id chooses."""
        await self._run(
            "INSERT INTO files_usage (tenant, slot, used_bytes) VALUES (%s, %s, %s)"
            " ON CONFLICT (tenant, slot) DO UPDATE SET used_bytes = files_usage.used_bytes + EXCLUDED.used_bytes",
            (file.tenant, int(file.id[-2:], 16) % SLOTS, difference),
        )

    async def add_garbage(self, place: Place) -> None:
        """Notes bytes that are to be removed."""
        await self._run(
            "INSERT INTO files_garbage (folder, key) VALUES (%s, %s) ON CONFLICT DO NOTHING", (place.folder, place.key)
        )

    async def garbage(self, limit: int) -> Sequence[Place]:
        """Answers noted places."""
        return [Place(**row) for row in await self._rows("SELECT folder, key FROM files_garbage LIMIT %s", (limit,))]

    async def forget_garbage(self, places: Collection[Place]) -> None:
        """Drops notes after the bytes are gone."""
        await self._run("DELETE FROM files_garbage WHERE key = ANY(%s)", ([place.key for place in places],))

    async def unknown(self, places: Collection[Place]) -> Collection[Place]:
        """Answers those places that no upload, blob or garbage note mentions."""
        keys = [place.key for place in places]
        known = await self._rows(
            "SELECT key FROM files_uploads WHERE key = ANY(%(keys)s)"
            " UNION ALL SELECT key FROM files_blobs WHERE key = ANY(%(keys)s)"
            " UNION ALL SELECT key FROM files_garbage WHERE key = ANY(%(keys)s)",
            {"keys": keys},
        )
        found = {row["key"] for row in known}
        return [place for place in places if place.key not in found]

    async def knows_store(self, identity: str) -> bool:
        """Answers whether the store of bytes with this identity belongs to these records."""
        return bool(await self._rows("SELECT 1 FROM files_stores WHERE identity = %s", (identity,)))

    async def add_store(self, identity: str) -> None:
        """Notes that it does."""
        await self._run("INSERT INTO files_stores (identity) VALUES (%s) ON CONFLICT DO NOTHING", (identity,))

    async def _wait_for_lock(self, kind: str, tenant: str, what: str) -> None:
        """Waits for a lock that ends with the transaction."""
        name = f"files {kind} {len(tenant)} {tenant} {what}"
        await self._run("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", (name,))

    async def _put(self, table: str, values: Mapping[str, Any]) -> None:
        await self._run(_upsert(table, tuple(values)), tuple(values.values()))

    async def _run(self, query: str, values: Sequence[Any] | Mapping[str, Any]) -> None:
        await self._connection.execute(query, values)

    async def _rows(self, query: str, values: Sequence[Any] | Mapping[str, Any]) -> list[dict[str, Any]]:
        async with self._connection.cursor(row_factory=dict_row) as cursor:
            await cursor.execute(query, values)
            return await cursor.fetchall()


def _listing(tenant: str, listing: Listing, now: datetime) -> tuple[str, dict[str, Any]]:
    """Makes the query of one page. The field is a value of Order, never a caller's text."""
    field = listing.order.value
    values: dict[str, Any] = {"tenant": tenant, "now": now, "limit": listing.limit}
    where = ["tenant = %(tenant)s", "(expire_time IS NULL OR expire_time > %(now)s)"]
    if listing.prefix:
        where.append(r"display_name LIKE %(prefix)s ESCAPE '\'")
        values["prefix"] = _escaped(listing.prefix) + "%"
    if listing.tags:
        where.append("tags @> %(tags)s")
        values["tags"] = list(listing.tags)
    if listing.after:
        where.append(f"({field}, id) {'<' if listing.descending else '>'} (%(after)s, %(after_id)s)")
        values |= {"after": listing.after.key, "after_id": listing.after.id}
    turn = " DESC" if listing.descending else ""
    condition = " AND ".join(where)
    query = f"SELECT * FROM files_files WHERE {condition} ORDER BY {field}{turn}, id{turn} LIMIT %(limit)s"  # noqa: S608
    return query, values


def _escaped(prefix: str) -> str:
    return prefix.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")


def _upsert(table: str, columns: Sequence[str]) -> str:
    names = ", ".join(columns)
    holes = ", ".join(["%s"] * len(columns))
    changes = ", ".join(f"{name} = EXCLUDED.{name}" for name in columns if name not in {"tenant", "id"})
    return f"INSERT INTO {table} ({names}) VALUES ({holes}) ON CONFLICT (tenant, id) DO UPDATE SET {changes}"  # noqa: S608


def _columns(value: File | Upload) -> dict[str, Any]:
    return {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}


def _one(table: str, lock: bool) -> str:
    return f"SELECT * FROM {table} WHERE tenant = %s AND id = %s{' FOR UPDATE' if lock else ''}"  # noqa: S608


def _upload(row: dict[str, Any]) -> Upload:
    return Upload(**row | {"spec": unpack_spec(row["spec"])})


def _file(row: dict[str, Any]) -> File:
    return File(**row | {"tags": tuple(row["tags"]), "metadata": unpack_metadata(row["metadata"])})
