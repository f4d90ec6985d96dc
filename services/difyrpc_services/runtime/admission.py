"""Puts together what lets calls begin: settings → allowances and rates → the gate of one server."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry

from difyrpc_services.runtime.exposition import CallMetrics, LoadGauges, sharing_gauge
from difyrpc_services.runtime.gate import Gate
from difyrpc_services.runtime.limits import Allowances, Limits, LimitSettings, read_allowances
from difyrpc_services.runtime.load import Load
from difyrpc_services.runtime.memory import memory_of_container
from difyrpc_services.runtime.queueing import Queue
from difyrpc_services.runtime.service import Check

if TYPE_CHECKING:
    from difyrpc_services.runtime.rates import LocalRates, SharedRates


@dataclass(frozen=True, kw_only=True)
class Admission:
    """What one process knows of its limits before it has a server."""

    settings: LimitSettings
    allowances: Allowances
    local: LocalRates | None = None
    """Where calls are counted without Redis; None when nobody's rate is limited."""
    shared: SharedRates | None = None
    """Where they are counted in Redis, if one is set."""

    @classmethod
    def from_env(cls, env: Mapping[str, str], services: Collection[str]) -> Admission:
        """Reads the settings and the file of limits; SettingsError for what cannot be used."""
        settings = LimitSettings.from_env(env)
        allowances = read_allowances(settings, services)
        if not allowances.has_rates:
            return cls(settings=settings, allowances=allowances)
        # Its import takes a fifth of a second, which a server without such limits does not spend.
        from difyrpc_services.runtime.rates import LocalRates, SharedRates

        local = LocalRates(settings.tenant_rate_shares)
        shared = SharedRates(settings.redis_url, local) if settings.redis_url else None
        return cls(settings=settings, allowances=allowances, local=local, shared=shared)

    def gate(self, limits: Limits, metrics: CallMetrics, registry: CollectorRegistry) -> Gate:
        """Makes the gate of a server."""
        if self.shared is not None:
            self.shared.on_change = sharing_gauge(registry).set
        queue = Queue()
        return Gate(
            limits,
            metrics=metrics,
            allowances=self.allowances,
            rates=self.shared or self.local,
            is_even=self.settings.tenant_algorithm == "leaky_bucket",
            load=self._load(registry, queue),
            queue=queue,
        )

    async def close(self) -> None:
        """Closes the connections to Redis."""
        if self.shared is not None:
            await self.shared.close()

    async def check(self) -> Sequence[Check]:
        """Says what is limited and whether Redis answers, for `difyrpc doctor`."""
        settings, found = self.settings, []
        if settings.tenant_limits:
            said = f"{len(self.allowances.special)} lines in {settings.tenant_limits}"
            found.append(Check(name="limits", level="ok", found=said))
        if self.shared is not None:
            found.append(await _redis_check(self.shared))
        elif settings.redis_url:
            advice = "set DIFYRPC_TENANT_CALLS_PER_SECOND or DIFYRPC_TENANT_LIMITS"
            said = "DIFYRPC_REDIS_URL is set and no rate is limited"
            found.append(Check(name="limits", level="warning", found=said, advice=advice))
        if settings.tenant_burst_calls and not self.allowances.has_rates:
            said = "DIFYRPC_TENANT_BURST_CALLS does nothing without a rate"
            advice = "set DIFYRPC_TENANT_CALLS_PER_SECOND"
            found.append(Check(name="limits", level="warning", found=said, advice=advice))
        return found

    def _load(self, registry: CollectorRegistry, queue: Queue) -> Load | None:
        settings = self.settings
        if not settings.shed_wait_seconds and not settings.shed_memory_percent:
            return None
        return Load(
            wait_seconds=settings.shed_wait_seconds,
            memory_percent=settings.shed_memory_percent,
            metrics=LoadGauges(registry),
            memory_used=memory_of_container(),
            waits=queue,
        )


async def _redis_check(shared: SharedRates) -> Check:
    error = await shared.ping()
    if error is None:
        return Check(name="limits", level="ok", found="Redis answers; the tenants' rates are shared")
    said = f"Redis does not answer: {error}"
    advice = "check DIFYRPC_REDIS_URL; until it answers each process limits by itself"
    return Check(name="limits", level="error", found=said, advice=advice)
