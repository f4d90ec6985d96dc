from __future__ import annotations

import asyncio

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from metrics_world import NOW, World, batch, by, lines, only

from difyrpc_services.metrics.core.recording import roll_up
from difyrpc_services.metrics.core.values import DAY, MICROS, MINUTE, Labels, Observation, Status
from difyrpc_services.runtime.errors import FailedPrecondition, InvalidArgument

CALL = Observation(input=10, output=5, duration=2 * MICROS)


async def test_a_batch_is_counted_once_however_often_it_comes(world):
    first = await world.record(CALL, CALL)
    again = await world.record(CALL, CALL)

    assert (first.committed_sequence, first.repeated) == (1, False)
    assert (again.committed_sequence, again.repeated) == (1, True)
    assert await world.calls() == 2


async def test_a_gap_is_refused_with_the_sequence_that_must_come(world):
    await world.record(CALL)

    with pytest.raises(FailedPrecondition) as caught:
        await world.record(CALL, sequence=3)

    assert caught.value.reason == "SEQUENCE_GAP"
    assert caught.value.metadata["expected"] == "2"
    assert await world.calls() == 1


async def test_another_batch_under_the_last_sequence_is_refused(world):
    await world.record(CALL)

    with pytest.raises(InvalidArgument) as caught:
        await world.record(CALL, CALL)

    assert caught.value.reason == "SEQUENCE_REUSED"


async def test_writers_and_tenants_count_apart(world):
    await world.record(CALL, writer="w1")
    await world.record(CALL, writer="w2")
    await world.record(CALL, tenant="b", writer="w1")

    assert await world.calls("a") == 2
    assert await world.calls("b") == 1
    assert await world.calls("c") == 0


async def test_labels_of_the_call_stand_above_its_set_above_the_defaults(world):
    defaults = Labels(app="default", model="default", provider="default", custom=(("team", "x"), ("tier", "1")))
    label_set = Labels(model="set", provider="set", custom=(("team", "y"),))
    mine = Labels(provider="mine")

    await world.record(Observation(label_set=1, labels=mine), defaults=defaults, label_sets=[label_set])

    answer = await world.query(group_by=by("app", "model", "provider", "custom.team", "custom.tier"))
    assert lines(answer) == {("default", "set", "mine", "y", "1"): 1}


@pytest.mark.parametrize(
    ("seen", "shown"),
    [
        (Observation(), "ok"),
        (Observation(error_type="timeout"), "error"),
        (Observation(status=Status.CANCELLED), "cancelled"),
        (Observation(status=Status.CANCELLED, error_type="closed"), "cancelled"),
    ],
)
async def test_a_status_that_is_not_stated_follows_from_the_error_type(world, seen, shown):
    await world.record(seen)

    assert lines(await world.query(group_by=by("status"))) == {(shown,): 1}


async def test_a_time_in_the_far_future_becomes_the_servers_and_a_near_one_stays(world):
    receipt = await world.record(Observation(time=NOW + 5 * MINUTE), Observation(time=NOW + 300 * DAY))

    assert receipt.adjusted_times == 1
    assert await world.calls(start=NOW + MINUTE) == 1
    assert await world.calls() == 2


INVALID = [
    (Observation(duration=-1), "DURATION_INVALID", "duration"),
    (Observation(duration=8 * DAY), "DURATION_INVALID", "duration"),
    (Observation(time_to_first_token=-1), "DURATION_INVALID", "time_to_first_token"),
    (Observation(duration=1, time_to_first_token=2), "DURATION_INVALID", "time_to_first_token"),
    (Observation(input=-1), "TOKENS_INVALID", "tokens.input"),
    (Observation(input=2**60), "TOKENS_INVALID", "tokens.input"),
    (Observation(input=1, cached_input=2), "TOKENS_INVALID", "tokens.cached_input"),
    (Observation(output=-3), "TOKENS_INVALID", "tokens.output"),
    (Observation(output=1, reasoning_output=2), "TOKENS_INVALID", "tokens.reasoning_output"),
    (Observation(time=NOW - 500 * DAY), "TIME_TOO_OLD", "time"),
    (Observation(label_set=1), "LABEL_SET_UNKNOWN", "label_set"),
    (Observation(status=Status.OK, error_type="x"), "STATUS_INVALID", "error_type"),
    (Observation(error_type="a\nb"), "LABEL_INVALID", "error_type"),
    (Observation(labels=Labels(model="x" * 257)), "LABEL_INVALID", "labels.model"),
    (Observation(labels=Labels(app="\0")), "LABEL_INVALID", "labels.app"),
    (Observation(labels=Labels(custom=(("Team", "x"),))), "LABEL_INVALID", "labels.custom"),
    (Observation(labels=Labels(custom=(("team", "\x1f"),))), "LABEL_INVALID", "labels.custom[team]"),
    (Observation(labels=Labels(custom=tuple((f"l{i}", "v") for i in range(17)))), "TOO_MANY_LABELS", "labels.custom"),
]


