from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from metrics_world import at

from difyrpc_services.metrics.core.periods import (
    HOUR,
    MAX_STEPS,
    QUARTER,
    WIDTHS,
    Steps,
    Unit,
    boundaries,
    cover,
    zone,
)
from difyrpc_services.metrics.core.values import MINUTE
from difyrpc_services.runtime.errors import InvalidArgument

ZONES = [
    "UTC",
    "Asia/Shanghai",
    "Asia/Kolkata",
    "Asia/Kathmandu",
    "Europe/Berlin",
    "America/New_York",
    "Australia/Lord_Howe",
]


def steps(start, end, unit, name):
    return boundaries(start, end, Steps(unit=unit), zone(name))


def test_a_day_has_23_hours_when_the_clocks_go_forward():
    bounds = steps(at("Europe/Berlin", 2026, 3, 28), at("Europe/Berlin", 2026, 3, 31), Unit.DAY, "Europe/Berlin")

    assert [(end - start) // HOUR for start, end in pairwise(bounds)] == [24, 23, 24]


def test_a_day_has_25_hours_when_the_clocks_go_back():
    bounds = steps(at("Europe/Berlin", 2026, 10, 24), at("Europe/Berlin", 2026, 10, 27), Unit.DAY, "Europe/Berlin")

    assert [(end - start) // HOUR for start, end in pairwise(bounds)] == [24, 25, 24]


def test_a_day_without_midnight_begins_when_the_clocks_have_gone_forward():
    bounds = steps(at("Asia/Beirut", 2026, 3, 28), at("Asia/Beirut", 2026, 3, 31), Unit.DAY, "Asia/Beirut")

    assert bounds[1] == at("Asia/Beirut", 2026, 3, 29, 1)


def test_weeks_begin_on_monday_and_months_on_the_first():
    start, end = at("Asia/Shanghai", 2026, 1, 29), at("Asia/Shanghai", 2026, 3, 3)

    assert steps(start, end, Unit.WEEK, "Asia/Shanghai")[1] == at("Asia/Shanghai", 2026, 2, 2)
    assert steps(start, end, Unit.MONTH, "Asia/Shanghai")[1:-1] == [
        at("Asia/Shanghai", 2026, 2, 1),
        at("Asia/Shanghai", 2026, 3, 1),
    ]


def test_hours_come_twice_when_the_clocks_go_back_and_are_whole_again_after_half_an_hour():
    berlin = steps(at("Europe/Berlin", 2026, 10, 25), at("Europe/Berlin", 2026, 10, 25, 6), Unit.HOUR, "Europe/Berlin")
    island = steps(
        at("Australia/Lord_Howe", 2026, 4, 5),
        at("Australia/Lord_Howe", 2026, 4, 5, 4),
        Unit.HOUR,
        "Australia/Lord_Howe",
    )

    assert len(berlin) - 1 == 7
    assert island[-2] == at("Australia/Lord_Howe", 2026, 4, 5, 3)


def test_fixed_steps_are_counted_from_the_begin():
    assert boundaries(0, 10 * MINUTE, Steps(fixed=4 * MINUTE), zone("")) == [0, 4 * MINUTE, 8 * MINUTE, 10 * MINUTE]


@pytest.mark.parametrize("name", ["Mars/Olympus", "../../etc/passwd", "Asia", "x" * 5_000, "/etc/localtime", "a\0b"])
def test_an_unknown_time_zone_is_refused(name):
    with pytest.raises(InvalidArgument) as caught:
        zone(name)

    assert caught.value.reason == "TIME_ZONE_UNKNOWN"


@pytest.mark.parametrize("how", [Steps(fixed=MINUTE), Steps(unit=Unit.HOUR)])
def test_too_many_steps_are_refused(how):
    with pytest.raises(InvalidArgument) as caught:
        boundaries(0, (MAX_STEPS + 2) * HOUR, how, zone(""))

    assert caught.value.reason == "TOO_MANY_POINTS"


PERIODS = st.tuples(st.integers(29_000_000, 30_000_000), st.integers(1, 200_000)).map(
    lambda drawn: (drawn[0] * MINUTE, (drawn[0] + drawn[1]) * MINUTE)
)


@given(PERIODS, st.sampled_from(ZONES), st.sampled_from([Unit.DAY, Unit.WEEK, Unit.MONTH]))
def test_the_steps_of_a_calendar_fill_the_period_without_gaps(period, name, unit):
    bounds = steps(*period, unit, name)

    assert (bounds[0], bounds[-1]) == period
    assert bounds == sorted(set(bounds))
    assert all(bound % QUARTER == 0 for bound in bounds[1:-1])


@given(PERIODS, st.sampled_from(ZONES))
def test_rollups_cover_every_minute_once_and_never_cross_a_boundary(period, name):
    bounds = steps(*period, Unit.DAY, name)

    segments = cover(bounds)

    assert segments[0].start == bounds[0]
    assert segments[-1].end == bounds[-1]
    assert all(left.end == right.start for left, right in pairwise(segments))
    for segment in segments:
        assert segment.start % segment.width == segment.end % segment.width == 0
        assert segment.width in WIDTHS
        assert all(
            (bound - segment.start) % segment.width == 0 for bound in bounds if segment.start < bound < segment.end
        )


def test_a_month_of_whole_hours_is_read_from_hours_alone():
    segments = cover(steps(at("Asia/Shanghai", 2026, 1, 1), at("Asia/Shanghai", 2026, 2, 1), Unit.DAY, "Asia/Shanghai"))

    assert [segment.width for segment in segments] == [HOUR]
