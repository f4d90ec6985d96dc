"""What every store of usage must do."""

from __future__ import annotations

import asyncio

import pytest
from metrics_world import NOW, World, at, by, lines, only, without

from difyrpc_services.metrics.backends import BACKENDS, load
from difyrpc_services.metrics.backends.memory import MemoryUsage
from difyrpc_services.metrics.core.collector import Wanted
from difyrpc_services.metrics.core.periods import HOUR, Steps, Unit
from difyrpc_services.metrics.core.usage import Quantity
from difyrpc_services.metrics.core.values import DAY, MICROS, MINUTE, Labels, Observation, Retention, Status
from difyrpc_services.runtime.errors import FailedPrecondition, InvalidArgument

ALL = [Quantity.CALLS, Quantity.TOKENS, Quantity.DURATION, Quantity.TIME_TO_FIRST_TOKEN]
RICH = [
    Observation(
        time=NOW - i * 37 * MINUTE,
        labels=Labels(
            app=f"app {i % 2}",
            workflow="w",
            node=f"n{i % 3}",
            operation="chat",
            provider="p",
            model=f"m{i % 4}",
            user=f"user {i % 3}",
            custom=(("team", f"t{i % 2}"),),
        ),
        input=100 * i,
        output=7 * i,
        cached_input=50 * i,
        reasoning_output=3 * i,
        duration=(i + 1) * 123_456,
        time_to_first_token=(i + 1) * 1_234 if i % 2 else None,
        error_type="timeout" if i % 5 == 4 else "",
    )
    for i in range(40)
]


