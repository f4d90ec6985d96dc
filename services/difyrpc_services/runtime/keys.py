"""API keys: `difyrpc_<key id>_<secret>`, of which only a hash of the secret is stored.

The secret has 190 random bits, so one SHA-256 is enough: nobody can try that many, and a slow hash, made for
passwords that people choose, would only let strangers burn our time.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
import string
import zlib
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Protocol

from psycopg.rows import class_row

from difyrpc_services.runtime.errors import AlreadyExists, InvalidArgument, NotFound, Unauthenticated

if TYPE_CHECKING:
    from difyrpc_services.runtime.database import Database

LEVELS = ("read", "write", "admin")
"""What a scope allows; each allows what stands before it."""
ANY = "*"

ID_CHARACTERS = string.ascii_lowercase + string.digits
ID_LENGTH = 12
BASE62 = string.digits + string.ascii_uppercase + string.ascii_lowercase
SECRET_LENGTH = 32
CHECKSUM_LENGTH = 6
TOKEN = re.compile(r"difyrpc_([a-z0-9]{12})_([0-9A-Za-z]{32})([0-9A-Za-z]{6})")
TENANT = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")
NAME_LENGTH = 100
FIRST_KEYS_LOCK = 0x6469667972706302
"""Key of the advisory lock under which the first key is made; the text `difyrpc` and a two."""

Now = Callable[[], datetime]


def utc_now() -> datetime:
    """Answers the time of day."""
    return datetime.now(UTC)


@dataclass(frozen=True, kw_only=True)
class Key:
    """What is known about a key; enough to check a secret, not to make one."""

    id: str
    """The public part of the token; may be logged."""
    tenant: str
    """Whose data it opens."""
    name: str
    """What its owner calls it."""
    scopes: tuple[str, ...]
    """`<service>:<read|write|admin>`, with `*` for any."""
    secret_sha256: bytes = field(repr=False)
    """Hash of the secret."""
    created_at: datetime
    """When it was made."""
    expires_at: datetime | None = None
    """From when on it is refused; None: never."""
    revoked_at: datetime | None = None
    """Since when it is refused; None: it was not revoked."""
    last_used_on: date | None = None
    """The last day (UTC) on which it opened a call; None: it never did."""

    def __post_init__(self) -> None:
        """Takes what a database row holds: lists, and buffers."""
        object.__setattr__(self, "scopes", tuple(self.scopes))
        object.__setattr__(self, "secret_sha256", bytes(self.secret_sha256))


class KeyStore(Protocol):
    """Where keys are kept."""

    async def create(
        self, *, tenant: str, scopes: Collection[str], name: str = "", expires_at: datetime | None = None
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


def make_token() -> tuple[str, str, str]:
    """Makes a key id, a secret and the token of both."""
    key_id = "".join(secrets.choice(ID_CHARACTERS) for _ in range(ID_LENGTH))
    secret = "".join(secrets.choice(BASE62) for _ in range(SECRET_LENGTH))
    return key_id, secret, f"difyrpc_{key_id}_{secret}{checksum(key_id, secret)}"


def parse_token(token: str) -> tuple[str, str]:
    """Answers the key id and the secret of a token; Unauthenticated (KEY_MISSING, KEY_MALFORMED)."""
    if not token:
        raise Unauthenticated("KEY_MISSING", "the call has no key; send it as `authorization: Bearer difyrpc_…`")
    match = TOKEN.fullmatch(token)
    if match is None or checksum(match[1], match[2]) != match[3]:
        raise Unauthenticated("KEY_MALFORMED", "this is not a whole key; it looks like difyrpc_<id>_<secret>")
    return match[1], match[2]


def checksum(key_id: str, secret: str) -> str:
    """Answers six characters that tell a mistyped or cut token from a wrong one, without asking the database."""
    number = zlib.crc32(f"{key_id}_{secret}".encode())
    digits = []
    for _ in range(CHECKSUM_LENGTH):
        number, digit = divmod(number, len(BASE62))
        digits.append(BASE62[digit])
    return "".join(digits)


def hash_secret(secret: str) -> bytes:
    """Answers what is stored of a secret."""
    return hashlib.sha256(secret.encode()).digest()


def opens(key: Key, secret: str) -> bool:
    """Says whether the secret is the key's, in a time that tells nothing."""
    return hmac.compare_digest(key.secret_sha256, hash_secret(secret))


