from __future__ import annotations

import pytest
from metrics_world import NOW, at, by, lines, only, without

from difyrpc_services.metrics.core.backend import Field
from difyrpc_services.metrics.core.periods import HOUR, QUARTER, Steps, Unit
from difyrpc_services.metrics.core.usage import Quantity
from difyrpc_services.metrics.core.values import DAY, MICROS, MINUTE, Labels, Observation, Status
from difyrpc_services.runtime.errors import InvalidArgument, ServiceError, Unimplemented

ALL = [Quantity.CALLS, Quantity.TOKENS, Quantity.DURATION, Quantity.TIME_TO_FIRST_TOKEN]


def call(model="m", **of):
    return Observation(labels=Labels(model=model), **of)


async def test_an_empty_tenant_has_one_series_of_zeros(world):
    answer = await world.query()

    assert lines(answer) == {(): 0}
    assert answer.total.calls == 0


async def test_a_period_holds_its_begin_and_not_its_end(world):
    start = NOW - NOW % MINUTE - HOUR
    await world.record(call(time=start), call(time=start + MINUTE))

    assert await world.calls(start=start, end=start + MINUTE) == 1
    assert await world.calls(start=start + MINUTE, end=start + 2 * MINUTE) == 1


async def test_a_period_is_widened_to_whole_minutes(world):
    answer = await world.query(start=NOW - HOUR - 1, end=NOW - 1)

    assert answer.bounds[0] % MINUTE == answer.bounds[-1] % MINUTE == 0
    assert answer.bounds[0] <= NOW - HOUR - 1
    assert answer.bounds[-1] >= NOW - 1


async def test_a_far_past_is_known_by_quarters_of_an_hour(world):
    await world.record(call(time=NOW - 20 * DAY))

    answer = await world.query(start=NOW - 20 * DAY - 1, end=NOW)

    assert answer.bounds[0] % QUARTER == 0
    assert answer.total.calls == 1
    with pytest.raises(InvalidArgument) as caught:
        await world.query(start=NOW - 20 * DAY, end=NOW, steps=Steps(fixed=5 * MINUTE))
    assert caught.value.reason == "STEP_TOO_FINE"


async def test_days_are_those_of_the_time_zone(world):
    evening = at("Asia/Shanghai", 2026, 9, 20, 23, 59)
    await world.record(call(time=evening), call(time=evening + MINUTE))

    answer = await world.query(
        start=at("Asia/Shanghai", 2026, 9, 20),
        end=at("Asia/Shanghai", 2026, 9, 22),
        steps=Steps(unit=Unit.DAY),
        time_zone="Asia/Shanghai",
    )

    assert [(step, sums.calls) for step, sums in answer.lines[0].points] == [(0, 1), (1, 1)]


async def test_steps_without_calls_are_left_out_or_zero(world):
    await world.record(call(time=NOW - 2 * HOUR))
    asked = {"start": NOW - 3 * HOUR, "end": NOW, "steps": Steps(fixed=HOUR)}

    assert len((await world.query(**asked)).lines[0].points) == 1
    filled = (await world.query(**asked, fill_gaps=True)).lines[0].points
    assert sorted(sums.calls for _, sums in filled) == [0] * (len(filled) - 1) + [1]


async def test_the_largest_series_come_first_and_the_rest_is_in_the_total(world):
    await world.record(call("small", input=1), call("big", input=100), call("small", input=1), call("mid", input=10))

    by_calls = await world.query(group_by=by("model"), limit=1, quantities=ALL)
    by_tokens = await world.query(group_by=by("model"), limit=2, rank_by=Quantity.TOKENS)

    assert lines(by_calls) == {("small",): 2}
    assert (by_calls.left_out, by_calls.total.calls, by_calls.total.input) == (2, 4, 112)
    assert [line.labels for line in by_tokens.lines] == [("big",), ("mid",)]


async def test_filters_hold_together(world):
    await world.record(
        *(Observation(labels=Labels(app=app, model=model)) for app in "xy" for model in "mno"),
        Observation(status=Status.ERROR, labels=Labels(app="x", model="m")),
    )

    assert await world.calls(tests=[only("app", "x")]) == 4
    assert await world.calls(tests=[only("app", "x"), without("model", "m", "n")]) == 1
    assert await world.calls(tests=[only("status", "error")]) == 1
    assert await world.calls(tests=[only("custom.none", "")]) == 7
    assert await world.calls(tests=[without("custom.none", "")]) == 0


