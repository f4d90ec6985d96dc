"""Settings of the documents service, `DIFYRPC_DOCUMENTS_…`."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from difyrpc_services.documents.values import Limits
from difyrpc_services.runtime.settings import at_least, read
from difyrpc_services.runtime.workers import WorkerLimits

MIB = 1024 * 1024


@dataclass(frozen=True, kw_only=True)
class DocumentsSettings:
    """How documents are parsed, and within which limits."""

    backend: Literal["workers", "memory"] = "workers"
    """`workers`: supervised processes. `memory`: threads of the server itself, for tests alone: nothing is confined."""
    workers: int = at_least(0, 0)
    """Worker processes; 0 = one a processor, at least 2."""
    worker_memory_mb: int = at_least(64, 256)
    """Memory that one document may take in its worker, beside its own bytes."""
    worker_jobs: int = at_least(1, 500)
    """Documents after which a worker is replaced."""
    queue: int = at_least(0, 64)
    """Calls that may wait for a worker; more are RESOURCE_EXHAUSTED."""
    queue_per_tenant: int = at_least(0, 0)
    """Of those, how many of one tenant; 0 = all."""
    max_content_mb: int = at_least(1, 100)
    """Largest document."""
    max_expanded_mb: int = at_least(1, 256)
    """What compressed content may expand to."""
    max_pages: int = at_least(1, 5_000)
    """Most pages of one parse."""
    max_seconds: float = at_least(0.1, 120.0)
    """Longest work on one document."""

    @classmethod
    def from_env(cls, env: Mapping[str, str]) -> DocumentsSettings:
        """Reads the settings; SettingsError for the first wrong one."""
        return read(cls, env, prefix="DIFYRPC_DOCUMENTS_")

    @property
    def limits(self) -> Limits:
        """Limits of every parse."""
        return Limits(
            content_bytes=self.max_content_mb * MIB,
            pages=self.max_pages,
            seconds=self.max_seconds,
            expanded_bytes=self.max_expanded_mb * MIB,
        )

    @property
    def worker_limits(self) -> WorkerLimits:
        """Limits of every worker process."""
        return WorkerLimits(memory_bytes=self.worker_memory_mb * MIB, jobs=self.worker_jobs)

    @property
    def worker_count(self) -> int:
        """Worker processes to keep."""
        return self.workers or max(2, os.cpu_count() or 2)
