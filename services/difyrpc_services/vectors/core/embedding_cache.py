"""Vectors of texts that were embedded before: least recently used go first, bounded by bytes, never across tenants."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from hashlib import blake2b
from typing import TypeAlias

from difyrpc_services.vectors.core.values import Floats, Purpose

ENTRY_OVERHEAD_BYTES = 512  # key, dict entry, array header: measured with tracemalloc, rounded up

Key: TypeAlias = tuple[str, str, Purpose, bytes]


@dataclass(frozen=True)
class Cached:
    """What is remembered of one text."""

    vector: Floats
    tokens: int


class EmbeddingCache:
    """Remembers vectors by tenant, weights, purpose and text; so it is never stale."""

    def __init__(self, limit_bytes: int) -> None:
        """Takes the memory to use; 0 remembers nothing."""
        self.limit_bytes = limit_bytes
        self.used_bytes = 0
        self.hits = 0
        self.misses = 0
        self._entries: OrderedDict[Key, Cached] = OrderedDict()

    @staticmethod
    def key(tenant: str, fingerprint: str, purpose: Purpose, text: str) -> Key:
        """Answers what a text is remembered by."""
        return tenant, fingerprint, purpose, blake2b(text.encode(), digest_size=24).digest()

    def get(self, key: Key) -> Cached | None:
        """Answers what is remembered, and counts the hit or miss."""
        found = self._entries.get(key)
        if found is None:
            self.misses += 1
            return None
        self.hits += 1
        self._entries.move_to_end(key)
        return found

    def put(self, key: Key, cached: Cached) -> None:
        """Remembers one vector and forgets the oldest beyond the limit."""
        if key in self._entries:
            return
        self._entries[key] = cached
        self.used_bytes += _size(cached)
        while self.used_bytes > self.limit_bytes:
            _, oldest = self._entries.popitem(last=False)
            self.used_bytes -= _size(oldest)

    def __len__(self) -> int:
        return len(self._entries)


def _size(cached: Cached) -> int:
    return cached.vector.nbytes + ENTRY_OVERHEAD_BYTES
