"""Keeps usage in the memory of one process: complete, and gone when the process ends."""

from __future__ import annotations

import secrets
from bisect import bisect_right
from collections import Counter
from collections.abc import AsyncIterator, Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field

from difyrpc_services.metrics.core.backend import (
    Admission,
    Caught,
    Cell,
    Entry,
    Everything,
    Exposed,
    LabelValue,
    Selection,
    Test,
    Writer,
    exposed,
    label_of,
)
from difyrpc_services.metrics.core.folding import NAMES
from difyrpc_services.metrics.core.periods import WIDTHS, floor
from difyrpc_services.metrics.core.sums import Sums
from difyrpc_services.metrics.core.values import RawRow, Retention, Series, Status, Stored


@dataclass
class Tenant:
    """What one tenant has."""

    salt: bytes = field(default_factory=lambda: secrets.token_bytes(16))
    writers: dict[str, tuple[Writer, int]] = field(default_factory=dict)
    """With the time of their last batch."""
    values: dict[LabelValue, int] = field(default_factory=dict)
    """With the time they were last asked for."""
    ids: dict[Series, int] = field(default_factory=dict)
    rollups: dict[tuple[int, int, int], Sums] = field(default_factory=dict)
    """By width, begin and series."""
    folded: Counter[str] = field(default_factory=Counter)


class MemoryUsage:
    """A store that serves tests and trials."""

    def __init__(self) -> None:
        """Begins empty."""
        self._tenants: dict[str, Tenant] = {}
        self._series: list[Series] = []
        self._log: list[tuple[str, RawRow] | None] = []
        self._totals: dict[Exposed, Sums] = {}

    def totals(self) -> Everything:
        """Answers what was recorded since the start, over all tenants."""
        folded: Counter[str] = Counter()
        for tenant in self._tenants.values():
            for label, count in tenant.folded.items():
                folded[NAMES if label.startswith("custom.") else label] += count
        return Everything(sums=dict(self._totals), folded=folded)

    async def salt(self, tenant: str) -> bytes:
        """Answers the tenant's secret for hashing users."""
        return self._of(tenant).salt

    async def admit(self, tenant: str, wanted: Collection[Admission], now: int) -> set[LabelValue]:
        """Keeps the values that are known or fit under their label's limit."""
        values = self._of(tenant).values
        counts = Counter(value.label for value in values)
        kept = set()
        for value, limit in sorted(wanted):
            if value not in values and counts[value.label] >= limit:
                continue
            counts[value.label] += value not in values
            values[value] = now
            kept.add(value)
        return kept

    async def identify(self, tenant: str, wanted: Collection[Series], limit: int | None, now: int) -> dict[Series, int]:
        """Answers the ids of the series; new ones are made as long as the tenant has fewer than `limit`."""
        del now
        ids = self._of(tenant).ids
        for series in wanted:
            if series not in ids and (limit is None or len(ids) < limit):
                ids[series] = len(self._series)
                self._series.append(series)
        return {series: ids[series] for series in wanted if series in ids}

    async def commit(self, tenant: str, entry: Entry) -> Writer | None:
        """Commits all of the entry and moves the writer to its sequence, or nothing."""
        mine = self._of(tenant)
        writer = mine.writers.get(entry.writer_id, (Writer(committed=0, fingerprint=b""), 0))[0]
        if entry.sequence != writer.committed + 1:
            return writer
        mine.writers[entry.writer_id] = (Writer(committed=entry.sequence, fingerprint=entry.fingerprint), entry.now)
        self._log.extend((tenant, row) for row in entry.rows)
        for (minute, series), sums in entry.deltas.items():
            for width in WIDTHS:
                mine.rollups.setdefault((width, floor(minute, width), series), Sums()).merge(sums)
            self._totals.setdefault(exposed(self._series[series]), Sums()).merge(sums)
        mine.folded.update(entry.folded)
        return None

    async def select(self, tenant: str, selection: Selection) -> list[Cell]:
        """Sums what was committed; groups and steps without calls are left out."""
        cells: dict[tuple[tuple[str, ...], int], Sums] = {}
        for (width, start, number), sums in self._of(tenant).rollups.items():
            series = self._series[number]
            if not _covers(selection, width, start) or not all(test.accepts(series) for test in selection.tests):
                continue
            group = tuple(label_of(series, part.name) for part in selection.group_by)
            if selection.groups is not None and group not in selection.groups:
                continue
            cell = cells.setdefault((group, bisect_right(selection.bounds, start) - 1), Sums())
            cell.merge(sums)
            cell.errors += sums.calls * (series.status is Status.ERROR)
            cell.cancelled += sums.calls * (series.status is Status.CANCELLED)
        for sums in cells.values():
            sums.input_sizes, sums.output_sizes = {}, {}  # of totals only
        return [Cell(group, step, sums) for (group, step), sums in cells.items()]

    async def observations(self, tenant: str, start: int, end: int, tests: Sequence[Test]) -> AsyncIterator[Stored]:
        """Reads single observations in the order of their times."""
        for row in sorted(self._rows(tenant), key=lambda row: row.time):
            series = self._series[row.series]
            if start <= row.time < end and all(test.accepts(series) for test in tests):
                yield self._stored(row)

    async def position(self) -> int:
        """Answers a position that everything committed until now lies before."""
        return len(self._log)

    async def since(self, position: int, limit: int) -> Caught:
        """Answers observations of all tenants that were committed after a position."""
        upto = min(len(self._log), position + limit)
        found = [(item[0], self._stored(item[1])) for item in self._log[position:upto] if item is not None]
        return Caught(found, len(self._log), len(self._log) - upto)

    async def compact(self) -> bool:
        """Answers that nothing is left to merge: every commit went into the roll-ups at once."""
        return False

    async def sweep(self, retention: Retention, now: int) -> None:
        """Deletes what is older than its retention."""
        raw = now - retention.raw
        self._log = [item if item is not None and item[1].time >= raw else None for item in self._log]
        oldest = {width: now - (retention.minutes if width == WIDTHS[0] else retention.usage) for width in WIDTHS}
        for tenant in self._tenants.values():
            tenant.rollups = {key: sums for key, sums in tenant.rollups.items() if key[1] + key[0] > oldest[key[0]]}
            tenant.writers = {key: seen for key, seen in tenant.writers.items() if seen[1] >= now - retention.writers}
            tenant.values = {key: seen for key, seen in tenant.values.items() if seen >= now - retention.labels}

    def _of(self, tenant: str) -> Tenant:
        return self._tenants.setdefault(tenant, Tenant())

    def _rows(self, tenant: str) -> Iterator[RawRow]:
        return (item[1] for item in self._log if item is not None and item[0] == tenant)

    def _stored(self, row: RawRow) -> Stored:
        return Stored(**(row._asdict() | {"series": self._series[row.series]}))


def _covers(selection: Selection, width: int, start: int) -> bool:
    return any(part.width == width and part.start <= start < part.end for part in selection.segments)


def open_memory(database: object = None) -> tuple[MemoryUsage, Callable[[], Everything]]:
    """Makes the store, and what reads its totals; needs no database."""
    del database
    store = MemoryUsage()
    return store, store.totals
