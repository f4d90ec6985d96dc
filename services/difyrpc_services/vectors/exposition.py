"""What VectorSearch adds to `/metrics`."""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from difyrpc_services.vectors.core.embedding import Embeddings


class EmbeddingCollector(Collector):
    """Reads the embedding cache when `/metrics` is asked for."""

    def __init__(self, embeddings: Embeddings) -> None:
        """Takes the models whose cache is shown."""
        self._embeddings = embeddings

    def collect(self) -> Iterator[Metric]:
        """Answers hits, misses, texts and bytes."""
        cache = self._embeddings.cache
        asked = CounterMetricFamily(
            "difyrpc_vectors_embedding_cache_lookups", "Texts looked up in the embedding cache.", labels=["outcome"]
        )
        asked.add_metric(["hit"], cache.hits)
        asked.add_metric(["miss"], cache.misses)
        yield asked
        yield GaugeMetricFamily(
            "difyrpc_vectors_embedding_cache_bytes", "Memory of the embedding cache.", value=cache.used_bytes
        )
        tokens = CounterMetricFamily("difyrpc_vectors_embedded_tokens", "Tokens that went through the model.")
        tokens.add_metric([], self._embeddings.tokens)
        yield tokens
