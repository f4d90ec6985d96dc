"""Servers with every service, in the test's own process."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from serving import Running, running

from difyrpc_services.runtime.database import Database


@pytest.fixture
async def house_server(database: Database, tmp_path: Path) -> AsyncIterator[Running]:
    """Every service without authentication: all callers are tenant `default`."""
    async with running(database, tmp_path) as server:
        yield server


@pytest.fixture
async def tenants_server(database: Database, tmp_path: Path) -> AsyncIterator[Running]:
    """Every service with API keys; `channel(tenant="a")` and `"b"` send a key with every scope."""
    async with running(database, tmp_path, env={}, tenants=("a", "b")) as server:
        yield server
