"""Observations, questions about usage and their answers, as values."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Literal

from difyrpc.metrics.v1 import metrics_pb2, observation_pb2, usage_pb2
from difyrpc_client._message import make, several, wrong
from difyrpc_client._shape import called, enum_number, read, reads
from difyrpc_client._values import write_seconds, write_time

Quantity = Literal["calls", "tokens", "cost", "duration", "time_to_first_token", "errors"]
CalendarStep = Literal["hour", "day", "week", "month"]
Status = Literal["ok", "error", "cancelled", ""]


@dataclass(frozen=True, kw_only=True)
class Observation:
    """One call of a model, or of any other operation that is worth counting. Texts are at most 256 characters."""

    app: str = ""
    """The Dify app: its id or a name that does not change."""
    workflow: str = ""
    """The workflow or chatflow inside the app."""
    node: str = ""
    """The node inside the workflow."""
    operation: str = ""
    """What was done: `chat`, `embeddings`, `execute_tool`, `rerank`, …"""
    provider: str = ""
    """Who did it: `openai`, `anthropic`, …"""
    model: str = ""
    """The model as it was asked for."""
    user: str = field(default="", repr=False)
    """Who caused it; the server keeps a keyed hash only."""
    labels: Mapping[str, str] = field(default_factory=dict)
    """Labels of your own, at most 16."""
    input_tokens: int = 0
    """Tokens of the prompt, those from a cache as well."""
    output_tokens: int = 0
    """Tokens of the answer, those of reasoning as well."""
    cached_input_tokens: int = 0
    """The part of the input that the provider read from its cache."""
    reasoning_output_tokens: int = 0
    """The part of the output that was spent on reasoning."""
    seconds: float | None = None
    """How long the whole call took; None where it was not measured."""
    first_token_seconds: float | None = None
    """From the start to the first token of the answer."""
    status: Status = ""
    """How the call ended; empty for error if `error_type` is set, else ok."""
    error_type: str = ""
    """What kind of error, in few different words: `timeout`, `429`; never a message."""
    time: datetime | None = None
    """When the call ended; None for when the server received it."""


@reads(metrics_pb2.RecordResponse)
@dataclass(frozen=True, kw_only=True)
class Recorded:
    """What the server did with a batch."""

    committed_sequence: int
    """The highest sequence of the writer that is durable."""
    repeated: bool = False
    """Whether the batch had been committed before, so that nothing changed."""
    folded_labels: int = 0
    """How many label values were folded into `other`."""
    adjusted_times: int = 0
    """How many times were too far in the future and were replaced by the server's."""


@reads(observation_pb2.Tokens)
@dataclass(frozen=True, kw_only=True)
class Tokens:
    """Tokens by type."""

    input: int = 0
    """Tokens of prompts."""
    output: int = 0
    """Tokens of answers."""
    cached_input: int = 0
    """The part of `input` that came from caches."""
    reasoning_output: int = 0
    """The part of `output` that was spent on reasoning."""


@reads(usage_pb2.Cost)
@dataclass(frozen=True, kw_only=True)
class Cost:
    """An amount of money: `units` plus billionths `nanos` of a unit."""

    currency_code: str
    """ISO 4217: `USD`, `CNY`."""
    units: int = 0
    """Whole units."""
    nanos: int = 0
    """Billionths of a unit, of the same sign."""
    unpriced_tokens: int = 0
    """Tokens without a price; they are not in the cost."""


@reads(usage_pb2.Percentile)
@dataclass(frozen=True, kw_only=True)
class Percentile:
    """One percentile of durations."""

    percent: float
    """Which: above 0, at most 100."""
    seconds: float = called("value", 0.0)
    """The duration at that rank, at most 5 % beside the true one."""


@reads(usage_pb2.DurationSummary)
@dataclass(frozen=True, kw_only=True)
class DurationSummary:
    """How durations are distributed, in seconds."""

    count: int = 0
    """Calls whose duration was measured."""
    sum: float | None = None
    """All together."""
    min: float | None = None
    """The shortest."""
    max: float | None = None
    """The longest."""
    percentiles: tuple[Percentile, ...] = ()
    """As asked for, in that order."""


@reads(usage_pb2.Usage)
@dataclass(frozen=True, kw_only=True)
class Usage:
    """What was used; what was not asked for is None."""

    calls: int | None = None
    """Calls, however they ended."""
    errors: int | None = None
    """Calls that failed."""
    cancelled: int | None = None
    """Calls that were cancelled."""
    tokens: Tokens | None = None
    """Tokens by type."""
    cost: Cost | None = None
    """The price of the tokens."""
    duration: DurationSummary | None = None
    """How long calls took."""
    time_to_first_token: DurationSummary | None = None
    """How long the first token took."""


@reads(usage_pb2.Period)
@dataclass(frozen=True, kw_only=True)
class Period:
    """A period: the begin is in it, the end is not. In UTC."""

    start_time: datetime | None = None
    """The begin."""
    end_time: datetime | None = None
    """The end."""


@reads(usage_pb2.UsagePoint)
@dataclass(frozen=True, kw_only=True)
class UsagePoint:
    """Usage of one step."""

    period: Period
    """The step."""
    usage: Usage
    """What was used in it."""


@reads(usage_pb2.UsageSeries)
@dataclass(frozen=True, kw_only=True)
class UsageSeries:
    """Usage of one combination of labels."""

    labels: tuple[str, ...]
    """The values of `group_by`, in that order."""
    total: Usage
    """The sum over the whole period."""
    points: tuple[UsagePoint, ...] = ()
    """One a step, in the order of time; empty where no step was asked for."""


