"""Settings of the documents service, `DIFYRPC_DOCUMENTS_…`."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from difyrpc_services.documents.values import Limits
from difyrpc_services.runtime.settings import at_least, read, secret
from difyrpc_services.runtime.workers import WorkerLimits

MIB = 1024 * 1024
OCR_NICENESS = 10  # a scan takes seconds a page: whatever is quicker goes first


@dataclass(frozen=True, kw_only=True)
class DocumentsSettings:
    """How documents are parsed, and within which limits."""

    backend: Literal["workers", "memory"] = "workers"
    """`workers`: supervised processes. `memory`: threads of the server itself, for tests alone: nothing is confined."""
    workers: int = at_least(0, 0)
    """Worker processes; 0 = one a processor, at least 2."""
    slow_workers: int = at_least(0, 16)
    """How many more there may be while documents take longer than a quarter of a second and memory allows it, so that
    short ones need not wait for them."""
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
    cache_mb: int = at_least(0, 64)
    """Memory for earlier answers, which the same document and options of the same tenant get again; each server process
    has its own. 0 = none are kept."""

    ocr: Literal["auto", "tesseract", "rapidocr", "http", "off"] = "auto"
    """What reads scans and pictures. `tesseract`: the program, run beside a worker. `rapidocr`: the extra
    `difyrpc[ocr]`. `http`: the endpoint at `ocr_url`. `auto`: the endpoint if a URL is set, else the program if it is
    installed, else the extra if it is, else nothing."""
    ocr_languages: tuple[str, ...] = ("zh", "en")
    """Languages of scans whose caller names none, as BCP 47 tags, the likeliest first; those not installed are left
    out. For `http` the languages that the endpoint reads."""
    ocr_dpi: int = at_least(100, 300)
    """Pixels an inch at which scanned pages are looked at."""
    ocr_workers: int = at_least(0, 0)
    """Processes that read scans, started by the first one; 0 = one for each two processors, at least 1."""
    ocr_memory_mb: int = at_least(256, 1536)
    """Memory that one scanned document may take in its worker, and again in the program that recognises it."""
    ocr_queue: int = at_least(0, 32)
    """Calls that may wait for a worker that reads scans; more are RESOURCE_EXHAUSTED."""
    ocr_max_seconds: float = at_least(1.0, 600.0)
    """Longest work on one scanned document."""
    ocr_url: str = ""
    """Endpoint that recognises pictures: `https://ocr.example.com/v1/recognise`."""
    ocr_token: str = secret()
    """Bearer token for the endpoint."""
    ocr_url_seconds: float = at_least(0.1, 60.0)
    """Longest wait for the endpoint's answer to one page."""

    url_origins: tuple[str, ...] = ()
    """Origins that `url` sources may be read from: `https://files.example.com`, `https://*.example.com`,
    `http://10.0.0.7:9000`; none = URLs are not read."""
    url_networks: tuple[str, ...] = ()
    """Networks that are not public and that the origins may lead to, as `10.0.0.0/8`; an address that is itself listed
    as an origin needs none."""
    url_seconds: float = at_least(0.1, 30.0)
    """Longest time to fetch one document from a URL, redirects included."""
    url_ca: Path | None = None
    """File of certificate authorities to believe beside the system's, for `https` origins; PEM."""

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
    def ocr_limits(self) -> WorkerLimits:
        """Limits of every worker that reads scans."""
        memory_bytes = self.ocr_memory_mb * MIB
        return WorkerLimits(
            memory_bytes=memory_bytes, jobs=self.worker_jobs, recycle_rss_bytes=memory_bytes, niceness=OCR_NICENESS
        )

    @property
    def ocr_worker_count(self) -> int:
        """Workers to keep that read scans."""
        return self.ocr_workers or max(1, (os.cpu_count() or 2) // 2)

    @property
    def worker_count(self) -> int:
        """Worker processes to keep."""
        return self.workers or max(2, os.cpu_count() or 2)
