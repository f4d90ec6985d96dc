"""VectorSearch over gRPC, with the bundled model and a real PostgreSQL."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest
from google.rpc import error_details_pb2, status_pb2
from serving import Running, running

from difyrpc.type.v1.value_pb2 import Value
from difyrpc.vectors.v1 import collection_pb2, filter_pb2, point_pb2, search_pb2
from difyrpc.vectors.v1 import vectors_pb2 as pb
from difyrpc.vectors.v1.vectors_pb2 import SearchRequest
from difyrpc.vectors.v1.vectors_pb2_grpc import VectorSearchStub
from difyrpc_services.runtime.database import Database

Stub = Any

LAWS = {
    "zh-577": ("当事人一方不履行合同义务的，应当承担继续履行、采取补救措施或者赔偿损失等违约责任。", "zh"),
    "zh-703": ("租赁合同是出租人将租赁物交付承租人使用、收益，承租人支付租金的合同。", "zh"),
    "en-late": ("The supplier is liable for damages caused by late delivery of the goods.", "en"),
    "en-conf": ("The parties shall keep the terms of this agreement confidential.", "en"),
}


@pytest.fixture
async def house_server(database: Database, tmp_path: Path) -> AsyncIterator[Running]:
    """This service alone, without authentication."""
    async with running(database, tmp_path, names=["vectors"]) as server:
        yield server


@pytest.fixture
async def tenants_server(database: Database, tmp_path: Path) -> AsyncIterator[Running]:
    """This service alone, with a key for each of two tenants."""
    async with running(database, tmp_path, names=["vectors"], env={}, tenants=("a", "b")) as server:
        yield server


@pytest.fixture
async def stub(house_server: Running) -> AsyncIterator[Stub]:
    async with house_server.channel() as channel:
        yield VectorSearchStub(channel)


def law_points() -> list[point_pb2.Point]:
    return [
        point_pb2.Point(id=name, text=text, metadata={"lang": Value(string_value=lang)})
        for name, (text, lang) in LAWS.items()
    ]


def f32(*numbers: float) -> point_pb2.Vector:
    return point_pb2.Vector(f32_le=np.array(numbers, dtype="<f4").tobytes())


def vector_point(point_id: str, *numbers: float, **metadata: Value) -> point_pb2.Point:
    return point_pb2.Point(id=point_id, vector=f32(*numbers), metadata=metadata)


def equal(field: str, value: Value) -> filter_pb2.Filter:
    condition = filter_pb2.Condition(field=field, operator=filter_pb2.OPERATOR_EQUAL, value=value)
    return filter_pb2.Filter(condition=condition)


async def made(stub: Stub, name: str = "cases", **fields: Any) -> collection_pb2.Collection:
    request = pb.CreateCollectionRequest(collection=collection_pb2.Collection(name=name, **fields))
    return (await stub.CreateCollection(request)).collection


async def refused(call: Any) -> tuple[grpc.StatusCode, str, Sequence[str], dict[str, str]]:
    """Answers code, reason, fields and metadata of the error that a call ends with."""
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    details = dict(caught.value.trailing_metadata())["grpc-status-details-bin"]
    info, bad = error_details_pb2.ErrorInfo(), error_details_pb2.BadRequest()
    for detail in status_pb2.Status.FromString(details).details:
        detail.Unpack(info)
        detail.Unpack(bad)
    return caught.value.code(), info.reason, [one.field for one in bad.field_violations], dict(info.metadata)


async def test_existing_code_searches_the_default_collection(house_server: Running) -> None:
    async with house_server.channel() as channel:
        stub: Stub = VectorSearchStub(channel)
        assert not (await stub.Search(SearchRequest(query="违约责任", k=5), timeout=15)).hits
        await stub.UpsertPoints(pb.UpsertPointsRequest(points=law_points()))
        hits = (await stub.Search(SearchRequest(query="不履行合同怎么办", k=5), timeout=15)).hits
        assert (hits[0].case_id, len(hits)) == ("zh-577", 4)


async def test_a_question_finds_its_law_and_usage_is_told(stub: Stub) -> None:
    stored = await stub.UpsertPoints(pb.UpsertPointsRequest(points=law_points()))
    assert stored.upserted_count == 4
    assert (stored.usage.model, stored.usage.texts) == ("multilingual-e5-small", 4)
    assert stored.usage.tokens > 40
    request = SearchRequest(query="goods that arrive too late", k=2, read_token=stored.read_token)
    found = await stub.Search(request)
    assert found.hits[0].id == "en-late"
    assert found.hits[0].metadata["lang"].string_value == "en"
    assert 0.7 < found.hits[0].score <= 1.0
    assert found.hits[0].raw_score == pytest.approx(1 - found.hits[0].score, abs=1e-6)
    assert found.usage.tokens > 3
    assert (found.plan, found.cache_state) == (search_pb2.SEARCH_PLAN_EXACT, search_pb2.CACHE_STATE_OFF)
    assert found.timings.total.ToNanoseconds() >= found.timings.engine.ToNanoseconds() > 0
    again = await stub.Search(request)
    assert (again.usage.tokens, again.usage.cached_texts) == (0, 1)


async def test_a_filter_and_a_threshold_narrow_the_search(stub: Stub) -> None:
    await stub.UpsertPoints(pb.UpsertPointsRequest(points=law_points()))
    chinese = equal("lang", Value(string_value="zh"))
    found = await stub.Search(SearchRequest(query="late delivery", filter=chinese))
    assert {hit.id for hit in found.hits} == {"zh-577", "zh-703"}
    assert not (await stub.Search(SearchRequest(query="late delivery", threshold=0.999))).hits


async def test_a_collection_lives_from_creation_to_deletion(stub: Stub) -> None:
    first = await made(stub, "collections/判例", dimension=3, metric=point_pb2.METRIC_DOT, description="old")
    assert (first.name, first.engine, first.dimension) == ("collections/判例", "pgvector", 3)
    first.description = "new"
    update = pb.UpdateCollectionRequest(collection=first, update_mask={"paths": ["description"]})
    second = (await stub.UpdateCollection(update)).collection
    assert (second.description, second.etag == first.etag) == ("new", False)
    assert (await refused(stub.UpdateCollection(update)))[:2] == (grpc.StatusCode.ABORTED, "ETAG_MISMATCH")
    listed = await stub.ListCollections(pb.ListCollectionsRequest())
    assert [one.name for one in listed.collections] == ["collections/判例"]
    await stub.DeleteCollection(pb.DeleteCollectionRequest(name="判例"))
    assert (await refused(stub.GetCollection(pb.GetCollectionRequest(name="判例"))))[1] == "COLLECTION_NOT_FOUND"
    await stub.DeleteCollection(pb.DeleteCollectionRequest(name="判例", allow_missing=True))


async def test_a_creation_is_repeated_by_its_request_id(stub: Stub) -> None:
    request = pb.CreateCollectionRequest(
        collection=collection_pb2.Collection(name="once", dimension=2),
        request_id="8a1b8a3e-5b0c-4a9e-9f57-6b1a3a5e0001",
    )
    assert await stub.CreateCollection(request) == await stub.CreateCollection(request)
    request.request_id = ""
    assert (await refused(stub.CreateCollection(request)))[1] == "COLLECTION_EXISTS"


async def test_points_come_back_as_they_were_sent(stub: Stub) -> None:
    await made(stub, dimension=2)
    sent = vector_point(
        "1",
        0.25,
        -4.0,
        whole=Value(int64_value=2**63 - 1),
        number=Value(double_value=5.0),
        nothing=Value(null_value=0),
        yes=Value(bool_value=False),
        list={"list_value": {"values": [Value(int64_value=1), Value(string_value="")]}},
        none={"list_value": {}},
    )
    sent.metadata["time"].time_value.FromJsonString("2024-05-17T12:00:00.123456Z")
    await stub.UpsertPoints(pb.UpsertPointsRequest(collection="cases", points=[sent]))
    payload = point_pb2.PayloadSelection(vector=True)
    got = await stub.GetPoints(pb.GetPointsRequest(collection="cases", ids=["1", "2"], payload=payload))
    assert list(got.points) == [sent]
    assert list(got.missing_ids) == ["2"]
    payload.vector_encoding = point_pb2.VECTOR_ENCODING_FLOATS
    got = await stub.GetPoints(pb.GetPointsRequest(collection="cases", ids=["1"], payload=payload))
    assert list(got.points[0].vector.floats.values) == [0.25, -4.0]


async def test_points_are_scrolled_counted_changed_and_deleted(stub: Stub) -> None:
    await made(stub, dimension=2)
    points = [vector_point(f"{n}", 1.0, n, odd=Value(bool_value=bool(n % 2))) for n in range(5)]
    await stub.UpsertPoints(pb.UpsertPointsRequest(collection="cases", points=points))
    odd = equal("odd", Value(bool_value=True))
    first = await stub.ScrollPoints(pb.ScrollPointsRequest(collection="cases", page_size=3))
    rest = await stub.ScrollPoints(
        pb.ScrollPointsRequest(collection="cases", page_size=3, page_token=first.next_page_token)
    )
    assert [point.id for point in [*first.points, *rest.points]] == ["0", "1", "2", "3", "4"]
    assert (await stub.CountPoints(pb.CountPointsRequest(collection="cases", filter=odd))).count == 2
    change = pb.UpdateMetadataRequest(
        collection="cases", points={"filter": odd}, set={"seen": Value(int64_value=1)}, remove=["odd"]
    )
    assert (await stub.UpdateMetadata(change)).updated_count == 2
    seen = equal("seen", Value(double_value=1.0))
    gone = await stub.DeletePoints(pb.DeletePointsRequest(collection="cases", points={"filter": seen}))
    assert gone.deleted_count == 2
    gone = await stub.DeletePoints(pb.DeletePointsRequest(collection="cases", points={"ids": {"ids": ["0", "x"]}}))
    assert gone.deleted_count == 1


def stream_of(*sequences: int, stream_id: str = "import") -> list[pb.UpsertPointsStreamRequest]:
    spec = pb.UpsertSpec(collection="cases", stream_id=stream_id)
    return [
        pb.UpsertPointsStreamRequest(spec=spec),
        *(
            pb.UpsertPointsStreamRequest(batch={"sequence": n, "points": [vector_point(str(n), 1.0, n)]})
            for n in sequences
        ),
    ]


async def test_a_stream_is_acknowledged_and_goes_on(stub: Stub) -> None:
    await made(stub, dimension=2)
    acks = [ack.durable_sequence async for ack in stub.UpsertPointsStream(iter(stream_of(1, 2)))]
    assert acks == [0, 1, 2]
    acks = [ack.durable_sequence async for ack in stub.UpsertPointsStream(iter(stream_of(2, 3)))]
    assert acks == [2, 2, 3]
    assert (await stub.CountPoints(pb.CountPointsRequest(collection="cases"))).count == 3


async def test_each_ack_comes_before_the_next_batch_is_sent(stub: Stub) -> None:
    await made(stub, dimension=2)
    call = stub.UpsertPointsStream()
    for expected, message in enumerate(stream_of(1, 2)):
        await call.write(message)
        assert (await call.read()).durable_sequence == expected
        assert (await stub.CountPoints(pb.CountPointsRequest(collection="cases"))).count == expected
    await call.done_writing()
    assert await call.read() is grpc.aio.EOF


async def drained(call: Any) -> None:
    async for _ in call:
        pass


async def test_a_broken_stream_is_refused_with_its_reason(stub: Stub) -> None:
    await made(stub, dimension=2)
    spec, first, third = stream_of(1, 3)
    for messages, reason in (
        ([spec, first, third], "SEQUENCE_GAP"),
        ([first], "SPEC_MISSING"),
        ([], "SPEC_MISSING"),
        ([spec, spec], "BATCH_MISSING"),
    ):
        assert (await refused(drained(stub.UpsertPointsStream(iter(messages)))))[1] == reason
    assert (await stub.CountPoints(pb.CountPointsRequest(collection="cases"))).count == 1


async def test_each_search_of_a_batch_has_its_own_status(stub: Stub) -> None:
    await made(stub, dimension=2)
    await stub.UpsertPoints(pb.UpsertPointsRequest(collection="cases", points=[vector_point("1", 1.0, 0.0)]))
    answer = await stub.BatchSearch(
        pb.BatchSearchRequest(
            searches=[
                SearchRequest(collection="cases", vector=f32(1, 1)),
                SearchRequest(collection="nowhere", vector=f32(1, 1)),
                SearchRequest(collection="cases", vector=point_pb2.Vector()),
                SearchRequest(collection="cases", vector=f32(1, 1), filter={}),
            ]
        )
    )
    assert [hit.id for hit in answer.results[0].response.hits] == ["1"]
    assert [result.error.code for result in answer.results] == [0, 5, 3, 3]


async def test_texts_are_embedded_for_a_purpose(stub: Stub) -> None:
    texts = ["违约责任", "late delivery"]
    made_ = await stub.EmbedTexts(pb.EmbedTextsRequest(texts=texts, purpose=search_pb2.EMBEDDING_PURPOSE_QUERY))
    rows = np.array([np.frombuffer(vector.f32_le, dtype="<f4") for vector in made_.vectors])
    assert rows.shape == (2, made_.dimension) == (2, 384)
    assert np.allclose(np.linalg.norm(rows, axis=1), 1.0, atol=1e-5)
    assert (made_.model, made_.usage.texts) == ("multilingual-e5-small", 2)
    assert made_.fingerprint.startswith("sha256:")


async def test_engines_say_what_they_can_do(stub: Stub) -> None:
    listed = await stub.ListEngines(pb.ListEnginesRequest())
    (engine,), (model,) = listed.engines, listed.models
    assert (engine.name, engine.is_default, engine.max_k, engine.max_indexed_dimension) == (
        "pgvector",
        True,
        1000,
        2000,
    )
    assert collection_pb2.FEATURE_HYBRID not in engine.features
    assert (model.dimension, model.window_tokens, model.is_default) == (384, 512, True)


@pytest.mark.parametrize(
    ("request_", "feature"),
    [
        (SearchRequest(query="x", mode=search_pb2.SEARCH_MODE_HYBRID), "hybrid"),
        (SearchRequest(query="x", mode=search_pb2.SEARCH_MODE_KEYWORD), "keyword"),
        (SearchRequest(query="x", group_by={"field": "court"}), "group_by"),
        (SearchRequest(vector={"sparse": {"indices": [1], "values": [1.0]}}), "sparse_vectors"),
        (SearchRequest(vector={"int8": b"\1"}), "int8_vectors"),
        (pb.UpsertPointsRequest(points=[{"id": "1", "text": "x", "named_vectors": {"a": f32(1)}}]), "named_vectors"),
        (pb.UpsertPointsRequest(points=[{"id": "1", "vector": {"int8": b"\1"}}]), "int8_vectors"),
        (pb.CreateCollectionRequest(collection={"name": "x", "aliases": ["y"]}), "aliases"),
        (pb.CreateCollectionRequest(collection={"name": "x", "sharding": {"engines": ["a"]}}), "sharding"),
        (pb.CreateCollectionRequest(collection={"name": "x", "schema": [{"field": "a"}]}), "schema"),
    ],
)
async def test_what_is_not_done_is_refused_by_engine_and_feature(stub: Stub, request_: Any, feature: str) -> None:
    call = getattr(stub, type(request_).__name__.removesuffix("Request"))
    code, reason, _, metadata = await refused(call(request_))
    assert (code, reason) == (grpc.StatusCode.UNIMPLEMENTED, "FEATURE_NOT_SUPPORTED")
    assert metadata == {"engine": "pgvector", "feature": feature}


@pytest.mark.parametrize(
    ("request_", "reason", "field"),
    [
        (SearchRequest(), "QUERY_MISSING", "query"),
        (SearchRequest(query="x", k=0), "K_OUT_OF_RANGE", "k"),
        (SearchRequest(query="x", mode=99), "ENUM_VALUE_INVALID", "mode"),
        (SearchRequest(query="x", accuracy=9), "ENUM_VALUE_INVALID", "accuracy"),
        (SearchRequest(query="x", filter={}), "FILTER_EMPTY", "filter"),
        (
            SearchRequest(query="x", filter={"all_of": {"filters": [{"condition": {"field": "a", "operator": 1}}]}}),
            "FILTER_VALUE_KIND",
            "filter.all_of.filters[0].condition.value",
        ),
        (
            SearchRequest(query="x", filter={"condition": {"field": "a", "value": {}, "operator": 1}}),
            "VALUE_MISSING",
            "filter.condition.value",
        ),
        (SearchRequest(vector={"f32_le": b"abc"}), "VECTOR_ENCODING_INVALID", "vector.f32_le"),
        (SearchRequest(collection="a b", query="x"), "COLLECTION_NAME_INVALID", "collection"),
        (pb.UpsertPointsRequest(), "POINTS_MISSING", "points"),
        (
            pb.UpsertPointsRequest(points=[{"id": "1", "text": "x", "metadata": {"t": {"time_value": {"nanos": -1}}}}]),
            "TIME_INVALID",
            'points[0].metadata["t"]',
        ),
        (pb.DeletePointsRequest(), "SELECTOR_MISSING", "points"),
        (pb.DeletePointsRequest(points={"filter": {}}), "FILTER_EMPTY", "points.filter"),
        (pb.UpdateMetadataRequest(points={"ids": {"ids": ["1"]}}), "METADATA_CHANGE_INVALID", "set"),
        (pb.ScrollPointsRequest(page_size=-1), "PAGE_SIZE_INVALID", "page_size"),
        (pb.ScrollPointsRequest(page_token="%"), "INVALID_PAGE_TOKEN", "page_token"),
        (pb.BatchSearchRequest(), "COUNT_OUT_OF_RANGE", "searches"),
        (pb.EmbedTextsRequest(texts=["x"]), "ENUM_VALUE_MISSING", "purpose"),
        (pb.EmbedTextsRequest(purpose=search_pb2.EMBEDDING_PURPOSE_QUERY), "COUNT_OUT_OF_RANGE", "texts"),
        (pb.DeleteCollectionRequest(), "COLLECTION_NAME_INVALID", "name"),
        (pb.CreateCollectionRequest(), "COLLECTION_NAME_INVALID", "collection.name"),
    ],
)
async def test_bad_input_is_refused_with_field_and_reason(stub: Stub, request_: Any, reason: str, field: str) -> None:
    call = getattr(stub, type(request_).__name__.removesuffix("Request"))
    code, found, fields, _ = await refused(call(request_))
    assert (code, found, fields) == (grpc.StatusCode.INVALID_ARGUMENT, reason, [field])


async def test_a_tenants_collections_are_invisible_to_another(tenants_server: Running) -> None:
    async with tenants_server.channel(tenant="a") as channel:
        owner: Stub = VectorSearchStub(channel)
        await made(owner, dimension=2)
        await owner.UpsertPoints(pb.UpsertPointsRequest(points=law_points()))
    async with tenants_server.channel(tenant="b") as channel:
        other: Stub = VectorSearchStub(channel)
        assert not (await other.ListCollections(pb.ListCollectionsRequest())).collections
        assert not (await other.Search(SearchRequest(query="违约责任"))).hits
        for call in (
            other.GetCollection(pb.GetCollectionRequest(name="cases")),
            other.GetCollection(pb.GetCollectionRequest(name="default")),
            other.DeleteCollection(pb.DeleteCollectionRequest(name="cases")),
            other.Search(SearchRequest(collection="cases", vector=f32(1, 1))),
            other.CountPoints(pb.CountPointsRequest(collection="cases")),
            drained(other.UpsertPointsStream(iter(stream_of(1)))),
        ):
            assert (await refused(call))[:2] == (grpc.StatusCode.NOT_FOUND, "COLLECTION_NOT_FOUND")


async def test_the_cache_shows_in_the_metrics(house_server: Running, stub: Stub) -> None:
    text = pb.EmbedTextsRequest(texts=["lease"], purpose=search_pb2.EMBEDDING_PURPOSE_QUERY)
    await stub.EmbedTexts(text)
    await stub.EmbedTexts(text)
    name = "difyrpc_vectors_embedding_cache_lookups_total"
    assert house_server.registry.get_sample_value(name, {"outcome": "hit"}) == 1.0
    assert house_server.registry.get_sample_value(name, {"outcome": "miss"}) == 1.0


async def test_the_doctor_proves_engine_and_model(house_server: Running) -> None:
    (service,) = [service for service in house_server.services if service.name == "vectors"]
    engine, model = await service.check()
    assert (engine.level, model.level) == ("ok", "ok")
    assert engine.found.startswith("pgvector 0.")
    assert "384 dimensions" in model.found