@reads(metrics_pb2.QueryUsageResponse)
@dataclass(frozen=True, kw_only=True)
class UsageReport:
    """Usage over a period."""

    series: tuple[UsageSeries, ...]
    """The largest first; one without labels when nothing was grouped."""
    total: Usage
    """The sum over everything, series that were left out as well."""
    period: Period
    """The period that was summed."""
    left_out_series: int = 0
    """How many series the limit left out."""


def checked(observation: Observation) -> Observation:
    """Answers an observation; InvalidArgument for anything else."""
    if not isinstance(observation, Observation):
        raise wrong("observation", observation, "Observations one by one, as in record(one, another) or record(*all)")
    return observation


def write_batch(writer_id: str, sequence: int, observations: Iterable[Observation]) -> observation_pb2.Batch:
    """Makes one batch; labels that several observations share are sent once."""
    sets: dict[bytes, int] = {}
    batch = make(observation_pb2.Batch, writer_id=writer_id, sequence=sequence)
    for observation in map(checked, observations):
        labels = _labels(observation)
        key = labels.SerializeToString(deterministic=True)
        if key not in sets:
            sets[key] = len(sets) + 1
            batch.label_sets.append(labels)
        batch.observations.append(_observation(observation, sets[key]))
    return batch


def _labels(observation: Observation) -> observation_pb2.Labels:
    return make(
        observation_pb2.Labels,
        app=observation.app,
        workflow=observation.workflow,
        node=observation.node,
        operation=observation.operation,
        provider=observation.provider,
        model=observation.model,
        user=observation.user,
        custom=observation.labels,
    )


def _observation(observation: Observation, label_set: int) -> observation_pb2.Observation:
    status: Any = enum_number(observation_pb2.CallStatus.DESCRIPTOR, observation.status, "status")
    first = observation.first_token_seconds
    return make(
        observation_pb2.Observation,
        time=None if observation.time is None else write_time(observation.time, "time"),
        label_set=label_set,
        tokens=make(
            observation_pb2.Tokens,
            input=observation.input_tokens,
            output=observation.output_tokens,
            cached_input=observation.cached_input_tokens,
            reasoning_output=observation.reasoning_output_tokens,
        ),
        duration=None if observation.seconds is None else write_seconds(observation.seconds),
        time_to_first_token=None if first is None else write_seconds(first, "first_token_seconds"),
        status=status,
        error_type=observation.error_type,
    )


def usage_request(
    *,
    quantities: Iterable[Quantity],
    start: datetime | None,
    end: datetime | None,
    step: timedelta | CalendarStep | None,
    time_zone: str,
    group_by: Iterable[str],
    where: Mapping[str, str | Sequence[str]] | None,
    where_not: Mapping[str, str | Sequence[str]] | None,
    percentiles: Iterable[float],
    limit: int,
    rank_by: Quantity | Literal[""],
    fill_gaps: bool,
    currency_code: str,
) -> metrics_pb2.QueryUsageRequest:
    """Asks for usage; InvalidArgument for a word that the contract does not know."""
    if not isinstance(step, timedelta | str | None):
        raise wrong("step", step, "a timedelta or hour, day, week, month")
    query = make(
        usage_pb2.UsageQuery,
        quantities=[_quantity(one, "quantities") for one in several(quantities, "quantities")],
        start_time=None if start is None else write_time(start, "start"),
        end_time=None if end is None else write_time(end, "end"),
        fixed_step=write_seconds(step) if isinstance(step, timedelta) else None,
        time_zone=time_zone,
        group_by=[_dimension(one) for one in several(group_by, "group_by")],
        filters=[*_filters(where, "any_of"), *_filters(where_not, "none_of")],
        percentiles=percentiles,
        limit=limit,
        rank_by=_quantity(rank_by, "rank_by"),
        fill_gaps=fill_gaps,
        currency_code=currency_code,
    )
    if isinstance(step, str):
        unit: Any = enum_number(usage_pb2.CalendarUnit.DESCRIPTOR, step, "step")
        query.calendar_step = unit
    return make(metrics_pb2.QueryUsageRequest, query=query)


def read_report(answer: metrics_pb2.QueryUsageResponse) -> UsageReport:
    """Answers usage as values."""
    report: UsageReport = read(answer)
    return report


def _quantity(text: str, name: str) -> Any:
    return enum_number(usage_pb2.Quantity.DESCRIPTOR, text, name)


def _dimension(name: str) -> usage_pb2.Dimension:
    if not isinstance(name, str):
        raise wrong("group_by", name, "names of labels")
    label = usage_pb2.Label.DESCRIPTOR.values_by_name.get(f"LABEL_{name.upper()}")
    if label is None or not name.islower() or label.number == 0:
        return make(usage_pb2.Dimension, custom=name)
    number: Any = label.number
    return make(usage_pb2.Dimension, label=number)


def _filters(
    wanted: Mapping[str, str | Sequence[str]] | None, test: Literal["any_of", "none_of"]
) -> Iterable[usage_pb2.LabelFilter]:
    for name, values in (wanted or {}).items():
        listed = make(usage_pb2.LabelValues, values=[values] if isinstance(values, str) else values)
        dimension = _dimension(name)
        if test == "any_of":
            yield make(usage_pb2.LabelFilter, dimension=dimension, any_of=listed)
        else:
            yield make(usage_pb2.LabelFilter, dimension=dimension, none_of=listed)
