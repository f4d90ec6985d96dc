"""Requests and answers of searches and upserts."""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator, Iterable, Iterator, Sequence
from itertools import islice
from typing import Any, Literal

from google.protobuf import field_mask_pb2

from difyrpc.vectors.v1 import collection_pb2, point_pb2, search_pb2
from difyrpc.vectors.v1 import vectors_pb2 as pb
from difyrpc_client._errors import InvalidArgument, from_status
from difyrpc_client._file import UNCHANGED, Unchanged
from difyrpc_client._filters import Filter, write_filter
from difyrpc_client._message import make, several, shown, wrong
from difyrpc_client._point import (
    Embeddings,
    EmbeddingUsage,
    Hit,
    Query,
    SearchOutcome,
    SearchResult,
    SearchTimings,
    Upserted,
    VectorLike,
    read_vector,
    total_usage,
    write_point,
    write_vector,
)
from difyrpc_client._shape import enum_number, enum_text, read
from difyrpc_client._values import Metadata, read_metadata, write_metadata

Metric = Literal["cosine", "dot", "euclidean"]
SearchMode = Literal["dense", "keyword", "hybrid"]
Purpose = Literal["query", "passage"]

BATCH_POINTS = 500  # an upsert holds at most 1,000; half of it keeps each answer quick
BATCH_BYTES = 3 * 1024 * 1024  # a server's message limit is 4 MiB or more


def write_collection(
    name: str,
    *,
    dimension: int,
    metric: Metric,
    engine: str,
    embedding_model: str,
    description: str,
    metadata: Metadata | None,
) -> collection_pb2.Collection:
    """Makes what a new collection shall be."""
    return make(
        collection_pb2.Collection,
        name=full_name(name),
        dimension=dimension,
        metric=_metric(metric),
        engine=engine,
        embedding_model=embedding_model,
        description=description,
        metadata=write_metadata(metadata),
    )


def update_collection_request(
    name: str,
    *,
    description: str | Unchanged,
    metadata: Metadata | Unchanged | None,
    aliases: Iterable[str] | Unchanged,
    etag: str,
) -> pb.UpdateCollectionRequest:
    """Asks to change what is not UNCHANGED."""
    given: dict[str, Any] = {
        "description": description,
        "metadata": metadata if isinstance(metadata, Unchanged) else write_metadata(metadata),
        "aliases": aliases,
    }
    changed = {field: value for field, value in given.items() if value is not UNCHANGED}
    new = make(collection_pb2.Collection, name=full_name(name), etag=etag, **changed)
    return pb.UpdateCollectionRequest(collection=new, update_mask=field_mask_pb2.FieldMask(paths=list(changed)))


def full_name(name: str) -> str:
    """Answers `collections/{name}` for either way of naming a collection."""
    if not isinstance(name, str):
        raise wrong("name", name, "the collection's name")
    return name if name.startswith("collections/") else f"collections/{name}"


def _metric(metric: str) -> Any:
    return enum_number(point_pb2.Metric.DESCRIPTOR, metric, "metric")


def batches(points: Iterable[Any], size: int = BATCH_POINTS) -> Iterator[list[point_pb2.Point]]:
    """Yields the points in batches that fit into one message each; reads no further ahead than one batch."""
    batcher = _Batcher(size)
    for point in points:
        if full := batcher.add(point):
            yield full
    if batcher.batch:
        yield batcher.batch


async def batches_async(
    points: Iterable[Any] | AsyncIterable[Any], size: int = BATCH_POINTS
) -> AsyncIterator[list[point_pb2.Point]]:
    """Does the same for what comes asynchronously, or not."""
    if not isinstance(points, AsyncIterable):
        for batch in batches(points, size):
            yield batch
        return
    batcher = _Batcher(size)
    async for point in points:
        if full := batcher.add(point):
            yield full
    if batcher.batch:
        yield batcher.batch


class _Batcher:
    """Collects points until a message is full."""

    def __init__(self, most: int) -> None:
        self.batch: list[point_pb2.Point] = []
        self._most = most
        self._size = 0
        self._taken = 0

    def add(self, point: Any) -> list[point_pb2.Point] | None:
        """Takes one more; answers the batch before it, if there is no room left. InvalidArgument names its index."""
        written = self._written(point)
        length = written.ByteSize()
        full = None
        if self.batch and (len(self.batch) == self._most or self._size + length > BATCH_BYTES):
            full, self.batch, self._size = self.batch, [], 0
        self.batch.append(written)
        self._size += length
        self._taken += 1
        return full

    def _written(self, point: Any) -> point_pb2.Point:
        try:
            return write_point(point)
        except InvalidArgument as error:
            error.metadata["index"] = str(self._taken)
            error.message = f"points[{self._taken}]: {error.message}"
            error.args = (error.message,)
            raise


def read_upserts(parts: Sequence[pb.UpsertPointsResponse]) -> Upserted:
    """Answers what the batches of one upsert stored."""
    token = parts[-1].read_token if parts else ""
    return Upserted(count=sum(part.upserted_count for part in parts), read_token=token, usage=total_usage(parts))


