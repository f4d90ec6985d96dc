"""Vectors in the event loop: the twin of `_vectors`."""

# ruff: noqa: A002  # `filter` and `set` are what callers would say

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterable
from typing import Literal, cast

from difyrpc.vectors.v1 import point_pb2
from difyrpc.vectors.v1 import vectors_pb2 as pb
from difyrpc_client._calls import AsyncCalls
from difyrpc_client._engine import Engines
from difyrpc_client._errors import AlreadyExists
from difyrpc_client._file import UNCHANGED, Unchanged
from difyrpc_client._filters import Filter, write_filter
from difyrpc_client._message import make
from difyrpc_client._point import (
    Collection,
    Embeddings,
    Point,
    Query,
    SearchOutcome,
    SearchResult,
    Upserted,
    VectorLike,
    read_point,
    write_selector,
)
from difyrpc_client._searching import (
    BATCH_POINTS,
    Metric,
    Purpose,
    SearchMode,
    batch_request,
    batches_async,
    embed_request,
    full_name,
    in_batches,
    read_batch,
    read_embeddings,
    read_search,
    read_upserts,
    search_request,
    update_collection_request,
    write_collection,
)
from difyrpc_client._shape import read
from difyrpc_client._upserting import upsert_stream_async
from difyrpc_client._values import Metadata, write_metadata
from difyrpc_client._vectors import (
    BATCH_SEARCH,
    COUNT,
    CREATE,
    DELETE,
    DELETE_POINTS,
    EMBED,
    GET,
    GET_POINTS,
    LIST,
    LIST_ENGINES,
    SCROLL,
    SEARCH,
    UPDATE,
    UPDATE_METADATA,
    UPSERT,
    PointLike,
)


