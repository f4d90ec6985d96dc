"""A key, its token, and what its scopes allow.

A token is `difyrpc_<key id>_<secret>`, of which only a hash of the secret is stored. The secret has 190 random bits,
so one SHA-256 is enough: nobody can try that many, and a slow hash, made for passwords that people choose, would only
let strangers burn our time.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
import string
import zlib
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime

from difyrpc_services.runtime.errors import InvalidArgument, Unauthenticated

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
SERVICE = re.compile(r"[a-z][a-z0-9_]{0,62}")
NAME_LENGTH = 100

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


def check_scopes(scopes: Collection[str], services: Collection[str] | None = None) -> tuple[str, ...]:
    """Answers the scopes in order and once each; InvalidArgument (INVALID_SCOPE) for one that would allow nothing."""
    if not scopes:
        raise InvalidArgument("INVALID_SCOPE", "a key needs a scope, such as files:read or *:admin", field="scopes")
    for scope in scopes:
        service, _, level = scope.partition(":")
        if level not in {*LEVELS, ANY} or not _is_service(service, services):
            raise InvalidArgument(
                "INVALID_SCOPE",
                "{scope} is not <service>:<level>; services: {services}; levels: {levels}",
                field="scopes",
                scope=repr(scope),
                services=", ".join((*sorted(services or ()), ANY)),
                levels=", ".join((*LEVELS, ANY)),
            )
    return tuple(sorted(set(scopes)))


def _is_service(name: str, services: Collection[str] | None) -> bool:
    if name == ANY:
        return True
    return bool(SERVICE.fullmatch(name)) if services is None else name in services


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