async def test_errors_and_cancelled_calls_are_counted_apart(world):
    await world.record(call(), call(error_type="429"), call(status=Status.CANCELLED))

    total = (await world.query()).total

    assert (total.calls, total.errors, total.cancelled) == (3, 1, 1)


async def test_percentiles_come_from_all_calls_of_a_series(world):
    await world.record(*(call(duration=i * 10_000, time_to_first_token=i * 1_000) for i in range(1, 101)))

    total = (await world.query(quantities=ALL)).lines[0].total

    for percent in (50, 95, 99, 100):
        assert total.duration.percentile(percent) == pytest.approx(percent * 10_000, rel=0.05)
        assert total.time_to_first_token.percentile(percent) == pytest.approx(percent * 1_000, rel=0.05)
    assert (total.duration.least, total.duration.most) == (10_000, 1_000_000)


async def test_tokens_by_type_are_a_series_each(world):
    await world.record(call(input=10, output=5, cached_input=4, reasoning_output=2))

    answer = await world.query(group_by=by("model", "token_type"), quantities=[Quantity.TOKENS])

    assert [line.labels for line in answer.lines] == [
        ("m", "input"),
        ("m", "output"),
        ("m", "cached_input"),
        ("m", "reasoning_output"),
    ]
    assert list(answer.token_types) == ["input", "output", "cached_input", "reasoning_output"]


REFUSED = [
    ({"start": NOW, "end": NOW}, "PERIOD_INVALID"),
    ({"start": NOW - 4_000 * DAY, "end": NOW}, "PERIOD_INVALID"),
    ({"limit": 1_001}, "LIMIT_INVALID"),
    ({"limit": -1}, "LIMIT_INVALID"),
    ({"steps": Steps(fixed=0)}, "STEP_INVALID"),
    ({"steps": Steps(fixed=-MINUTE)}, "STEP_INVALID"),
    ({"steps": Steps(fixed=MICROS)}, "STEP_TOO_FINE"),
    ({"percentiles": [0.0]}, "PERCENTILE_INVALID"),
    ({"percentiles": [float("nan")]}, "PERCENTILE_INVALID"),
    ({"percentiles": [50.0] * 21}, "PERCENTILE_INVALID"),
    ({"time_zone": "Nowhere", "steps": Steps(unit=Unit.DAY)}, "TIME_ZONE_UNKNOWN"),
    ({"group_by": by("model", "model")}, "DIMENSION_INVALID"),
    ({"group_by": by(*(f"custom.l{i}" for i in range(9)))}, "DIMENSION_INVALID"),
    ({"group_by": by("token_type")}, "DIMENSION_INVALID"),
    ({"tests": [only("token_type", "input")]}, "DIMENSION_INVALID"),
    ({"tests": [only("model")]}, "FILTER_INVALID"),
    ({"tests": [only("model", "m")] * 21}, "FILTER_INVALID"),
]


@pytest.mark.parametrize(("asked", "reason"), REFUSED)
async def test_what_cannot_be_asked_is_refused_with_the_field(world, asked, reason):
    with pytest.raises(InvalidArgument) as caught:
        await world.query(**asked)

    assert caught.value.reason == reason
    assert caught.value.violations[0].field.startswith("query.")


@pytest.mark.parametrize("asked", [{"quantities": [Quantity.COST]}, {"rank_by": Quantity.COST}])
async def test_cost_needs_a_price_table(world, asked):
    with pytest.raises(Unimplemented) as caught:
        await world.query(**asked)

    assert caught.value.metadata["feature"] == "cost"


async def test_too_many_points_of_all_series_together_are_refused(world):
    await world.record(*(call(f"m{i}") for i in range(60)))

    with pytest.raises(ServiceError) as caught:
        await world.query(start=NOW - DAY, end=NOW, steps=Steps(fixed=MINUTE), group_by=by("model"))

    assert caught.value.reason == "TOO_MANY_POINTS"


async def test_tenants_do_not_see_each_other(world):
    await world.record(call("secret"), tenant="a")

    assert lines(await world.query("b", group_by=[Field(name="model")])) == {}
    assert await world.calls("b") == 0
