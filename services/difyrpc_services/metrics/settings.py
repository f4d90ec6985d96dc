"""Settings of the metrics service."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from difyrpc_services.runtime.settings import at_least, read

PREFIX = "DIFYRPC_METRICS_"


@dataclass(frozen=True, kw_only=True)
class MetricsSettings:
    """What the metrics service reads from `DIFYRPC_METRICS_…`."""

    backend: Literal["postgres", "memory"] = "postgres"
    """Where usage is kept; `memory` forgets it when the process ends."""
    max_observations: int = at_least(1, 10_000)
    """Observations in one batch; more would hold up other calls while they are checked."""
    max_label_values: int = at_least(1, 1_000)
    """Different values of one label in a tenant; further ones are folded into `other`."""
    max_users: int = at_least(1, 10_000)
    """Different users in a tenant; further ones are folded into `other`."""
    max_label_names: int = at_least(0, 64)
    """Different names of custom labels in a tenant; further ones are dropped."""
    max_series: int = at_least(1, 50_000)
    """Different combinations of labels in a tenant; further ones lose their details."""
    future_seconds: int = at_least(0, 600)
    """How far in the future a time may lie before the server's own is taken instead."""
    raw_days: int = at_least(1, 7)
    """How long single observations are kept, for exports."""
    minute_days: int = at_least(1, 8)
    """How long usage is kept by the minute."""
    usage_days: int = at_least(1, 400)
    """How long usage is kept by quarters of an hour and by hours."""
    writer_days: int = at_least(1, 30)
    """How long a silent writer's sequence is kept."""
    label_days: int = at_least(1, 30)
    """How long a value of a label that nobody uses counts against the limits."""
    compact_seconds: float = at_least(0.01, 5.0)
    """How often what was recorded is merged into the roll-ups; answers never depend on it."""
    sweep_seconds: float = at_least(1, 3_600.0)
    """How often what is older than its retention is deleted."""
    tail_seconds: float = at_least(0.01, 0.5)
    """How often a live tail looks for observations that other processes recorded."""

    @classmethod
    def from_env(cls, env: Mapping[str, str]) -> MetricsSettings:
        """Reads the settings; SettingsError for the first wrong one."""
        return read(cls, env, prefix=PREFIX)
