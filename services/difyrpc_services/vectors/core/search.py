"""Search: what is asked is checked, the query embedded, the engine asked, the answer judged."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from difyrpc_services.runtime.errors import InvalidArgument, ServiceError
from difyrpc_services.vectors.core.collections import Collections
from difyrpc_services.vectors.core.embedding import Text
from difyrpc_services.vectors.core.filters import Filter, checked
from difyrpc_services.vectors.core.limits import hit_count
from difyrpc_services.vectors.core.metadata import check_text
from difyrpc_services.vectors.core.points import check_payload
from difyrpc_services.vectors.core.read_tokens import check_read_token, read_token
from difyrpc_services.vectors.core.values import (
    Collection,
    Feature,
    Floats,
    Found,
    Hit,
    Metric,
    Payload,
    Plan,
    Probe,
    Purpose,
    Usage,
)
from difyrpc_services.vectors.core.vectors import check_vector

CONCURRENT_SEARCHES = 4  # of one batch, so that it does not take all connections


@dataclass(frozen=True, kw_only=True)
class Question:
    """One search as it was asked."""

    collection: str
    query: str | None = None
    vector: Floats | None = None
    k: int | None = None
    filter: Filter | None = None
    threshold: float | None = None
    payload: Payload = field(default_factory=Payload)
    read_token: str = ""
    exact: bool = False
    mode: Feature = Feature.DENSE
    """DENSE, KEYWORD or HYBRID."""
    has_fusion: bool = False
    has_groups: bool = False
    keywords: str = ""
    needs: tuple[Feature, ...] = ()
    """What else it asks of the engine: the form of its vector."""


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What a search found."""

    hits: Sequence[Hit] = ()
    metric: Metric = Metric.COSINE
    usage: Usage = field(default_factory=Usage)
    read_token: str = ""
    plan: Plan = Plan.NOTHING
    embedding_seconds: float = 0.0
    engine_seconds: float = 0.0
    total_seconds: float = 0.0


class Searches:
    """Searches in the collections of all tenants."""

    def __init__(self, collections: Collections) -> None:
        """Takes the collections, and through them the engines and models."""
        self._collections = collections

    async def search(self, tenant: str, question: Question) -> Answer:
        """Answers the best hits, best first."""
        began = time.perf_counter()
        k = hit_count(question.k, self._collections.limits)
        wanted = checked(question.filter) if question.filter else None
        self._check(question)
        collection = await self._collections.readable(tenant, question.collection)
        engine = collection.engine if collection else self._collections.default_engine
        self._collections.require(engine, *_features(question))
        check_read_token(question.read_token, collection)
        if collection is None:
            return Answer(total_seconds=time.perf_counter() - began)
        vector, usage = await self._vector(tenant, collection, question)
        embedded = time.perf_counter()
        probe = Probe(vector=vector, k=k, filter=wanted, payload=question.payload, exact=question.exact)
        found = await self._collections.backend(collection).search(collection, probe)
        ended = time.perf_counter()
        return Answer(
            hits=_good_enough(found, question.threshold),
            metric=collection.metric,
            usage=usage,
            read_token=read_token(collection),
            plan=found.plan,
            embedding_seconds=embedded - began,
            engine_seconds=ended - embedded,
            total_seconds=ended - began,
        )

    async def batch(self, tenant: str, questions: Sequence[Question | ServiceError]) -> list[Answer | ServiceError]:
        """Answers each search, or the error that it would have had on its own; an error among them stays."""
        gate = asyncio.Semaphore(CONCURRENT_SEARCHES)

        async def one(question: Question | ServiceError) -> Answer | ServiceError:
            if isinstance(question, ServiceError):
                return question
            async with gate:
                try:
                    return await self.search(tenant, question)
                except ServiceError as error:
                    return error

        return await asyncio.gather(*map(one, questions))

    async def _vector(self, tenant: str, collection: Collection, question: Question) -> tuple[Floats, Usage]:
        if question.vector is not None:
            return check_vector(question.vector, collection.dimension, path="vector"), Usage()
        text = Text(text=question.query or "", path="query")
        made = await self._collections.embeddings.for_collection(tenant, collection, [text], Purpose.QUERY)
        return made.vectors[0], made.usage

    def _check(self, question: Question) -> None:
        if question.vector is None and not question.needs and not (question.query or "").strip():
            raise InvalidArgument("QUERY_MISSING", "there is no text and no vector to look for", field="query")
        check_text(question.query or "", path="query", limit=self._collections.limits.max_text_bytes)
        check_text(question.keywords, path="keywords", limit=self._collections.limits.max_text_bytes)
        if question.threshold is not None and not math.isfinite(question.threshold):
            raise InvalidArgument("NUMBER_NOT_FINITE", "the threshold is NaN or infinite", field="threshold")
        check_payload(question.payload)
        if question.has_fusion and question.mode is not Feature.HYBRID:
            raise InvalidArgument("FUSION_WITHOUT_HYBRID", "only a hybrid search is fused", field="fusion")
        if question.keywords and question.mode is Feature.DENSE:
            raise InvalidArgument("KEYWORDS_IN_DENSE", "a dense search has no keywords", field="keywords")


def _features(question: Question) -> list[Feature]:
    needed = [question.mode, *question.needs]
    if question.has_groups:
        needed.append(Feature.GROUP_BY)
    if question.exact:
        needed.append(Feature.EXACT_SEARCH)
    return needed


def _good_enough(found: Found, threshold: float | None) -> list[Hit]:
    hits = sorted(found.hits, key=lambda hit: (-hit.score, hit.point.id))
    return hits if threshold is None else [hit for hit in hits if hit.score >= threshold]
