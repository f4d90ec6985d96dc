"""What `/metrics` says of the workers."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from difyrpc_services.runtime.workers import PoolStatus


class WorkerMeasures(Collector):
    """Reads the pool whenever it is asked."""

    def __init__(self, status: Callable[[], PoolStatus]) -> None:
        self._status = status

    def collect(self) -> Iterable[Metric]:
        """Answers workers, busy workers, waiting calls, and ended workers by cause."""
        now = self._status()
        yield GaugeMetricFamily("difyrpc_documents_workers", "Worker processes that are ready or busy", now.workers)
        yield GaugeMetricFamily("difyrpc_documents_workers_busy", "Worker processes with a document", now.busy)
        yield GaugeMetricFamily("difyrpc_documents_waiting", "Calls that wait for a worker", now.waiting)
        ended = CounterMetricFamily("difyrpc_documents_workers_ended", "Workers that ended, by cause", labels=["cause"])
        for cause, count in now.ended.items():
            ended.add_metric([cause], count)
        yield ended
