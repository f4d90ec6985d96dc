"""One suite for every engine: collections, tenants, points and streams mean the same wherever the points live."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest
from vectors_core import NOON, Vectors, over_memory, over_pgvector, text_point, vector

from difyrpc_services.runtime.errors import (
    Aborted,
    AlreadyExists,
    FailedPrecondition,
    InvalidArgument,
    NotFound,
    Unimplemented,
)
from difyrpc_services.vectors.core.collections import etag_of
from difyrpc_services.vectors.core.filters import (
    Condition,
    Operator,
)
from difyrpc_services.vectors.core.points import Batch
from difyrpc_services.vectors.core.values import (
    MetadataChange,
    Metric,
    Payload,
    Plan,
    Point,
    Selector,
)

ENGINES = ("memory", "pgvector")


@pytest.fixture(params=ENGINES)
def unstarted(request: pytest.FixtureRequest) -> Vectors:
    return over_memory() if request.param == "memory" else over_pgvector(request.getfixturevalue("database"))


@pytest.fixture
async def vectors(unstarted: Vectors) -> AsyncIterator[Vectors]:
    yield unstarted
    await unstarted.close()


async def test_a_collection_is_made_read_listed_and_deleted(vectors: Vectors) -> None:
    await vectors.make("cases", description="laws", metadata={"year": 2024})
    found = await vectors.collections.get("a", "cases")
    assert (found.dimension, found.metric, found.model, found.fingerprint) == (64, Metric.COSINE, "words", "words-1")
    assert (found.description, found.metadata) == ("laws", {"year": 2024})
    await vectors.collections.delete("a", "cases", allow_missing=False, etag=etag_of(found))
    with pytest.raises(NotFound):
        await vectors.collections.get("a", "cases")


async def test_a_name_is_taken_once_in_a_tenant(vectors: Vectors) -> None:
    await vectors.make("cases")
    with pytest.raises(AlreadyExists):
        await vectors.make("cases")
    await vectors.make("cases", tenant="b")


async def test_collections_are_listed_by_name_page_by_page(vectors: Vectors) -> None:
    for name in ("b2", "判例", "a1", "Z"):
        await vectors.make(name)
    await vectors.make("others", tenant="b")
    first, token = await vectors.collections.page("a", 3, "")
    second, end = await vectors.collections.page("a", 3, token)
    assert [one.name for one in [*first, *second]] == ["Z", "a1", "b2", "判例"]
    assert not end


async def test_a_page_token_of_another_tenant_is_refused(vectors: Vectors) -> None:
    await vectors.make("one")
    await vectors.make("two")
    _, token = await vectors.collections.page("a", 1, "")
    with pytest.raises(InvalidArgument, match="page token"):
        await vectors.collections.page("b", 1, token)


async def test_an_update_changes_the_etag_and_an_old_etag_is_refused(vectors: Vectors) -> None:
    await vectors.make()
    before = await vectors.collections.get("a", "cases")
    values = {"description": "new", "metadata": {"x": 1}}
    after = await vectors.collections.update("a", "cases", ["description"], values, etag_of(before))
    assert (after.description, after.metadata) == ("new", {})
    with pytest.raises(Aborted):
        await vectors.collections.update("a", "cases", ["description"], values, etag_of(before))
    with pytest.raises(Aborted):
        await vectors.collections.delete("a", "cases", allow_missing=False, etag=etag_of(before))


async def test_a_deleted_collection_comes_back_empty(vectors: Vectors) -> None:
    await vectors.make()
    await vectors.put(text_point("1"))
    await vectors.collections.delete("a", "cases", allow_missing=False, etag="")
    await vectors.make()
    assert await vectors.points.count("a", "cases", None) == 0


@pytest.mark.parametrize(
    ("draft", "reason"),
    [
        ({"engine": "faiss"}, "ENGINE_UNKNOWN"),
        ({"model": "gpt"}, "EMBEDDING_MODEL_UNKNOWN"),
        ({"dimension": -1}, "DIMENSION_INVALID"),
        ({"dimension": 5000}, "DIMENSION_INVALID"),
        ({"dimension": 3, "model": "words"}, "DIMENSION_MISMATCH"),
        ({"metadata": {"1bad": 1}}, "FIELD_NAME_INVALID"),
    ],
)
async def test_a_wrong_collection_is_refused(vectors: Vectors, draft: dict[str, Any], reason: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        await vectors.make(**draft)
    assert caught.value.reason == reason


@pytest.mark.parametrize("field", ["aliases", "schema", "sharding"])
async def test_what_the_engine_does_not_do_is_refused_by_name(vectors: Vectors, field: str) -> None:
    with pytest.raises(Unimplemented) as caught:
        await vectors.make(asked=(field,))
    assert caught.value.reason == "FEATURE_NOT_SUPPORTED"
    assert caught.value.metadata == {"engine": vectors.engine.kind, "feature": field}


# Tenants


async def test_a_tenant_sees_nothing_of_another(vectors: Vectors) -> None:
    await vectors.make()
    await vectors.put(text_point("1", "late delivery"))
    ids = Selector(ids=("1",))
    for call in (
        vectors.collections.get("b", "cases"),
        vectors.collections.delete("b", "cases", allow_missing=False, etag=""),
        vectors.points.upsert("b", "cases", [text_point("1")]),
        vectors.points.get("b", "cases", ["1"], Payload(), ""),
        vectors.points.scroll("b", "cases", None, Payload()),
        vectors.points.count("b", "cases", None),
        vectors.points.delete("b", "cases", ids),
        vectors.points.update_metadata("b", "cases", ids, MetadataChange(set={"x": 1})),
        vectors.ask("late", tenant="b"),
    ):
        with pytest.raises(NotFound) as caught:
            await call
        assert caught.value.reason == "COLLECTION_NOT_FOUND"
    assert await vectors.points.count("a", "cases", None) == 1


async def test_the_default_collections_of_two_tenants_are_two(vectors: Vectors) -> None:
    await vectors.put(text_point("1"), name="default", tenant="a")
    await vectors.put(text_point("2"), name="default", tenant="b")
    assert await vectors.find("case", collection="default") == ["1"]


async def test_the_default_collection_reads_as_empty_before_its_first_upsert(vectors: Vectors) -> None:
    answer = await vectors.ask("anything", collection="default")
    assert (answer.hits, answer.plan) == ((), Plan.NOTHING)
    assert await vectors.points.count("a", "default", None) == 0
    assert await vectors.points.get("a", "default", ["1"], Payload(), "") == ([], ["1"])
    assert await vectors.points.scroll("a", "default", None, Payload()) == ([], "")
    assert (await vectors.points.delete("a", "default", Selector(ids=("1",)))).count == 0
    with pytest.raises(NotFound):
        await vectors.collections.get("a", "default")


async def test_the_default_collection_is_made_once_by_concurrent_upserts(vectors: Vectors) -> None:
    await asyncio.gather(*(vectors.put(text_point(str(n)), name="default") for n in range(6)))
    assert await vectors.points.count("a", "default", None) == 6


async def test_another_collection_must_be_made_first(vectors: Vectors) -> None:
    with pytest.raises(NotFound):
        await vectors.put(text_point("1"), name="nowhere")


async def test_points_come_back_as_they_were(vectors: Vectors) -> None:
    await vectors.make()
    metadata = {
        "text": "五 🙂 \" ' \\ %s {}",
        "whole": 2**63 - 1,
        "least": -(2**63),
        "five": 5,
        "five_point": 5.0,
        "tiny": 5e-324,
        "huge": 1.7976931348623157e308,
        "tenth": 0.1,
        "yes": True,
        "time": NOON,
        "old": datetime(1, 1, 1, tzinfo=UTC),
        "null": None,
        "list": ["a", 1, 1.0, None, False, NOON],
        "none": [],
        "条款.第-一": "field names of any script",
    }
    await vectors.put(Point(id="判例/1", text="第一条", metadata=metadata))
    points, missing = await vectors.points.get("a", "cases", ["nothing", "判例/1"], Payload(vector=True), "")
    assert missing == ["nothing"]
    assert (points[0].text, points[0].metadata) == ("第一条", metadata)
    assert {name: type(value) for name, value in points[0].metadata.items()} == {
        name: type(value) for name, value in metadata.items()
    }
    assert [type(one) for one in points[0].metadata["list"]] == [type(one) for one in metadata["list"]]
    assert np.array_equal(points[0].vector, vectors.embedder._vector("第一条"))


async def test_an_upsert_replaces_the_whole_point(vectors: Vectors) -> None:
    await vectors.make()
    await vectors.put(text_point("1", "old", a=1, b=2))
    await vectors.put(text_point("1", "new", b=3))
    points, _ = await vectors.points.get("a", "cases", ["1"], Payload(), "")
    assert [(point.text, point.metadata) for point in points] == [("new", {"b": 3})]


async def test_a_refused_batch_stores_nothing(vectors: Vectors) -> None:
    await vectors.make("cases", dimension=2)
    with pytest.raises(InvalidArgument) as caught:
        await vectors.put(Point(id="1", vector=vector(1, 2)), Point(id="2", vector=vector(1, 2, 3)))
    assert caught.value.violations[0].field == "points[1].vector"
    assert await vectors.ids() == set()


@pytest.mark.parametrize(
    ("point", "reason"),
    [
        (Point(id="", text="x"), "POINT_ID_INVALID"),
        (Point(id="a\nb", text="x"), "POINT_ID_INVALID"),
        (Point(id="x" * 257, text="x"), "POINT_ID_INVALID"),
        (Point(id="1"), "POINT_EMPTY"),
        (Point(id="1", text=" \t"), "POINT_EMPTY"),
        (Point(id="1", text="a\0b"), "TEXT_INVALID"),
        (Point(id="1", text="x" * 65_537), "TEXT_TOO_LONG"),
        (Point(id="1", text="word " * 501), "TEXT_TOO_LONG"),
        (Point(id="1", text="x", metadata={"a b": 1}), "FIELD_NAME_INVALID"),
        (Point(id="1", text="x", metadata={"x": "a\0"}), "TEXT_INVALID"),
        (Point(id="1", text="x", metadata={"x": float("nan")}), "NUMBER_NOT_FINITE"),
        (Point(id="1", text="x", metadata={"x": [float("inf")]}), "NUMBER_NOT_FINITE"),
        (Point(id="1", text="x", metadata={"x": [1] * 1001}), "LIST_TOO_LONG"),
        (Point(id="1", text="x", metadata={f"f{n}": n for n in range(129)}), "METADATA_TOO_LARGE"),
        (Point(id="1", text="x", metadata={"x": "y" * 65_536}), "METADATA_TOO_LARGE"),
        (Point(id="1", vector=vector(*[0.0] * 64)), "VECTOR_ZERO"),
        (Point(id="1", vector=vector(*[float("nan")] * 64)), "VECTOR_NOT_FINITE"),
        (Point(id="1", vector=vector(*[float("inf")] * 64)), "VECTOR_NOT_FINITE"),
        (Point(id="1", vector=vector(*[1e30] * 64)), "VECTOR_NOT_FINITE"),
        (Point(id="1", vector=vector(1.0)), "VECTOR_DIMENSION_MISMATCH"),
    ],
)
async def test_a_wrong_point_is_refused(vectors: Vectors, point: Point, reason: str) -> None:
    await vectors.make()
    with pytest.raises(InvalidArgument) as caught:
        await vectors.put(point)
    assert caught.value.reason == reason
    assert caught.value.violations[0].field.startswith("points[0]")


async def test_an_upsert_has_1_to_1000_points_each_once(vectors: Vectors) -> None:
    await vectors.make("cases", dimension=2)
    for points, reason in (
        ([], "POINTS_MISSING"),
        ([Point(id=str(n), vector=vector(1, n)) for n in range(1001)], "TOO_MANY_POINTS"),
        ([Point(id="1", vector=vector(1, 1))] * 2, "POINT_ID_REPEATED"),
    ):
        with pytest.raises(InvalidArgument) as caught:
            await vectors.put(*points)
        assert caught.value.reason == reason
    await vectors.put(*(Point(id=str(n), vector=vector(1, n)) for n in range(1000)))
    assert await vectors.points.count("a", "cases", None) == 1000


async def test_points_are_scrolled_by_id_page_by_page(vectors: Vectors) -> None:
    await vectors.make("cases", dimension=2)
    names = ["b", "a", "B", "é", "条", "a1", "10", "9"]
    await vectors.put(*(Point(id=name, vector=vector(1, 1), metadata={"odd": n % 2}) for n, name in enumerate(names)))
    seen: list[str] = []
    token = ""
    while True:
        points, token = await vectors.points.scroll("a", "cases", None, Payload(), size=3, token=token)
        seen += [point.id for point in points]
        if not token:
            break
    assert seen == sorted(names)


async def test_a_scroll_token_belongs_to_its_filter(vectors: Vectors) -> None:
    await vectors.make("cases", dimension=2)
    await vectors.put(*(Point(id=str(n), vector=vector(1, 1), metadata={"n": n}) for n in range(4)))
    few = Condition("n", Operator.LESS, 3)
    points, token = await vectors.points.scroll("a", "cases", few, Payload(), size=2)
    rest, _ = await vectors.points.scroll("a", "cases", few, Payload(), size=2, token=token)
    assert [point.id for point in [*points, *rest]] == ["0", "1", "2"]
    with pytest.raises(InvalidArgument):
        await vectors.points.scroll("a", "cases", None, Payload(), size=2, token=token)


async def test_points_are_deleted_by_id_and_by_filter(vectors: Vectors) -> None:
    await vectors.make("cases", dimension=2)
    await vectors.put(*(Point(id=str(n), vector=vector(1, 1), metadata={"n": n}) for n in range(6)))
    assert (await vectors.points.delete("a", "cases", Selector(ids=("0", "missing")))).count == 1
    few = Selector(filter=Condition("n", Operator.LESS, 3))
    assert (await vectors.points.delete("a", "cases", few)).count == 2
    assert await vectors.ids() == {"3", "4", "5"}


async def test_a_deletion_without_a_selector_is_refused(vectors: Vectors) -> None:
    await vectors.make()
    with pytest.raises(InvalidArgument) as caught:
        await vectors.points.delete("a", "cases", Selector())
    assert caught.value.reason == "SELECTOR_MISSING"


@pytest.mark.parametrize(
    ("change", "after"),
    [
        (MetadataChange(set={"b": 5.0, "c": NOON}), {"a": 1, "b": 5.0, "c": NOON}),
        (MetadataChange(remove=("a", "missing")), {"b": "two"}),
        (MetadataChange(set={"c": 1}, remove=("a",)), {"b": "two", "c": 1}),
        (MetadataChange(set={"c": None}, replace=True), {"c": None}),
        (MetadataChange(replace=True), {}),
    ],
)
async def test_metadata_is_changed_and_nothing_else(
    vectors: Vectors, change: MetadataChange, after: dict[str, Any]
) -> None:
    await vectors.make()
    await vectors.put(text_point("1", "kept", a=1, b="two"), text_point("2", a=1, b="two"))
    assert (await vectors.points.update_metadata("a", "cases", Selector(ids=("1",)), change)).count == 1
    points, _ = await vectors.points.get("a", "cases", ["1", "2"], Payload(), "")
    assert [point.metadata for point in points] == [after, {"a": 1, "b": "two"}]
    assert points[0].text == "kept"
    assert await vectors.find("kept", k=1) == ["1"]


async def test_opposite_writers_do_not_lock_each_other_for_ever(vectors: Vectors) -> None:
    await vectors.make("cases", dimension=2)
    points = [Point(id=f"{n:03}", vector=vector(1, n), metadata={"n": n}) for n in range(200)]
    everything = Selector(filter=Condition("n", Operator.GREATER_OR_EQUAL, 0))
    await asyncio.gather(
        *(vectors.put(*points) for _ in range(3)),
        *(vectors.put(*reversed(points)) for _ in range(3)),
        *(vectors.points.update_metadata("a", "cases", everything, MetadataChange(set={"x": n})) for n in range(3)),
    )
    assert await vectors.points.count("a", "cases", None) == 200


async def run_stream(vectors: Vectors, stream_id: str, *batches: Batch, name: str = "cases") -> list[tuple[int, int]]:
    async def sent() -> AsyncIterator[Batch]:
        for batch in batches:
            yield batch

    acks = vectors.points.upsert_stream("a", name, stream_id, sent())
    return [(ack.sequence, ack.count) async for ack in acks]


def batch(sequence: int, *ids: str, text: str = "a case") -> Batch:
    return Batch(sequence=sequence, points=[text_point(one, text) for one in ids])


async def test_a_stream_acknowledges_each_batch_in_order(vectors: Vectors) -> None:
    await vectors.make()
    acks = await run_stream(vectors, "import", batch(1, "1", "2"), batch(2, "3"))
    assert acks == [(0, 0), (1, 2), (2, 1)]
    assert await vectors.ids() == {"1", "2", "3"}


async def test_a_stream_goes_on_after_its_last_ack(vectors: Vectors) -> None:
    await vectors.make()
    await run_stream(vectors, "import", batch(1, "1"), batch(2, "2"))
    assert await run_stream(vectors, "import", batch(3, "3")) == [(2, 0), (3, 1)]


async def test_a_batch_that_was_acknowledged_changes_nothing_when_it_comes_again(vectors: Vectors) -> None:
    await vectors.make()
    await run_stream(vectors, "import", batch(1, "1", text="old"))
    await vectors.put(text_point("1", "newer"))
    acks = await run_stream(vectors, "import", batch(1, "1", text="old"), batch(2, "2"))
    assert acks == [(1, 0), (1, 0), (2, 1)]
    points, _ = await vectors.points.get("a", "cases", ["1"], Payload(), "")
    assert points[0].text == "newer"


@pytest.mark.parametrize("sequences", [(2,), (0,), (1, 3), (1, 1)])
async def test_a_gap_in_a_stream_is_refused_and_what_was_acknowledged_stays(
    vectors: Vectors, sequences: tuple[int, ...]
) -> None:
    await vectors.make()
    with pytest.raises(FailedPrecondition) as caught:
        await run_stream(vectors, "import", *(batch(one, str(one)) for one in sequences))
    assert caught.value.reason == "SEQUENCE_GAP"
    assert caught.value.metadata["expected"] == str(len(sequences))
    assert len(await vectors.ids()) == len(sequences) - 1


async def test_streams_of_two_collections_do_not_know_each_other(vectors: Vectors) -> None:
    await vectors.make()
    await vectors.make("others")
    await run_stream(vectors, "import", batch(1, "1"))
    assert await run_stream(vectors, "import", batch(1, "1"), name="others") == [(0, 0), (1, 1)]


async def test_a_stream_without_an_id_begins_at_1_every_time(vectors: Vectors) -> None:
    await vectors.make()
    await run_stream(vectors, "", batch(1, "1"))
    assert await run_stream(vectors, "", batch(1, "2")) == [(0, 0), (1, 1)]
