"""Collections and points in this process's memory: complete, exact, and gone when the process ends."""

from __future__ import annotations

import bisect
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import numpy as np

from difyrpc_services.vectors.core.collections import missing
from difyrpc_services.vectors.core.filters import Filter, matches
from difyrpc_services.vectors.core.values import (
    Capabilities,
    Collection,
    Feature,
    Floats,
    Found,
    Hit,
    MetadataChange,
    Metric,
    Payload,
    Plan,
    Point,
    Probe,
    Selector,
)
from difyrpc_services.vectors.core.vectors import case_id_of, score_of

MAX_DIMENSION = 65_536


class MemoryCatalog:
    """Keeps records in dictionaries; each method runs without a break, so it is atomic."""

    def __init__(self) -> None:
        self._records: dict[tuple[str, str], Collection] = {}
        self._positions: dict[tuple[int, str], int] = {}
        self._last_key = 0

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[None]:
        """Makes nothing: no step between the first and the last of a change awaits anything."""
        yield

    async def add(self, draft: Collection) -> Collection | None:
        """Stores a new record and answers it with its key; None if the tenant has that name already."""
        if (draft.tenant, draft.name) in self._records:
            return None
        self._last_key += 1
        now = datetime.now(UTC)
        made = replace(draft, key=self._last_key, create_time=now, update_time=now)
        self._records[draft.tenant, draft.name] = made
        return made

    async def find(self, tenant: str, name: str) -> Collection | None:
        """Answers one record."""
        return self._records.get((tenant, name))

    async def page(self, tenant: str, after: str, limit: int) -> Sequence[Collection]:
        """Answers up to `limit` records whose names come after `after`."""
        names = sorted(name for owner, name in self._records if owner == tenant and name > after)
        return [self._records[tenant, name] for name in names[:limit]]

    async def change(self, collection: Collection, changes: Mapping[str, Any]) -> Collection | None:
        """Changes a record; None if the version is no longer that of `collection`."""
        if not self._is_current(collection):
            return None
        version = collection.version + 1
        changed = replace(collection, **changes, version=version, update_time=datetime.now(UTC))
        self._records[collection.tenant, collection.name] = changed
        return changed

    async def remove(self, collection: Collection) -> bool:
        """Deletes one record; False if the version is no longer that of `collection`."""
        if not self._is_current(collection):
            return False
        del self._records[collection.tenant, collection.name]
        for place in [place for place in self._positions if place[0] == collection.key]:
            del self._positions[place]
        return True

    async def hold(self, collection: Collection) -> bool:
        """Answers whether the record is still there."""
        found = self._records.get((collection.tenant, collection.name))
        return found is not None and found.key == collection.key

    async def position(self, collection: Collection, stream_id: str) -> int:
        """Answers the last durable sequence of a stream, 0 for a new one."""
        return self._positions.get((collection.key, stream_id), 0)

    async def advance(self, collection: Collection, stream_id: str, sequence: int) -> bool:
        """Records a stream's sequence; False if it stands there or further already."""
        if self._positions.get((collection.key, stream_id), 0) >= sequence:
            return False
        self._positions[collection.key, stream_id] = sequence
        return True

    def _is_current(self, collection: Collection) -> bool:
        found = self._records.get((collection.tenant, collection.name))
        return found is not None and (found.key, found.version) == (collection.key, collection.version)


