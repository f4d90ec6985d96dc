"""Vectors: what is asked and what comes back."""

from __future__ import annotations

import pytest
from google.protobuf import any_pb2
from google.rpc import error_details_pb2, status_pb2

from difyrpc.vectors.v1 import point_pb2, search_pb2, vectors_pb2_grpc
from difyrpc.vectors.v1 import vectors_pb2 as pb
from difyrpc_client import InvalidArgument, NotFound, Query, SearchResult, connect, connect_async, field
from difyrpc_client._searching import BATCH_BYTES, BATCH_POINTS, batches

ADD = vectors_pb2_grpc.add_VectorSearchServicer_to_server


class Vectors(vectors_pb2_grpc.VectorSearchServicer):
    def __init__(self) -> None:
        self.batches: list[int] = []
        self.search = pb.SearchRequest()

    def UpsertPoints(self, request, context):
        self.batches.append(len(request.points))
        usage = point_pb2.EmbeddingUsage(model="m", texts=len(request.points), tokens=10)
        token = f"t{len(self.batches)}"
        return pb.UpsertPointsResponse(upserted_count=len(request.points), read_token=token, usage=usage)

    def Search(self, request, context):
        self.search = request
        hit = point_pb2.Hit(id="1", case_id="case-1", score=0.5, metric=point_pb2.METRIC_COSINE)
        hit.metadata["year"].int64_value = 2021
        answer = pb.SearchResponse(hits=[hit], plan=search_pb2.SEARCH_PLAN_INDEX, read_token="r")
        answer.cache_state = search_pb2.CACHE_STATE_MISS
        answer.timings.engine.FromMilliseconds(250)
        return answer

    def BatchSearch(self, request, context):
        info = any_pb2.Any()
        info.Pack(error_details_pb2.ErrorInfo(reason="COLLECTION_NOT_FOUND"))
        error = status_pb2.Status(code=5, message="no", details=[info])
        return pb.BatchSearchResponse(
            results=[pb.BatchSearchResult(response=self.Search(one, None)) for one in request.searches[:-1]]
            + [pb.BatchSearchResult(error=error)]
        )

    def ScrollPoints(self, request, context):
        begin = int(request.page_token or 0)
        page = [point_pb2.Point(id=str(number)) for number in range(begin, begin + 2)]
        return pb.ScrollPointsResponse(points=page, next_page_token=str(begin + 2) if begin < 4 else "")


@pytest.fixture
def vectors() -> Vectors:
    return Vectors()


@pytest.fixture
def dify(serve, vectors):
    with connect(serve((ADD, vectors))) as dify:
        yield dify


def test_an_upsert_is_cut_into_batches_and_added_up(dify, vectors) -> None:
    told: list[int] = []
    count = 2 * BATCH_POINTS + 1
    stored = dify.vectors.upsert("c", ((str(number), "text") for number in range(count)), progress=told.append)
    assert vectors.batches == [BATCH_POINTS, BATCH_POINTS, 1]
    assert told == [BATCH_POINTS, 2 * BATCH_POINTS, count]
    assert (stored.count, stored.read_token, stored.usage.texts, stored.usage.tokens) == (count, "t3", count, 30)


def test_long_points_make_small_batches() -> None:
    text = "x" * (BATCH_BYTES // 2)
    assert [len(batch) for batch in batches((str(number), text) for number in range(3))] == [1, 1, 1]
    assert list(batches([])) == []


async def test_points_may_come_asynchronously(serve, vectors) -> None:
    async def points():
        for number in range(BATCH_POINTS + 1):
            yield str(number), "text"

    async with connect_async(serve((ADD, vectors))) as dify:
        assert (await dify.vectors.upsert("c", points())).count == BATCH_POINTS + 1
    assert vectors.batches == [BATCH_POINTS, 1]


def test_a_search_is_a_sequence_of_hits_that_says_how_it_was_answered(dify, vectors) -> None:
    result = dify.vectors.search("precedents", "late", limit=5, filter=field("year") >= 2020, threshold=0.25)
    assert [(hit.id, hit.case_id, hit.score, hit.metadata) for hit in result] == [("1", "case-1", 0.5, {"year": 2021})]
    assert (len(result), result[0].metric, result.plan, result.cache_state) == (1, "cosine", "index", "miss")
    assert (result.timings.engine, result.timings.total) == (0.25, None)
    sent = vectors.search
    assert (sent.collection, sent.query, sent.k, sent.threshold) == ("precedents", "late", 5, 0.25)
    assert sent.filter.condition.field == "year"


def test_a_search_by_vector_sends_what_else_is_asked(dify, vectors) -> None:
    dify.vectors.search(vector=[1.0, 0.0], mode="hybrid", keywords="late", with_vectors=True, exact=True)
    sent = vectors.search
    assert (sent.collection, sent.WhichOneof("by"), len(sent.vector.f32_le)) == ("default", "vector", 8)
    assert (sent.mode, sent.keywords, sent.payload.vector) == (search_pb2.SEARCH_MODE_HYBRID, "late", True)
    assert sent.accuracy == search_pb2.ACCURACY_EXACT
    assert not sent.HasField("threshold")


@pytest.mark.parametrize("wrong", [{}, {"query": "x", "vector": [1.0]}])
def test_a_search_needs_a_text_or_a_vector(dify, wrong) -> None:
    with pytest.raises(InvalidArgument, match="either a query text or a vector"):
        dify.vectors.search("c", **wrong)


def test_a_batch_answers_in_order_with_errors_in_their_places(dify) -> None:
    good, bad = dify.vectors.batch_search("c", ["late", Query(vector=[1.0], limit=3)])
    assert isinstance(good, SearchResult)
    assert isinstance(bad, NotFound)
    assert bad.reason == "COLLECTION_NOT_FOUND"


def test_pages_follow_each_other(dify) -> None:
    assert [point.id for point in dify.vectors.scroll("c")] == ["0", "1", "2", "3", "4", "5"]


@pytest.mark.parametrize("wrong", [{}, {"ids": ["a"], "filter": field("a") == 1}])
def test_a_change_needs_ids_or_a_filter(dify, wrong) -> None:
    for change in (dify.vectors.delete, dify.vectors.update_metadata):
        with pytest.raises(InvalidArgument, match="either ids or a filter"):
            change("c", **wrong)
