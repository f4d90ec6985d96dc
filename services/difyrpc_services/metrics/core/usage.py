"""Answers questions about usage: periods, series, the largest first."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from enum import Enum

from difyrpc_services.metrics.core.backend import Backend, Cell, Field, Selection, Test
from difyrpc_services.metrics.core.periods import (
    MAX_PERIOD,
    QUARTER,
    Steps,
    boundaries,
    ceil,
    cover,
    floor,
    zone,
)
from difyrpc_services.metrics.core.recording import Clock, Users
from difyrpc_services.metrics.core.sums import Sums
from difyrpc_services.metrics.core.values import DAY, MINUTE, Retention
from difyrpc_services.runtime.errors import InvalidArgument, Unimplemented

DEFAULT_LIMIT = 100
MAX_LIMIT = 1_000
MAX_POINTS = 50_000  # of all series together; an answer of them stays under 4 MB
MAX_GROUP_BY = 8
MAX_FILTERS = 20
MAX_FILTER_VALUES = 1_000
MAX_PERCENTILES = 20
DEFAULT_PERCENTILES = (50.0, 95.0, 99.0)
TOKEN_TYPES = ("input", "output", "cached_input", "reasoning_output")
TOKEN_TYPE = Field(name="token_type")
NO_STEPS = Steps()


class Quantity(Enum):
    """What can be asked for."""

    CALLS = "calls"
    ERRORS = "errors"
    TOKENS = "tokens"
    COST = "cost"
    DURATION = "duration"
    TIME_TO_FIRST_TOKEN = "time_to_first_token"  # noqa: S105  # a token of a model


DEFAULT_QUANTITIES = (Quantity.CALLS, Quantity.TOKENS, Quantity.DURATION)
SPREADS = {Quantity.DURATION, Quantity.TIME_TO_FIRST_TOKEN}
RANKS: dict[Quantity, Callable[[Sums], int]] = {
    Quantity.CALLS: lambda sums: sums.calls,
    Quantity.ERRORS: lambda sums: sums.errors,
    Quantity.TOKENS: lambda sums: sums.input + sums.output,
    Quantity.DURATION: lambda sums: sums.duration.sum,
    Quantity.TIME_TO_FIRST_TOKEN: lambda sums: sums.time_to_first_token.sum,
}


@dataclass(frozen=True, kw_only=True)
class Query:
    """A question, as it was asked."""

    quantities: Sequence[Quantity] = ()
    start: int | None = None
    end: int | None = None
    steps: Steps = NO_STEPS
    time_zone: str = ""
    group_by: Sequence[Field] = ()
    tests: Sequence[Test] = ()
    percentiles: Sequence[float] = ()
    limit: int = 0
    rank_by: Quantity | None = None
    fill_gaps: bool = False


@dataclass(frozen=True, kw_only=True)
class Line:
    """One series of the answer."""

    labels: tuple[str, ...]
    total: Sums
    points: Sequence[tuple[int, Sums]] = ()
    """Positions of the steps and what was used in them."""


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What was used, as asked."""

    bounds: Sequence[int]
    """Where steps begin, and then the end."""
    lines: Sequence[Line]
    total: Sums
    left_out: int
    quantities: Sequence[Quantity]
    percentiles: Sequence[float]
    token_types: Sequence[str | None] = field(default=())
    """Of each line, the only type of tokens that it shows; empty unless grouped by it."""


