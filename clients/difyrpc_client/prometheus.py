"""Shows what became of this process's calls to Prometheus; needs the package prometheus-client.

from prometheus_client import REGISTRY
from difyrpc_client.prometheus import CallCollector

REGISTRY.register(CallCollector())
"""

from __future__ import annotations

from collections.abc import Iterable

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from difyrpc_client._route import call_counts

__all__ = ["CallCollector"]

LABELS = ("target", "method")
STATES = ("closed", "half_open", "open")


class CallCollector(Collector):
    """The counts of `call_counts` as metrics, by target and method.

    `difyrpc_client_calls_total` (by `code`), `difyrpc_client_call_seconds_total`, `difyrpc_client_retries_total`,
    `difyrpc_client_retries_denied_total`, `difyrpc_client_calls_refused_total`, and `difyrpc_client_circuit`, 1 for the
    state in which a circuit is.
    """

    def collect(self) -> Iterable[Metric]:
        """Answers the metrics as they are now."""
        calls = CounterMetricFamily("difyrpc_client_calls", "Calls that ended", labels=(*LABELS, "code"))
        seconds = CounterMetricFamily(
            "difyrpc_client_call_seconds", "Time of these calls, retries included", labels=LABELS
        )
        retries = CounterMetricFamily("difyrpc_client_retries", "Repetitions", labels=LABELS)
        denied = CounterMetricFamily(
            "difyrpc_client_retries_denied", "Repetitions for which the retry budget had nothing left", labels=LABELS
        )
        refused = CounterMetricFamily(
            "difyrpc_client_calls_refused", "Calls that an open circuit refused", labels=LABELS
        )
        circuit = GaugeMetricFamily("difyrpc_client_circuit", "1 for the circuit's state", labels=(*LABELS, "state"))
        for route in call_counts():
            names = (route.target, route.method)
            for code, number in route.ended.items():
                calls.add_metric((*names, code), number)
            seconds.add_metric(names, route.seconds)
            retries.add_metric(names, route.retries)
            denied.add_metric(names, route.retries_denied)
            refused.add_metric(names, route.refused)
            for state in STATES:
                circuit.add_metric((*names, state), float(route.circuit == state))
        return (calls, seconds, retries, denied, refused, circuit)
