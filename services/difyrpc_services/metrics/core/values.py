"""What was observed, as plain values.

Times and durations are whole microseconds. What exists once an observation is a NamedTuple: making one costs a
fifth of a frozen dataclass, and a batch makes thousands.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from typing import NamedTuple

MICROS = 1_000_000  # a second
MINUTE = 60 * MICROS
DAY = 86_400 * MICROS
OTHER = "other"  # the value that stands for all that were folded


class Status(IntEnum):
    """How a call ended; the numbers are stored."""

    OK = 1
    ERROR = 2
    CANCELLED = 3


class Labels(NamedTuple):
    """What a call is counted under; an empty text says nothing."""

    app: str = ""
    workflow: str = ""
    node: str = ""
    operation: str = ""
    provider: str = ""
    model: str = ""
    user: str = ""
    custom: tuple[tuple[str, str], ...] = ()
    """Names and values of the tenant's own labels, sorted by name."""

    def over(self, below: Labels) -> Labels:
        """Answers these labels, with those of `below` where these say nothing."""
        custom = tuple(sorted({**dict(below.custom), **dict(self.custom)}.items()))
        return Labels(
            self.app or below.app,
            self.workflow or below.workflow,
            self.node or below.node,
            self.operation or below.operation,
            self.provider or below.provider,
            self.model or below.model,
            self.user or below.user,
            custom,
        )


NO_LABELS = Labels()


class Series(NamedTuple):
    """Everything that observations are kept apart by."""

    labels: Labels
    status: Status
    error_type: str


class Observation(NamedTuple):
    """One call, as it was sent."""

    time: int | None = None
    """When it ended, microseconds since 1970; None: now."""
    label_set: int = 0
    """Position in the batch's label sets, from 1; 0: none."""
    labels: Labels | None = None
    input: int = 0
    output: int = 0
    cached_input: int = 0
    reasoning_output: int = 0
    duration: int | None = None
    time_to_first_token: int | None = None
    status: Status | None = None
    """None: an error if there is an error type, else OK."""
    error_type: str = ""


@dataclass(frozen=True, kw_only=True)
class Batch:
    """Observations that are recorded together or not at all."""

    writer_id: str
    sequence: int
    fingerprint: bytes
    """Hash of the batch as it was sent; tells a repeat from another batch under the same sequence."""
    defaults: Labels = NO_LABELS
    label_sets: Sequence[Labels] = ()
    observations: Sequence[Observation] = ()


@dataclass(frozen=True, kw_only=True)
class Receipt:
    """What became of a batch."""

    committed_sequence: int
    repeated: bool = False
    folded_labels: int = 0
    adjusted_times: int = 0


class RawRow(NamedTuple):
    """One observation, as it is stored."""

    time: int
    series: int
    input: int
    output: int
    cached_input: int
    reasoning_output: int
    duration: int | None
    time_to_first_token: int | None


@dataclass(frozen=True, kw_only=True)
class Stored:
    """One observation, as it is read back."""

    time: int
    series: Series
    input: int
    output: int
    cached_input: int
    reasoning_output: int
    duration: int | None
    time_to_first_token: int | None


@dataclass(frozen=True, kw_only=True)
class Limits:
    """How much a tenant may send and keep apart; the defaults are those of the contract."""

    max_observations: int = 10_000
    max_label_values: int = 1_000
    max_users: int = 10_000
    max_label_names: int = 64
    max_series: int = 50_000
    future: int = 600 * MICROS
    usage: int = 400 * DAY
    """How far in the past a time may lie."""


@dataclass(frozen=True, kw_only=True)
class Retention:
    """How long each kind of record is kept, in microseconds."""

    raw: int = 7 * DAY
    minutes: int = 8 * DAY
    usage: int = 400 * DAY
    writers: int = 30 * DAY
    labels: int = 30 * DAY


@dataclass(frozen=True, kw_only=True)
class Folded:
    """How many label values were folded, by label."""

    counts: Mapping[str, int] = field(default_factory=dict)

    @property
    def total(self) -> int:
        """The sum over all labels."""
        return sum(self.counts.values())