class Accountant:
    """Answers questions from what a backend keeps."""

    def __init__(self, backend: Backend, retention: Retention, users: Users, clock: Clock) -> None:
        """Takes the store; `retention` says how fine the past is known."""
        self._backend = backend
        self._retention = retention
        self._users = users
        self._clock = clock

    async def query(self, tenant: str, asked: Query) -> Answer:
        """Sums usage over a period; InvalidArgument names what is wrong with the question."""
        query = checked(asked)
        bounds = self._bounds(query)
        typed = TOKEN_TYPE in query.group_by
        group_by = [part for part in query.group_by if part != TOKEN_TYPE]
        tests = await self.hashed_tests(tenant, query.tests)
        whole = (bounds[0], bounds[-1])
        selection = Selection(bounds=whole, segments=cover(whole), group_by=group_by, tests=tests)
        cells = await self._backend.select(tenant, selection) if group_by else [Cell((), 0, Sums())]
        ranked = sorted(cells, key=lambda cell: (-RANKS[_rank(query)](cell.sums), cell.group))
        chosen = ranked[: query.limit or DEFAULT_LIMIT]
        if group_by:
            selection = replace(selection, groups=[cell.group for cell in chosen])
        lines = await self._lines(tenant, selection, query, bounds, chosen)
        left_out = len(ranked) - len(chosen)
        answer = Answer(
            bounds=bounds,
            lines=lines,
            total=await self._rest(tenant, selection, query) if left_out else _added(line.total for line in lines),
            left_out=left_out,
            quantities=query.quantities,
            percentiles=query.percentiles,
        )
        return by_token_type(answer, query.group_by) if typed else answer

    async def hashed_tests(self, tenant: str, tests: Sequence[Test]) -> list[Test]:
        """Answers the tests with hashes in place of plain users."""
        hashed = await self._users.hasher(tenant)
        return [
            replace(test, values=frozenset(map(hashed, test.values))) if test.field.name == "user" else test
            for test in tests
        ]

    def period(self, start: int | None, end: int | None, field: str) -> tuple[int, int]:
        """Answers the period that is meant; InvalidArgument PERIOD_INVALID when it is empty or too long."""
        end = self._clock() if end is None else end
        start = end - DAY if start is None else start
        if not 0 < end - start <= MAX_PERIOD:
            raise InvalidArgument(
                "PERIOD_INVALID", "the period does not end after it begins, or is longer than 10 years", field=field
            )
        return start, end

    def _bounds(self, query: Query) -> list[int]:
        start, end = self.period(query.start, query.end, "query.end_time")
        grain = MINUTE if start >= self._clock() - self._retention.minutes else QUARTER
        fixed = query.steps.fixed
        if fixed is not None and fixed % grain:
            raise InvalidArgument(
                "STEP_TOO_FINE",
                "the step is not a multiple of {seconds} seconds, which is how fine that period is known",
                field="query.fixed_step",
                seconds=grain // 1_000_000,
            )
        return boundaries(floor(start, grain), ceil(end, grain), query.steps, zone(query.time_zone))

    async def _rest(self, tenant: str, selection: Selection, query: Query) -> Sums:
        """Answers the sum over all groups, those as well that were not chosen."""
        everything = replace(selection, group_by=(), groups=None, histograms=_wants_spread(query))
        return _added(cell.sums for cell in await self._backend.select(tenant, everything))

    async def _lines(
        self, tenant: str, selection: Selection, query: Query, bounds: list[int], chosen: Sequence[Cell]
    ) -> list[Line]:
        """Answers the chosen series, with their points if steps were asked for."""
        steps = len(bounds) - 1
        _refuse_many(len(chosen), steps)
        stepped = has_steps(query)
        if stepped:
            selection = replace(selection, bounds=bounds, segments=cover(bounds))
        if not chosen:
            return []
        points: dict[tuple[str, ...], dict[int, Sums]] = {cell.group: {} for cell in chosen}
        wanted = replace(selection, histograms=_wants_spread(query))
        for group, step, sums in await self._backend.select(tenant, wanted):
            points[group][step] = sums
        return [
            Line(
                labels=group,
                total=_added(found.values()),
                points=_filled(found, steps if query.fill_gaps else 0) if stepped else (),
            )
            for group, found in points.items()
        ]


def checked(query: Query) -> Query:
    """Answers the query with its defaults filled in; InvalidArgument for what cannot be asked."""
    quantities = tuple(dict.fromkeys(query.quantities or DEFAULT_QUANTITIES))
    _refuse_cost(quantities, query.rank_by)
    if not 0 <= query.limit <= MAX_LIMIT:
        raise InvalidArgument(
            "LIMIT_INVALID", "{limit} is not within 0 to {most}", field="query.limit", limit=query.limit, most=MAX_LIMIT
        )
    if query.steps.fixed is not None and query.steps.fixed <= 0:
        raise InvalidArgument("STEP_INVALID", "the step is not above 0", field="query.fixed_step")
    _check_percentiles(query.percentiles)
    _check_group_by(query.group_by, quantities)
    check_tests(query.tests, "query.filters")
    return replace(query, quantities=quantities, percentiles=tuple(query.percentiles or DEFAULT_PERCENTILES))


