"""Points: stored, read, counted, changed, deleted."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field, replace

from difyrpc_services.runtime import pages
from difyrpc_services.runtime.errors import FailedPrecondition, InvalidArgument
from difyrpc_services.vectors.core.collections import Collections, missing
from difyrpc_services.vectors.core.embedding import Text
from difyrpc_services.vectors.core.filters import Filter, checked
from difyrpc_services.vectors.core.limits import MAX_IDS, page_size
from difyrpc_services.vectors.core.metadata import (
    check_field_name,
    check_metadata,
    check_point_id,
    check_stream_id,
    check_text,
)
from difyrpc_services.vectors.core.read_tokens import check_read_token, read_token
from difyrpc_services.vectors.core.values import (
    Collection,
    Feature,
    MetadataChange,
    Payload,
    Point,
    Purpose,
    Selector,
    Usage,
)
from difyrpc_services.vectors.core.vectors import check_vector


@dataclass(frozen=True, kw_only=True)
class Batch:
    """One batch of a stream."""

    sequence: int
    points: Sequence[Point]
    needs: tuple[Feature, ...] = ()
    """What its points ask of the engine."""


@dataclass(frozen=True, kw_only=True)
class Written:
    """What a write did."""

    count: int = 0
    read_token: str = ""
    usage: Usage = field(default_factory=Usage)
    sequence: int = 0
    """Of a stream: every batch up to this one is durable."""


class Points:
    """What can be done with the points of a collection."""

    def __init__(self, collections: Collections) -> None:
        """Takes the collections, and through them the engines and models."""
        self._collections = collections
        self._catalog = collections.catalog
        self._limits = collections.limits

    async def upsert(self, tenant: str, name: str, points: Sequence[Point], needs: tuple[Feature, ...] = ()) -> Written:
        """Stores points, all or none; `needs` is what they ask of the engine."""
        self._check_batch(points, "points")
        collection = await self._collections.writable(tenant, name)
        self._collections.require(collection.engine, *needs)
        return await self._write(tenant, collection, points, "points")

    async def upsert_stream(
        self, tenant: str, name: str, stream_id: str, batches: AsyncIterator[Batch]
    ) -> AsyncIterator[Written]:
        """Stores batches in order; says first where the stream stands, then what each batch made durable."""
        check_stream_id(stream_id, path="spec.stream_id")
        collection = await self._collections.writable(tenant, name)
        durable = await self._catalog.position(collection, stream_id) if stream_id else 0
        yield Written(sequence=durable)
        expected = durable + 1
        is_first = True
        async for batch in batches:
            # A caller that goes on may begin with any batch that is durable already, or with the next.
            if not (1 <= batch.sequence <= expected if is_first else batch.sequence == expected):
                raise _gap(batch.sequence, expected)
            is_first = False
            expected = batch.sequence + 1
            if batch.sequence <= durable:
                yield Written(sequence=durable)
                continue
            self._collections.require(collection.engine, *batch.needs)
            self._check_batch(batch.points, "batch.points")
            written = await self._write(
                tenant, collection, batch.points, "batch.points", stream_id=stream_id, sequence=batch.sequence
            )
            durable = batch.sequence
            yield replace(written, sequence=durable)

    async def get(
        self, tenant: str, name: str, ids: Sequence[str], payload: Payload, token: str
    ) -> tuple[list[Point], list[str]]:
        """Answers the points there are, in the order of the ids, and the ids without one."""
        _check_ids(ids, "ids")
        check_payload(payload)
        collection = await self._collections.readable(tenant, name)
        check_read_token(token, collection)
        if collection is None:
            return [], list(ids)
        points = await self._collections.backend(collection).fetch(collection, ids, payload)
        found = {point.id: point for point in points}
        return [found[one] for one in ids if one in found], [one for one in ids if one not in found]

    async def scroll(
        self, tenant: str, name: str, found: Filter | None, payload: Payload, *, size: int = 0, token: str = ""
    ) -> tuple[Sequence[Point], str]:
        """Answers a page of points by id, and the token of the next one."""
        check_payload(payload)
        limit = page_size(size)
        wanted = checked(found) if found else None
        collection = await self._collections.readable(tenant, name)
        bound = ["points", tenant, collection.key if collection else 0, wanted]
        position = pages.decode(token, bound)
        if collection is None:
            return [], ""
        backend = self._collections.backend(collection)
        after = str(position["after"]) if position else ""
        points = await backend.scroll(collection, wanted, after, limit + 1, payload)
        more = len(points) > limit
        return points[:limit], pages.encode({"after": points[limit - 1].id}, bound) if more else ""

    async def count(self, tenant: str, name: str, found: Filter | None) -> int:
        """Answers how many points match."""
        wanted = checked(found) if found else None
        collection = await self._collections.readable(tenant, name)
        if collection is None:
            return 0
        return await self._collections.backend(collection).count(collection, wanted)

    async def delete(self, tenant: str, name: str, selector: Selector) -> Written:
        """Deletes points, all or none."""
        wanted = _checked_selector(selector)
        collection = await self._collections.readable(tenant, name)
        if collection is None:
            return Written()
        count = await self._collections.backend(collection).delete(collection, wanted)
        return Written(count=count, read_token=read_token(collection))

    async def update_metadata(self, tenant: str, name: str, selector: Selector, change: MetadataChange) -> Written:
        """Changes metadata, of all points or of none."""
        wanted = _checked_selector(selector)
        clean = _checked_change(change)
        collection = await self._collections.readable(tenant, name)
        if collection is None:
            return Written()
        count = await self._collections.backend(collection).change_metadata(collection, wanted, clean)
        return Written(count=count, read_token=read_token(collection))

    async def _write(
        self,
        tenant: str,
        collection: Collection,
        points: Sequence[Point],
        path: str,
        *,
        stream_id: str = "",
        sequence: int = 0,
    ) -> Written:
        ready, usage = await self._embedded(tenant, collection, self._checked(collection, points, path), path)
        async with self._catalog.transaction():
            if not await self._catalog.hold(collection):
                raise missing(collection.name)
            if stream_id and not await self._catalog.advance(collection, stream_id, sequence):
                # Another call with this stream's id was faster; what it stored must not be written over.
                return Written(usage=usage, read_token=read_token(collection))
            await self._collections.backend(collection).write(collection, ready)
        self._collections.backend(collection).written(collection)
        return Written(count=len(ready), read_token=read_token(collection), usage=usage)

    async def _embedded(
        self, tenant: str, collection: Collection, points: Sequence[Point], path: str
    ) -> tuple[list[Point], Usage]:
        bare = [index for index, point in enumerate(points) if point.vector is None]
        if not bare:
            return list(points), Usage()
        texts = [Text(text=points[index].text, path=f"{path}[{index}].text") for index in bare]
        made = await self._collections.embeddings.for_collection(tenant, collection, texts, Purpose.PASSAGE)
        ready = list(points)
        for row, index in enumerate(bare):
            ready[index] = replace(points[index], vector=made.vectors[row])
        return ready, made.usage

    def _checked(self, collection: Collection, points: Sequence[Point], path: str) -> list[Point]:
        return [self._checked_point(collection, point, f"{path}[{index}]") for index, point in enumerate(points)]

    def _checked_point(self, collection: Collection, point: Point, path: str) -> Point:
        check_text(point.text, path=f"{path}.text", limit=self._limits.max_text_bytes)
        if point.vector is not None:
            check_vector(point.vector, collection.dimension, path=f"{path}.vector")
        elif not point.text.strip():
            raise InvalidArgument("POINT_EMPTY", "the point has neither a text nor a vector", field=path)
        return replace(point, metadata=check_metadata(point.metadata, path=f"{path}.metadata"))

    def _check_batch(self, points: Sequence[Point], path: str) -> None:
        if not points:
            raise InvalidArgument("POINTS_MISSING", "there are no points to store", field=path)
        if len(points) > self._limits.max_batch:
            raise InvalidArgument(
                "TOO_MANY_POINTS",
                "{count} points are more than {limit}; send several batches",
                field=path,
                count=len(points),
                limit=self._limits.max_batch,
            )
        seen: set[str] = set()
        for index, point in enumerate(points):
            check_point_id(point.id, path=f"{path}[{index}].id")
            _refuse_repeated(point.id, seen, f"{path}[{index}].id")


def _gap(sequence: int, expected: int) -> FailedPrecondition:
    return FailedPrecondition(
        "SEQUENCE_GAP",
        "batch {sequence} came where {expected} was expected",
        field="batch.sequence",
        sequence=sequence,
        expected=expected,
    )


def _refuse_repeated(point_id: str, seen: set[str], path: str) -> None:
    if point_id in seen:
        raise InvalidArgument("POINT_ID_REPEATED", "the id {id} comes twice", field=path, id=point_id)
    seen.add(point_id)


def _check_ids(ids: Sequence[str], path: str) -> None:
    if not 1 <= len(ids) <= MAX_IDS:
        raise InvalidArgument(
            "IDS_OUT_OF_RANGE", "1 to {limit} ids are needed, not {count}", field=path, limit=MAX_IDS, count=len(ids)
        )
    seen: set[str] = set()
    for index, one in enumerate(ids):
        check_point_id(one, path=f"{path}[{index}]")
        _refuse_repeated(one, seen, f"{path}[{index}]")


def check_payload(payload: Payload) -> None:
    """Refuses a selection that contradicts itself."""
    if payload.fields and not payload.metadata:
        raise InvalidArgument(
            "PAYLOAD_INVALID",
            "metadata fields are named, and metadata is not wanted",
            field="payload.metadata_fields",
        )
    for index, name in enumerate(payload.fields):
        check_field_name(name, path=f"payload.metadata_fields[{index}]")


def _checked_selector(selector: Selector) -> Selector:
    if selector.ids is not None:
        _check_ids(selector.ids, "points.ids.ids")
        return selector
    if selector.filter is None:
        raise InvalidArgument("SELECTOR_MISSING", "which points is not said: ids or a filter", field="points")
    return Selector(filter=checked(selector.filter, path="points.filter"))


def _checked_change(change: MetadataChange) -> MetadataChange:
    for index, name in enumerate(change.remove):
        check_field_name(name, path=f"remove[{index}]")
        if name in change.set:
            raise InvalidArgument(
                "METADATA_CHANGE_INVALID",
                "field {name} is both set and removed",
                field=f"remove[{index}]",
                name=name,
            )
    if not (change.set or change.remove or change.replace):
        raise InvalidArgument("METADATA_CHANGE_INVALID", "there is nothing to change", field="set")
    return replace(change, set=check_metadata(change.set, path="set"))
