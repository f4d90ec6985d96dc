"""Collections: made, found, changed, deleted; `default` springs into being."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from difyrpc_services.runtime import pages
from difyrpc_services.runtime.errors import (
    Aborted,
    AlreadyExists,
    FailedPrecondition,
    InvalidArgument,
    NotFound,
    Unimplemented,
)
from difyrpc_services.vectors.core.embedding import Embeddings
from difyrpc_services.vectors.core.limits import Limits, page_size
from difyrpc_services.vectors.core.metadata import check_metadata, check_text, collection_name
from difyrpc_services.vectors.core.seams import Backend, Catalog
from difyrpc_services.vectors.core.values import Collection, Feature, Metadata, Metric

DEFAULT = "default"
MAX_DESCRIPTION_BYTES = 4000
CHANGEABLE = ("description", "metadata", "aliases", "schema")
NEEDS = {"aliases": Feature.ALIASES, "schema": Feature.SCHEMA, "sharding": Feature.SHARDING}
"""Which feature a field of a collection asks of the engine."""


@dataclass(frozen=True, kw_only=True)
class Draft:
    """What a caller asks for in a new collection; zero and empty mean the default."""

    name: str
    dimension: int = 0
    metric: Metric = Metric.COSINE
    engine: str = ""
    model: str = ""
    description: str = ""
    metadata: Metadata = field(default_factory=dict)
    asked: tuple[str, ...] = ()
    """Fields that need a feature of the engine: `aliases`, `schema`, `sharding`."""


class Collections:
    """The collections of all tenants, on the engines of this server."""

    def __init__(
        self, catalog: Catalog, backends: Mapping[str, Backend], embeddings: Embeddings, limits: Limits
    ) -> None:
        """Takes the engines by name, the default one first."""
        self.catalog = catalog
        self.backends = backends
        self.embeddings = embeddings
        self.limits = limits
        self.default_engine = next(iter(backends))

    async def create(self, tenant: str, draft: Draft) -> Collection:
        """Makes a collection with room for its points, both or neither."""
        made = await self._made(tenant, await self._completed(tenant, draft))
        if made is None:
            raise AlreadyExists("COLLECTION_EXISTS", "there is a collection {name} already", name=draft.name)
        return made

    async def get(self, tenant: str, name: str) -> Collection:
        """Answers one collection by its bare name; NotFound if the tenant has none of that name."""
        found = await self.catalog.find(tenant, name)
        if found is None:
            raise missing(name)
        return found

    async def readable(self, tenant: str, name: str) -> Collection | None:
        """Answers a collection to read from; None for `default` before its first upsert."""
        found = await self.catalog.find(tenant, name)
        if found is None and name != DEFAULT:
            raise missing(name)
        return found

    async def writable(self, tenant: str, name: str) -> Collection:
        """Answers a collection to upsert into; makes `default` if it is not there."""
        found = await self.catalog.find(tenant, name)
        if found is None and name == DEFAULT:
            draft = await self._completed(tenant, Draft(name=DEFAULT))
            # None: another call made it at the same moment.
            found = await self._made(tenant, draft) or await self.catalog.find(tenant, name)
        if found is None:
            raise missing(name)
        return found

    async def page(self, tenant: str, size: int, token: str) -> tuple[Sequence[Collection], str]:
        """Answers a page by name, and the token of the next one."""
        bound = ["collections", tenant]
        position = pages.decode(token, bound)
        limit = page_size(size)
        found = await self.catalog.page(tenant, str(position["after"]) if position else "", limit + 1)
        more = len(found) > limit
        return found[:limit], pages.encode({"after": found[limit - 1].name}, bound) if more else ""

    async def update(
        self, tenant: str, name: str, mask: Sequence[str], values: Mapping[str, Any], etag: str
    ) -> Collection:
        """Changes what the mask names."""
        if not mask or any(path not in CHANGEABLE for path in mask):
            raise InvalidArgument(
                "UPDATE_MASK_INVALID",
                "the update mask may name {choices}, and must name one",
                field="update_mask",
                choices=", ".join(CHANGEABLE),
            )
        found = await self.get(tenant, name)
        self._refuse_unsupported(found.engine, mask)
        _check_etag(found, etag)
        changes = {path: values[path] for path in mask}
        _check_changes(changes)
        changed = await self.catalog.change(found, changes)
        if changed is None:
            raise _changed_meanwhile(name)
        return changed

    async def delete(self, tenant: str, name: str, *, allow_missing: bool, etag: str) -> None:
        """Deletes a collection and its points."""
        found = await self.catalog.find(tenant, name)
        if found is None:
            if allow_missing:
                return
            raise missing(name)
        _check_etag(found, etag)
        async with self.catalog.transaction():
            if not await self.catalog.remove(found):
                raise _changed_meanwhile(name)
            await self.backend(found).drop(found)

    def backend(self, collection: Collection) -> Backend:
        """Answers the engine that a collection lives on."""
        found = self.backends.get(collection.engine)
        if found is None:
            raise FailedPrecondition(
                "ENGINE_NOT_CONFIGURED",
                "collection {collection} lives on engine {engine}, which this server does not run",
                collection=collection.name,
                engine=collection.engine,
            )
        return found

    def require(self, engine: str, *features: Feature) -> None:
        """Refuses what an engine does not do, naming both."""
        for feature in features:
            if feature not in self.backends[engine].capabilities.features:
                raise Unimplemented(
                    "FEATURE_NOT_SUPPORTED",
                    "engine {engine} does not do {feature}",
                    engine=engine,
                    feature=feature.value,
                )

    def _refuse_unsupported(self, engine: str, fields: Sequence[str]) -> None:
        self.require(engine, *(NEEDS[name] for name in fields if name in NEEDS))

    async def _made(self, tenant: str, draft: Collection) -> Collection | None:
        async with self.catalog.transaction():
            made = await self.catalog.add(draft)
            if made is not None:
                await self.backend(made).create(made)
        return made

    async def _completed(self, tenant: str, draft: Draft) -> Collection:
        engine = draft.engine or self.default_engine
        if engine not in self.backends:
            raise InvalidArgument(
                "ENGINE_UNKNOWN",
                "there is no engine {engine}; there are: {choices}",
                field="collection.engine",
                engine=engine,
                choices=", ".join(self.backends),
            )
        self._refuse_unsupported(engine, draft.asked)
        check_text(draft.description, path="collection.description", limit=MAX_DESCRIPTION_BYTES)
        made = Collection(
            tenant=tenant,
            name=draft.name,
            dimension=draft.dimension,
            engine=engine,
            metric=draft.metric,
            description=draft.description,
            metadata=check_metadata(draft.metadata, path="collection.metadata"),
        )
        self._check_dimension(made)
        return await self._with_model(made, draft.model)

    async def _with_model(self, collection: Collection, name: str) -> Collection:
        if collection.dimension and not name:
            return collection
        model = await self.embeddings.model(name, path="collection.embedding_model")
        if collection.dimension not in (0, model.dimension):
            raise InvalidArgument(
                "DIMENSION_MISMATCH",
                "model {model} makes {dimension} dimensions, not {given}",
                field="collection.dimension",
                model=model.name,
                dimension=model.dimension,
                given=collection.dimension,
            )
        return replace(collection, dimension=model.dimension, model=model.name, fingerprint=model.fingerprint)

    def _check_dimension(self, collection: Collection) -> None:
        limit = min(self.limits.max_dimension, self.backends[collection.engine].capabilities.max_dimension)
        if not 0 <= collection.dimension <= limit:
            raise InvalidArgument(
                "DIMENSION_INVALID",
                "the dimension is {dimension}; on engine {engine} it may be 1 to {limit}",
                field="collection.dimension",
                dimension=collection.dimension,
                engine=collection.engine,
                limit=limit,
            )


def missing(name: str) -> NotFound:
    """Makes the error of a collection that the tenant does not have."""
    return NotFound("COLLECTION_NOT_FOUND", "there is no collection {collection}", collection=name)


def named(given: str, *, path: str) -> str:
    """Answers the bare name of a collection that must be named."""
    if not given:
        raise InvalidArgument("COLLECTION_NAME_INVALID", "the collection's name is missing", field=path)
    return collection_name(given, path=path)


def etag_of(collection: Collection) -> str:
    """Answers the etag of a record; one that was made anew under the same name has another."""
    return f"{collection.key}-{collection.version}"


def _check_etag(collection: Collection, etag: str) -> None:
    if etag and etag != etag_of(collection):
        raise _changed_meanwhile(collection.name)


def _check_changes(changes: dict[str, Any]) -> None:
    if "description" in changes:
        check_text(changes["description"], path="collection.description", limit=MAX_DESCRIPTION_BYTES)
    if "metadata" in changes:
        changes["metadata"] = check_metadata(changes["metadata"], path="collection.metadata")


def _changed_meanwhile(name: str) -> Aborted:
    return Aborted("ETAG_MISMATCH", "collection {collection} was changed meanwhile; read it again", collection=name)