def check_tests(tests: Sequence[Test], field: str) -> None:
    """Refuses filters that are too many, empty, or about the type of tokens."""
    if len(tests) > MAX_FILTERS:
        raise InvalidArgument("FILTER_INVALID", "there are more than {limit} filters", field=field, limit=MAX_FILTERS)
    for position, test in enumerate(tests):
        if test.field == TOKEN_TYPE:
            raise InvalidArgument(
                "DIMENSION_INVALID", "the type of tokens cannot be filtered by", field=f"{field}[{position}].dimension"
            )
        if not 1 <= len(test.values) <= MAX_FILTER_VALUES:
            raise InvalidArgument(
                "FILTER_INVALID",
                "a filter needs 1 to {limit} values",
                field=f"{field}[{position}]",
                limit=MAX_FILTER_VALUES,
            )


def has_steps(query: Query) -> bool:
    """Says whether points are wanted."""
    return query.steps != NO_STEPS


def by_token_type(answer: Answer, group_by: Sequence[Field]) -> Answer:
    """Answers each series once for every type of tokens; the type stands where it was asked for."""
    place = list(group_by).index(TOKEN_TYPE)
    lines = [
        replace(line, labels=(*line.labels[:place], kind, *line.labels[place:]))
        for line in answer.lines
        for kind in TOKEN_TYPES
    ]
    return replace(answer, lines=lines, token_types=list(TOKEN_TYPES) * len(answer.lines))


def _added(parts: Iterable[Sums]) -> Sums:
    total = Sums()
    for part in parts:
        total.merge(part)
    return total


def _refuse_many(series: int, steps: int) -> None:
    if series * steps > MAX_POINTS:
        raise InvalidArgument(
            "TOO_MANY_POINTS",
            "{series} series of {steps} steps are more than {limit} points; take a coarser step or a lower limit",
            field="query.limit",
            series=series,
            steps=steps,
            limit=MAX_POINTS,
        )


def _rank(query: Query) -> Quantity:
    return query.rank_by or query.quantities[0]


def _wants_spread(query: Query) -> bool:
    return not SPREADS.isdisjoint(query.quantities)


def _filled(points: dict[int, Sums], steps: int) -> list[tuple[int, Sums]]:
    """Answers the points in order; with zeros for the missing ones up to `steps`."""
    empty = {step: Sums() for step in range(steps) if step not in points}
    return sorted((points | empty).items(), key=lambda point: point[0])


def _refuse_cost(quantities: Sequence[Quantity], rank_by: Quantity | None) -> None:
    if Quantity.COST in quantities or rank_by is Quantity.COST:
        raise Unimplemented(
            "FEATURE_NOT_SUPPORTED", "this server has no price table: {feature} cannot be answered", feature="cost"
        )


def _check_percentiles(percentiles: Sequence[float]) -> None:
    if len(percentiles) > MAX_PERCENTILES:
        raise InvalidArgument(
            "PERCENTILE_INVALID",
            "there are more than {limit} percentiles",
            field="query.percentiles",
            limit=MAX_PERCENTILES,
        )
    for position, percent in enumerate(percentiles):
        if not 0 < percent <= 100:
            raise InvalidArgument(
                "PERCENTILE_INVALID",
                "{percent} is not above 0 and at most 100",
                field=f"query.percentiles[{position}]",
                percent=percent,
            )


def _check_group_by(group_by: Sequence[Field], quantities: Sequence[Quantity]) -> None:
    if len(group_by) > MAX_GROUP_BY or len(set(group_by)) < len(group_by):
        raise InvalidArgument(
            "DIMENSION_INVALID",
            "group_by has more than {limit} dimensions, or one of them twice",
            field="query.group_by",
            limit=MAX_GROUP_BY,
        )
    if TOKEN_TYPE in group_by and set(quantities) != {Quantity.TOKENS}:
        raise InvalidArgument("DIMENSION_INVALID", "only tokens can be grouped by their type", field="query.group_by")