def allows(scopes: Iterable[str], service: str, access: str) -> bool:
    """Says whether one of the scopes allows `access` (read, write or admin) to a service."""
    needed = LEVELS.index(access)
    for scope in scopes:
        name, _, level = scope.partition(":")
        if name in (service, ANY) and (level == ANY or (level in LEVELS and LEVELS.index(level) >= needed)):
            return True
    return False


def check_scopes(scopes: Collection[str], services: Collection[str]) -> tuple[str, ...]:
    """Answers the scopes in order and once each; InvalidArgument (INVALID_SCOPE) for one that would allow nothing."""
    if not scopes:
        raise InvalidArgument("INVALID_SCOPE", "a key needs a scope, such as files:read or *:admin", field="scopes")
    for scope in scopes:
        service, _, level = scope.partition(":")
        if service not in {*services, ANY} or level not in {*LEVELS, ANY}:
            raise InvalidArgument(
                "INVALID_SCOPE",
                "{scope} is not <service>:<level>; services: {services}; levels: {levels}",
                field="scopes",
                scope=repr(scope),
                services=", ".join((*sorted(services), ANY)),
                levels=", ".join((*LEVELS, ANY)),
            )
    return tuple(sorted(set(scopes)))


def check_tenant(tenant: str) -> str:
    """Answers the tenant; InvalidArgument (INVALID_TENANT) for a name that is not a plain word."""
    if not TENANT.fullmatch(tenant):
        raise InvalidArgument(
            "INVALID_TENANT",
            "{tenant} is not a tenant's name: 1 to 63 of a-z, 0-9, - and _, beginning with a letter or digit",
            field="tenant",
            tenant=repr(tenant),
        )
    return tenant


def check_name(name: str) -> str:
    """Answers the name of a key; InvalidArgument (INVALID_KEY_NAME) for one that cannot be shown in a table."""
    if len(name) > NAME_LENGTH or (name and not name.isprintable()):
        raise InvalidArgument(
            "INVALID_KEY_NAME",
            "a key's name has at most {limit} printable characters",
            field="name",
            limit=NAME_LENGTH,
        )
    return name


class KeyMaker:
    """Checks what is asked of a new key, the same way for every store."""

    def __init__(self, services: Collection[str], now: Now = utc_now) -> None:
        """Takes the services that scopes may name, and the time of day."""
        self.services = frozenset(services)
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

    def __init__(self, services: Collection[str], now: Now = utc_now) -> None:
        """Takes the services that scopes may name, and the time of day."""
        self._maker = KeyMaker(services, now)
        self._keys: dict[str, Key] = {}

    async def create(
        self, *, tenant: str, scopes: Collection[str], name: str = "", expires_at: datetime | None = None
    ) -> tuple[Key, str]:
        """Makes a key and answers it with its token."""
        _, _, token = make_token()
        key = self._maker.make(token, tenant=tenant, scopes=scopes, name=name, expires_at=expires_at)
        self._keys[key.id] = key
        return key, token

    async def create_first(self, *, tenant: str, scopes: Collection[str], name: str) -> tuple[Key, str] | None:
        """Makes a key if there is none at all."""
        return None if self._keys else await self.create(tenant=tenant, scopes=scopes, name=name)

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

    def __init__(self, database: Database, services: Collection[str], now: Now = utc_now) -> None:
        """Takes the services that scopes may name, and the time of day."""
        self._database = database
        self._maker = KeyMaker(services, now)

    async def create(
        self, *, tenant: str, scopes: Collection[str], name: str = "", expires_at: datetime | None = None
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
            return await self.create(tenant=tenant, scopes=scopes, name=name)

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

    async def _select(self, condition: str, **values: str | None) -> list[Key]:
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
