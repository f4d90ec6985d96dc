"""What a worker may take, and when it is replaced."""

from __future__ import annotations

from dataclasses import dataclass

MIB = 1024 * 1024


@dataclass(frozen=True, kw_only=True)
class WorkerLimits:
    """Limits of each worker process."""

    memory_bytes: int = 256 * MIB
    """Address space that a job may add to what the idle worker and the content have (RLIMIT_AS)."""
    open_files: int = 64
    """RLIMIT_NOFILE."""
    output_bytes: int = 512 * MIB
    """What one job may answer in all."""
    frame_bytes: int = 128 * MIB
    """What one yielded item may hold; the server holds one at a time."""
    jobs: int = 500
    """Jobs after which a worker is replaced."""
    recycle_rss_bytes: int = 200 * MIB
    """Resident memory between jobs above which a worker is replaced."""
    niceness: int = 0
    """How far workers and their programs stand back from the server's other processes, as nice(2): 0 to 19."""
