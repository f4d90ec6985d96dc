"""The values that the core and its ports exchange."""

from __future__ import annotations

import enum
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

Scalar = str | int | float | bool | datetime | None
Value = Scalar | tuple[Scalar, ...]
Metadata = Mapping[str, Value]


@dataclass(frozen=True, kw_only=True)
class FileSpec:
    """What is said about a file when it is stored."""

    display_name: str = ""
    media_type: str = ""
    size_bytes: int | None = None
    """Declared size; None when it is not known."""
    sha256: str = ""
    """Declared digest, 64 hexadecimal digits; empty when it is not known."""
    metadata: Metadata = field(default_factory=dict)
    tags: tuple[str, ...] = ()
    expire_time: datetime | None = None
    replace: str = ""
    """Id of the file whose content is replaced; empty makes a new file."""
    if_absent: bool = False
    if_generation_match: int | None = None


@dataclass(frozen=True, kw_only=True)
class File:
    """One stored file."""

    id: str
    tenant: str
    display_name: str
    size_bytes: int
    sha256: str
    media_type: str
    blob: str
    """Key of the bytes in the store."""
    create_time: datetime
    update_time: datetime
    generation: int = 1
    """Grows by one with every change of the content."""
    revision: int = 1
    """Grows by one with every change of anything."""
    expire_time: datetime | None = None
    tags: tuple[str, ...] = ()
    metadata: Metadata = field(default_factory=dict)

    @property
    def etag(self) -> str:
        """Differs after every change."""
        return hashlib.blake2s(f"{self.id}:{self.revision}".encode(), digest_size=8).hexdigest()


@dataclass(frozen=True, kw_only=True)
class Upload:
    """Bytes on their way to become a file, and the ledger's note of where they lie."""

    id: str
    tenant: str
    key: str
    """Key of the bytes in the store."""
    spec: FileSpec
    expire_time: datetime
    committed_bytes: int = 0
    """Bytes that are durable and acknowledged."""
    reserved_bytes: int = 0
    """Bytes that count in the quota while it is not finished."""
    writer: int = 0
    """Number of the latest call that took it over; earlier ones have lost it."""
    file_id: str = ""
    """The file that it became; empty until it is finished."""


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where bytes lie in a store: nothing of a caller's text is part of it."""

    folder: str
    """Stands for the tenant: 24 hexadecimal digits."""
    key: str
    """32 hexadecimal digits, used once only."""

    @classmethod
    def of(cls, tenant: str, key: str) -> Place:
        """Answers the place of a tenant's bytes."""
        return cls(folder=hashlib.blake2s(tenant.encode(), digest_size=12).hexdigest(), key=key)


@dataclass(frozen=True, kw_only=True)
class Usage:
    """What a tenant stores."""

    used_bytes: int
    reserved_bytes: int


class Order(enum.Enum):
    """What a listing is ordered by; the values are fields of File."""

    DISPLAY_NAME = "display_name"
    CREATE_TIME = "create_time"
    UPDATE_TIME = "update_time"
    SIZE = "size_bytes"


@dataclass(frozen=True, kw_only=True)
class After:
    """The last file of the page before."""

    key: str | int | datetime
    """Its value of the field that the listing is ordered by."""
    id: str


@dataclass(frozen=True, kw_only=True)
class Listing:
    """Which files to list, and how."""

    prefix: str = ""
    order: Order = Order.DISPLAY_NAME
    descending: bool = False
    tags: tuple[str, ...] = ()
    limit: int = 100
    after: After | None = None


@dataclass(frozen=True, kw_only=True)
class Changes:
    """What UpdateFile changes; `fields` names those that count."""

    fields: frozenset[str]
    display_name: str = ""
    media_type: str = ""
    metadata: Metadata = field(default_factory=dict)
    tags: tuple[str, ...] = ()
    expire_time: datetime | None = None


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What the operator allows."""

    quota_bytes: int = 0
    """Used and reserved bytes of one tenant; 0 means no limit."""
    max_file_bytes: int = 1 << 40
    """Size of one file."""
    upload_seconds: float = field(default=7 * 86400.0)
    """How long an upload may take before it is given up."""