class AsyncVectors:
    """Points that are found by meaning, in the event loop; the same as Vectors."""

    def __init__(self, calls: AsyncCalls) -> None:
        self._calls = calls

    async def create_collection(
        self,
        name: str,
        *,
        exist_ok: bool = False,
        dimension: int = 0,
        metric: Metric = "cosine",
        engine: str = "",
        embedding_model: str = "",
        description: str = "",
        metadata: Metadata | None = None,
        timeout: float | None = None,
    ) -> Collection:
        """Makes a collection, by default with the server's engine and embedding model.

        A `dimension` without `embedding_model` makes one whose callers bring vectors. With `exist_ok` a collection
        that is there already is answered as it is; else AlreadyExists.
        """
        wanted = write_collection(
            name,
            dimension=dimension,
            metric=metric,
            engine=engine,
            embedding_model=embedding_model,
            description=description,
            metadata=metadata,
        )
        request = make(pb.CreateCollectionRequest, collection=wanted)
        try:
            return cast("Collection", read((await self._calls.unary(CREATE, request, timeout)).collection))
        except AlreadyExists:
            if not exist_ok:
                raise
            return await self.get_collection(name, timeout=timeout)

    async def get_collection(self, name: str, *, timeout: float | None = None) -> Collection:
        """Answers one collection; NotFound."""
        request = make(pb.GetCollectionRequest, name=full_name(name))
        return cast("Collection", read((await self._calls.unary(GET, request, timeout)).collection))

    async def list_collections(self, *, page_size: int = 0, timeout: float | None = None) -> AsyncIterator[Collection]:
        """Yields the collections by name, page after page; `timeout` is for each page."""
        request = make(pb.ListCollectionsRequest, page_size=page_size)
        while True:
            page = await self._calls.unary(LIST, request, timeout)
            for collection in page.collections:
                yield read(collection)
            request.page_token = page.next_page_token
            if not page.next_page_token:
                return

    async def delete_collection(
        self, name: str, *, allow_missing: bool = False, etag: str = "", timeout: float | None = None
    ) -> None:
        """Deletes a collection with all its points; NotFound unless `allow_missing`."""
        request = make(pb.DeleteCollectionRequest, name=full_name(name), allow_missing=allow_missing, etag=etag)
        await self._calls.unary(DELETE, request, timeout)

    async def update_collection(
        self,
        name: str,
        *,
        description: str | Unchanged = UNCHANGED,
        metadata: Metadata | Unchanged | None = UNCHANGED,
        aliases: Iterable[str] | Unchanged = UNCHANGED,
        etag: str = "",
        timeout: float | None = None,
    ) -> Collection:
        """Changes what is given, and answers the collection; Aborted if `etag` is given and not the current one.

        `metadata` and `aliases` are replaced as a whole; Unimplemented for aliases on an engine without them.
        """
        request = update_collection_request(
            name, description=description, metadata=metadata, aliases=aliases, etag=etag
        )
        return cast("Collection", read((await self._calls.unary(UPDATE, request, timeout)).collection))

    async def list_engines(self, *, timeout: float | None = None) -> Engines:
        """Answers the engines and the embedding models that collections can be made with."""
        answer = await self._calls.unary(LIST_ENGINES, pb.ListEnginesRequest(), timeout)
        return cast("Engines", read(answer))

    async def upsert(
        self,
        collection: str,
        points: Iterable[PointLike] | AsyncIterable[PointLike],
        *,
        progress: Callable[[int], None] | None = None,
        timeout: float | None = None,
    ) -> Upserted:
        """Stores points, each a Point, (id, text) or (id, text, metadata); a point of the same id is replaced.

        Sent in batches, each all or none; `timeout` is for each batch. `progress(stored)` is told after each.
        """
        answers: list[pb.UpsertPointsResponse] = []
        async for batch in batches_async(points):
            request = make(pb.UpsertPointsRequest, collection=collection, points=batch)
            answers.append(await self._calls.unary(UPSERT, request, timeout))
            if progress:
                progress(sum(answer.upserted_count for answer in answers))
        return read_upserts(answers)

    async def upsert_stream(
        self,
        collection: str,
        points: Iterable[PointLike] | AsyncIterable[PointLike],
        *,
        stream_id: str = "",
        batch_size: int = BATCH_POINTS,
        progress: Callable[[int], None] | None = None,
        timeout: float | None = None,
    ) -> Upserted:
        """Stores any number of points as `upsert` does, by one stream that does not wait for each batch.

        After a broken connection it goes on from what is durable, as long as `timeout` in seconds, None for the
        client's `stream_timeout`, allows. `points` is read as fast as the server stores, at most 4 batches of
        `batch_size` points (1 to 1,000) or 3 MiB ahead. `progress(stored)` is told in points. The count in the
        answer is that of all points. An error's metadata holds `durable_points`, `index` where one point was refused,
        and `stream_id`: given again with the same points in the same order, that goes on, in another process too,
        for 7 days. With a `stream_id` of your own that works after a crash as well; use it for no other points.
        """
        return await upsert_stream_async(
            self._calls,
            collection,
            points,
            stream_id=stream_id,
            batch_size=batch_size,
            progress=progress,
            timeout=timeout,
        )

    async def search(
        self,
        collection: str = "default",
        query: str = "",
        *,
        vector: VectorLike | None = None,
        limit: int = 10,
        filter: Filter | None = None,
        threshold: float | None = None,
        mode: SearchMode | Literal[""] = "",
        keywords: str = "",
        with_vectors: bool = False,
        metadata_fields: Iterable[str] = (),
        read_token: str = "",
        exact: bool = False,
        allow_partial: bool = False,
        timeout: float | None = None,
    ) -> SearchResult:
        """Finds the points that are most like a text or a vector; iterate over the answer for its hits.

        `limit` is 1 to 1,000. `threshold` is the least score. `mode` is dense unless given. `metadata_fields` names
        what to bring, empty for all. `read_token` of a write makes the search see it. `exact` looks at every vector.
        """
        request = search_request(
            collection,
            query,
            vector=vector,
            limit=limit,
            condition=filter,
            threshold=threshold,
            mode=mode,
            keywords=keywords,
            with_vectors=with_vectors,
            metadata_fields=metadata_fields,
            read_token=read_token,
            exact=exact,
            allow_partial=allow_partial,
        )
        return read_search(await self._calls.unary(SEARCH, request, timeout))

    async def batch_search(
        self, collection: str, queries: Iterable[str | Query], *, timeout: float | None = None
    ) -> list[SearchOutcome]:
        """Searches 1 to 100 times in one call; answers in order, with an error in the place of what failed."""
        return read_batch(await self._calls.unary(BATCH_SEARCH, batch_request(collection, queries), timeout))

    async def get(
        self,
        collection: str,
        ids: Iterable[str],
        *,
        with_vectors: bool = False,
        timeout: float | None = None,
    ) -> list[Point]:
        """Answers the points that there are, in the order of `ids`; `timeout` is for each thousand."""
        payload = make(point_pb2.PayloadSelection, vector=with_vectors)
        found: list[Point] = []
        for batch in in_batches(ids):
            request = make(pb.GetPointsRequest, collection=collection, ids=batch, payload=payload)
            found.extend(map(read_point, (await self._calls.unary(GET_POINTS, request, timeout)).points))
        return found

    async def scroll(
        self,
        collection: str,
        *,
        filter: Filter | None = None,
        page_size: int = 0,
        with_vectors: bool = False,
        timeout: float | None = None,
    ) -> AsyncIterator[Point]:
        """Yields points that match by id, page after page; `timeout` is for each page."""
        request = make(
            pb.ScrollPointsRequest,
            collection=collection,
            filter=write_filter(filter),
            page_size=page_size,
            payload=make(point_pb2.PayloadSelection, vector=with_vectors),
        )
        while True:
            page = await self._calls.unary(SCROLL, request, timeout)
            for point in page.points:
                yield read_point(point)
            request.page_token = page.next_page_token
            if not page.next_page_token:
                return

    async def count(self, collection: str, *, filter: Filter | None = None, timeout: float | None = None) -> int:
        """Counts the points that match, exactly."""
        request = make(pb.CountPointsRequest, collection=collection, filter=write_filter(filter))
        return (await self._calls.unary(COUNT, request, timeout)).count

    async def delete(
        self,
        collection: str,
        *,
        ids: Iterable[str] | None = None,
        filter: Filter | None = None,
        timeout: float | None = None,
    ) -> int:
        """Deletes points by id (at most 1,000) or by filter, all or none; answers how many there were."""
        selector = write_selector(ids, write_filter(filter))
        request = make(pb.DeletePointsRequest, collection=collection, points=selector)
        return (await self._calls.unary(DELETE_POINTS, request, timeout)).deleted_count

    async def update_metadata(
        self,
        collection: str,
        *,
        ids: Iterable[str] | None = None,
        filter: Filter | None = None,
        set: Metadata | None = None,
        remove: Iterable[str] = (),
        replace: bool = False,
        timeout: float | None = None,
    ) -> int:
        """Sets and removes metadata fields of points by id or by filter; answers how many points there were.

        With `replace` all other fields go. Texts and vectors stay.
        """
        request = make(
            pb.UpdateMetadataRequest,
            collection=collection,
            points=write_selector(ids, write_filter(filter)),
            set=write_metadata(set),
            remove=remove,
            replace=replace,
        )
        return (await self._calls.unary(UPDATE_METADATA, request, timeout)).updated_count

    async def embed(
        self, texts: Iterable[str], *, purpose: Purpose, model: str = "", timeout: float | None = None
    ) -> Embeddings:
        """Makes vectors out of 1 to 256 texts, for a query or for a passage that is to be found."""
        return read_embeddings(await self._calls.unary(EMBED, embed_request(texts, purpose, model), timeout))
