"""Points, collections and hits as values; vectors as bytes on the wire."""

from __future__ import annotations

import sys
from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from difyrpc.vectors.v1 import collection_pb2, point_pb2, search_pb2, vectors_pb2
from difyrpc_client._errors import DifyrpcError, InvalidArgument
from difyrpc_client._message import make, wrong
from difyrpc_client._shape import reads
from difyrpc_client._values import read_metadata, write_metadata

VectorLike = Sequence[float] | bytes | Any  # or a NumPy array


@dataclass(frozen=True, kw_only=True)
class Point:
    """One thing that can be found: a text, a vector or both."""

    id: str
    """Unique in its collection: 1 to 256 characters."""
    text: str = ""
    """Its text; embedded when no vector is given."""
    vector: VectorLike | None = None
    """Its vector; None lets the server make it out of the text. In answers a tuple of floats, where asked for."""
    metadata: Mapping[str, Any] = field(default_factory=dict)
    """Typed values by field name."""


@reads(collection_pb2.Collection)
@dataclass(frozen=True, kw_only=True)
class Collection:
    """A named set of points of one dimension, one metric and one embedding model."""

    name: str
    """`collections/{name}`."""
    dimension: int = 0
    """Numbers in a vector."""
    metric: str = ""
    """How likeness is measured: cosine, dot or euclidean."""
    engine: str = ""
    """Where it lives."""
    embedding_model: str = ""
    """What embeds its texts; empty where callers bring vectors."""
    embedding_fingerprint: str = ""
    """Fingerprint of the model's weights."""
    description: str = ""
    """What it is for."""
    metadata: Mapping[str, Any] = field(default_factory=dict)
    """Values of your own."""
    aliases: tuple[str, ...] = ()
    """Other names for it."""
    etag: str = ""
    """Changes with every change of the collection itself."""
    create_time: datetime | None = None
    """When it was made, in UTC."""
    update_time: datetime | None = None
    """When it was last changed, in UTC."""
    index_state: str = ""
    """exact, where every vector is looked at, or indexed."""


@dataclass(frozen=True, kw_only=True)
class Hit:
    """One point that a search found."""

    id: str
    """Id of the point."""
    case_id: str
    """Its metadata field `case_id` as text, else its id."""
    score: float
    """How well it fits; higher is better on every engine and metric."""
    text: str = ""
    """Its text, as asked for."""
    metadata: Mapping[str, Any] = field(default_factory=dict)
    """Its metadata, as asked for."""
    raw_score: float = 0.0
    """The engine's own number, untouched."""
    metric: str = ""
    """What `score` is measured by."""
    shard: str = ""
    """Name of the shard that held it."""
    vector: tuple[float, ...] | None = None
    """Its vector, when asked for."""
    part_scores: Mapping[str, float] = field(default_factory=dict)
    """Scores of the parts of a hybrid search: dense, keyword."""


@reads(point_pb2.EmbeddingUsage)
@dataclass(frozen=True, kw_only=True)
class EmbeddingUsage:
    """What embedding cost."""

    model: str = ""
    """Name of the model; empty when nothing was embedded."""
    texts: int = 0
    """Texts that were asked for."""
    cached_texts: int = 0
    """Texts of those that came out of the cache."""
    tokens: int = 0
    """Tokens that went through the model."""
    cached_tokens: int = 0
    """Tokens that the cache saved."""
    split_texts: int = 0
    """Texts that were longer than the model's window."""


@reads(search_pb2.SearchTimings)
@dataclass(frozen=True, kw_only=True)
class SearchTimings:
    """Where the time of a search went, in seconds."""

    embedding: float | None = None
    """Making the query's vector."""
    engine: float | None = None
    """The engine's search."""
    total: float | None = None
    """All of it inside the service."""


@dataclass(frozen=True, kw_only=True)
class SearchResult:
    """What a search found; a sequence of its hits, best first."""

    hits: tuple[Hit, ...]
    """Best first; equal scores in order of ids."""
    usage: EmbeddingUsage = field(default_factory=EmbeddingUsage)
    """What embedding the query cost."""
    partial: bool = False
    """Whether shards are missing."""
    missing_shards: tuple[str, ...] = ()
    """Their names."""
    cache_state: str = ""
    """off, hit, miss, bypassed or coalesced."""
    read_token: str = ""
    """Shown to a later search, it sees what this one saw."""
    timings: SearchTimings = field(default_factory=SearchTimings)
    """Where the time went."""
    plan: str = ""
    """exact, index or nothing."""

    def __iter__(self) -> Iterator[Hit]:
        return iter(self.hits)

    def __len__(self) -> int:
        return len(self.hits)

    def __getitem__(self, index: int) -> Hit:
        return self.hits[index]


