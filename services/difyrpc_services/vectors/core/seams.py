"""What the core needs of others: the catalog of collections, the engines and the embedding models."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any, Protocol

from difyrpc_services.vectors.core.filters import Filter
from difyrpc_services.vectors.core.values import (
    Capabilities,
    Collection,
    Floats,
    Found,
    MetadataChange,
    Model,
    Payload,
    Point,
    Probe,
    Purpose,
    Selector,
)


class Catalog(Protocol):
    """Keeps the records of collections."""

    def transaction(self) -> AbstractAsyncContextManager[Any]:
        """Makes what happens inside, engines of the same database included, happen wholly or not at all."""

    async def add(self, draft: Collection) -> Collection | None:
        """Stores a new record and answers it with its key; None if the tenant has that name already."""

    async def find(self, tenant: str, name: str) -> Collection | None:
        """Answers one record."""

    async def page(self, tenant: str, after: str, limit: int) -> Sequence[Collection]:
        """Answers up to `limit` records whose names come after `after`, by code point."""

    async def change(self, collection: Collection, changes: Mapping[str, Any]) -> Collection | None:
        """Changes `description` or `metadata`; None if the version is no longer that of `collection`."""

    async def remove(self, collection: Collection) -> bool:
        """Deletes one record; False if the version is no longer that of `collection`."""

    async def hold(self, collection: Collection) -> bool:
        """Keeps a record from being deleted until the transaction ends; False if it is gone."""

    async def position(self, collection: Collection, stream_id: str) -> int:
        """Answers the last durable sequence of a stream, 0 for a new one, and forgets streams of long ago."""

    async def advance(self, collection: Collection, stream_id: str, sequence: int) -> bool:
        """Records a stream's sequence; False if it stands there or further already."""


class Backend(Protocol):
    """One engine. A collection that is gone makes every call raise NotFound `COLLECTION_NOT_FOUND`."""

    @property
    def kind(self) -> str:
        """Answers what it is: `pgvector`."""

    @property
    def capabilities(self) -> Capabilities:
        """Answers what it can do."""

    async def start(self) -> None:
        """Begins work in the background, if any."""

    async def stop(self) -> None:
        """Ends it."""

    async def check(self) -> str:
        """Proves that the engine answers, and says what was found; raises if it does not."""

    async def create(self, collection: Collection) -> None:
        """Makes room for the points of a collection."""

    async def drop(self, collection: Collection) -> None:
        """Deletes a collection's points and their room."""

    async def write(self, collection: Collection, points: Sequence[Point]) -> None:
        """Stores points with their vectors, all or none, replacing those of the same id; each id comes once."""

    def written(self, collection: Collection) -> None:
        """Notes that points were written and are durable."""

    async def fetch(self, collection: Collection, ids: Sequence[str], payload: Payload) -> Sequence[Point]:
        """Answers the points that there are, in any order."""

    async def scroll(
        self, collection: Collection, found: Filter | None, after: str, limit: int, payload: Payload
    ) -> Sequence[Point]:
        """Answers up to `limit` points that match and whose ids come after `after`, by code point."""

    async def count(self, collection: Collection, found: Filter | None) -> int:
        """Answers how many points match."""

    async def delete(self, collection: Collection, selector: Selector) -> int:
        """Deletes points and answers how many there were."""

    async def change_metadata(self, collection: Collection, selector: Selector, change: MetadataChange) -> int:
        """Changes metadata and answers of how many points."""

    async def search(self, collection: Collection, probe: Probe) -> Found:
        """Answers the best `k` matching points, and as many as that whenever there are as many."""


class Embedder(Protocol):
    """One model that makes vectors out of texts."""

    @property
    def model(self) -> Model:
        """Answers what it is; the fingerprint is known once it is loaded."""

    async def load(self) -> None:
        """Makes it ready, waiting if that is under way; Unavailable if it cannot be."""

    async def close(self) -> None:
        """Lets go of it."""

    async def count_tokens(self, texts: Sequence[str], purpose: Purpose) -> Sequence[int]:
        """Answers the tokens of each text, prefix included."""

    async def embed(self, texts: Sequence[str], purpose: Purpose) -> Floats:
        """Answers a row of length 1 for each text."""
