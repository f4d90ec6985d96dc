from __future__ import annotations

from metrics_world import World, by, lines

from difyrpc_services.metrics.core.values import DAY, MINUTE, Labels, Observation, Retention


def calls(**labels) -> Observation:
    return Observation(labels=Labels(**labels))


async def test_values_above_the_limit_become_other_and_are_counted():
    world = World(max_label_values=2)

    receipt = await world.record(*(calls(model=f"m{i}") for i in range(5)), calls(model="m4"))

    found = lines(await world.query(group_by=by("model")))
    assert found == {("m0",): 1, ("m1",): 1, ("other",): 4}
    assert receipt.folded_labels == 4
    assert world.backend.totals().folded == {"model": 4}


async def test_values_that_are_known_stay_after_the_limit_was_reached():
    world = World(max_label_values=1)
    await world.record(calls(model="m"))
    world.restarted()

    await world.record(calls(model="m"), calls(model="n"), sequence=2)

    assert lines(await world.query(group_by=by("model"))) == {("m",): 2, ("other",): 1}


async def test_users_have_a_limit_of_their_own():
    world = World(max_label_values=1, max_users=3)

    await world.record(*(calls(user=f"user {i}", app="x") for i in range(4)))

    assert len(lines(await world.query(group_by=by("user")))) == 4


async def test_each_tenant_has_its_own_limits():
    world = World(max_label_values=1)
    await world.record(calls(model="m"), tenant="a")

    await world.record(calls(model="n"), tenant="b")

    assert lines(await world.query("b", group_by=by("model"))) == {("n",): 1}


async def test_new_names_of_labels_above_the_limit_are_dropped_and_leave_no_values():
    world = World(max_label_names=1)

    receipt = await world.record(calls(custom=(("aa", "1"), ("bb", "2"))))

    assert lines(await world.query(group_by=by("custom.aa", "custom.bb"))) == {("1", ""): 1}
    assert receipt.folded_labels == 1
    assert world.backend.totals().folded == {"custom": 1}


async def test_series_above_the_limit_lose_user_and_node_first_and_everything_last():
    world = World(max_series=2)

    await world.record(*(calls(app="x", node=f"n{i}") for i in range(3)))
    await world.record(*(calls(app=f"y{i}", node="n") for i in range(3)), sequence=2)

    found = lines(await world.query(group_by=by("app", "node")))
    assert found == {("x", "n0"): 1, ("x", "n1"): 1, ("x", "other"): 1, ("other", "other"): 3}
    assert world.backend.totals().folded == {"series": 4}


async def test_a_full_label_is_asked_for_again_after_a_while():
    world = World(max_label_values=1)
    await world.record(calls(model="old"))
    await world.record(calls(model="new"), sequence=2)
    world.time += 31 * DAY
    await world.backend.sweep(Retention(), world.time)

    await world.record(calls(model="new"), sequence=1, writer="later")

    assert lines(await world.query(group_by=by("model"))) == {("new",): 1}


async def test_a_full_label_is_not_asked_for_with_every_batch():
    world = World(max_label_values=1)
    asked = []
    admit = world.backend.admit

    async def counting(tenant, wanted, now):
        asked.append(len(wanted))
        return await admit(tenant, wanted, now)

    world.backend.admit = counting
    for sequence in range(1, 10):
        await world.record(calls(model=f"m{sequence}"), sequence=sequence)
    world.time += 2 * MINUTE
    await world.record(calls(model="m99"), sequence=10)

    assert asked == [1, 1, 1]
