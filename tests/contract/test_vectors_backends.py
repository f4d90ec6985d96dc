"""One suite for every engine: what a call means does not depend on where the points live."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from word_embedder import WordEmbedder

from difyrpc_services.runtime.database import Database, DatabaseSettings
from difyrpc_services.runtime.errors import (
    Aborted,
    AlreadyExists,
    FailedPrecondition,
    InvalidArgument,
    NotFound,
    Unimplemented,
)
from difyrpc_services.vectors.backends.memory import MemoryBackend, MemoryCatalog
from difyrpc_services.vectors.backends.pgvector import PgvectorBackend
from difyrpc_services.vectors.backends.postgres_catalog import PostgresCatalog
from difyrpc_services.vectors.core.collections import Collections, Draft, etag_of
from difyrpc_services.vectors.core.embedding import Embeddings
from difyrpc_services.vectors.core.embedding_cache import EmbeddingCache
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
from difyrpc_services.vectors.core.limits import Limits
from difyrpc_services.vectors.core.points import Batch, Points
from difyrpc_services.vectors.core.search import Answer, Question, Searches
from difyrpc_services.vectors.core.values import (
    Feature,
    MetadataChange,
    Metric,
    Payload,
    Plan,
    Point,
    Selector,
)
from difyrpc_services.vectors.settings import VectorsSettings

ENGINES = ("memory", "pgvector")
NOON = datetime(2024, 5, 17, 12, 0, 0, 123456, tzinfo=UTC)


class Vectors:
    """The core over one engine."""

    def __init__(self, catalog: Any, engine: Any) -> None:
        self.engine = engine
        self.catalog = catalog
        self.embedder = WordEmbedder()
        self.embeddings = Embeddings([self.embedder], batch=8, cache=EmbeddingCache(1 << 20), max_tokens=500)
        self.collections = Collections(catalog, {engine.kind: engine}, self.embeddings, Limits())
        self.points = Points(self.collections)
        self.searches = Searches(self.collections)

    async def make(self, name: str = "cases", tenant: str = "a", **draft: Any) -> None:
        await self.collections.create(tenant, Draft(name=name, **draft))

    async def put(self, *points: Point, name: str = "cases", tenant: str = "a") -> None:
        await self.points.upsert(tenant, name, points)

    async def find(self, query: str | None = None, *, tenant: str = "a", **question: Any) -> list[str]:
        answer = await self.ask(query, tenant=tenant, **question)
        return [hit.point.id for hit in answer.hits]

    async def ask(self, query: str | None = None, *, tenant: str = "a", **question: Any) -> Answer:
        question.setdefault("collection", "cases")
        return await self.searches.search(tenant, Question(query=query, **question))

    async def ids(self, found: Filter | None = None) -> set[str]:
        points, _ = await self.points.scroll("a", "cases", found, Payload(), size=1000)
        return {point.id for point in points}


@pytest.fixture(params=ENGINES)
def parts(request: pytest.FixtureRequest) -> tuple[Any, Any]:
    """A catalog and an engine."""
    if request.param == "memory":
        return MemoryCatalog(), MemoryBackend()
    database: Database = request.getfixturevalue("database")
    return PostgresCatalog(database), PgvectorBackend(database, VectorsSettings(index_quiet_seconds=3600))


@pytest.fixture
async def vectors(parts: tuple[Any, Any]) -> AsyncIterator[Vectors]:
    made = Vectors(*parts)
    yield made
    await made.engine.stop()
    await made.embeddings.close()


def vector(*numbers: float) -> Any:
    return np.array(numbers, dtype=np.float32)


def text_point(point_id: str, text: str = "a case", **metadata: Any) -> Point:
    return Point(id=point_id, text=text, metadata=metadata)


# Collections


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


# The default collection


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


# Points


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


# Streams


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


# Search


async def test_a_text_finds_what_shares_its_words(vectors: Vectors) -> None:
    await vectors.make()
    await vectors.put(
        text_point("1", "liability for late delivery", case_id="SC-2021-7"),
        text_point("2", "termination of the lease", case_id=42),
        text_point("3", "逾期交付的责任"),
    )
    answer = await vectors.ask("late delivery", k=2)
    assert [hit.point.id for hit in answer.hits][0] == "1"
    assert [hit.case_id for hit in (await vectors.ask("termination lease liability", k=3)).hits].count("42") == 1
    assert answer.hits[0].case_id == "SC-2021-7"
    assert (await vectors.ask("逾期交付", k=1)).hits[0].case_id == "3"


async def test_scores_are_on_the_contracts_scale(vectors: Vectors) -> None:
    rows = {"1": vector(3, 4), "2": vector(-3, -4), "3": vector(4, -3)}
    expected = {
        Metric.COSINE: {"1": 1.0, "3": 0.0, "2": -1.0},
        Metric.DOT: {"1": 50.0, "3": 0.0, "2": -50.0},
        Metric.EUCLIDEAN: {"1": 1 / (1 + 5), "3": 1 / (1 + 125**0.5), "2": 1 / (1 + 15)},
    }
    for metric, scores in expected.items():
        name = metric.value
        await vectors.make(name, dimension=2, metric=metric)
        await vectors.put(*(Point(id=one, vector=numbers) for one, numbers in rows.items()), name=name)
        answer = await vectors.ask(vector=vector(6, 8), collection=name)
        assert {hit.point.id: pytest.approx(hit.score, abs=1e-5) for hit in answer.hits} == scores
        assert [hit.score for hit in answer.hits] == sorted((hit.score for hit in answer.hits), reverse=True)


async def test_a_threshold_keeps_what_is_good_enough(vectors: Vectors) -> None:
    await vectors.make("cases", dimension=2)
    await vectors.put(Point(id="near", vector=vector(1, 0)), Point(id="far", vector=vector(0, 1)))
    assert await vectors.find(vector=vector(1, 0.1), threshold=0.9) == ["near"]
    assert await vectors.find(vector=vector(1, 0.1), threshold=-1.0) == ["near", "far"]


async def test_equal_scores_come_in_order_of_ids(vectors: Vectors) -> None:
    await vectors.make("cases", dimension=2)
    await vectors.put(*(Point(id=one, vector=vector(1, 0)) for one in ("c", "a", "d", "b")))
    assert await vectors.find(vector=vector(1, 0), k=3) == ["a", "b", "c"]


async def test_a_payload_holds_what_was_asked_for(vectors: Vectors) -> None:
    await vectors.make()
    await vectors.put(text_point("1", "the text", case_id="C1", year=2020, court="x"))
    for payload, text, metadata in (
        (Payload(), "the text", {"case_id": "C1", "year": 2020, "court": "x"}),
        (Payload(text=False, metadata=False), "", {}),
        (Payload(fields=("year", "missing")), "the text", {"year": 2020}),
    ):
        hit = (await vectors.ask("text", payload=payload)).hits[0]
        assert (hit.case_id, hit.point.text, hit.point.metadata, hit.point.vector) == ("C1", text, metadata, None)
    hit = (await vectors.ask("text", payload=Payload(vector=True))).hits[0]
    assert np.array_equal(hit.point.vector, vectors.embedder._vector("the text"))


@pytest.mark.parametrize(
    ("question", "reason"),
    [
        ({}, "QUERY_MISSING"),
        ({"query": "  "}, "QUERY_MISSING"),
        ({"query": "x", "k": 0}, "K_OUT_OF_RANGE"),
        ({"query": "x", "k": 1001}, "K_OUT_OF_RANGE"),
        ({"query": "x", "threshold": float("nan")}, "NUMBER_NOT_FINITE"),
        ({"query": "x", "has_fusion": True}, "FUSION_WITHOUT_HYBRID"),
        ({"query": "x", "keywords": "y"}, "KEYWORDS_IN_DENSE"),
        ({"query": "x", "read_token": "made-up"}, "READ_TOKEN_INVALID"),
        ({"query": "word " * 501}, "TEXT_TOO_LONG"),
        ({"vector": vector(1, 2)}, "VECTOR_DIMENSION_MISMATCH"),
        ({"query": "x", "payload": Payload(metadata=False, fields=("a",))}, "PAYLOAD_INVALID"),
        ({"query": "x", "filter": Condition("a'b", Operator.EXISTS, has_value=False)}, "FIELD_NAME_INVALID"),
    ],
)
async def test_a_wrong_search_is_refused(vectors: Vectors, question: dict[str, Any], reason: str) -> None:
    await vectors.make()
    with pytest.raises(InvalidArgument) as caught:
        await vectors.ask(**question)
    assert caught.value.reason == reason
    assert caught.value.violations


@pytest.mark.parametrize(
    ("question", "feature"),
    [
        ({"mode": Feature.KEYWORD}, "keyword"),
        ({"mode": Feature.HYBRID}, "hybrid"),
        ({"has_groups": True}, "group_by"),
    ],
)
async def test_a_search_that_the_engine_cannot_do_is_refused_by_name(
    vectors: Vectors, question: dict[str, Any], feature: str
) -> None:
    for collection in ("cases", "default"):
        if collection == "cases":
            await vectors.make()
        with pytest.raises(Unimplemented) as caught:
            await vectors.ask("x", collection=collection, **question)
        assert caught.value.metadata == {"engine": vectors.engine.kind, "feature": feature}


async def test_a_read_token_of_a_write_is_taken_by_a_search(vectors: Vectors) -> None:
    await vectors.make()
    await vectors.make("others")
    written = await vectors.points.upsert("a", "cases", [text_point("1")])
    assert await vectors.find("case", read_token=written.read_token) == ["1"]
    with pytest.raises(InvalidArgument):
        await vectors.ask("case", collection="others", read_token=written.read_token)


async def test_one_failed_search_of_a_batch_leaves_the_others_alone(vectors: Vectors) -> None:
    await vectors.make()
    await vectors.put(text_point("1", "late delivery"))
    questions = [
        Question(collection="cases", query="late"),
        Question(collection="nowhere", query="late"),
        Question(collection="cases", query="late", k=0),
        Question(collection="cases", query="delivery"),
    ]
    first, second, third, fourth = await vectors.searches.batch("a", questions)
    assert isinstance(first, Answer)
    assert isinstance(fourth, Answer)
    assert [hit.point.id for hit in first.hits] == [hit.point.id for hit in fourth.hits] == ["1"]
    assert isinstance(second, NotFound)
    assert isinstance(third, InvalidArgument)


async def test_another_models_weights_are_refused(vectors: Vectors) -> None:
    await vectors.make()
    await vectors.put(text_point("1"))
    other = Embeddings([WordEmbedder(fingerprint="words-2")], batch=8, cache=EmbeddingCache(1 << 20), max_tokens=500)
    vectors.collections.embeddings = other
    for call in (vectors.ask("case"), vectors.points.upsert("a", "cases", [text_point("2")])):
        with pytest.raises(FailedPrecondition) as caught:
            await call
        assert caught.value.reason == "EMBEDDING_MODEL_MISMATCH"
    own = np.ones(64, dtype=np.float32)
    assert await vectors.find(vector=own) == ["1"]
    await other.close()


async def test_a_collection_without_a_model_refuses_texts(vectors: Vectors) -> None:
    await vectors.make("cases", dimension=2)
    for call in (vectors.ask("case"), vectors.points.upsert("a", "cases", [text_point("2")])):
        with pytest.raises(FailedPrecondition) as caught:
            await call
        assert caught.value.reason == "COLLECTION_WITHOUT_MODEL"


async def test_a_search_beside_the_deletion_of_its_collection_is_not_found(vectors: Vectors) -> None:
    await vectors.make("cases", dimension=2)
    collection = await vectors.collections.get("a", "cases")
    await vectors.collections.delete("a", "cases", allow_missing=False, etag="")
    with pytest.raises(NotFound):
        await vectors.engine.count(collection, None)
    with pytest.raises(NotFound):
        await vectors.engine.write(collection, [Point(id="1", vector=vector(1, 1))])


async def test_hostile_words_are_only_words(vectors: Vectors) -> None:
    await vectors.make()
    words = "'; DROP TABLE vectors_collections; -- %s %(x)s {table} $1 \\"
    await vectors.put(text_point(words.replace("\\", "/"), words, field=words))
    for operator in (Operator.EQUAL, Operator.CONTAINS, Operator.STARTS_WITH, Operator.ENDS_WITH):
        assert await vectors.find(words, filter=Condition("field", operator, words)) == [words.replace("\\", "/")]
    assert await vectors.find("x", filter=Condition("field", Operator.CONTAINS, "%")) != []
    assert await vectors.find("x", filter=Condition("field", Operator.STARTS_WITH, "_")) == []


# Filters: every engine against the reference

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
        engine = PgvectorBackend(database, VectorsSettings(index_quiet_seconds=3600))
        vectors = Vectors(PostgresCatalog(database), engine)
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
            runner.run(engine.stop())
            runner.run(database.close())


# The plans of pgvector


async def filled(database: Database, rows: int, **changes: Any) -> tuple[Vectors, Any]:
    engine = PgvectorBackend(database, VectorsSettings(index_quiet_seconds=3600, **changes))
    vectors = Vectors(PostgresCatalog(database), engine)
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
    await vectors.embeddings.close()


async def test_an_index_that_comes_back_short_is_made_good_by_an_exact_scan(database: Database) -> None:
    vectors, _ = await filled(database, 5500, exact_rows=0)
    collection = await vectors.collections.get("a", "cases")
    assert await vectors.engine.indexes.build(collection.key, collection.metric)
    every = vector(*[1.0] * 32)
    assert len((await vectors.ask(vector=every, k=1000)).hits) == 1000
    twelve = Condition("n", Operator.LESS, 12)
    assert len((await vectors.ask(vector=every, k=1000, filter=twelve)).hits) == 12
    await vectors.embeddings.close()


async def test_a_small_collection_gets_no_index(database: Database) -> None:
    vectors, _ = await filled(database, 100)
    collection = await vectors.collections.get("a", "cases")
    assert not await vectors.engine.indexes.build(collection.key, collection.metric)
    assert (await vectors.ask(vector=vector(*[1.0] * 32))).plan is Plan.EXACT
    await vectors.embeddings.close()


async def test_a_dimension_beyond_the_index_is_searched_exactly(database: Database) -> None:
    engine = PgvectorBackend(database, VectorsSettings(index_quiet_seconds=3600, index_rows=1))
    vectors = Vectors(PostgresCatalog(database), engine)
    await vectors.make("cases", dimension=3000)
    await vectors.put(
        Point(id="1", vector=np.ones(3000, dtype=np.float32)), Point(id="2", vector=-np.ones(3000, dtype=np.float32))
    )
    assert await vectors.find(vector=np.ones(3000, dtype=np.float32)) == ["1", "2"]
    await vectors.embeddings.close()


async def test_quiet_after_an_upsert_makes_the_index_in_the_background(database: Database) -> None:
    engine = PgvectorBackend(database, VectorsSettings(index_quiet_seconds=0, index_rows=10))
    vectors = Vectors(PostgresCatalog(database), engine)
    await vectors.make("cases", dimension=2)
    await vectors.put(*(Point(id=str(n), vector=vector(1, n)) for n in range(20)))
    await engine.indexes.settled()
    assert (await vectors.collections.get("a", "cases")).is_indexed
    assert (await vectors.ask(vector=vector(1, 1), k=5)).plan is Plan.INDEX
    await engine.stop()
    await vectors.embeddings.close()
