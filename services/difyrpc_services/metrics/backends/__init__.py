"""The stores that usage can be kept in, by name."""

from __future__ import annotations

import importlib
from typing import Any

from difyrpc_services.metrics.core.backend import Backend, Totals
from difyrpc_services.runtime.database import Database

BACKENDS = {
    "postgres": "difyrpc_services.metrics.backends.postgres:open_postgres",
    "memory": "difyrpc_services.metrics.backends.memory:open_memory",
}
"""Import paths of what makes them, `module:function`; imported on use."""


def load(name: str, database: Database) -> tuple[Backend, Totals]:
    """Makes the store of that name, and what reads its totals."""
    module, _, function = BACKENDS[name].partition(":")
    made: Any = getattr(importlib.import_module(module), function)(database)
    backend, totals = made
    return backend, totals
