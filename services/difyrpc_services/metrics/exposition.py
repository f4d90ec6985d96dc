"""Shows what was recorded since ever to Prometheus, named after OpenTelemetry's GenAI conventions.

Sums over all tenants: the port has no key. The numbers come from the store, so every process shows the same ones, and
several worker processes need not be added up.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator

from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from difyrpc_services.metrics.core.backend import Everything, Exposed, Totals
from difyrpc_services.metrics.core.histogram import (
    DURATION_BOUNDS,
    TOKEN_BOUNDS,
    cumulative,
    duration_counts,
    token_counts,
)
from difyrpc_services.metrics.core.sums import Spread, Sums
from difyrpc_services.metrics.core.values import MICROS, Status
from difyrpc_services.runtime.errors import ServiceError

log = logging.getLogger(__name__)

LABELS = ("gen_ai_operation_name", "gen_ai_provider_name", "gen_ai_request_model")


class UsageCollector(Collector):
    """Reads the totals whenever it is scraped; runs in the thread of the scrape and may block there."""

    def __init__(self, totals: Totals) -> None:
        """Takes what reads the totals, from any thread."""
        self._totals = totals

    def describe(self) -> Iterable[Metric]:
        """Answers the families without reading anything."""
        return _families(Everything(sums={}, folded={}))

    def collect(self) -> Iterable[Metric]:
        """Answers the totals; nothing when the store is away, which a scrape shows as a gap."""
        try:
            return _families(self._totals())
        except ServiceError as error:
            log.warning("usage is missing in /metrics: %s", error.reason)
            return ()


def _families(everything: Everything) -> list[Metric]:
    rows = sorted(everything.sums.items())
    return [
        _durations("gen_ai_client_operation_duration_seconds", "Duration of calls", _spreads(rows, first=False)),
        _durations(
            "gen_ai_client_operation_time_to_first_chunk_seconds",
            "Time from the start of a call to its first token",
            _spreads(rows, first=True),
        ),
        _token_usage(rows),
        _calls(rows),
        _tokens(rows),
        _folded(everything),
    ]


def _spreads(rows: list[tuple[Exposed, Sums]], *, first: bool) -> Iterator[tuple[list[str], Spread]]:
    for key, sums in rows:
        spread = sums.time_to_first_token if first else sums.duration
        if spread.histogram:
            yield [*key[:3], _error(key)], spread


def _durations(name: str, help_text: str, rows: Iterable[tuple[list[str], Spread]]) -> Metric:
    family = HistogramMetricFamily(name, help_text, labels=[*LABELS, "error_type"])
    for labels, spread in rows:
        buckets = cumulative(DURATION_BOUNDS, duration_counts(spread.histogram))
        family.add_metric(labels, buckets=buckets, sum_value=spread.sum / MICROS)
    return family


def _token_usage(rows: list[tuple[Exposed, Sums]]) -> Metric:
    family = HistogramMetricFamily(
        "gen_ai_client_token_usage", "Tokens of a call", labels=[*LABELS, "error_type", "gen_ai_token_type"]
    )
    for key, sums in rows:
        for kind, sizes, total in (
            ("input", sums.input_sizes, sums.input),
            ("output", sums.output_sizes, sums.output),
        ):
            if sizes:
                buckets = cumulative(TOKEN_BOUNDS, token_counts(sizes))
                family.add_metric([*key[:3], _error(key), kind], buckets=buckets, sum_value=total)
    return family


def _calls(rows: list[tuple[Exposed, Sums]]) -> Metric:
    family = CounterMetricFamily(
        "difyrpc_usage_calls", "Calls that were recorded", labels=[*LABELS, "status", "error_type"]
    )
    for key, sums in rows:
        family.add_metric([*key[:3], key.status.name.lower(), _error(key)], sums.calls)
    return family


def _tokens(rows: list[tuple[Exposed, Sums]]) -> Metric:
    """Cached tokens are part of the input, reasoning is part of the output."""
    family = CounterMetricFamily(
        "difyrpc_usage_tokens", "Tokens that were recorded", labels=[*LABELS, "error_type", "gen_ai_token_type"]
    )
    for key, sums in rows:
        for kind in ("input", "output", "cached_input", "reasoning_output"):
            if getattr(sums, kind):
                family.add_metric([*key[:3], _error(key), kind], getattr(sums, kind))
    return family


def _folded(everything: Everything) -> Metric:
    family = CounterMetricFamily(
        "difyrpc_usage_folded_labels", "Label values that were folded into other", labels=["label"]
    )
    for label, count in sorted(everything.folded.items()):
        family.add_metric([label], count)
    return family


def _error(key: Exposed) -> str:
    """Answers error.type as the conventions want it: empty without an error, `_OTHER` when nobody said which."""
    if key.status is Status.OK:
        return ""
    return key.error_type or ("cancelled" if key.status is Status.CANCELLED else "_OTHER")
