"""The core of VectorSearch over one engine, as the contract tests call it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import numpy as np
from word_embedder import WordEmbedder

from difyrpc_services.runtime.database import Database
from difyrpc_services.vectors.backends.memory import MemoryBackend, MemoryCatalog
from difyrpc_services.vectors.backends.pgvector import PgvectorBackend
from difyrpc_services.vectors.backends.postgres_catalog import PostgresCatalog
from difyrpc_services.vectors.core.collections import Collections, Draft
from difyrpc_services.vectors.core.embedding import Embeddings
from difyrpc_services.vectors.core.embedding_cache import EmbeddingCache
from difyrpc_services.vectors.core.filters import (
    Filter,
)
from difyrpc_services.vectors.core.limits import Limits
from difyrpc_services.vectors.core.points import Points
from difyrpc_services.vectors.core.search import Answer, Question, Searches
from difyrpc_services.vectors.core.values import (
    Payload,
    Point,
)
from difyrpc_services.vectors.settings import VectorsSettings

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

    async def close(self) -> None:
        await self.engine.stop()
        await self.embeddings.close()

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


def over_memory() -> Vectors:
    return Vectors(MemoryCatalog(), MemoryBackend())


def over_pgvector(database: Database, **changes: Any) -> Vectors:
    """Indexes are made when a test says so, unless it changes the settings."""
    settings = VectorsSettings(**{"index_quiet_seconds": 3600.0} | changes)
    return Vectors(PostgresCatalog(database), PgvectorBackend(database, settings))


def vector(*numbers: float) -> Any:
    return np.array(numbers, dtype=np.float32)


def text_point(point_id: str, text: str = "a case", **metadata: Any) -> Point:
    return Point(id=point_id, text=text, metadata=metadata)
