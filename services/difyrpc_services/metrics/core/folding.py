"""Keeps the number of different labels in a tenant within limits: what is too much becomes `other`."""

from __future__ import annotations

from collections.abc import Collection

from difyrpc_services.metrics.core.backend import Admission, Backend, LabelValue
from difyrpc_services.metrics.core.values import DAY, MICROS, OTHER, Labels, Limits, Series

EVERYTHING_ELSE = Labels(
    app=OTHER, workflow=OTHER, node=OTHER, operation=OTHER, provider=OTHER, model=OTHER, user=OTHER
)
NAMES = "custom"  # the pseudo label whose values are the names of custom labels
CACHED_VALUES = 200_000
CACHED_SERIES = 200_000
FULL_FOR = 60 * MICROS  # how long a full label is not asked for again


class Admissions:
    """Knows which label values a tenant may keep apart; remembers what the store answered today."""

    def __init__(self, backend: Backend, limits: Limits) -> None:
        """Takes the store that counts the values of all processes."""
        self._backend = backend
        self._limits = limits
        self._day = 0
        self._kept: dict[str, set[LabelValue]] = {}
        self._full: dict[tuple[str, str], int] = {}

    async def admit(self, tenant: str, series: Collection[Series], now: int) -> set[LabelValue]:
        """Answers which of the values in these series stay as they are."""
        names = {LabelValue(NAMES, name) for one in series for name, _ in one.labels.custom}
        kept = await self._ask(tenant, names, now)
        values = {value for one in series for value in values_of(one) if not _is_nameless(value, kept)}
        return kept | await self._ask(tenant, values, now)

    async def _ask(self, tenant: str, values: Collection[LabelValue], now: int) -> set[LabelValue]:
        known = self._known(tenant, now)
        unknown = [value for value in values if value not in known and not self._is_full(tenant, value, now)]
        if unknown:
            wanted = [Admission(value, self._limit(value.label)) for value in unknown]
            answered = await self._backend.admit(tenant, wanted, now)
            known |= answered
            for value in unknown:
                if value not in answered:
                    self._full[tenant, value.label] = now + FULL_FOR
        return known.intersection(values)

    def _known(self, tenant: str, now: int) -> set[LabelValue]:
        """Answers what is remembered; every day anew, so that the store sees which values are in use."""
        if now // DAY != self._day or sum(map(len, self._kept.values())) > CACHED_VALUES:
            self._day = now // DAY
            self._kept.clear()
            self._full.clear()
        return self._kept.setdefault(tenant, set())

    def _is_full(self, tenant: str, value: LabelValue, now: int) -> bool:
        return self._full.get((tenant, value.label), 0) > now

    def _limit(self, label: str) -> int:
        if label == NAMES:
            return self._limits.max_label_names
        return self._limits.max_users if label == "user" else self._limits.max_label_values


class Identities:
    """Knows the ids of a tenant's series; remembers them for a day."""

    def __init__(self, backend: Backend, limits: Limits) -> None:
        """Takes the store that numbers the series of all processes."""
        self._backend = backend
        self._limits = limits
        self._day = 0
        self._ids: dict[tuple[str, Series], int] = {}

    async def identify(
        self, tenant: str, series: Collection[Series], now: int
    ) -> tuple[dict[Series, int], set[Series]]:
        """Answers the id of each series, and which of them lost their details because there are too many."""
        if now // DAY != self._day or len(self._ids) > CACHED_SERIES:
            self._day = now // DAY
            self._ids.clear()
        found = {one: self._ids[tenant, one] for one in series if (tenant, one) in self._ids}
        missing = [one for one in series if one not in found]
        if missing:
            limit = self._limits.max_series
            made = await self._backend.identify(tenant, missing, limit, now)
            self._ids.update(((tenant, one), number) for one, number in made.items())
            found |= made
        reduced = {one for one in missing if one not in found}
        if reduced:
            found |= await self._reduce(tenant, reduced, now)
        return found, reduced

    async def _reduce(self, tenant: str, series: Collection[Series], now: int) -> dict[Series, int]:
        """Finds series with fewer details: first those without user and nodes, last the one for all others."""
        coarse = {one: without_details(one) for one in series}
        ids = await self._backend.identify(tenant, set(coarse.values()), self._limits.max_series * 3 // 2, now)
        rest = {one: without_anything(one) for one in series if coarse[one] not in ids}
        ids |= await self._backend.identify(tenant, set(rest.values()), None, now) if rest else {}
        return {one: ids[rest.get(one, coarse[one])] for one in series}


def values_of(series: Series) -> list[LabelValue]:
    """Answers the values of a series that count against limits."""
    values = [
        LabelValue(name, value)
        for name, value in zip(series.labels._fields[:7], series.labels[:7], strict=True)
        if value and value != OTHER
    ]
    if series.error_type and series.error_type != OTHER:
        values.append(LabelValue("error_type", series.error_type))
    values += [LabelValue(f"custom.{name}", value) for name, value in series.labels.custom if value and value != OTHER]
    return values


def fold(series: Series, kept: Collection[LabelValue]) -> tuple[Series, list[str]]:
    """Answers the series with `other` for every value that is not kept, and the labels that lost theirs."""
    lost = [value.label for value in values_of(series) if value not in kept]
    dropped = [name for name, _ in series.labels.custom if LabelValue(NAMES, name) not in kept]
    if not lost and not dropped:
        return series, []
    changed = {label: OTHER for label in lost if label in series.labels._fields}
    custom = tuple(
        (name, OTHER if f"custom.{name}" in lost else value)
        for name, value in series.labels.custom
        if name not in dropped
    )
    labels = series.labels._replace(**changed, custom=custom)
    error_type = OTHER if "error_type" in lost else series.error_type
    counted = [label for label in lost if label.removeprefix("custom.") not in dropped] + [NAMES] * len(dropped)
    return Series(labels, series.status, error_type), counted


def without_details(series: Series) -> Series:
    """Answers the series that stands for it when there are too many: app, operation, provider and model stay."""
    labels = series.labels
    custom = tuple((name, OTHER) for name, _ in labels.custom)
    coarse = labels._replace(
        workflow=_other(labels.workflow), node=_other(labels.node), user=_other(labels.user), custom=custom
    )
    return Series(coarse, series.status, _other(series.error_type))


def without_anything(series: Series) -> Series:
    """Answers the last resort: one series for each way that calls end."""
    return Series(EVERYTHING_ELSE, series.status, _other(series.error_type))


def _other(value: str) -> str:
    return OTHER if value else ""


def _is_nameless(value: LabelValue, kept: Collection[LabelValue]) -> bool:
    name = value.label.removeprefix("custom.")
    return name != value.label and LabelValue(NAMES, name) not in kept
