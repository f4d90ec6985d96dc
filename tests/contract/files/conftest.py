"""Every pair of stores: what keeps the bytes, and what keeps the records."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from files_world import World

from difyrpc_services.files.backends.disk import DiskBlobs
from difyrpc_services.files.backends.memory import MemoryBlobs
from difyrpc_services.files.records.memory import MemoryRecords
from difyrpc_services.files.records.postgres import PostgresRecords


@pytest.fixture(params=["memory", "disk"])
def records(request: pytest.FixtureRequest) -> MemoryRecords | PostgresRecords:
    return MemoryRecords() if request.param == "memory" else PostgresRecords(request.getfixturevalue("database"))


@pytest.fixture
async def world(records: MemoryRecords | PostgresRecords, tmp_path: Path) -> AsyncIterator[World]:
    blobs = MemoryBlobs() if isinstance(records, MemoryRecords) else DiskBlobs(tmp_path / "files")
    await blobs.open()
    yield World(records, blobs)
    await blobs.close()
