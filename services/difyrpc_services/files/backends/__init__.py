"""Stores of bytes, by name; each is imported when it is used."""

from __future__ import annotations

BACKENDS: dict[str, str] = {
    "disk": "difyrpc_services.files.backends.disk:DiskBlobs",
    "memory": "difyrpc_services.files.backends.memory:MemoryBlobs",
}
"""Name of a setting → module and class."""
