"""How much the server takes on, and how much of it one tenant may have."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from difyrpc_services.runtime.errors import InvalidArgument
from difyrpc_services.runtime.keys import check_tenant
from difyrpc_services.runtime.settings import SettingsError, at_least, parse, read, secret

ANY_TENANT = "*"
SLOWEST_RATE = 1 / 86_400  # calls a second; one a day
KINDS = {"calls_per_second": float, "burst_calls": int, "concurrent_calls": int}


@dataclass(frozen=True, kw_only=True)
class LimitSettings:
    """How much one tenant may do, and when the server refuses or ends calls."""

    tenant_calls_per_second: float = at_least(0, 0.0)
    """Calls a second that each tenant may begin; 0: no limit. A fraction is fine: 0.1 is one in ten seconds."""
    tenant_burst_calls: int = at_least(0, 0)
    """Calls that a tenant may begin at once after a pause; 0: as many as one second brings."""
    tenant_algorithm: Literal["token_bucket", "leaky_bucket"] = "token_bucket"
    """`token_bucket` lets a burst begin at once; `leaky_bucket` lets it begin evenly, each call waiting its turn.
    Both refuse what is more than the burst."""
    tenant_concurrent_calls: int = at_least(0, 0)
    """Calls of one tenant that one process works on at once; 0: no limit but DIFYRPC_MAX_CONCURRENT_CALLS."""
    tenant_limits: Path | None = None
    """File with other limits for some tenants, a line each: `tenant [service] calls_per_second=5 burst_calls=10
    concurrent_calls=2`; `*` is every tenant, `#` begins a comment. The closest line counts: tenant and service, tenant,
    `*` and service; what it leaves out is as the settings say. A line with a service counts that service by itself."""
    tenant_rate_shares: int = at_least(1, 1)
    """Processes between which a tenant's rate is divided while no Redis shares it; `--workers` multiplies it."""
    redis_url: str = secret()
    """`redis://:password@host:6379/0` or `rediss://…`; processes and replicas then share the tenants' rates."""
    max_stall_seconds: float = at_least(0, 120.0)
    """Longest time that a caller may leave one message of a streamed answer unread, or let a call with one answer wait
    for the next message of its request; 0: no limit."""
    shed_wait_seconds: float = at_least(0, 0.25)
    """How long new calls may wait until they begin, as the server sees by calling itself ten times a second while there
    are calls. From there on it refuses so many with UNAVAILABLE that the rest begins in time; 0: none is."""
    shed_memory_percent: float = at_least(0, 95.0)
    """Share of the container's memory limit from which on new calls are refused; 0: none is."""

    @classmethod
    def from_env(cls, env: Mapping[str, str]) -> LimitSettings:
        """Reads the settings; SettingsError when they contradict each other."""
        settings = read(cls, env, prefix="DIFYRPC_")
        if 0 < settings.tenant_calls_per_second < SLOWEST_RATE:
            raise SettingsError(
                f"DIFYRPC_TENANT_CALLS_PER_SECOND={settings.tenant_calls_per_second} is less than one call a day"
            )
        if settings.redis_url and not settings.redis_url.startswith(("redis://", "rediss://", "unix://")):
            raise SettingsError("DIFYRPC_REDIS_URL is not of the form redis://:password@host:6379/0")
        return settings


@dataclass(kw_only=True)
class Limits:
    """What the server takes on at once; the setting of each is named in its error."""

    concurrent_calls: int = 1000
    message_bytes: int = 64 << 20
    unary_seconds: float = 600.0
    stream_seconds: float = 86_400.0
    stall_seconds: float = 120.0
    running: int = 0


@dataclass(frozen=True, kw_only=True)
class Rate:
    """How fast calls may begin."""

    calls_per_second: float
    """More than 0."""
    burst_calls: int
    """At least 1."""


@dataclass(frozen=True, kw_only=True)
class Allowance:
    """What one tenant may do."""

    rate: Rate | None = None
    """None: as fast as it likes."""
    concurrent_calls: int = 0
    """0: as many as it likes."""
    rate_setting: str = "DIFYRPC_TENANT_CALLS_PER_SECOND"
    """Where the rate was set, for the one who is refused."""
    concurrent_setting: str = "DIFYRPC_TENANT_CONCURRENT_CALLS"
    """Where the number of calls was set."""


