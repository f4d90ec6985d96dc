"""pgvector against the reference: filters on random rows, and the plans that it chooses."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from vectors_core import NOON, Vectors, over_pgvector, vector

from difyrpc_services.runtime.database import Database, DatabaseSettings
from difyrpc_services.vectors.backends.pgvector_index import UnderWay
from difyrpc_services.vectors.core.filters import (
    AllOf,
    AnyOf,
    Condition,
    Filter,
    Negated,
    Operator,
    checked,
    matches,
)
from difyrpc_services.vectors.core.values import (
    Payload,
    Plan,
    Point,
)

FIELDS = ("a", "b", "类别")
TEXTS = st.sampled_from(["", "a", "A", "ab", "b", "5", "第一条", "%", "_", "\\", "é", "😀", "\uffff"])
NUMBERS = st.sampled_from([0, 1, -1, 5, 5.0, 5.5, 2**53 + 1, float(2**53), 2**63 - 1, 1e18 + 128, 1e300, -0.1, 5e-324])
TIMES = st.sampled_from([NOON, NOON + timedelta(microseconds=1), datetime(1970, 1, 1, tzinfo=UTC)])
SCALARS = st.one_of(TEXTS, NUMBERS, TIMES, st.booleans(), st.none())
VALUES = st.one_of(SCALARS, st.lists(SCALARS, max_size=3))
ROWS = st.lists(st.dictionaries(st.sampled_from(FIELDS), VALUES, max_size=3), min_size=1, max_size=8)


@st.composite
def conditions(draw: st.DrawFn) -> Filter:
    operator = draw(st.sampled_from(list(Operator)))
    name = draw(st.sampled_from(FIELDS))
    if operator.name.endswith(("EXISTS", "EMPTY")):
        return Condition(name, operator, has_value=False)
    if operator in (Operator.IN, Operator.NOT_IN):
        return Condition(name, operator, draw(st.lists(SCALARS, max_size=20)))
    if operator in (Operator.STARTS_WITH, Operator.ENDS_WITH):
        return Condition(name, operator, draw(TEXTS))
    if operator.name.startswith(("LESS", "GREATER")):
        return Condition(name, operator, draw(st.one_of(TEXTS, NUMBERS, TIMES)))
    return Condition(name, operator, draw(SCALARS))


FILTERS = st.recursive(
    conditions(),
    lambda part: st.one_of(
        st.lists(part, max_size=3).map(lambda parts: AllOf(tuple(parts))),
        st.lists(part, max_size=3).map(lambda parts: AnyOf(tuple(parts))),
        part.map(Negated),
    ),
    max_leaves=5,
)


def test_pgvector_filters_as_the_reference_does(
    database_settings: DatabaseSettings, migrated_tables: list[int]
) -> None:
    with asyncio.Runner() as runner:
        database = Database(database_settings)
        vectors = over_pgvector(database)
        runner.run(database.open())

        async def compare(rows: list[dict[str, Any]], found: Filter) -> None:
            async with database.connection() as connection:
                await connection.execute("DELETE FROM vectors_collections WHERE tenant = 'property'")
            await vectors.make("rows", tenant="property", dimension=2)
            points = [Point(id=str(n), vector=vector(1, n), metadata=row) for n, row in enumerate(rows)]
            await vectors.put(*points, name="rows", tenant="property")
            expected = {point.id for point in points if matches(checked(found), point.metadata)}
            scrolled, _ = await vectors.points.scroll("property", "rows", found, Payload(), size=1000)
            searched = await vectors.find(tenant="property", collection="rows", vector=vector(1, 1), filter=found)
            assert {point.id for point in scrolled} == set(searched) == expected
            assert await vectors.points.count("property", "rows", found) == len(expected)
            assert [point.metadata for point in scrolled] == [rows[int(point.id)] for point in scrolled]
            await vectors.collections.delete("property", "rows", allow_missing=False, etag="")

        @settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))
        @given(ROWS, FILTERS)
        def holds(rows: list[dict[str, Any]], found: Filter) -> None:
            runner.run(compare(rows, found))

        try:
            holds()
        finally:
            runner.run(vectors.close())
            runner.run(database.close())


async def filled(database: Database, rows: int, **changes: Any) -> tuple[Vectors, Any]:
    vectors = over_pgvector(database, **changes)
    await vectors.make("cases", dimension=32)
    matrix = np.random.default_rng(7).standard_normal((rows, 32)).astype(np.float32)
    for start in range(0, rows, 1000):
        points = [
            Point(id=f"{n:05}", vector=matrix[n], metadata={"n": n, "rare": n % 100 == 0, "half": n % 2})
            for n in range(start, min(start + 1000, rows))
        ]
        await vectors.put(*points)
    return vectors, matrix


def best(matrix: Any, query: Any, k: int, keep: Any) -> set[str]:
    scores = matrix @ query / np.linalg.norm(matrix, axis=1)
    scores[~keep] = -np.inf
    return {f"{n:05}" for n in np.argsort(-scores)[:k]}


async def test_an_index_is_made_and_a_rare_filter_still_finds_k(database: Database) -> None:
    vectors, matrix = await filled(database, 6000, exact_rows=500)
    collection = await vectors.collections.get("a", "cases")
    assert not collection.is_indexed
    assert await vectors.engine.indexes.build(collection.key, collection.metric)
    assert (await vectors.collections.get("a", "cases")).is_indexed
    numbers = np.arange(6000)
    cases: list[tuple[Filter | None, Any, set[Plan]]] = [
        (None, numbers >= 0, {Plan.INDEX}),
        (Condition("half", Operator.EQUAL, 1), numbers % 2 == 1, {Plan.INDEX}),
        (Condition("rare", Operator.EQUAL, True), numbers % 100 == 0, {Plan.EXACT}),
        (Condition("n", Operator.LESS, 25), numbers < 25, {Plan.EXACT}),
    ]
    queries = np.random.default_rng(8).standard_normal((40, 32)).astype(np.float32)
    for found, keep, plans in cases:
        right = 0
        for query in queries:
            answer = await vectors.ask(vector=query, k=10, filter=found)
            assert len(answer.hits) == 10
            assert answer.plan in plans
            right += len({hit.point.id for hit in answer.hits} & best(matrix, query, 10, keep))
        assert right / 400 >= 0.99, found
    exact = await vectors.ask(vector=queries[0], k=10, exact=True)
    assert exact.plan is Plan.EXACT
    assert {hit.point.id for hit in exact.hits} == best(matrix, queries[0], 10, numbers >= 0)
    await vectors.close()


async def test_an_index_that_comes_back_short_is_made_good_by_an_exact_scan(database: Database) -> None:
    vectors, _ = await filled(database, 5500, exact_rows=0)
    collection = await vectors.collections.get("a", "cases")
    assert await vectors.engine.indexes.build(collection.key, collection.metric)
    every = vector(*[1.0] * 32)
    assert len((await vectors.ask(vector=every, k=1000)).hits) == 1000
    twelve = Condition("n", Operator.LESS, 12)
    assert len((await vectors.ask(vector=every, k=1000, filter=twelve)).hits) == 12
    await vectors.close()


async def test_a_small_collection_gets_no_index(database: Database) -> None:
    vectors, _ = await filled(database, 100)
    collection = await vectors.collections.get("a", "cases")
    assert not await vectors.engine.indexes.build(collection.key, collection.metric)
    assert (await vectors.ask(vector=vector(*[1.0] * 32))).plan is Plan.EXACT
    await vectors.close()


async def test_a_dimension_beyond_the_index_is_searched_exactly(database: Database) -> None:
    vectors = over_pgvector(database, index_rows=1)
    await vectors.make("cases", dimension=3000)
    await vectors.put(
        Point(id="1", vector=np.ones(3000, dtype=np.float32)), Point(id="2", vector=-np.ones(3000, dtype=np.float32))
    )
    assert await vectors.find(vector=np.ones(3000, dtype=np.float32)) == ["1", "2"]
    await vectors.close()


async def test_quiet_after_an_upsert_makes_the_index_in_the_background(database: Database) -> None:
    vectors = over_pgvector(database, index_quiet_seconds=0.0, index_rows=10)
    await vectors.make("cases", dimension=2)
    await vectors.put(*(Point(id=str(n), vector=vector(1, n)) for n in range(20)))
    await vectors.engine.indexes.settled()
    assert (await vectors.collections.get("a", "cases")).is_indexed
    assert (await vectors.ask(vector=vector(1, 1), k=5)).plan is Plan.INDEX
    await vectors.close()


async def test_an_index_that_was_left_half_made_is_made_anew(database: Database) -> None:
    vectors, _ = await filled(database, 60, index_rows=50)
    collection = await vectors.collections.get("a", "cases")
    assert await vectors.engine.indexes.build(collection.key, collection.metric)
    half_made = "UPDATE pg_index SET indisvalid = false WHERE indexrelid = to_regclass(%s)"
    async with database.connection() as connection:
        await connection.execute("UPDATE vectors_collections SET is_indexed = false")
        cursor = await connection.execute(half_made, (f"vectors_points_{collection.key}_nearest",))
        assert cursor.rowcount == 1
    assert await vectors.engine.indexes.build(collection.key, collection.metric)
    assert (await vectors.ask(vector=vector(*[1.0] * 32), k=5)).plan is Plan.INDEX
    await vectors.close()


async def test_of_two_processes_that_make_one_index_the_second_leaves_it_to_the_first(
    database: Database, database_settings: DatabaseSettings
) -> None:
    first, _ = await filled(database, 3000, index_rows=50)
    other = Database(database_settings)
    await other.open()
    second = over_pgvector(other, index_rows=50)
    collection = await first.collections.get("a", "cases")
    making = asyncio.create_task(first.engine.indexes.build(collection.key, collection.metric))
    while not await index_is_under_way(other):
        assert not making.done()
    with pytest.raises(UnderWay):
        await second.engine.indexes.build(collection.key, collection.metric)
    assert await making
    await first.close()
    await second.close()
    await other.close()


async def index_is_under_way(database: Database) -> bool:
    async with database.connection() as connection:
        cursor = await connection.execute("SELECT FROM pg_stat_progress_create_index")
        return await cursor.fetchone() is not None


async def test_a_start_takes_up_the_indexes_that_are_missing(database: Database) -> None:
    first, _ = await filled(database, 60, index_rows=50)
    await first.close()
    second = over_pgvector(database, index_rows=50, index_quiet_seconds=0.0)
    await second.engine.start()
    await second.engine.indexes.settled()
    assert (await second.collections.get("a", "cases")).is_indexed
    await second.close()
