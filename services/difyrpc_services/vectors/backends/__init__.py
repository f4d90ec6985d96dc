"""The engines that this server knows; each module is imported on use."""

from __future__ import annotations

BACKENDS: dict[str, str] = {
    "memory": "difyrpc_services.vectors.backends.memory:MemoryBackend",
    "pgvector": "difyrpc_services.vectors.backends.pgvector:PgvectorBackend",
}
"""Import path of each engine's class by its kind."""