class UsageSuite:
    """The suite; each store has a class with a `backend` below."""

    @pytest.fixture
    def world(self, backend) -> World:
        return World(backend[0])

    @pytest.fixture
    def totals(self, backend):
        return backend[1]

    @pytest.fixture(params=[False, True], ids=["fresh", "compacted"])
    async def recorded(self, world, request) -> World:
        """The same observations, before and after they were merged into roll-ups."""
        await world.record(*RICH[:25])
        if request.param:
            assert not await world.backend.compact()
        await world.record(*RICH[25:], sequence=2)
        await world.record(*RICH[:3], tenant="b")
        return world

    async def test_a_batch_is_counted_once_however_often_it_comes(self, world):
        assert not (await world.record(*RICH)).repeated
        world.restarted()
        assert (await world.record(*RICH)).repeated
        assert await world.calls(start=NOW - 2 * DAY) == len(RICH)

    async def test_a_gap_is_refused_and_leaves_nothing(self, world):
        for sequence in (2, 7):
            with pytest.raises(FailedPrecondition) as caught:
                await world.record(*RICH, sequence=sequence)
            assert caught.value.metadata["expected"] == "1"
        assert await world.calls() == 0

    async def test_another_batch_under_the_last_sequence_is_refused(self, world):
        await world.record(*RICH[:1])
        with pytest.raises(InvalidArgument):
            await world.record(*RICH[:2])
        await world.record(*RICH[:2], sequence=2)
        assert (await world.record(sequence=1)).committed_sequence == 2

    async def test_the_same_batch_sent_many_times_at_once_is_counted_once(self, world):
        for sequence in (1, 2):
            receipts = await asyncio.gather(*(world.record(*RICH[:3], sequence=sequence) for _ in range(8)))
            assert [receipt.committed_sequence for receipt in receipts] == [sequence] * 8
            assert sum(not receipt.repeated for receipt in receipts) == 1
        assert await world.calls(start=NOW - 2 * DAY) == 6

    async def test_many_writers_at_once_lose_nothing(self, world):
        async def write(number):
            for sequence in range(1, 6):
                await world.record(*RICH, writer=f"w{number}", sequence=sequence)

        await asyncio.gather(*map(write, range(6)), world.backend.compact(), world.backend.compact())

        assert await world.calls(start=NOW - 2 * DAY) == 30 * len(RICH)

    async def test_sums_are_exact(self, recorded):
        total = (await recorded.query(start=NOW - 2 * DAY, quantities=ALL)).total

        assert (total.calls, total.errors, total.cancelled) == (40, 8, 0)
        assert total.input == sum(seen.input for seen in RICH)
        assert total.output == sum(seen.output for seen in RICH)
        assert total.cached_input == sum(seen.cached_input for seen in RICH)
        assert total.reasoning_output == sum(seen.reasoning_output for seen in RICH)
        assert total.duration.sum == sum(seen.duration for seen in RICH)
        assert (total.duration.least, total.duration.most) == (123_456, 40 * 123_456)
        assert total.time_to_first_token.count == 20

    async def test_percentiles_are_as_near_as_promised(self, recorded):
        total = (await recorded.query(start=NOW - 2 * DAY, quantities=ALL)).lines[0].total

        for percent, rank in ((50, 20), (95, 38), (100, 40)):
            assert total.duration.percentile(percent) == pytest.approx(rank * 123_456, rel=0.05)
        assert total.time_to_first_token.percentile(50) == pytest.approx(20 * 1_234, rel=0.05)

    @pytest.mark.parametrize(
        "names",
        [
            ["app"],
            ["workflow", "node"],
            ["operation", "provider", "model"],
            ["user"],
            ["status", "error_type"],
            ["custom.team", "custom.none"],
        ],
    )
    async def test_groups_are_those_of_the_memory_store(self, recorded, names):
        memory = World()
        memory.backend.salt = recorded.backend.salt
        await memory.record(*RICH)
        asked = {"start": NOW - 2 * DAY, "group_by": by(*names), "quantities": ALL}

        mine, theirs = await recorded.query(**asked), await memory.query(**asked)

        assert lines(mine) == lines(theirs)
        assert mine.lines == theirs.lines

    @pytest.mark.parametrize(
        ("tests", "expected"),
        [
            ([only("app", "app 1")], 20),
            ([only("model", "m0", "m1")], 20),
            ([without("model", "m0", "m1")], 20),
            ([only("status", "error")], 8),
            ([only("error_type", "")], 32),
            ([only("custom.team", "t1"), without("custom.none", "x")], 20),
            ([only("user", "user 0")], 14),
            ([only("app", "' OR TRUE --")], 0),
            ([only("custom.x' OR TRUE --", "app")], 0),
        ],
    )
    async def test_filters_let_through_what_they_say(self, recorded, tests, expected):
        assert await recorded.calls(start=NOW - 2 * DAY, tests=tests) == expected
        assert await recorded.calls("b", start=NOW - 2 * DAY, tests=tests) <= 3

    async def test_points_add_up_to_the_total(self, recorded):
        for steps in (Steps(fixed=7 * MINUTE), Steps(fixed=HOUR), Steps(unit=Unit.DAY)):
            answer = await recorded.query(
                start=NOW - 2 * DAY, steps=steps, time_zone="Asia/Kathmandu", group_by=by("model"), quantities=ALL
            )
            assert answer.total.calls == 40
            for line in answer.lines:
                assert sum(sums.calls for _, sums in line.points) == line.total.calls == 10
                assert sum(sums.duration.count for _, sums in line.points) == 10

    async def test_days_are_those_of_the_time_zone(self, world):
        midnight = at("America/New_York", 2026, 3, 8)
        world.time = midnight + 3 * DAY
        times = [midnight - 1, midnight, midnight + 23 * HOUR - 1, midnight + 23 * HOUR]
        await world.record(*(Observation(time=time) for time in times))
        await world.backend.compact()

        answer = await world.query(
            start=midnight - DAY,
            end=midnight + 3 * DAY,
            steps=Steps(unit=Unit.DAY),
            time_zone="America/New_York",
        )

        assert [(answer.bounds[step], sums.calls) for step, sums in answer.lines[0].points] == [
            (midnight - DAY, 1),
            (midnight, 2),
            (midnight + 23 * HOUR, 1),
        ]

    async def test_the_largest_groups_are_chosen(self, recorded):
        answer = await recorded.query(
            start=NOW - 2 * DAY, group_by=by("model", "node"), limit=2, rank_by=Quantity.TOKENS, quantities=ALL
        )

        assert len(answer.lines) == 2
        assert answer.left_out == 10
        assert answer.total.calls == 40
        assert answer.total.duration.count == 40

    async def test_labels_above_the_limit_are_folded(self, backend, totals):
        world = World(backend[0], max_label_values=2, max_users=1, max_label_names=1)

        await asyncio.gather(*(world.record(seen, writer=f"w{i}") for i, seen in enumerate(RICH)))

        assert len(lines(await world.query(start=NOW - 2 * DAY, group_by=by("model")))) == 3
        assert len(lines(await world.query(start=NOW - 2 * DAY, group_by=by("user")))) == 2
        assert await world.calls(start=NOW - 2 * DAY) == len(RICH)
        folded = (await asyncio.to_thread(totals)).folded
        assert folded["model"] == 20
        assert set(folded) == {"model", "node", "user"}

    async def test_folded_custom_labels_are_counted_together(self, backend, totals):
        world = World(backend[0], max_label_values=1)

        await world.record(
            *(Observation(labels=Labels(custom=(("team", f"t{i}"), ("tier", f"{i}")))) for i in range(3))
        )

        assert (await asyncio.to_thread(totals)).folded == {"custom": 4}

    async def test_series_above_the_limit_lose_their_details(self, backend):
        world = World(backend[0], max_series=2)
        nodes = [Observation(labels=Labels(app="x", node=f"n{i}")) for i in range(4)]

        await world.record(*nodes)
        world.restarted()
        receipt = await world.record(*nodes, sequence=2)

        assert lines(await world.query(group_by=by("app", "node"))) == {
            ("x", "n0"): 2,
            ("x", "n1"): 2,
            ("x", "other"): 4,
        }
        assert receipt.folded_labels == 2

    async def test_a_tenants_salt_stays_and_is_its_own(self, world):
        salts = await asyncio.gather(*(world.backend.salt(tenant) for tenant in "aaab"))

        assert len(set(salts)) == 2
        assert await world.backend.salt("a") == salts[0]

    async def test_totals_are_those_of_all_tenants_and_survive_merging_and_sweeping(self, recorded, totals):
        before = await asyncio.to_thread(totals)
        while await recorded.backend.compact():
            continue
        await recorded.backend.sweep(Retention(), NOW + 500 * DAY)
        after = await asyncio.to_thread(totals)

        assert before == after
        assert sum(sums.calls for sums in after.sums.values()) == 43
        assert sum(sums.input for sums in after.sums.values()) == sum(seen.input for seen in [*RICH, *RICH[:3]])
        assert sum(sum(sums.input_sizes.values()) for sums in after.sums.values()) == 41
        assert sum(sums.duration.count for sums in after.sums.values()) == 43

    async def test_single_observations_are_read_back_as_they_were_recorded(self, recorded):
        found = [
            seen async for seen in await recorded.collector.observations("a", Wanted(start=NOW - 2 * DAY, end=NOW + 1))
        ]

        assert [seen.time for seen in found] == sorted(seen.time for seen in RICH)
        last = found[-2]
        assert last.series.status is Status.OK
        assert (last.input, last.output, last.cached_input, last.reasoning_output) == (100, 7, 50, 3)
        assert (last.duration, last.time_to_first_token) == (2 * 123_456, 2 * 1_234)
        assert last.series.labels.model == "m1"
        assert last.series.labels.custom == (("team", "t1"),)

    async def test_single_observations_are_filtered_and_stay_in_their_tenant(self, recorded):
        wanted = Wanted(start=NOW - 2 * DAY, end=NOW, tests=[only("model", "m1"), only("user", "user 1")])

        assert len([seen async for seen in await recorded.collector.observations("a", wanted)]) == 4
        assert len([seen async for seen in await recorded.collector.observations("b", wanted)]) == 1

    async def test_a_tail_finds_each_observation_once(self, world):
        await world.record(*RICH[:2])
        position = await world.backend.position()
        found = []
        for sequence, seen in enumerate(RICH[2:8], start=2):
            await world.record(seen, sequence=sequence)
            caught = await world.backend.since(position, 100)
            position = caught.position
            found += caught.found

        assert [(tenant, seen.duration) for tenant, seen in found] == [("a", seen.duration) for seen in RICH[2:8]]
        assert (await world.backend.since(position, 100)).found == []

    async def test_a_tail_tells_what_was_too_much_for_it(self, world):
        position = await world.backend.position()
        await world.record(*RICH)

        caught = await world.backend.since(position, 10)

        assert (len(caught.found), caught.lost) == (10, 30)

    async def test_what_is_older_than_its_retention_is_swept(self, recorded):
        while await recorded.backend.compact():
            continue
        recorded.time = NOW + 8 * DAY
        await recorded.backend.sweep(Retention(), recorded.time)

        assert await recorded.calls(start=NOW - 2 * DAY, end=NOW + DAY) == 40
        wanted = Wanted(start=NOW - 2 * DAY, end=NOW + DAY)
        assert [seen async for seen in await recorded.collector.observations("a", wanted)] == []

        recorded.time = NOW + 500 * DAY
        await recorded.backend.sweep(Retention(), recorded.time)
        assert await recorded.calls(start=NOW - 2 * DAY, end=NOW + DAY) == 0

    async def test_a_writer_that_was_silent_for_long_is_forgotten(self, world):
        await world.record(RICH[0])
        await world.backend.sweep(Retention(), NOW + 31 * DAY)

        with pytest.raises(FailedPrecondition) as caught:
            await world.record(RICH[0], sequence=2)

        assert caught.value.metadata["expected"] == "1"

    async def test_labels_that_nobody_uses_make_room(self, backend):
        world = World(backend[0], max_label_values=1)
        await world.record(Observation(labels=Labels(model="old", app="x")))
        world.time += 20 * DAY
        await world.record(Observation(labels=Labels(app="x")), sequence=2)
        world.time += 20 * DAY
        await world.backend.sweep(Retention(), world.time)
        world.restarted()

        await world.record(*(Observation(labels=Labels(model="new", app=app)) for app in "xy"), writer="v")

        assert lines(await world.query(group_by=by("app", "model"))) == {("x", "new"): 1, ("other", "new"): 1}

    async def test_large_batches_are_kept_whole(self, world):
        seen = [Observation(time=NOW - i * MICROS, labels=Labels(node=f"n{i % 50}"), duration=i) for i in range(10_000)]

        await world.record(*seen)
        await world.backend.compact()

        total = (await world.query(quantities=ALL)).total
        assert (total.calls, total.duration.sum) == (10_000, sum(range(10_000)))


