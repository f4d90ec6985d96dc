"""The stores that usage can be kept in, by name."""

from __future__ import annotations

BACKENDS = {
    "postgres": "difyrpc_services.metrics.backends.postgres:PostgresUsage",
    "memory": "difyrpc_services.metrics.backends.memory:MemoryUsage",
}
"""Import paths, `module:Class`; imported on use."""
