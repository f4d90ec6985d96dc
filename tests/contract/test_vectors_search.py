"""One suite for every engine: what a search answers does not depend on where the points live."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import numpy as np
import pytest
from vectors_core import Vectors, over_memory, over_pgvector, text_point, vector
from word_embedder import WordEmbedder

from difyrpc_services.runtime.errors import (
    FailedPrecondition,
    InvalidArgument,
    NotFound,
    Unimplemented,
)
from difyrpc_services.vectors.core.embedding import Embeddings
from difyrpc_services.vectors.core.embedding_cache import EmbeddingCache
from difyrpc_services.vectors.core.filters import (
    Condition,
    Operator,
)
from difyrpc_services.vectors.core.search import Answer, Question
from difyrpc_services.vectors.core.values import (
    Feature,
    Metric,
    Payload,
    Point,
)

ENGINES = ("memory", "pgvector")


@pytest.fixture(params=ENGINES)
def unstarted(request: pytest.FixtureRequest) -> Vectors:
    return over_memory() if request.param == "memory" else over_pgvector(request.getfixturevalue("database"))


@pytest.fixture
async def vectors(unstarted: Vectors) -> AsyncIterator[Vectors]:
    yield unstarted
    await unstarted.close()


async def test_a_text_finds_what_shares_its_words(vectors: Vectors) -> None:
    await vectors.make()
    await vectors.put(
        text_point("1", "liability for late delivery", case_id="SC-2021-7"),
        text_point("2", "termination of the lease", case_id=42),
        text_point("3", "逾期交付的责任"),
    )
    answer = await vectors.ask("late delivery", k=2)
    assert answer.hits[0].point.id == "1"
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