@pytest.mark.parametrize(("seen", "reason", "field"), INVALID)
async def test_a_wrong_observation_is_named_and_nothing_of_its_batch_is_kept(world, seen, reason, field):
    with pytest.raises(InvalidArgument) as caught:
        await world.record(CALL, CALL, CALL, seen)

    assert caught.value.reason == reason
    assert [violation.field for violation in caught.value.violations] == [f"batch.observations[3].{field}"]
    assert await world.calls() == 0
    assert (await world.record(CALL)).committed_sequence == 1


@pytest.mark.parametrize("writer", ["", "x" * 65, "a b", "a\n", "ä"])
async def test_a_writer_without_a_proper_id_is_refused(world, writer):
    with pytest.raises(InvalidArgument) as caught:
        await world.record(CALL, writer=writer)

    assert caught.value.reason == "WRITER_ID_INVALID"


@pytest.mark.parametrize("sequence", [0, -1])
async def test_sequences_begin_at_one(world, sequence):
    with pytest.raises(InvalidArgument) as caught:
        await world.record(CALL, sequence=sequence)

    assert caught.value.reason == "SEQUENCE_INVALID"


async def test_a_batch_may_be_empty_and_may_not_be_too_large():
    world = World(max_observations=2)

    assert (await world.record()).committed_sequence == 1
    for name, content in (("OBSERVATIONS", {"seen": [CALL] * 3}), ("LABEL_SETS", {"label_sets": [Labels()] * 3})):
        with pytest.raises(InvalidArgument) as caught:
            await world.record(*content.pop("seen", []), sequence=2, **content)
        assert caught.value.reason == f"TOO_MANY_{name}"


async def test_users_are_kept_as_hashes_that_differ_by_tenant(world):
    for tenant in ("a", "b"):
        await world.record(Observation(labels=Labels(user="ada@example.org")), tenant=tenant)

    (mine,), (theirs,) = [lines(await world.query(tenant, group_by=by("user"))) for tenant in ("a", "b")]

    assert mine != theirs
    assert mine[0].startswith("u_")
    assert await world.calls(tests=[only("user", "ada@example.org")]) == 1
    assert await world.calls(tests=[only("user", mine[0])]) == 1
    assert "example.org" not in repr(vars(world.backend))


async def test_a_hash_of_the_client_is_kept_as_it_is(world):
    await world.record(Observation(labels=Labels(user="u_" + "0" * 32)))

    assert lines(await world.query(group_by=by("user"))) == {("u_" + "0" * 32,): 1}


def test_batches_are_rolled_up_by_minute_and_series():
    seen = [Observation(time=NOW + i * 20 * MICROS, input=1) for i in range(6)]

    rolled = roll_up(batch(*seen), [1, 1, 1, 1, 2, 2], NOW, DAY)

    assert sum(sums.calls for sums in rolled.deltas.values()) == 6
    assert {series for _, series in rolled.deltas} == {1, 2}
    assert all(minute % MINUTE == 0 for minute, _ in rolled.deltas)


OBSERVATIONS = st.tuples(
    st.integers(NOW - DAY // 2, NOW),
    st.integers(0, 10_000),
    st.none() | st.integers(0, 60 * MICROS),
    st.sampled_from(["m1", "m2", ""]),
    st.sampled_from(["x", "y"]),
).map(
    lambda drawn: Observation(
        time=drawn[0], input=drawn[1], duration=drawn[2], labels=Labels(model=drawn[3], app=drawn[4])
    )
)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.lists(OBSERVATIONS, max_size=5), min_size=1, max_size=6),
    st.lists(st.tuples(st.integers(0, 7), st.booleans()), max_size=40),
)
def test_whatever_is_sent_again_or_out_of_order_the_sums_are_those_of_the_acknowledged(batches, sends):
    async def check() -> None:
        world = World()
        acknowledged = 0
        for position, restart in [*sends, *((i, False) for i in range(len(batches)))]:
            if restart:
                world.restarted()
            if position > acknowledged:
                with pytest.raises(FailedPrecondition, match=f"{acknowledged + 1} must come next"):
                    await world.record(sequence=position + 1)
            elif position < len(batches):
                acknowledged = max(acknowledged, position + 1)
                receipt = await world.record(*batches[position], sequence=position + 1)
                assert receipt.committed_sequence == acknowledged
        sent = [seen for one in batches for seen in one]
        total = (await world.query()).total
        assert total.calls == len(sent)
        assert total.input == sum(seen.input for seen in sent)
        assert total.duration.sum == sum(seen.duration or 0 for seen in sent)
        grouped = lines(await world.query(group_by=by("model", "app")))
        assert grouped == {key: sum((seen.labels.model, seen.labels.app) == key for seen in sent) for key in grouped}
        assert sum(grouped.values()) == len(sent)

    asyncio.run(check())
