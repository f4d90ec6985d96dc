"""Engines and embedding models of a server, as values."""

from __future__ import annotations

from dataclasses import dataclass

from difyrpc.vectors.v1 import collection_pb2, vectors_pb2
from difyrpc_client._shape import reads


@reads(collection_pb2.Engine)
@dataclass(frozen=True, kw_only=True)
class Engine:
    """One engine that collections can live on."""

    name: str
    """Name to create collections with."""
    kind: str = ""
    """What it is: pgvector, memory, milvus, chroma or weaviate."""
    is_default: bool = False
    """Whether collections are made here when none is named."""
    features: tuple[str, ...] = ()
    """What it can do: dense, keyword, hybrid, exact_search, …"""
    metrics: tuple[str, ...] = ()
    """What it measures by: cosine, dot, euclidean."""
    max_dimension: int = 0
    """Largest dimension of a collection."""
    max_indexed_dimension: int = 0
    """Largest dimension with an approximate index; above it every search is exact and slower. 0 for no index."""
    max_k: int = 0
    """Largest `limit` of a search."""
    max_batch_points: int = 0
    """Most points in one message."""


@reads(collection_pb2.EmbeddingModel)
@dataclass(frozen=True, kw_only=True)
class EmbeddingModel:
    """One model that makes vectors out of texts."""

    name: str
    """Name to create collections with."""
    dimension: int = 0
    """Numbers in its vectors."""
    window_tokens: int = 0
    """Tokens that it sees at once; a longer text is split and pooled. 0 where that is not known."""
    max_text_tokens: int = 0
    """Most tokens of one text."""
    fingerprint: str = ""
    """Fingerprint of its weights; empty until it is loaded."""
    is_default: bool = False
    """Whether it is used when none is named."""


@reads(vectors_pb2.ListEnginesResponse)
@dataclass(frozen=True, kw_only=True)
class Engines:
    """What a server offers to collections."""

    engines: tuple[Engine, ...] = ()
    """The engines, the default one first."""
    models: tuple[EmbeddingModel, ...] = ()
    """The embedding models, the default one first."""
