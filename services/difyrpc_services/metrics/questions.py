"""Translates questions about usage, and their answers, between the contract and the core."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from difyrpc.metrics.v1 import metrics_pb2, observation_pb2, usage_pb2
from difyrpc_services.metrics.core.backend import Field, Test
from difyrpc_services.metrics.core.collector import Wanted
from difyrpc_services.metrics.core.periods import Steps, Unit
from difyrpc_services.metrics.core.sums import Spread, Sums
from difyrpc_services.metrics.core.usage import TOKEN_TYPE, Answer, Line, Quantity, Query
from difyrpc_services.metrics.messages import duration, read_duration, read_time, timestamp
from difyrpc_services.runtime.errors import InvalidArgument

QUANTITIES = {
    usage_pb2.QUANTITY_CALLS: Quantity.CALLS,
    usage_pb2.QUANTITY_ERRORS: Quantity.ERRORS,
    usage_pb2.QUANTITY_TOKENS: Quantity.TOKENS,
    usage_pb2.QUANTITY_COST: Quantity.COST,
    usage_pb2.QUANTITY_DURATION: Quantity.DURATION,
    usage_pb2.QUANTITY_TIME_TO_FIRST_TOKEN: Quantity.TIME_TO_FIRST_TOKEN,
}
LABELS = {
    usage_pb2.LABEL_APP: "app",
    usage_pb2.LABEL_WORKFLOW: "workflow",
    usage_pb2.LABEL_NODE: "node",
    usage_pb2.LABEL_OPERATION: "operation",
    usage_pb2.LABEL_PROVIDER: "provider",
    usage_pb2.LABEL_MODEL: "model",
    usage_pb2.LABEL_USER: "user",
    usage_pb2.LABEL_STATUS: "status",
    usage_pb2.LABEL_ERROR_TYPE: "error_type",
    usage_pb2.LABEL_TOKEN_TYPE: TOKEN_TYPE.name,
}
UNITS = {
    usage_pb2.CALENDAR_UNIT_HOUR: Unit.HOUR,
    usage_pb2.CALENDAR_UNIT_DAY: Unit.DAY,
    usage_pb2.CALENDAR_UNIT_WEEK: Unit.WEEK,
    usage_pb2.CALENDAR_UNIT_MONTH: Unit.MONTH,
}


def read_query(query: usage_pb2.UsageQuery) -> Query:
    """Reads a question; InvalidArgument names what cannot be read."""
    return Query(
        quantities=[_quantity(number, f"query.quantities[{i}]") for i, number in enumerate(query.quantities)],
        start=read_time(query.start_time, "query.start_time") if query.HasField("start_time") else None,
        end=read_time(query.end_time, "query.end_time") if query.HasField("end_time") else None,
        steps=_steps(query),
        time_zone=query.time_zone,
        group_by=[_field(dimension, f"query.group_by[{i}]") for i, dimension in enumerate(query.group_by)],
        tests=read_filters(query.filters, "query.filters"),
        percentiles=query.percentiles,
        limit=query.limit,
        rank_by=_quantity(query.rank_by, "query.rank_by") if query.rank_by else None,
        fill_gaps=query.fill_gaps,
    )


def read_selection(selection: usage_pb2.ObservationSelection) -> Wanted:
    """Reads which observations are wanted."""
    prefix = "observations"
    return Wanted(
        start=read_time(selection.start_time, f"{prefix}.start_time") if selection.HasField("start_time") else None,
        end=read_time(selection.end_time, f"{prefix}.end_time") if selection.HasField("end_time") else None,
        tests=read_filters(selection.filters, f"{prefix}.filters"),
    )


def read_filters(filters: Iterable[usage_pb2.LabelFilter], field: str) -> list[Test]:
    """Reads filters; InvalidArgument FILTER_INVALID for one without values to compare with."""
    return [_test(each, f"{field}[{position}]") for position, each in enumerate(filters)]


def _test(each: usage_pb2.LabelFilter, field: str) -> Test:
    kind = each.WhichOneof("test")
    if kind is None:
        raise InvalidArgument("FILTER_INVALID", "the filter has neither any_of nor none_of", field=field)
    values = each.any_of.values if kind == "any_of" else each.none_of.values
    return Test(
        field=_field(each.dimension, f"{field}.dimension"),
        values=frozenset(values),
        is_exclusion=kind == "none_of",
    )


def _quantity(number: int, field: str) -> Quantity:
    try:
        return QUANTITIES[usage_pb2.Quantity.ValueType(number)]
    except KeyError:
        raise InvalidArgument("QUANTITY_INVALID", "there is no quantity {number}", field=field, number=number) from None


def _field(dimension: usage_pb2.Dimension, field: str) -> Field:
    name = f"custom.{dimension.custom}" if dimension.custom else LABELS.get(dimension.label)
    if name is None or not name.isprintable():
        raise InvalidArgument("DIMENSION_INVALID", "the dimension names no label", field=field)
    return Field(name=name)


def _steps(query: usage_pb2.UsageQuery) -> Steps:
    kind = query.WhichOneof("step")
    if kind == "fixed_step":
        return Steps(fixed=read_duration(query.fixed_step, "query.fixed_step", "STEP_INVALID"))
    if kind == "calendar_step" and query.calendar_step not in UNITS:
        raise InvalidArgument("STEP_INVALID", "there is no such unit of the calendar", field="query.calendar_step")
    return Steps(unit=UNITS[query.calendar_step] if kind else None)


def write_answer(answer: Answer) -> metrics_pb2.QueryUsageResponse:
    """Writes the answer to a question."""
    kinds = answer.token_types or [None] * len(answer.lines)
    return metrics_pb2.QueryUsageResponse(
        series=[_series(answer, line, kind) for line, kind in zip(answer.lines, kinds, strict=True)],
        total=_usage(answer, answer.total, None),
        period=_period(answer.bounds[0], answer.bounds[-1]),
        left_out_series=answer.left_out,
    )


def _series(answer: Answer, line: Line, kind: str | None) -> usage_pb2.UsageSeries:
    bounds = answer.bounds
    return usage_pb2.UsageSeries(
        labels=line.labels,
        total=_usage(answer, line.total, kind),
        points=[
            usage_pb2.UsagePoint(period=_period(bounds[step], bounds[step + 1]), usage=_usage(answer, sums, kind))
            for step, sums in line.points
        ],
    )


def _period(start: int, end: int) -> usage_pb2.Period:
    return usage_pb2.Period(start_time=timestamp(start), end_time=timestamp(end))


def _usage(answer: Answer, sums: Sums, kind: str | None) -> usage_pb2.Usage:
    usage = usage_pb2.Usage()
    if not {Quantity.CALLS, Quantity.ERRORS}.isdisjoint(answer.quantities):
        usage.calls, usage.errors, usage.cancelled = sums.calls, sums.errors, sums.cancelled
    if Quantity.TOKENS in answer.quantities:
        usage.tokens.CopyFrom(_tokens(sums, kind))
    if Quantity.DURATION in answer.quantities:
        usage.duration.CopyFrom(_summary(sums.duration, answer.percentiles))
    if Quantity.TIME_TO_FIRST_TOKEN in answer.quantities:
        usage.time_to_first_token.CopyFrom(_summary(sums.time_to_first_token, answer.percentiles))
    return usage


def _tokens(sums: Sums, kind: str | None) -> observation_pb2.Tokens:
    tokens = observation_pb2.Tokens(
        input=sums.input,
        output=sums.output,
        cached_input=sums.cached_input,
        reasoning_output=sums.reasoning_output,
    )
    return tokens if kind is None else observation_pb2.Tokens(**{kind: getattr(tokens, kind)})


def _summary(spread: Spread, percentiles: Sequence[float]) -> usage_pb2.DurationSummary:
    summary = usage_pb2.DurationSummary(count=spread.count, sum=duration(spread.sum))
    if spread.least is not None and spread.most is not None:
        summary.min.CopyFrom(duration(spread.least))
        summary.max.CopyFrom(duration(spread.most))
        summary.percentiles.extend(
            usage_pb2.Percentile(percent=percent, value=duration(spread.percentile(percent))) for percent in percentiles
        )
    return summary
