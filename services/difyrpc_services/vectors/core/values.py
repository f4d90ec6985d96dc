"""The values that the parts of VectorSearch hand to each other; vectors.proto says what they mean."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from difyrpc_services.vectors.core.filters import Filter

Scalar: TypeAlias = str | int | float | bool | datetime | None
Value: TypeAlias = Scalar | list[Scalar]
Metadata: TypeAlias = Mapping[str, Value]
Floats: TypeAlias = NDArray[np.float32]


class Metric(Enum):
    """How likeness is measured."""

    COSINE = "cosine"
    DOT = "dot"
    EUCLIDEAN = "euclidean"


class Feature(Enum):
    """What engines differ in, as errors name it."""

    DENSE = "dense"
    KEYWORD = "keyword"
    HYBRID = "hybrid"
    GROUP_BY = "group_by"
    SPARSE_VECTORS = "sparse_vectors"
    INT8_VECTORS = "int8_vectors"
    NAMED_VECTORS = "named_vectors"
    SHARDING = "sharding"
    ALIASES = "aliases"
    SCHEMA = "schema"
    EXACT_SEARCH = "exact_search"
    RESULT_CACHE = "result_cache"


class Purpose(Enum):
    """What a text is embedded for."""

    QUERY = "query"
    PASSAGE = "passage"


class Plan(Enum):
    """How a search was answered."""

    EXACT = "exact"
    INDEX = "index"
    NOTHING = "nothing"


@dataclass(frozen=True, kw_only=True)
class Collection:
    """One collection as the catalog keeps it."""

    tenant: str
    name: str
    dimension: int
    engine: str
    metric: Metric = Metric.COSINE
    model: str = ""
    """Name of the embedding model; empty where callers bring vectors."""
    fingerprint: str = ""
    """Of the model's weights when the collection was made."""
    description: str = ""
    metadata: Metadata = field(default_factory=dict)
    key: int = 0
    """The catalog's own number; never used again, and all that names of tables are made from."""
    version: int = 1
    """Rises with every change of the record."""
    is_indexed: bool = False
    create_time: datetime | None = None
    update_time: datetime | None = None


@dataclass(frozen=True, kw_only=True)
class Point:
    """One point, to be stored or as it is stored."""

    id: str
    text: str = ""
    vector: Floats | None = None
    metadata: Metadata = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Payload:
    """What of each point an answer holds."""

    text: bool = True
    metadata: bool = True
    fields: tuple[str, ...] = ()
    """Only these metadata fields; empty: all."""
    vector: bool = False

    def cut(self, metadata: Metadata) -> Metadata:
        """Answers the part of the metadata that was asked for."""
        if not self.metadata:
            return {}
        return {name: metadata[name] for name in self.fields if name in metadata} if self.fields else metadata


@dataclass(frozen=True, kw_only=True)
class Selector:
    """Which points a change is for: by id, or those that a filter matches."""

    ids: tuple[str, ...] | None = None
    filter: Filter | None = None


@dataclass(frozen=True, kw_only=True)
class MetadataChange:
    """What happens to the metadata of points."""

    set: Metadata = field(default_factory=dict)
    remove: tuple[str, ...] = ()
    replace: bool = False

    def applied(self, metadata: Metadata) -> dict[str, Value]:
        """Answers the metadata after the change."""
        kept = {} if self.replace else {name: value for name, value in metadata.items() if name not in self.remove}
        return kept | dict(self.set)


@dataclass(frozen=True, kw_only=True)
class Probe:
    """What an engine is asked for in one search."""

    vector: Floats
    k: int
    filter: Filter | None = None
    payload: Payload = field(default_factory=Payload)
    exact: bool = False


@dataclass(frozen=True, kw_only=True)
class Hit:
    """One point that was found."""

    point: Point
    score: float
    """Higher is better, on the scale that the contract gives the metric."""
    raw_score: float
    """The engine's own number."""
    case_id: str


@dataclass(frozen=True, kw_only=True)
class Found:
    """What an engine found, best first."""

    hits: Sequence[Hit] = ()
    plan: Plan = Plan.NOTHING


@dataclass(frozen=True, kw_only=True)
class Capabilities:
    """What an engine can do."""

    features: frozenset[Feature]
    metrics: tuple[Metric, ...]
    max_dimension: int
    max_indexed_dimension: int
    """0: it has no index, every search is exact."""


@dataclass(frozen=True, kw_only=True)
class Model:
    """One embedding model."""

    name: str
    dimension: int
    window_tokens: int
    """What it sees at once; a longer text is split and pooled. 0: not known."""
    fingerprint: str = ""
    """Of its weights; empty until it is loaded."""


@dataclass(frozen=True, kw_only=True)
class Usage:
    """What embedding cost."""

    model: str = ""
    texts: int = 0
    cached_texts: int = 0
    tokens: int = 0
    cached_tokens: int = 0
    split_texts: int = 0
