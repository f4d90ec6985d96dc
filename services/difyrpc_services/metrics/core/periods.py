"""Time: whole minutes, steps of the clock and of the calendar, and which roll-ups answer for a period."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from enum import Enum
from itertools import pairwise
from typing import NamedTuple
from zoneinfo import ZoneInfo

from difyrpc_services.metrics.core.values import DAY, MINUTE
from difyrpc_services.runtime.errors import InvalidArgument

QUARTER = 15 * MINUTE
HOUR = 60 * MINUTE
WIDTHS = (MINUTE, QUARTER, HOUR)
"""Of the roll-ups. Every offset of a time zone today is a multiple of a quarter of an hour, so quarters and hours
add up to the days of any."""
MAX_STEPS = 10_000
MAX_PERIOD = 3_660 * DAY


class Unit(Enum):
    """A step of the calendar."""

    HOUR = "hour"
    DAY = "day"
    WEEK = "week"
    MONTH = "month"


class Segment(NamedTuple):
    """A stretch of time that roll-ups of one width answer for; half open."""

    width: int
    start: int
    end: int


@dataclass(frozen=True, kw_only=True)
class Steps:
    """How to cut a period; neither: not at all."""

    fixed: int | None = None
    """Microseconds."""
    unit: Unit | None = None


def zone(name: str) -> tzinfo:
    """Answers the time zone of that IANA name, UTC for the empty one; InvalidArgument TIME_ZONE_UNKNOWN."""
    if not name:
        return UTC
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        raise InvalidArgument(
            "TIME_ZONE_UNKNOWN", "there is no time zone {name}; take an IANA name", field="query.time_zone", name=name
        ) from None


def floor(time: int, width: int) -> int:
    """Rounds down to a multiple of `width`."""
    return time - time % width


def ceil(time: int, width: int) -> int:
    """Rounds up to a multiple of `width`."""
    return -floor(-time, width)


def boundaries(start: int, end: int, steps: Steps, time_zone: tzinfo) -> list[int]:
    """Answers where the steps begin, and then the end; just the two without steps.

    InvalidArgument TOO_MANY_POINTS above MAX_STEPS.
    """
    if steps.fixed is not None:
        _refuse_many(ceil(end - start, steps.fixed) // steps.fixed)
        return [*range(start, end, steps.fixed), end]
    if steps.unit is None:
        return [start, end]
    found = [start]
    moment = _begin(_local(start, time_zone), steps.unit)
    while True:
        moment = _next(moment, steps.unit)
        instant = _micros(moment)
        if instant >= end:
            return [*found, end]
        if instant > found[-1]:
            found.append(instant)
            _refuse_many(len(found))


def cover(bounds: Sequence[int]) -> list[Segment]:
    """Answers the stretches of the widest roll-ups that fit between each two boundaries, in order of time."""
    found: list[Segment] = []
    for start, end in pairwise(bounds):
        for part in _fill(start, end, len(WIDTHS) - 1):
            last = found[-1] if found else None
            if last and last.width == part.width and last.end == part.start:
                found[-1] = Segment(part.width, last.start, part.end)
            else:
                found.append(part)
    return found


def _fill(start: int, end: int, level: int) -> list[Segment]:
    if start >= end:
        return []
    width = WIDTHS[level]
    first, last = ceil(start, width), floor(end, width)
    if level == 0:
        return [Segment(width, start, end)]
    if first >= last:
        return _fill(start, end, level - 1)
    return [*_fill(start, first, level - 1), Segment(width, first, last), *_fill(last, end, level - 1)]


def _refuse_many(steps: int) -> None:
    if steps > MAX_STEPS:
        raise InvalidArgument(
            "TOO_MANY_POINTS",
            "the step cuts the period into more than {limit} points",
            field="query.step",
            limit=MAX_STEPS,
        )


def _local(time: int, time_zone: tzinfo) -> datetime:
    return (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=time)).astimezone(time_zone)


def _micros(moment: datetime) -> int:
    return (moment.astimezone(UTC) - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)


def _begin(moment: datetime, unit: Unit) -> datetime:
    """Answers the begin of the unit that the moment lies in."""
    if unit is Unit.HOUR:
        return moment.replace(minute=0, second=0, microsecond=0)
    midnight = moment.replace(hour=0, minute=0, second=0, microsecond=0, fold=0)
    if unit is Unit.WEEK:
        return midnight - timedelta(days=midnight.weekday())
    return midnight.replace(day=1) if unit is Unit.MONTH else midnight


def _next(moment: datetime, unit: Unit) -> datetime:
    """Answers the begin of the next unit; days are counted on the wall clock."""
    if unit is Unit.HOUR:
        return _next_full_hour(moment)
    if unit is Unit.MONTH:
        return (moment + timedelta(days=31)).replace(day=1)
    return moment + timedelta(days=7 if unit is Unit.WEEK else 1)


def _next_full_hour(moment: datetime) -> datetime:
    """Goes on by quarters in real time: some clocks change by half an hour."""
    instant = floor(_micros(moment), QUARTER)
    while True:
        instant += QUARTER
        later = _local(instant, moment.tzinfo or UTC)
        if later.minute == 0:
            return later