class TestMemory(UsageSuite):
    @pytest.fixture
    def backend(self):
        return load("memory", None)


class TestPostgres(UsageSuite):
    @pytest.fixture
    def backend(self, database):
        return load("postgres", database)

    async def test_a_crash_between_two_writes_of_a_batch_leaves_nothing(self, world, database):
        await world.record(RICH[0])

        async def break_off():
            async with database.transaction():
                await world.record(RICH[1], sequence=2)
                raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            await break_off()
        world.restarted()

        assert await world.calls(start=NOW - 2 * DAY) == 1
        assert not (await world.record(RICH[1], sequence=2)).repeated
        assert await world.calls(start=NOW - 2 * DAY) == 2

    async def test_users_are_nowhere_in_the_tables(self, world, database):
        await world.record(Observation(labels=Labels(user="ada@example.org")))

        async with database.connection() as connection:
            for table in ("series", "observations", "deltas", "label_values"):
                cursor = await connection.execute(f"SELECT t::text FROM metrics_{table} t")
                rows = await cursor.fetchall()
                assert rows
                assert "example.org" not in str(rows)

    async def test_merging_leaves_one_row_a_series_and_bucket(self, world, database):
        for sequence in range(1, 6):
            await world.record(Observation(duration=1), sequence=sequence)
            await world.backend.compact()

        async with database.connection() as connection:
            cursor = await connection.execute("SELECT width, calls FROM metrics_rollups ORDER BY width")
            assert [calls for _, calls in await cursor.fetchall()] == [5, 5, 5]
            cursor = await connection.execute("SELECT count(*) FROM metrics_deltas")
            assert await cursor.fetchone() == (0,)


def test_every_store_has_its_suite():
    assert set(BACKENDS) == {"memory", "postgres"}
    assert isinstance(load("memory", None)[0], MemoryUsage)
