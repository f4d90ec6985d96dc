"""Settings of the files service: `DIFYRPC_FILES_…`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from difyrpc_services.files.core.values import Limits
from difyrpc_services.runtime.settings import at_least, read


@dataclass(frozen=True, kw_only=True)
class FilesSettings:
    """Where bytes are kept and how much of them."""

    backend: Literal["disk", "memory"] = "disk"
    """Store of the bytes; `memory` keeps the records in memory too and loses everything at the end."""
    root: Path | None = None
    """Folder of the disk backend; unset: `files` in the state folder."""
    quota_bytes: int = at_least(0, 0)
    """Bytes that one tenant may use and reserve; 0 means no limit."""
    max_file_bytes: int = at_least(1, 1 << 40)
    """Bytes that one file may have."""
    upload_days: float = at_least(0.01, 7.0)
    """How long a resumable upload may take before it is given up."""
    sweep_seconds: float = at_least(1, 60.0)
    """How often expired uploads and files are removed."""
    threads: int = at_least(1, 8)
    """Reads, writes and syncs of the disk that run at the same time."""

    @classmethod
    def from_env(cls, env: Mapping[str, str]) -> FilesSettings:
        """Reads the settings; SettingsError for the first wrong one."""
        return read(cls, env, prefix="DIFYRPC_FILES_")

    @property
    def limits(self) -> Limits:
        """What the core needs of them."""
        return Limits(
            quota_bytes=self.quota_bytes,
            max_file_bytes=self.max_file_bytes,
            upload_seconds=self.upload_days * 86400.0,
        )
