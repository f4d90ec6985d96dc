"""Makes the parts of the metrics service meet."""

from __future__ import annotations

import time
from collections.abc import Sequence
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from difyrpc.metrics.v1.metrics_pb2_grpc import add_MetricsCollectorServicer_to_server
from difyrpc_services.metrics.backends import load
from difyrpc_services.metrics.core.collector import Collector
from difyrpc_services.metrics.core.housekeeping import Housekeeping
from difyrpc_services.metrics.core.values import DAY, MICROS, Limits, Retention
from difyrpc_services.metrics.exposition import UsageCollector
from difyrpc_services.metrics.servicer import MetricsServicer
from difyrpc_services.metrics.settings import MetricsSettings
from difyrpc_services.runtime.service import Check, House, Service


def build(house: House) -> Service:
    """Reads the settings, makes the parts meet and answers the service; starts nothing."""
    settings = MetricsSettings.from_env(house.env)
    backend, totals = load(settings.backend, house.database)
    retention = read_retention(settings)
    collector = Collector(
        backend, clock=now, limits=read_limits(settings), retention=retention, tail_seconds=settings.tail_seconds
    )
    housekeeping = Housekeeping(
        backend,
        retention=retention,
        clock=now,
        compact_seconds=settings.compact_seconds,
        sweep_seconds=settings.sweep_seconds,
    )

    async def stop() -> None:
        await housekeeping.stop()
        await collector.close()

    servicer = MetricsServicer(collector)
    return Service(
        name="metrics",
        full_name="difyrpc.metrics.v1.MetricsCollector",
        register=lambda server: add_MetricsCollectorServicer_to_server(servicer, server),
        backend="the memory of this process" if settings.backend == "memory" else "PostgreSQL",
        start=housekeeping.start,
        stop=stop,
        check=check,
        shared_collectors=(UsageCollector(totals),),
    )


def now() -> int:
    """Answers the time in microseconds since 1970."""
    return time.time_ns() // 1_000


def read_limits(settings: MetricsSettings) -> Limits:
    """Answers the limits that the settings name."""
    return Limits(
        max_observations=settings.max_observations,
        max_label_values=settings.max_label_values,
        max_users=settings.max_users,
        max_label_names=settings.max_label_names,
        max_series=settings.max_series,
        future=settings.future_seconds * MICROS,
        usage=settings.usage_days * DAY,
    )


def read_retention(settings: MetricsSettings) -> Retention:
    """Answers the retentions that the settings name."""
    return Retention(
        raw=settings.raw_days * DAY,
        minutes=settings.minute_days * DAY,
        usage=settings.usage_days * DAY,
        writers=settings.writer_days * DAY,
        labels=settings.label_days * DAY,
    )


async def check() -> Sequence[Check]:
    """Looks for the time zones that days are counted in."""
    name = "metrics: time zones"
    try:
        ZoneInfo("Asia/Shanghai")
    except ZoneInfoNotFoundError:
        advice = "install the system's tzdata or: pip install tzdata"
        return [Check(name=name, level="error", found="there is no time zone database", advice=advice)]
    return [Check(name=name, level="ok", found="the IANA database is installed")]
