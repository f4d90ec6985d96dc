"""Builds VectorSearch: the only module that knows all of its parts."""

from __future__ import annotations

import importlib
import logging
from collections.abc import Sequence
from typing import Any

from difyrpc.vectors.v1 import vectors_pb2_grpc
from difyrpc_services.runtime.errors import ServiceError
from difyrpc_services.runtime.service import Check, House, Service
from difyrpc_services.vectors.backends import BACKENDS
from difyrpc_services.vectors.core.collections import Collections
from difyrpc_services.vectors.core.embedding import Embeddings, Text
from difyrpc_services.vectors.core.embedding_cache import EmbeddingCache
from difyrpc_services.vectors.core.limits import Limits
from difyrpc_services.vectors.core.seams import Backend, Catalog
from difyrpc_services.vectors.core.values import Purpose
from difyrpc_services.vectors.embedders import EMBEDDERS
from difyrpc_services.vectors.exposition import EmbeddingCollector
from difyrpc_services.vectors.servicer import VectorSearchServicer
from difyrpc_services.vectors.settings import VectorsSettings

log = logging.getLogger(__name__)

FULL_NAME = "difyrpc.vectors.v1.VectorSearch"


def build(house: House) -> Service:
    """Reads the settings and makes the parts meet; starts nothing."""
    settings = VectorsSettings.from_env(house.env)
    catalog, backend = _storage(house, settings)
    embeddings = _embeddings(settings)
    limits = _limits(settings)
    collections = Collections(catalog, {settings.engine: backend}, embeddings, limits)
    servicer = VectorSearchServicer(collections, embeddings, limits)

    async def start() -> None:
        await backend.start()
        await _warm(embeddings)

    async def stop() -> None:
        await backend.stop()
        await embeddings.close()

    async def check() -> Sequence[Check]:
        return [await _check_engine(settings.engine, backend), await _check_model(embeddings)]

    return Service(
        name="vectors",
        full_name=FULL_NAME,
        register=lambda server: vectors_pb2_grpc.add_VectorSearchServicer_to_server(servicer, server),
        backend=f"{settings.engine}, embedding by {settings.model}",
        start=start,
        stop=stop,
        check=check,
        collectors=[EmbeddingCollector(embeddings)],
    )


def _storage(house: House, settings: VectorsSettings) -> tuple[Catalog, Backend]:
    kind = _imported(BACKENDS[settings.engine])
    if settings.engine == "memory":
        return _imported("difyrpc_services.vectors.backends.memory:MemoryCatalog")(), kind()
    catalog = _imported("difyrpc_services.vectors.backends.postgres_catalog:PostgresCatalog")
    return catalog(house.database), kind(house.database, settings)


def _embeddings(settings: VectorsSettings) -> Embeddings:
    embedder = _imported(EMBEDDERS[settings.model])(settings.threads, settings.embedding_runs)
    return Embeddings(
        [embedder],
        batch=settings.embedding_batch,
        runs=settings.embedding_runs,
        cache=EmbeddingCache(settings.embedding_cache_bytes),
        max_tokens=settings.max_text_tokens,
    )


def _limits(settings: VectorsSettings) -> Limits:
    return Limits(
        max_k=settings.max_k,
        max_batch=settings.max_batch,
        max_searches=settings.max_searches,
        max_embed_texts=settings.max_embed_texts,
        max_dimension=settings.max_dimension,
        max_text_bytes=settings.max_text_bytes,
    )


def _imported(path: str) -> Any:
    module, _, name = path.partition(":")
    return getattr(importlib.import_module(module), name)


async def _warm(embeddings: Embeddings) -> None:
    """Loads the model before the first call; without it everything but embedding works."""
    try:
        await embeddings.model()
    except ServiceError as error:
        log.error("texts cannot be embedded: %s", error)


async def _check_engine(name: str, backend: Backend) -> Check:
    try:
        found = await backend.check()
    except (ServiceError, LookupError) as error:
        return Check(
            name=f"vectors: {name}",
            level="error",
            found=str(error),
            advice="install the extension `vector` in the database, or let the embedded one be used",
        )
    return Check(name=f"vectors: {name}", level="ok", found=found)


async def _check_model(embeddings: Embeddings) -> Check:
    text = Text(text="liability for late delivery", path="text")
    try:
        made = await embeddings.embed("", [text], Purpose.QUERY)
    except ServiceError as error:
        return Check(
            name="vectors: embedding",
            level="error",
            found=str(error),
            advice="reinstall with: pip install 'difyrpc[vectors]'",
        )
    model = await embeddings.model()
    found = f"{model.name}, {made.vectors.shape[1]} dimensions, {model.fingerprint}"
    return Check(name="vectors: embedding", level="ok", found=found)
