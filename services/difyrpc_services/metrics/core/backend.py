"""What the metrics service needs from a store, and the values that go to and fro."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from difyrpc_services.metrics.core.periods import Segment
from difyrpc_services.metrics.core.sums import Sums
from difyrpc_services.metrics.core.values import RawRow, Retention, Series, Status, Stored


class LabelValue(NamedTuple):
    """One value of one label: `("model", "gpt-4o")`, `("custom.team", "legal")`."""

    label: str
    value: str


class Admission(NamedTuple):
    """A value that asks to be kept apart, and how many values its label may have."""

    value: LabelValue
    limit: int


@dataclass(frozen=True, kw_only=True)
class Entry:
    """A batch that was checked and rolled up, ready to be committed."""

    writer_id: str
    sequence: int
    fingerprint: bytes
    rows: Sequence[RawRow]
    deltas: Mapping[tuple[int, int], Sums]
    """What the batch adds, by minute (microseconds since 1970) and series."""
    folded: Mapping[str, int]
    """How many label values were folded, by label."""
    now: int


@dataclass(frozen=True, kw_only=True)
class Writer:
    """Where a writer stands."""

    committed: int
    """0 for a writer that nobody knows."""
    fingerprint: bytes
    """Of the last committed batch."""


@dataclass(frozen=True, kw_only=True)
class Field:
    """A label to group or filter by."""

    name: str
    """`app` … `user`, `status`, `error_type`, or `custom.<name>`."""


@dataclass(frozen=True, kw_only=True)
class Test:
    """Lets series through by the value of one label."""

    field: Field
    values: frozenset[str]
    is_exclusion: bool = False

    def accepts(self, series: Series) -> bool:
        """Says whether the series passes."""
        return (label_of(series, self.field.name) in self.values) is not self.is_exclusion


@dataclass(frozen=True, kw_only=True)
class Selection:
    """What to sum."""

    bounds: Sequence[int]
    """Where steps begin, and then the end of the last; ascending, on whole minutes."""
    segments: Sequence[Segment]
    """The roll-ups that answer for it."""
    group_by: Sequence[Field]
    tests: Sequence[Test]
    groups: Collection[tuple[str, ...]] | None = None
    """Only these groups; None: all."""
    histograms: bool = False
    """Whether the histograms of durations are wanted."""


class Cell(NamedTuple):
    """What one group used in one step."""

    group: tuple[str, ...]
    step: int
    """Position among the steps, from 0."""
    sums: Sums


class Caught(NamedTuple):
    """What a live tail caught."""

    found: list[tuple[str, Stored]]
    """Tenants and their observations."""
    position: int
    """Where to look next."""
    lost: int
    """How many observations up to there were above the limit."""


class Exposed(NamedTuple):
    """What a series of `/metrics` is kept apart by."""

    operation: str
    provider: str
    model: str
    status: Status
    error_type: str


@dataclass(frozen=True, kw_only=True)
class Everything:
    """All that was recorded since ever, over all tenants."""

    sums: Mapping[Exposed, Sums]
    folded: Mapping[str, int]
    """Label values that were folded, by label; all custom labels under `custom`."""


class Totals(Protocol):
    """Reads the totals; may block, and is called from any thread."""

    def __call__(self) -> Everything:
        """Answers what every process together has recorded until now."""


class Backend(Protocol):
    """A store of usage. Whatever it answers belongs to the tenant that it was asked for."""

    async def salt(self, tenant: str) -> bytes:
        """Answers the tenant's secret for hashing users; always the same."""

    async def admit(self, tenant: str, wanted: Collection[Admission], now: int) -> set[LabelValue]:
        """Keeps the values that are known or fit under their label's limit; answers which are kept."""

    async def identify(self, tenant: str, wanted: Collection[Series], limit: int | None, now: int) -> dict[Series, int]:
        """Answers the ids of the series; new ones are made as long as the tenant has fewer than `limit`."""

    async def commit(self, tenant: str, entry: Entry) -> Writer | None:
        """Commits all of the entry and moves the writer to its sequence, or nothing.

        None when it was committed; else where the writer stands, which is not one before the entry.
        """

    async def select(self, tenant: str, selection: Selection) -> list[Cell]:
        """Sums what was committed; groups and steps without calls are left out."""

    def observations(self, tenant: str, start: int, end: int, tests: Sequence[Test]) -> AsyncIterator[Stored]:
        """Reads single observations in the order of their times."""

    async def position(self) -> int:
        """Answers a position that everything committed until now lies before."""

    async def since(self, position: int, limit: int) -> Caught:
        """Answers observations of all tenants that were committed after a position."""

    async def compact(self) -> bool:
        """Merges some of what was committed into roll-ups; answers whether there may be more to merge."""

    async def sweep(self, retention: Retention, now: int) -> None:
        """Deletes what is older than its retention."""


def label_of(series: Series, name: str) -> str:
    """Answers the value of a label, empty when the series does not have it."""
    if name == "status":
        return series.status.name.lower()
    if name == "error_type":
        return series.error_type
    if name.startswith("custom."):
        return dict(series.labels.custom).get(name.removeprefix("custom."), "")
    value: str = getattr(series.labels, name)
    return value


def exposed(series: Series) -> Exposed:
    """Answers under which labels `/metrics` counts the series."""
    labels = series.labels
    return Exposed(labels.operation, labels.provider, labels.model, series.status, series.error_type)
