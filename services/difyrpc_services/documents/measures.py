"""What `/metrics` says of the workers and of the cache."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from difyrpc_services.documents.cache import CacheStatus
from difyrpc_services.runtime.workers import PoolStatus


class WorkerMeasures(Collector):
    """Reads a pool whenever it is asked."""

    def __init__(self, status: Callable[[], PoolStatus], *, prefix: str = "difyrpc_documents", of: str = "") -> None:
        """Takes the pool's status, how its series' names begin, and what its workers do, for people."""
        self._status = status
        self._prefix = prefix
        self._of = of

    def collect(self) -> Iterable[Metric]:
        """Answers workers, busy workers, waiting calls, and ended workers by cause."""
        now = self._status()
        name, of = self._prefix, self._of
        yield GaugeMetricFamily(f"{name}_workers", f"Worker processes{of} that are ready or busy", now.workers)
        yield GaugeMetricFamily(f"{name}_workers_busy", f"Worker processes{of} with a document", now.busy)
        yield GaugeMetricFamily(f"{name}_workers_slow", f"Of the busy{of}, those with a long document", now.slow)
        yield GaugeMetricFamily(f"{name}_waiting", f"Calls that wait for a worker{of}", now.waiting)
        ended = CounterMetricFamily(f"{name}_workers_ended", f"Workers{of} that ended, by cause", labels=["cause"])
        for cause, count in now.ended.items():
            ended.add_metric([cause], count)
        yield ended


class CacheMeasures(Collector):
    """Reads the cache of answers whenever it is asked."""

    def __init__(self, status: Callable[[], CacheStatus]) -> None:
        self._status = status

    def collect(self) -> Iterable[Metric]:
        """Answers hits, misses, answers let go, answers held, and their bytes."""
        now = self._status()
        name = "difyrpc_documents_cache"
        yield CounterMetricFamily(f"{name}_hits", "Parses answered by an earlier answer", now.hits)
        yield CounterMetricFamily(f"{name}_misses", "Parses that no earlier answer was found for", now.misses)
        yield CounterMetricFamily(f"{name}_dropped", "Earlier answers that made room for others", now.dropped)
        yield GaugeMetricFamily(f"{name}_answers", "Earlier answers that are held", now.entries)
        yield GaugeMetricFamily(f"{name}_bytes", "Memory of the earlier answers that are held", now.size_bytes)
