"""Nearest points in pgvector, and the choice between the index and an exact scan.

HNSW finds its candidates before it looks at the filter, so a filter that keeps few rows costs it recall (.07 at 1%,
measured) or makes it walk far. A scan of the matching rows is exact and fast while they are few. Which of the two is
judged by a sample; when the index comes back with fewer than `k`, the exact scan answers after all.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Sequence
from typing import Any, LiteralString

from psycopg import sql

from difyrpc_services.runtime.database import Connection
from difyrpc_services.vectors.backends.pgvector_tables import MEASURES, table, table_name
from difyrpc_services.vectors.backends.postgres_filters import Piece, where
from difyrpc_services.vectors.backends.postgres_values import (
    Binary,
    BinaryDumper,
    from_json,
    vector_from,
    vector_parameter,
)
from difyrpc_services.vectors.core.values import Collection, Found, Hit, Payload, Plan, Point, Probe
from difyrpc_services.vectors.core.vectors import case_id_of, score_of

SAMPLE_ROWS = 2000
LEAST_SEEN = 5
"""Fewer matches than this in a sample say no more than that they are rare."""
COMMON = 0.05
"""A filter that keeps this part of the rows costs the index neither time nor recall, however few rows it keeps."""
REMEMBER_SECONDS = 30.0
REMEMBER_PLANS = 1000
LEAST_EF_SEARCH = 100
MOST_EF_SEARCH = 1000  # pgvector's own limit

EXACT: LiteralString = """
WITH matching AS MATERIALIZED (SELECT id, embedding {operator} %b::vector AS distance FROM {table} WHERE {where}),
nearest AS MATERIALIZED (SELECT id, distance FROM matching ORDER BY distance, id LIMIT %s)
SELECT id, {columns}, distance FROM nearest JOIN {table} USING (id) ORDER BY distance, id
"""
INDEXED: LiteralString = """
SELECT id, {columns}, embedding {operator} %b::vector AS distance FROM {table} WHERE {where}
ORDER BY embedding {operator} %b::vector LIMIT %s
"""
ONLY_CASE: LiteralString = (
    "CASE WHEN metadata ? 'case_id' THEN jsonb_build_object('case_id', metadata -> 'case_id') ELSE '{}'::jsonb END"
)


class Searcher:
    """Searches one collection at a time, and remembers which plan fits which filter."""

    def __init__(self, *, exact_rows: int) -> None:
        """Takes up to how many matching rows are scanned exactly."""
        self._exact_rows = exact_rows
        self._rare: OrderedDict[tuple[int, str], tuple[float, bool]] = OrderedDict()

    async def search(self, connection: Connection, collection: Collection, probe: Probe) -> Found:
        """Answers the best `k` hits."""
        wanted = where(probe.filter)
        if await self._is_indexed_best(connection, collection, probe, wanted):
            hits = await self._indexed(connection, collection, probe, wanted)
            if len(hits) == probe.k:
                return Found(hits=hits, plan=Plan.INDEX)
        return Found(hits=await self._exact(connection, collection, probe, wanted), plan=Plan.EXACT)

    async def _exact(self, connection: Connection, collection: Collection, probe: Probe, wanted: Piece) -> list[Hit]:
        vector = vector_parameter(probe.vector)
        if collection.is_indexed:
            await _prepare(connection, LEAST_EF_SEARCH)
        statement = _composed(EXACT, collection, probe, wanted)
        return await _hits(connection, collection, probe.payload, statement, (vector, *wanted.parameters, probe.k))

    async def _indexed(self, connection: Connection, collection: Collection, probe: Probe, wanted: Piece) -> list[Hit]:
        vector = vector_parameter(probe.vector)
        await _prepare(connection, min(max(2 * probe.k, LEAST_EF_SEARCH), MOST_EF_SEARCH))
        parameters = (vector, *wanted.parameters, vector, probe.k)
        statement = _composed(INDEXED, collection, probe, wanted)
        return await _hits(connection, collection, probe.payload, statement, parameters)

    async def _is_indexed_best(
        self, connection: Connection, collection: Collection, probe: Probe, wanted: Piece
    ) -> bool:
        if probe.exact or not collection.is_indexed:
            return False
        return probe.filter is None or not await self._is_rare(connection, collection, repr(probe.filter), wanted)

    async def _is_rare(self, connection: Connection, collection: Collection, filter_text: str, wanted: Piece) -> bool:
        place = (collection.key, filter_text)
        judged, is_rare = self._rare.get(place, (0.0, False))
        if time.monotonic() - judged > REMEMBER_SECONDS or not judged:
            is_rare = await self._sampled(connection, collection, wanted)
            self._rare[place] = (time.monotonic(), is_rare)
            if len(self._rare) > REMEMBER_PLANS:
                self._rare.popitem(last=False)
        return is_rare

    async def _sampled(self, connection: Connection, collection: Collection, wanted: Piece) -> bool:
        cursor = await connection.execute(
            "SELECT reltuples::float8 FROM pg_class WHERE oid = to_regclass(%s)", (table_name(collection.key),)
        )
        row = await cursor.fetchone()
        rows = max(row[0], 1.0) if row else 1.0
        statement = sql.SQL("SELECT count(*) FILTER (WHERE {where}), count(*) FROM {table} TABLESAMPLE SYSTEM (%s)")
        cursor = await connection.execute(
            statement.format(where=wanted.composed, table=table(collection)),
            (*wanted.parameters, min(100.0, 100.0 * SAMPLE_ROWS / rows)),
        )
        matching, seen = await cursor.fetchone() or (0, 0)
        if matching < LEAST_SEEN:
            return True
        kept = matching / seen
        return bool(kept < COMMON and rows * kept <= self._exact_rows)


async def _prepare(connection: Connection, width: int) -> None:
    """Sets what this transaction searches with.

    A plan that is kept for all filters takes each for a rare one, and compiling one costs more than running it.
    """
    await connection.execute(
        "SELECT set_config('hnsw.ef_search', %s, true), set_config('hnsw.iterative_scan', 'strict_order', true), "
        "set_config('plan_cache_mode', 'force_custom_plan', true), set_config('jit', 'off', true)",
        (str(width),),
    )


async def _hits(
    connection: Connection, collection: Collection, payload: Payload, statement: sql.Composed, parameters: Sequence[Any]
) -> list[Hit]:
    async with connection.cursor(binary=True) as cursor:
        cursor.adapters.register_dumper(Binary, BinaryDumper)
        await cursor.execute(statement, parameters)
        return [_hit(collection, payload, row) for row in await cursor.fetchall()]


def _composed(statement: LiteralString, collection: Collection, probe: Probe, wanted: Piece) -> sql.Composed:
    return sql.SQL(statement).format(
        table=table(collection),
        operator=sql.SQL(MEASURES[collection.metric].operator),
        columns=_columns(probe.payload),
        where=wanted.composed,
    )


def _hit(collection: Collection, payload: Payload, row: tuple[Any, ...]) -> Hit:
    point_id, text, sent, vector, raw = row
    metadata = from_json(sent)
    return Hit(
        point=Point(id=point_id, text=text, metadata=payload.cut(metadata), vector=vector_from(vector)),
        score=score_of(collection.metric, MEASURES[collection.metric].measured(raw)),
        raw_score=raw,
        case_id=case_id_of(point_id, metadata),
    )


def _columns(payload: Payload) -> sql.Composed:
    return sql.SQL(", ").join(
        (
            sql.SQL("text" if payload.text else "''"),
            sql.SQL("metadata" if payload.metadata else ONLY_CASE),
            sql.SQL("vector_send(embedding)" if payload.vector else "NULL::bytea"),
        )
    )
