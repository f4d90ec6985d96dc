"""Prometheus metrics of the calls, and the HTTP port that shows them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    GCCollector,
    Histogram,
    PlatformCollector,
    ProcessCollector,
    disable_created_metrics,
    multiprocess,
    start_http_server,
)
from prometheus_client.registry import Collector

from difyrpc_services.runtime.methods import Method
from difyrpc_services.runtime.settings import SettingsError

disable_created_metrics()  # type: ignore[no-untyped-call]  # a series of times beside each counter, of no use to Prometheus

BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300)  # seconds
SHARED_FOLDER = "PROMETHEUS_MULTIPROC_DIR"  # the library reads it when it is imported


class CallMetrics:
    """Counts the calls of this process."""

    def __init__(self, registry: CollectorRegistry) -> None:
        """Registers the families."""
        labels = ("service", "method")
        self._calls = Counter(
            "difyrpc_calls", "Calls that ended, by gRPC status code", (*labels, "code"), registry=registry
        )
        self._seconds = Histogram(
            "difyrpc_call_duration_seconds",
            "Time from a call's start to its end, streams included",
            labels,
            buckets=BUCKETS,
            registry=registry,
        )
        self._in_flight = Gauge(
            "difyrpc_calls_in_flight", "Calls being worked on", labels, registry=registry, multiprocess_mode="livesum"
        )

        self._refused = Counter(
            "difyrpc_calls_refused",
            "Calls that a limit or the load kept from beginning",
            ("reason",),
            registry=registry,
        )
        self._stalled = Counter(
            "difyrpc_calls_stalled",
            "Calls that ended because their caller did not read or send for too long",
            ("reason",),
            registry=registry,
        )

    def count_refusal(self, reason: str) -> None:
        """Counts one call that was not let in."""
        self._refused.labels(reason).inc()

    def count_shed(self, method: Method) -> None:
        """Counts one call that was refused for the load; its time would tell nothing of the method's."""
        self._calls.labels(method.service, method.name, "UNAVAILABLE").inc()
        self.count_refusal("SERVER_OVERLOADED")

    def count_stall(self, reason: str) -> None:
        """Counts one call that its caller let wait for too long."""
        self._stalled.labels(reason).inc()

    def count(self, method: Method, code: str, seconds: float) -> None:
        """Counts one call that ended."""
        self._calls.labels(method.service, method.name, code).inc()
        self._seconds.labels(method.service, method.name).observe(seconds)

    @contextmanager
    def in_flight(self, method: Method) -> Iterator[None]:
        """Counts a call while it runs."""
        gauge = self._in_flight.labels(method.service, method.name)
        gauge.inc()
        try:
            yield
        finally:
            gauge.dec()


class LoadGauges:
    """Shows how busy this process is; of several the worst."""

    def __init__(self, registry: CollectorRegistry) -> None:
        """Registers the two gauges."""
        self._wait = Gauge(
            "difyrpc_call_wait_seconds",
            "How long new calls wait until they begin, while there are calls",
            registry=registry,
            multiprocess_mode="livemax",
        )
        self._share = Gauge(
            "difyrpc_calls_shed_share",
            "Share of new calls that the load refuses now, 0 to 1",
            registry=registry,
            multiprocess_mode="livemax",
        )

    def show_load(self, *, wait_seconds: float, shed_share: float) -> None:
        """Takes what was seen at one tick."""
        self._wait.set(wait_seconds)
        self._share.set(shed_share)


def sharing_gauge(registry: CollectorRegistry) -> Gauge:
    """Registers what tells whether Redis shares the tenants' rates; of several processes the worst."""
    gauge = Gauge(
        "difyrpc_tenant_rates_shared",
        "1 while Redis shares the tenants' rates, 0 while each process limits by itself",
        registry=registry,
        multiprocess_mode="livemin",
    )
    gauge.set(1)
    return gauge


def registry_of_process(collectors: Iterable[Collector]) -> CollectorRegistry:
    """Makes the registry of a server that is one process."""
    registry = _registry(collectors)
    ProcessCollector(registry=registry)
    PlatformCollector(registry=registry)
    GCCollector(registry=registry)
    return registry


def registry_of_workers(folder: Path, collectors: Iterable[Collector]) -> CollectorRegistry:
    """Makes the registry that adds up what worker processes write into `folder`, beside the parent's own."""
    registry = _registry(collectors)
    multiprocess.MultiProcessCollector(registry, path=str(folder))  # type: ignore[no-untyped-call]
    return registry


def forget_worker(pid: int, folder: Path) -> None:
    """Takes the gauges of a worker that ended out of the sums; its counts stay."""
    multiprocess.mark_process_dead(pid, str(folder))  # type: ignore[no-untyped-call]


def _registry(collectors: Iterable[Collector]) -> CollectorRegistry:
    registry = CollectorRegistry()
    for collector in collectors:
        registry.register(collector)
    return registry


class MetricsPort:
    """`/metrics` over HTTP, from a thread of its own."""

    def __init__(self, registry: CollectorRegistry, address: str) -> None:
        """Opens the port at `host:port`; port 0 takes a free one, SettingsError when it is taken."""
        host, _, port = address.rpartition(":")
        try:
            self._server, self._thread = start_http_server(int(port), addr=host.strip("[]"), registry=registry)
        except (OSError, ValueError) as error:
            raise SettingsError(f"DIFYRPC_METRICS_LISTEN={address}: cannot listen there ({error})") from error
        self.port: int = self._server.server_port

    def close(self) -> None:
        """Closes the port."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