def search_request(
    collection: str,
    query: str,
    *,
    vector: VectorLike | None,
    limit: int,
    condition: Filter | None,
    threshold: float | None,
    mode: SearchMode | Literal[""] = "",
    keywords: str = "",
    with_vectors: bool = False,
    metadata_fields: Iterable[str] = (),
    read_token: str = "",
    exact: bool = False,
    allow_partial: bool = False,
) -> pb.SearchRequest:
    """Asks for the points that are most like a text or a vector; InvalidArgument unless exactly one is given."""
    if bool(query) == (vector is not None):
        raise _one_query(collection, query)
    return make(
        pb.SearchRequest,
        collection=collection,
        query=query,  # of the two the one that is set last stays
        vector=None if vector is None else write_vector(vector),
        k=limit,
        filter=write_filter(condition),
        threshold=threshold,
        mode=enum_number(search_pb2.SearchMode.DESCRIPTOR, mode, "mode"),  # type: ignore[arg-type]
        keywords=keywords,
        payload=make(point_pb2.PayloadSelection, vector=with_vectors, metadata_fields=metadata_fields),
        read_token=read_token,
        accuracy=search_pb2.ACCURACY_EXACT if exact else search_pb2.ACCURACY_UNSPECIFIED,
        partial_policy=search_pb2.PARTIAL_POLICY_ALLOW if allow_partial else search_pb2.PARTIAL_POLICY_UNSPECIFIED,
    )


def _one_query(collection: str, query: str) -> InvalidArgument:
    if query or collection == "default":
        return InvalidArgument("give either a query text or a vector, not both and not neither")
    taken = shown(collection)
    return InvalidArgument(
        f"{taken} was taken as the collection, and nothing to look for was given: give either a query text or a "
        f'vector, as in search("default", {taken})'
    )


def batch_request(collection: str, queries: Iterable[str | Query]) -> pb.BatchSearchRequest:
    """Asks for many searches at once."""
    asked = [Query(query=one) if isinstance(one, str) else one for one in several(queries, "queries")]
    searches = [
        search_request(
            collection,
            one.query,
            vector=one.vector,
            limit=one.limit,
            condition=one.filter,
            threshold=one.threshold,
        )
        for one in asked
    ]
    return make(pb.BatchSearchRequest, searches=searches)


def read_search(answer: pb.SearchResponse) -> SearchResult:
    """Answers what a search found."""
    return SearchResult(
        hits=tuple(map(read_hit, answer.hits)),
        usage=read(answer.usage),
        partial=answer.partial,
        missing_shards=tuple(one.shard for one in answer.missing_shards),
        cache_state=enum_text(search_pb2.CacheState.DESCRIPTOR, answer.cache_state),
        read_token=answer.read_token,
        timings=read(answer.timings) if answer.HasField("timings") else SearchTimings(),
        plan=enum_text(search_pb2.SearchPlan.DESCRIPTOR, answer.plan),
    )


def read_hit(hit: point_pb2.Hit) -> Hit:
    """Answers one hit."""
    return Hit(
        id=hit.id,
        case_id=hit.case_id,
        score=hit.score,
        text=hit.text,
        metadata=read_metadata(hit.metadata),
        raw_score=hit.raw_score,
        metric=enum_text(point_pb2.Metric.DESCRIPTOR, hit.metric),
        shard=hit.shard,
        vector=read_vector(hit.vector) if hit.HasField("vector") else None,
        part_scores=dict(hit.part_scores),
    )


def read_batch(answer: pb.BatchSearchResponse) -> list[SearchOutcome]:
    """Answers the results in order, an error in the place of each search that failed."""
    return [_outcome(result) for result in answer.results]


def _outcome(result: pb.BatchSearchResult) -> SearchOutcome:
    if result.WhichOneof("outcome") == "error":
        status = result.error
        return from_status(status.code, status.message, status.SerializeToString())
    return read_search(result.response)


def embed_request(texts: Iterable[str], purpose: Purpose, model: str) -> pb.EmbedTextsRequest:
    """Asks for vectors of texts."""
    number: Any = enum_number(search_pb2.EmbeddingPurpose.DESCRIPTOR, purpose, "purpose")
    return make(pb.EmbedTextsRequest, texts=texts, purpose=number, model=model)


def read_embeddings(answer: pb.EmbedTextsResponse) -> Embeddings:
    """Answers the vectors."""
    return Embeddings(
        vectors=tuple(map(read_vector, answer.vectors)),
        model=answer.model,
        dimension=answer.dimension,
        fingerprint=answer.fingerprint,
        usage=read(answer.usage) if answer.HasField("usage") else EmbeddingUsage(),
    )


def in_batches(ids: Iterable[str], size: int = 1000) -> Iterator[list[str]]:
    """Yields ids in batches of what one call takes."""
    rest = iter(several(ids, "ids"))
    while batch := list(islice(rest, size)):
        yield batch