@dataclass(frozen=True, kw_only=True)
class Upserted:
    """What an upsert stored."""

    count: int
    """How many points."""
    read_token: str = ""
    """Shown to a later search, it sees these points on every engine."""
    usage: EmbeddingUsage = field(default_factory=EmbeddingUsage)
    """What embedding cost."""


@dataclass(frozen=True, kw_only=True)
class Embeddings:
    """Vectors of texts."""

    vectors: tuple[tuple[float, ...], ...]
    """One a text, in order, of length 1."""
    model: str
    """Name of the model."""
    dimension: int
    """Numbers in each vector."""
    fingerprint: str = ""
    """Fingerprint of the model's weights."""
    usage: EmbeddingUsage = field(default_factory=EmbeddingUsage)
    """What it cost."""


@dataclass(frozen=True, kw_only=True)
class Query:
    """One search of several in `batch_search`."""

    query: str = ""
    """A text to look for."""
    vector: VectorLike | None = None
    """Or a vector."""
    limit: int = 10
    """Most hits, 1 to 1,000."""
    filter: Any = None
    """A Filter, or None for all points."""
    threshold: float | None = None
    """Only hits of at least this score."""


SearchOutcome = SearchResult | DifyrpcError


def write_vector(vector: VectorLike) -> point_pb2.Vector:
    """Makes a vector of 32-bit floats out of numbers, a NumPy array, or their little-endian bytes."""
    if isinstance(vector, bytes | bytearray | memoryview):
        return point_pb2.Vector(f32_le=bytes(vector))
    if hasattr(vector, "astype"):
        return point_pb2.Vector(f32_le=vector.astype("<f4").tobytes())
    try:
        return point_pb2.Vector(f32_le=_little_endian(array("f", vector)).tobytes())
    except (TypeError, OverflowError):
        raise wrong("vector", vector, "numbers of 32 bits, a NumPy array or their little-endian bytes") from None


def read_vector(vector: point_pb2.Vector) -> tuple[float, ...]:
    """Answers the numbers of a dense vector."""
    if vector.WhichOneof("data") == "floats":
        return tuple(vector.floats.values)
    numbers = array("f")
    numbers.frombytes(vector.f32_le)
    return tuple(_little_endian(numbers))


def _little_endian(numbers: array[float]) -> array[float]:
    if sys.byteorder == "big":
        numbers.byteswap()
    return numbers


def write_point(point: Point | tuple[Any, ...]) -> point_pb2.Point:
    """Makes a point out of a Point, (id, text) or (id, text, metadata); InvalidArgument for anything else."""
    if isinstance(point, tuple):
        point = _point_of(point)
    if not isinstance(point, Point):
        raise InvalidArgument(f"a {type(point).__name__} is no point; give Point, (id, text) or (id, text, metadata)")
    vector = None if point.vector is None else write_vector(point.vector)
    return make(point_pb2.Point, id=point.id, text=point.text, vector=vector, metadata=write_metadata(point.metadata))


def _point_of(parts: tuple[Any, ...]) -> Point:
    if len(parts) not in (2, 3):
        raise InvalidArgument(f"a point of {len(parts)} parts; give (id, text) or (id, text, metadata)")
    return Point(id=parts[0], text=parts[1], metadata=(parts[2] if len(parts) == 3 else None) or {})


def read_point(point: point_pb2.Point) -> Point:
    """Answers a point as a value."""
    vector = read_vector(point.vector) if point.HasField("vector") else None
    return Point(id=point.id, text=point.text, vector=vector, metadata=read_metadata(point.metadata))


def write_selector(ids: Iterable[str] | None, condition: Any) -> point_pb2.PointSelector:
    """Says which points are meant; InvalidArgument unless exactly one of ids and filter is given."""
    if (ids is None) == (condition is None):
        raise InvalidArgument("give either ids or a filter; to delete all points, delete the collection")
    if ids is None:
        return make(point_pb2.PointSelector, filter=condition)
    return make(point_pb2.PointSelector, ids=make(point_pb2.PointIds, ids=ids))


def total_usage(parts: Sequence[vectors_pb2.UpsertPointsResponse]) -> EmbeddingUsage:
    """Adds up what the batches of one upsert cost."""
    used = [part.usage for part in parts]
    return EmbeddingUsage(
        model=next((one.model for one in used if one.model), ""),
        texts=sum(one.texts for one in used),
        cached_texts=sum(one.cached_texts for one in used),
        tokens=sum(one.tokens for one in used),
        cached_tokens=sum(one.cached_tokens for one in used),
        split_texts=sum(one.split_texts for one in used),
    )
