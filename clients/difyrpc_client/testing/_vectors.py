"""VectorSearch in memory: cosine over words."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import Any

from google.rpc import status_pb2

from difyrpc.vectors.v1 import collection_pb2, point_pb2, search_pb2
from difyrpc.vectors.v1 import vectors_pb2 as pb
from difyrpc_client._errors import DifyrpcError
from difyrpc_client._point import read_vector, write_vector
from difyrpc_client.testing import _faults as faults
from difyrpc_client.testing._matching import DIMENSION, cosine, embed, matches

MODEL = "words"


class _Stored:
    def __init__(self, collection: collection_pb2.Collection) -> None:
        self.collection = collection
        self.points: dict[str, point_pb2.Point] = {}
        self.positions: dict[str, int] = {}


class VectorsInMemory:
    """Keeps collections; each method is the rpc of its name."""

    def __init__(self) -> None:
        self._collections: dict[str, _Stored] = {}
        self._etags = itertools.count(1)
        self._make(collection_pb2.Collection(name="collections/default"))

    def CreateCollection(self, request: pb.CreateCollectionRequest) -> pb.CreateCollectionResponse:  # noqa: N802
        """Makes a collection."""
        name = request.collection.name
        if name in self._collections:
            raise faults.collection_exists(_bare(name))
        return pb.CreateCollectionResponse(collection=self._make(request.collection))

    def GetCollection(self, request: pb.GetCollectionRequest) -> pb.GetCollectionResponse:  # noqa: N802
        """Gets a collection."""
        return pb.GetCollectionResponse(collection=self._stored(request.name).collection)

    def ListCollections(self, request: pb.ListCollectionsRequest) -> pb.ListCollectionsResponse:  # noqa: N802
        """Lists collections; the page token is a position."""
        names = sorted(self._collections)
        begin, size = int(request.page_token or 0), request.page_size or 100
        page = [self._collections[name].collection for name in names[begin : begin + size]]
        more = str(begin + size) if begin + size < len(names) else ""
        return pb.ListCollectionsResponse(collections=page, next_page_token=more)

    def UpdateCollection(self, request: pb.UpdateCollectionRequest) -> pb.UpdateCollectionResponse:  # noqa: N802
        """Changes what the mask names."""
        found = self._stored(request.collection.name).collection
        if request.collection.etag not in ("", found.etag):
            raise faults.collection_changed(_bare(found.name))
        for path in request.update_mask.paths:
            found.ClearField(path)  # type: ignore[arg-type]  # a path out of the mask
        request.update_mask.MergeMessage(request.collection, found)
        found.etag = f"e{next(self._etags)}"
        found.update_time.FromDatetime(datetime.now(UTC))
        return pb.UpdateCollectionResponse(collection=found)

    def ListEngines(self, request: pb.ListEnginesRequest) -> pb.ListEnginesResponse:  # noqa: N802
        """Lists the one engine and the one model."""
        engine = collection_pb2.Engine(
            name="memory",
            kind="memory",
            is_default=True,
            features=[collection_pb2.FEATURE_DENSE, collection_pb2.FEATURE_EXACT_SEARCH],
            metrics=[point_pb2.METRIC_COSINE],
            max_dimension=DIMENSION,
            max_k=faults.MAX_K,
            max_batch_points=1000,
        )
        model = collection_pb2.EmbeddingModel(name=MODEL, dimension=DIMENSION, is_default=True)
        return pb.ListEnginesResponse(engines=[engine], models=[model])

    def DeleteCollection(self, request: pb.DeleteCollectionRequest) -> pb.DeleteCollectionResponse:  # noqa: N802
        """Deletes a collection."""
        if request.name in self._collections or not request.allow_missing:
            self._stored(request.name)
            del self._collections[request.name]
        return pb.DeleteCollectionResponse()

    def UpsertPoints(self, request: pb.UpsertPointsRequest) -> pb.UpsertPointsResponse:  # noqa: N802
        """Stores points."""
        stored = self._stored(request.collection)
        for point in request.points:
            if not point.HasField("vector"):
                point.vector.CopyFrom(write_vector(embed(point.text)))
            stored.points[point.id] = point
        return pb.UpsertPointsResponse(upserted_count=len(request.points), usage=self._usage(len(request.points)))

    def UpsertPointsStream(  # noqa: N802
        self, requests: Iterable[pb.UpsertPointsStreamRequest]
    ) -> Iterator[pb.UpsertPointsStreamResponse]:
        """Stores batches of points that this stream has not stored yet."""
        sent = iter(requests)
        spec = next(sent).spec
        positions = self._stored(spec.collection).positions
        durable = positions.get(spec.stream_id, 0)
        yield pb.UpsertPointsStreamResponse(durable_sequence=durable)
        for batch in (request.batch for request in sent):
            if batch.sequence <= durable:
                yield pb.UpsertPointsStreamResponse(durable_sequence=durable)
                continue
            stored = self.UpsertPoints(pb.UpsertPointsRequest(collection=spec.collection, points=batch.points))
            durable = positions[spec.stream_id] = batch.sequence
            yield pb.UpsertPointsStreamResponse(
                durable_sequence=durable, upserted_count=stored.upserted_count, usage=stored.usage
            )

    def GetPoints(self, request: pb.GetPointsRequest) -> pb.GetPointsResponse:  # noqa: N802
        """Gets points by id."""
        points = self._stored(request.collection).points
        found = [_selected(points[one], request.payload) for one in request.ids if one in points]
        return pb.GetPointsResponse(points=found, missing_ids=[one for one in request.ids if one not in points])

    def ScrollPoints(self, request: pb.ScrollPointsRequest) -> pb.ScrollPointsResponse:  # noqa: N802
        """Lists points; the page token is a position."""
        found = sorted(self._matching(request), key=lambda point: point.id)
        begin, size = int(request.page_token or 0), request.page_size or 100
        page = [_selected(point, request.payload) for point in found[begin : begin + size]]
        more = str(begin + size) if begin + size < len(found) else ""
        return pb.ScrollPointsResponse(points=page, next_page_token=more)

    def CountPoints(self, request: pb.CountPointsRequest) -> pb.CountPointsResponse:  # noqa: N802
        """Counts points."""
        return pb.CountPointsResponse(count=len(self._matching(request)))

    def DeletePoints(self, request: pb.DeletePointsRequest) -> pb.DeletePointsResponse:  # noqa: N802
        """Deletes points."""
        points = self._stored(request.collection).points
        chosen = self._chosen(request)
        for point in chosen:
            del points[point.id]
        return pb.DeletePointsResponse(deleted_count=len(chosen))

    def UpdateMetadata(self, request: pb.UpdateMetadataRequest) -> pb.UpdateMetadataResponse:  # noqa: N802
        """Changes metadata."""
        chosen = self._chosen(request)
        for point in chosen:
            kept = {} if request.replace else dict(point.metadata)
            new = {key: value for key, value in {**kept, **request.set}.items() if key not in request.remove}
            point.ClearField("metadata")
            point.MergeFrom(point_pb2.Point(metadata=new))
        return pb.UpdateMetadataResponse(updated_count=len(chosen))

    def Search(self, request: pb.SearchRequest) -> pb.SearchResponse:  # noqa: N802
        """Finds what is most alike."""
        query = read_vector(request.vector) if request.HasField("vector") else embed(request.query)
        hits = sorted(self._hits(request, query), key=lambda hit: (-hit.score, hit.id))
        limit = request.k if request.HasField("k") else 10
        if not 1 <= limit <= faults.MAX_K:
            raise faults.too_many_hits(limit)
        return pb.SearchResponse(hits=hits[:limit], usage=self._usage(1), plan=search_pb2.SEARCH_PLAN_EXACT)

    def BatchSearch(self, request: pb.BatchSearchRequest) -> pb.BatchSearchResponse:  # noqa: N802
        """Searches several times."""
        return pb.BatchSearchResponse(results=[self._result(search) for search in request.searches])

    def EmbedTexts(self, request: pb.EmbedTextsRequest) -> pb.EmbedTextsResponse:  # noqa: N802
        """Makes vectors out of words."""
        vectors = [write_vector(embed(text)) for text in request.texts]
        return pb.EmbedTextsResponse(vectors=vectors, model=MODEL, dimension=DIMENSION, usage=self._usage(len(vectors)))

    def _make(self, collection: collection_pb2.Collection) -> collection_pb2.Collection:
        if not collection.dimension:
            collection.dimension, collection.embedding_model = DIMENSION, collection.embedding_model or MODEL
        collection.metric = collection.metric or point_pb2.METRIC_COSINE
        collection.engine, collection.etag = collection.engine or "memory", f"e{next(self._etags)}"
        collection.create_time.FromDatetime(datetime.now(UTC))
        collection.update_time.CopyFrom(collection.create_time)
        collection.index_state = collection_pb2.INDEX_STATE_EXACT
        self._collections[collection.name] = _Stored(collection)
        return collection

    def _stored(self, name: str) -> _Stored:
        full = f"collections/{_bare(name or 'default')}"
        if full not in self._collections:
            raise faults.no_collection(_bare(full))
        return self._collections[full]

    def _matching(self, request: Any) -> list[point_pb2.Point]:
        points = self._stored(request.collection).points.values()
        if not request.HasField("filter"):
            return list(points)
        return [point for point in points if matches(request.filter, point.metadata)]

    def _chosen(self, request: Any) -> list[point_pb2.Point]:
        points, selector = self._stored(request.collection).points, request.points
        if selector.WhichOneof("by") == "ids":
            return [points[one] for one in selector.ids.ids if one in points]
        return [point for point in points.values() if matches(selector.filter, point.metadata)]

    def _hits(self, request: pb.SearchRequest, query: Any) -> Iterator[point_pb2.Hit]:
        for point in self._matching(request):
            score = cosine(query, read_vector(point.vector))
            if not request.HasField("threshold") or score >= request.threshold:
                yield _hit(_selected(point, request.payload), point, score)

    def _result(self, search: pb.SearchRequest) -> pb.BatchSearchResult:
        try:
            return pb.BatchSearchResult(response=self.Search(search))
        except DifyrpcError as error:
            return pb.BatchSearchResult(error=status_pb2.Status(code=error.code, message=error.message))

    def _usage(self, texts: int) -> point_pb2.EmbeddingUsage:
        return point_pb2.EmbeddingUsage(model=MODEL, texts=texts)


def _bare(name: str) -> str:
    return name.removeprefix("collections/")


def _selected(point: point_pb2.Point, payload: point_pb2.PayloadSelection) -> point_pb2.Point:
    chosen = point_pb2.Point()
    chosen.CopyFrom(point)
    if not payload.vector:
        chosen.ClearField("vector")
    for key in [key for key in chosen.metadata if payload.metadata_fields and key not in payload.metadata_fields]:
        del chosen.metadata[key]
    return chosen


def _hit(chosen: point_pb2.Point, point: point_pb2.Point, score: float) -> point_pb2.Hit:
    case = point.metadata["case_id"].string_value if "case_id" in point.metadata else point.id
    hit = point_pb2.Hit(
        id=point.id,
        case_id=case,
        text=chosen.text,
        metadata=chosen.metadata,
        score=score,
        raw_score=1 - score,
        metric=point_pb2.METRIC_COSINE,
    )
    if chosen.HasField("vector"):
        hit.vector.CopyFrom(chosen.vector)
    return hit
