"""The core of FileStorage over any pair of stores, with a clock in the test's hand."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import pytest

from difyrpc_services.files.core.files import Files
from difyrpc_services.files.core.session import Cadence
from difyrpc_services.files.core.sweep import Sweeper
from difyrpc_services.files.core.uploads import Uploads
from difyrpc_services.files.core.values import File, FileSpec, Limits, Listing, Place, Upload
from difyrpc_services.runtime.errors import ServiceError

START = datetime(2030, 1, 1, 12, tzinfo=UTC)
MB = 1 << 20


class World:
    """The core over one pair of stores, with a clock that the test moves."""

    def __init__(self, records: Any, blobs: Any) -> None:
        self.records, self.blobs = records, blobs
        self.now = START
        self.limits = Limits()
        self.restart()

    def restart(self, **limits: Any) -> None:
        self.limits = Limits(**limits)
        self.uploads = Uploads(
            self.records,
            self.blobs,
            limits=self.limits,
            clock=lambda: self.now,
            cadence=Cadence(sync_bytes=MB, pause_seconds=0.01),
        )
        self.files = Files(self.records, self.blobs, limits=self.limits, clock=lambda: self.now)
        self.sweeper = Sweeper(self.records, self.blobs, self.uploads, lambda: self.now)

    async def put(self, content: bytes = b"hello", tenant: str = "t", **spec: Any) -> File:
        spec.setdefault("display_name", "a.txt")
        return await self.uploads.store(tenant, FileSpec(**spec), pieces(content))

    async def begin(self, tenant: str = "t", **spec: Any) -> Upload:
        spec.setdefault("display_name", "a.txt")
        return await self.uploads.start(tenant, FileSpec(**spec))

    async def write(self, upload: Upload, offset: int, content: bytes) -> list[int]:
        return [count async for count in self.uploads.write("t", upload.id, offset, pieces(content))]

    async def content(self, file: File, tenant: str = "t", **range_: Any) -> bytes:
        parts = [part async for part in self.files.read(tenant, file.id, **range_)]
        assert isinstance(parts[0], File)
        return b"".join(part for part in parts[1:] if isinstance(part, bytes))

    async def names(self, listing: Listing, tenant: str = "t") -> list[str]:
        return [file.display_name for file in (await self.files.list(tenant, listing))[0]]

    async def stored(self) -> list[Place]:
        return [place async for batch in self.blobs.places() for place in batch]


async def pieces(content: bytes, size: int = 700_000) -> AsyncIterator[bytes]:
    for start in range(0, len(content), size):
        yield content[start : start + size]


@contextmanager
def refused(reason: str) -> Iterator[dict[str, str]]:
    """Expects a ServiceError of one reason; fills the dictionary with its metadata."""
    metadata: dict[str, str] = {}
    with pytest.raises(ServiceError) as caught:
        yield metadata
    assert caught.value.reason == reason
    metadata.update(caught.value.metadata)


def content_of(size: int, seed: int = 1) -> bytes:
    return hashlib.shake_128(str(seed).encode()).digest(size)