class MemoryBackend:
    """Looks at every vector; what it answers is the reference for the other engines."""

    kind = "memory"
    capabilities = Capabilities(
        features=frozenset({Feature.DENSE, Feature.EXACT_SEARCH}),
        metrics=tuple(Metric),
        max_dimension=MAX_DIMENSION,
        max_indexed_dimension=0,
    )

    def __init__(self) -> None:
        self._points: dict[int, dict[str, Point]] = {}

    async def start(self) -> None:
        """Does nothing: there is no work in the background."""

    async def stop(self) -> None:
        """Does nothing: there is no work in the background."""

    async def check(self) -> str:
        """Answers how much is held."""
        return f"{len(self._points)} collections in memory"

    async def create(self, collection: Collection) -> None:
        """Makes room for the points of a collection."""
        self._points[collection.key] = {}

    async def drop(self, collection: Collection) -> None:
        """Deletes a collection's points and their room."""
        self._points.pop(collection.key, None)

    async def write(self, collection: Collection, points: Sequence[Point]) -> None:
        """Stores points, replacing those of the same id."""
        self._of(collection).update({point.id: point for point in points})

    def written(self, collection: Collection) -> None:
        """Has nothing to do."""

    async def fetch(self, collection: Collection, ids: Sequence[str], payload: Payload) -> Sequence[Point]:
        """Answers the points that there are."""
        points = self._of(collection)
        return [_shown(points[one], payload) for one in ids if one in points]

    async def scroll(
        self, collection: Collection, found: Filter | None, after: str, limit: int, payload: Payload
    ) -> Sequence[Point]:
        """Answers up to `limit` matching points whose ids come after `after`."""
        points = self._of(collection)
        ids = sorted(points)
        later = (points[one] for one in ids[bisect.bisect_right(ids, after) :])
        return [_shown(point, payload) for point in _matching(later, found)][:limit]

    async def count(self, collection: Collection, found: Filter | None) -> int:
        """Answers how many points match."""
        return len(_matching(self._of(collection).values(), found))

    async def delete(self, collection: Collection, selector: Selector) -> int:
        """Deletes points and answers how many there were."""
        points = self._of(collection)
        gone = _selected(points, selector)
        for point in gone:
            del points[point.id]
        return len(gone)

    async def change_metadata(self, collection: Collection, selector: Selector, change: MetadataChange) -> int:
        """Changes metadata and answers of how many points."""
        points = self._of(collection)
        chosen = _selected(points, selector)
        points.update({point.id: replace(point, metadata=change.applied(point.metadata)) for point in chosen})
        return len(chosen)

    async def search(self, collection: Collection, probe: Probe) -> Found:
        """Compares the query with every matching point."""
        points = _matching(self._of(collection).values(), probe.filter)
        if not points:
            return Found(plan=Plan.EXACT)
        matrix = np.stack([_vector(point) for point in points])
        measured = measure(collection.metric, matrix, probe.vector)
        best = sorted(
            zip(points, measured, strict=True),
            key=lambda pair: (-score_of(collection.metric, pair[1]), pair[0].id),
        )[: probe.k]
        return Found(hits=[_hit(collection, point, number, probe.payload) for point, number in best], plan=Plan.EXACT)

    def _of(self, collection: Collection) -> dict[str, Point]:
        points = self._points.get(collection.key)
        if points is None:
            raise missing(collection.name)
        return points


def measure(metric: Metric, matrix: Floats, vector: Floats) -> list[float]:
    """Answers the similarity (COSINE, DOT) or distance (EUCLIDEAN) of each row to a vector."""
    rows, query = matrix.astype(np.float64), vector.astype(np.float64)
    if metric is Metric.EUCLIDEAN:
        return [float(distance) for distance in np.linalg.norm(rows - query, axis=1)]
    products = rows @ query
    if metric is Metric.COSINE:
        products = products / (np.linalg.norm(rows, axis=1) * np.linalg.norm(query))
    return [float(product) for product in products]


def _matching(points: Iterable[Point], found: Filter | None) -> list[Point]:
    return [point for point in points if found is None or matches(found, point.metadata)]


def _selected(points: Mapping[str, Point], selector: Selector) -> list[Point]:
    if selector.ids is not None:
        return [points[one] for one in selector.ids if one in points]
    return _matching(points.values(), selector.filter)


def _shown(point: Point, payload: Payload) -> Point:
    return Point(
        id=point.id,
        text=point.text if payload.text else "",
        metadata=payload.cut(point.metadata),
        vector=point.vector if payload.vector else None,
    )


def _hit(collection: Collection, point: Point, measured: float, payload: Payload) -> Hit:
    return Hit(
        point=_shown(point, payload),
        score=score_of(collection.metric, measured),
        raw_score=measured,
        case_id=case_id_of(point.id, point.metadata),
    )


def _vector(point: Point) -> Floats:
    if point.vector is None:
        raise ValueError(f"point {point.id!r} was stored without its vector")
    return point.vector