@dataclass(frozen=True, kw_only=True)
class Allowances:
    """Who may do how much."""

    usual: Allowance = field(default_factory=Allowance)
    """What holds for a tenant without a line of its own."""
    special: Mapping[tuple[str, str], Allowance] = field(default_factory=dict)
    """By tenant and service; the service may be empty, the tenant `*`."""

    def of(self, tenant: str, service: str) -> tuple[str, Allowance]:
        """Answers what is counted together and how much of it there may be."""
        if self.special:
            for key in ((tenant, service), (tenant, ""), (ANY_TENANT, service)):
                found = self.special.get(key)
                if found is not None:
                    return (f"{tenant}/{service}" if key[1] else tenant), found
        return tenant, self.usual

    @property
    def is_empty(self) -> bool:
        """Whether nobody is limited."""
        return not self.has_rates and not any(allowance.concurrent_calls for allowance in self._all())

    @property
    def has_rates(self) -> bool:
        """Whether anybody's rate is limited."""
        return any(allowance.rate for allowance in self._all())

    def _all(self) -> Iterator[Allowance]:
        yield self.usual
        yield from self.special.values()


def read_allowances(settings: LimitSettings, services: Collection[str]) -> Allowances:
    """Makes the allowances out of the settings and their file; SettingsError names a wrong line."""
    burst = settings.tenant_burst_calls
    usual = Allowance(
        rate=_rate(settings.tenant_calls_per_second, burst), concurrent_calls=settings.tenant_concurrent_calls
    )
    if settings.tenant_limits is None:
        return Allowances(usual=usual)
    file = settings.tenant_limits
    try:
        lines = file.read_text().splitlines()
    except OSError as error:
        raise SettingsError(f"DIFYRPC_TENANT_LIMITS={file}: cannot be read ({error.strerror})") from error
    special: dict[tuple[str, str], Allowance] = {}
    for number, line in enumerate(lines, 1):
        words = line.split("#")[0].split()
        if words:
            try:
                key, allowance = _special(words, settings, services)
                if key in special:
                    raise SettingsError(f"{' '.join(filter(None, key))} has a line already")
            except (SettingsError, InvalidArgument) as error:
                raise SettingsError(f"{file}, line {number}: {error}") from error
            special[key] = allowance
    return Allowances(usual=usual, special=special)


def _special(words: list[str], settings: LimitSettings, services: Collection[str]) -> tuple[tuple[str, str], Allowance]:
    tenant, rest = words[0], words[1:]
    if tenant != ANY_TENANT:
        check_tenant(tenant)
    service = rest.pop(0) if rest and "=" not in rest[0] else ""
    if service and service not in services:
        raise SettingsError(f"there is no service {service!r}; there are {', '.join(services)}")
    if tenant == ANY_TENANT and not service:
        raise SettingsError("`*` needs a service; what holds for every tenant is DIFYRPC_TENANT_CALLS_PER_SECOND")
    return (tenant, service), _allowance(_values(rest), settings)


def _values(words: list[str]) -> dict[str, float]:
    found: dict[str, float] = {}
    for word in words:
        name, _, text = word.partition("=")
        if name not in KINDS:
            raise SettingsError(f"{word!r} is not one of {', '.join(f'{known}=…' for known in KINDS)}")
        found[name] = parse(name, text, KINDS[name])
        if found[name] < 0 or (name == "calls_per_second" and 0 < found[name] < SLOWEST_RATE):
            raise SettingsError(f"{word} is too small")
    if not found:
        raise SettingsError("expected `tenant [service] calls_per_second=5 burst_calls=10 concurrent_calls=2`")
    return found


def _allowance(values: Mapping[str, float], settings: LimitSettings) -> Allowance:
    speed = values.get("calls_per_second", settings.tenant_calls_per_second)
    burst = values.get("burst_calls", 0 if "calls_per_second" in values else settings.tenant_burst_calls)
    allowance = Allowance(
        rate=_rate(speed, int(burst)),
        concurrent_calls=int(values.get("concurrent_calls", settings.tenant_concurrent_calls)),
    )
    if values.keys() & {"calls_per_second", "burst_calls"}:
        allowance = replace(allowance, rate_setting="DIFYRPC_TENANT_LIMITS")
    return replace(allowance, concurrent_setting="DIFYRPC_TENANT_LIMITS") if "concurrent_calls" in values else allowance


def _rate(calls_per_second: float, burst_calls: int) -> Rate | None:
    if not calls_per_second:
        return None
    return Rate(calls_per_second=calls_per_second, burst_calls=burst_calls or max(1, int(calls_per_second)))
