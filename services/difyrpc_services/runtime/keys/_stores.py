"""Where keys are kept: in the database, or in memory."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import date, datetime
from typing import TYPE_CHECKING, Protocol

from psycopg.rows import class_row

from difyrpc_services.runtime.errors import AlreadyExists, InvalidArgument, NotFound
from difyrpc_services.runtime.keys._tokens import (
    Key,
    Now,
    check_name,
    check_scopes,
    check_tenant,
    hash_secret,
    make_token,
    parse_token,
    utc_now,
)

if TYPE_CHECKING:
    from difyrpc_services.runtime.database import Database

FIRST_KEYS_LOCK = 0x6469667972706302
"""Key of the advisory lock under which the first key is made; the text `difyrpc` and a two."""


class KeyStore(Protocol):
    """Where keys are kept."""

    async def create(
        self, tenant: str, scopes: Collection[str], *, name: str = "", expires_at: datetime | None = None
    ) -> tuple[Key, str]:
        """Makes a key and answers it with its token, which cannot be had again; InvalidArgument names what is wrong."""

    async def create_first(self, *, tenant: str, scopes: Collection[str], name: str) -> tuple[Key, str] | None:
        """Makes a key if there is none at all, of any tenant or state; None otherwise. One of many callers wins."""

    async def register(self, token: str, *, tenant: str, scopes: Collection[str], name: str) -> Key:
        """Adds a key whose token was made elsewhere; the same token again changes nothing, not even a revocation."""

    async def list_keys(self, tenant: str | None = None) -> Sequence[Key]:
        """Answers the keys of one tenant or of all, the oldest first, revoked and expired ones too."""

    async def find(self, key_id: str) -> Key | None:
        """Answers the key of this id."""

    async def revoke(self, key_id: str) -> Key:
        """Refuses the key from now on; once revoked it stays so. NotFound: KEY_NOT_FOUND."""

    async def touch(self, key_id: str, day: date) -> None:
        """Notes the last day on which a key was used."""


class KeyMaker:
    """Checks what is asked of a new key, the same way for every store."""

    def __init__(self, services: Collection[str] | None, now: Now) -> None:
        """Takes the services that scopes may name (None: any word), and the time of day."""
        self.services = services
        self.now = now

    def make(
        self, token: str, *, tenant: str, scopes: Collection[str], name: str, expires_at: datetime | None = None
    ) -> Key:
        """Makes the key of a token; InvalidArgument when something about it is wrong."""
        key_id, secret = parse_token(token)
        created_at = self.now()
        if expires_at is not None and (expires_at.tzinfo is None or expires_at <= created_at):
            raise InvalidArgument(
                "INVALID_EXPIRY",
                "{expires_at} is not a time to come with a zone",
                field="expires_at",
                expires_at=expires_at.isoformat(),
            )
        return Key(
            id=key_id,
            tenant=check_tenant(tenant),
            name=check_name(name),
            scopes=check_scopes(scopes, self.services),
            secret_sha256=hash_secret(secret),
            created_at=created_at,
            expires_at=expires_at,
        )


class MemoryKeys:
    """Keys that end with the process."""

    def __init__(self, services: Collection[str] | None = None, *, now: Now = utc_now) -> None:
        """Takes the services that scopes may name (None: any word), and the time of day."""
        self._maker = KeyMaker(services, now)
        self._keys: dict[str, Key] = {}

    async def create(
        self, tenant: str, scopes: Collection[str], *, name: str = "", expires_at: datetime | None = None
    ) -> tuple[Key, str]:
        """Makes a key and answers it with its token."""
        _, _, token = make_token()
        key = self._maker.make(token, tenant=tenant, scopes=scopes, name=name, expires_at=expires_at)
        self._keys[key.id] = key
        return key, token

    async def create_first(self, *, tenant: str, scopes: Collection[str], name: str) -> tuple[Key, str] | None:
        """Makes a key if there is none at all."""
        return None if self._keys else await self.create(tenant, scopes, name=name)

    async def register(self, token: str, *, tenant: str, scopes: Collection[str], name: str) -> Key:
        """Adds a key whose token was made elsewhere."""
        key = self._maker.make(token, tenant=tenant, scopes=scopes, name=name)
        return _same(self._keys.setdefault(key.id, key), key)

    async def list_keys(self, tenant: str | None = None) -> Sequence[Key]:
        """Answers the keys of one tenant or of all, the oldest first."""
        found = [key for key in self._keys.values() if tenant in (None, key.tenant)]
        return sorted(found, key=lambda key: (key.created_at, key.id))

    async def find(self, key_id: str) -> Key | None:
        """Answers the key of this id."""
        return self._keys.get(key_id)

    async def revoke(self, key_id: str) -> Key:
        """Refuses the key from now on."""
        key = self._keys.get(key_id)
        if key is None:
            raise _not_found(key_id)
        self._keys[key_id] = replace(key, revoked_at=key.revoked_at or self._maker.now())
        return self._keys[key_id]

    async def touch(self, key_id: str, day: date) -> None:
        """Notes the last day on which a key was used."""
        if key_id in self._keys:
            self._keys[key_id] = replace(self._keys[key_id], last_used_on=day)


class DatabaseKeys:
    """Keys in the table `runtime_keys`."""

    def __init__(self, database: Database, services: Collection[str] | None = None, *, now: Now = utc_now) -> None:
        """Takes the services that scopes may name (None: any word), and the time of day."""
        self._database = database
        self._maker = KeyMaker(services, now)

    async def create(
        self, tenant: str, scopes: Collection[str], *, name: str = "", expires_at: datetime | None = None
    ) -> tuple[Key, str]:
        """Makes a key and answers it with its token."""
        _, _, token = make_token()
        key = self._maker.make(token, tenant=tenant, scopes=scopes, name=name, expires_at=expires_at)
        await self._insert(key)
        return key, token

    async def create_first(self, *, tenant: str, scopes: Collection[str], name: str) -> tuple[Key, str] | None:
        """Makes a key if there is none at all; one of many callers wins."""
        async with self._database.transaction() as connection:
            await connection.execute("SELECT pg_advisory_xact_lock(%s)", (FIRST_KEYS_LOCK,))
            cursor = await connection.execute("SELECT FROM runtime_keys LIMIT 1")
            if await cursor.fetchone() is not None:
                return None
            return await self.create(tenant, scopes, name=name)

    async def register(self, token: str, *, tenant: str, scopes: Collection[str], name: str) -> Key:
        """Adds a key whose token was made elsewhere."""
        key = self._maker.make(token, tenant=tenant, scopes=scopes, name=name)
        await self._insert(key)
        return _same(await self.find(key.id), key)

    async def list_keys(self, tenant: str | None = None) -> Sequence[Key]:
        """Answers the keys of one tenant or of all, the oldest first."""
        return await self._select("WHERE tenant = %(tenant)s OR %(tenant)s::text IS NULL", tenant=tenant)

    async def find(self, key_id: str) -> Key | None:
        """Answers the key of this id."""
        found = await self._select("WHERE id = %(id)s", id=key_id)
        return found[0] if found else None

    async def revoke(self, key_id: str) -> Key:
        """Refuses the key from now on."""
        async with self._database.connection() as connection:
            await connection.execute(
                "UPDATE runtime_keys SET revoked_at = coalesce(revoked_at, %s) WHERE id = %s",
                (self._maker.now(), key_id),
            )
        key = await self.find(key_id)
        if key is None:
            raise _not_found(key_id)
        return key

    async def touch(self, key_id: str, day: date) -> None:
        """Notes the last day on which a key was used."""
        async with self._database.connection() as connection:
            await connection.execute("UPDATE runtime_keys SET last_used_on = %s WHERE id = %s", (day, key_id))

    async def _insert(self, key: Key) -> None:
        async with self._database.connection() as connection:
            await connection.execute(
                "INSERT INTO runtime_keys (id, tenant, name, scopes, secret_sha256, created_at, expires_at)"
                " VALUES (%s, %s, %s, %s, %s, %s, %s) ON CONFLICT (id) DO NOTHING",
                (key.id, key.tenant, key.name, list(key.scopes), key.secret_sha256, key.created_at, key.expires_at),
            )

    async def _select(self, condition: str, **values: str | None) -> Sequence[Key]:
        columns = "id, tenant, name, scopes, secret_sha256, created_at, expires_at, revoked_at, last_used_on"
        statement = f"SELECT {columns} FROM runtime_keys {condition} ORDER BY created_at, id"  # noqa: S608  # ours
        async with self._database.connection() as connection, connection.cursor(row_factory=class_row(Key)) as cursor:
            await cursor.execute(statement.encode(), values)
            return await cursor.fetchall()


def _same(stored: Key | None, key: Key) -> Key:
    if stored is None or stored.secret_sha256 != key.secret_sha256:
        raise AlreadyExists("KEY_ID_TAKEN", "key id {id} belongs to another secret; make a new token", id=key.id)
    return stored


def _not_found(key_id: str) -> NotFound:
    return NotFound("KEY_NOT_FOUND", "there is no key {id}", id=key_id)
