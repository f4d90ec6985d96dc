"""The settings of VectorSearch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from difyrpc_services.runtime.settings import SettingsError, at_least, read


@dataclass(frozen=True, kw_only=True)
class VectorsSettings:
    """Read once at the start from `DIFYRPC_VECTORS_…`."""

    engine: Literal["pgvector", "memory"] = "pgvector"
    """Where points live; `memory` forgets them with the process."""
    model: Literal["multilingual-e5-small"] = "multilingual-e5-small"
    """The model that embeds texts when a collection names none."""
    threads: int = at_least(1, 2)
    """Processor threads that one run of the model uses."""
    embedding_runs: int = at_least(1, 1)
    """Runs of the model at a time, for queries and for passages each. For many callers at once THREADS=1 with as many
    runs as processors embeds most texts a second; for one caller alone more threads answer sooner."""
    embedding_batch: int = at_least(1, 8)
    """Texts of one run of the model; a search waits for at most one run before its own."""
    embedding_cache_bytes: int = at_least(0, 64 << 20)
    """Memory for vectors of texts that were embedded before, in each process; 0: none."""
    max_k: int = at_least(1, 1000)
    """Largest number of hits of one search."""
    max_batch: int = at_least(1, 1000)
    """Largest number of points in one upsert."""
    max_searches: int = at_least(1, 100)
    """Largest number of searches in one BatchSearch."""
    max_embed_texts: int = at_least(1, 256)
    """Largest number of texts in one EmbedTexts."""
    max_dimension: int = at_least(1, 4096)
    """Largest dimension of a new collection."""
    max_text_bytes: int = at_least(1, 65_536)
    """Largest text of a point."""
    max_text_tokens: int = at_least(1, 8192)
    """Most tokens of one text that is embedded."""
    index_rows: int = at_least(1, 5000)
    """Points from which on a collection gets an approximate index; fewer are searched exactly."""
    index_quiet_seconds: float = at_least(0, 2.0)
    """How long a collection must have had no upsert before its index is made; a busy one waits 30 times as long."""
    exact_rows: int = at_least(0, 4000)
    """A filter that keeps under a twentieth, and at most about this many points, is searched exactly, index or not."""

    @classmethod
    def from_env(cls, env: Mapping[str, str]) -> VectorsSettings:
        """Reads the settings; SettingsError for the first wrong one."""
        settings = read(cls, env, prefix="DIFYRPC_VECTORS_")
        if settings.max_k > 1000:
            raise SettingsError(f"DIFYRPC_VECTORS_MAX_K={settings.max_k} is too large; the most is 1000")
        return settings
