"""Keeps usage in PostgreSQL: batches are appended, merged into roll-ups soon after, and counted once at any moment."""

from __future__ import annotations

import hashlib
import json
import secrets
from collections import Counter
from collections.abc import AsyncIterator, Collection, Sequence
from typing import Any

from psycopg.rows import dict_row
from psycopg.types.json import Jsonb

from difyrpc_services.metrics.backends import statements
from difyrpc_services.metrics.backends.totals import PostgresTotals
from difyrpc_services.metrics.core.backend import (
    Admission,
    Caught,
    Cell,
    Entry,
    LabelValue,
    Selection,
    Test,
    Writer,
)
from difyrpc_services.metrics.core.histogram import pack, unpack
from difyrpc_services.metrics.core.periods import WIDTHS
from difyrpc_services.metrics.core.sums import Spread, Sums
from difyrpc_services.metrics.core.values import DAY, Labels, Retention, Series, Status, Stored
from difyrpc_services.runtime.database import Connection, Database

COMPACT_ROWS = 20_000  # deltas that one statement merges
COMPACT_LOCK = 0x6D657472  # one process at a time merges
FETCH_ROWS = 1_000  # observations that an export reads at once
Row = dict[str, Any]


class PostgresUsage:
    """A store in PostgreSQL, shared by any number of processes."""

    def __init__(self, database: Database) -> None:
        """Takes the database, migrated."""
        self._database = database

    async def salt(self, tenant: str) -> bytes:
        """Answers the tenant's secret for hashing users; always the same."""
        async with self._database.connection() as connection:
            await connection.execute(
                "INSERT INTO metrics_tenants (tenant, salt) VALUES (%s, %s) ON CONFLICT DO NOTHING",
                (tenant, secrets.token_bytes(16)),
            )
            cursor = await connection.execute("SELECT salt FROM metrics_tenants WHERE tenant = %s", (tenant,))
            return bytes((await _one(cursor))[0])

    async def admit(self, tenant: str, wanted: Collection[Admission], now: int) -> set[LabelValue]:
        """Keeps the values that are known or fit under their label's limit."""
        values = [admission.value for admission in wanted]
        async with self._database.connection() as connection:
            known = await _known_values(connection, tenant, values, now)
            if len(known) == len(set(values)):
                return known
            await _lock_tenant(connection, tenant)
            known = await _known_values(connection, tenant, values, now)
            cursor = await connection.execute(
                "SELECT label, count(*) FROM metrics_label_values WHERE tenant = %s AND label = ANY (%s) GROUP BY 1",
                (tenant, [value.label for value in values]),
            )
            counts = Counter(dict(await cursor.fetchall()))
            added = []
            for value, limit in sorted(wanted):
                if value not in known and counts[value.label] < limit:
                    counts[value.label] += 1
                    added.append(value)
            await connection.execute(
                statements.ADD_VALUES,
                {
                    "tenant": tenant,
                    "labels": [value.label for value in added],
                    "values": [value.value for value in added],
                    "now": now,
                },
            )
            return known.union(added)

    async def identify(self, tenant: str, wanted: Collection[Series], limit: int | None, now: int) -> dict[Series, int]:
        """Answers the ids of the series; new ones are made as long as the tenant has fewer than `limit`."""
        digests = {digest(series): series for series in wanted}
        async with self._database.connection() as connection:
            found = await _known_series(connection, tenant, digests, now)
            if len(found) < len(digests):
                count = await _lock_tenant(connection, tenant)
                found = await _known_series(connection, tenant, digests, now)
                missing = [key for key in digests if digests[key] not in found]
                made = missing if limit is None else missing[: max(0, limit - count)]
                for key in made:
                    found[digests[key]] = await _add_series(connection, tenant, key, digests[key], now)
                await connection.execute(
                    "UPDATE metrics_tenants SET series_count = series_count + %s WHERE tenant = %s", (len(made), tenant)
                )
            return found

    async def commit(self, tenant: str, entry: Entry) -> Writer | None:
        """Commits all of the entry and moves the writer to its sequence, or nothing."""
        arguments = {
            "tenant": tenant,
            "writer": entry.writer_id,
            "sequence": entry.sequence,
            "fingerprint": entry.fingerprint,
            "now": entry.now,
        }
        async with self._database.connection() as connection:
            move = statements.FIRST_BATCH if entry.sequence == 1 else statements.NEXT_BATCH
            cursor = await connection.execute(move, arguments)
            if await cursor.fetchone() is None:
                return await _writer(connection, tenant, entry.writer_id)
            await _copy(connection, tenant, entry)
            if entry.folded:
                labels, counts = list(entry.folded), list(entry.folded.values())
                await connection.execute(statements.ADD_FOLDED, {"tenant": tenant, "labels": labels, "counts": counts})
        return None

    async def select(self, tenant: str, selection: Selection) -> list[Cell]:
        """Sums what was committed; groups and steps without calls are left out."""
        async with self._database.connection() as connection:
            cursor = connection.cursor(row_factory=dict_row, binary=True)
            await cursor.execute(statements.usage(tenant, selection), prepare=False)
            width = len(selection.group_by)
            return [Cell(_group(row["labels"], width), row["step"], _sums(row)) for row in await cursor.fetchall()]

    async def observations(self, tenant: str, start: int, end: int, tests: Sequence[Test]) -> AsyncIterator[Stored]:
        """Reads single observations in the order of their times; holds a connection meanwhile."""
        async with (
            self._database.connection() as connection,
            connection.cursor(name="metrics_export", row_factory=dict_row) as cursor,
        ):
            cursor.itersize = FETCH_ROWS
            await cursor.execute(statements.observations(tenant, start, end, tests))
            async for row in cursor:
                yield _stored(row)

    async def position(self) -> int:
        """Answers a position that everything committed until now lies before.

        Of transactions that still run, those that end later are found later: positions are below the oldest of them.
        """
        async with self._database.connection() as connection:
            return await _oldest_running(connection)

    async def since(self, position: int, limit: int) -> Caught:
        """Answers observations of all tenants that were committed after a position."""
        async with self._database.connection() as connection:
            upto = await _oldest_running(connection)
            cursor = connection.cursor(row_factory=dict_row)
            await cursor.execute(statements.TAIL, {"position": position, "next": upto, "limit": limit})
            rows = await cursor.fetchall()
        lost = rows[0]["found"] - len(rows) if rows else 0
        return Caught([(row["tenant"], _stored(row)) for row in rows], max(position, upto), lost)

    async def compact(self) -> bool:
        """Merges some of what was committed into roll-ups; answers whether there may be more to merge."""
        async with self._database.connection() as connection:
            cursor = await connection.execute("SELECT pg_try_advisory_xact_lock(%s)", (COMPACT_LOCK,))
            if not (await _one(cursor))[0]:
                return False
            cursor = await connection.execute(statements.COMPACT, {"limit": COMPACT_ROWS, "widths": list(WIDTHS)})
            return bool((await _one(cursor))[0] == COMPACT_ROWS)

    async def sweep(self, retention: Retention, now: int) -> None:
        """Deletes what is older than its retention, one statement a transaction."""
        minute, *wider = WIDTHS
        await self._run("DELETE FROM metrics_observations WHERE time < %s", now - retention.raw)
        await self._run(
            "DELETE FROM metrics_rollups WHERE width = %s AND bucket + width <= %s", minute, now - retention.minutes
        )
        await self._run(
            "DELETE FROM metrics_rollups WHERE width = ANY (%s) AND bucket + width <= %s", wider, now - retention.usage
        )
        await self._run("DELETE FROM metrics_writers WHERE seen < %s", now - retention.writers)
        await self._run("DELETE FROM metrics_label_values WHERE seen < %s", now - retention.labels)
        # Processes remember ids for the rest of a day, and mark a series as seen whenever they ask for it.
        await self._run("DELETE FROM metrics_series WHERE seen < %s", now - retention.usage - 2 * DAY)
        await self._run(
            "UPDATE metrics_tenants t SET series_count = s.count"
            " FROM (SELECT tenant, count(*) FROM metrics_series GROUP BY 1) s"
            " WHERE s.tenant = t.tenant AND s.count <> t.series_count"
        )

    async def _run(self, statement: str, *arguments: object) -> None:
        async with self._database.connection() as connection:
            await connection.execute(statement.encode(), arguments)


def open_postgres(database: Database) -> tuple[PostgresUsage, PostgresTotals]:
    """Makes the store, and what reads its totals."""
    return PostgresUsage(database), PostgresTotals(database)


def digest(series: Series) -> bytes:
    """Answers the hash that a series is found by."""
    return hashlib.blake2b(json.dumps(series, ensure_ascii=False).encode(), digest_size=16).digest()


async def _copy(connection: Connection, tenant: str, entry: Entry) -> None:
    async with connection.cursor() as cursor:
        async with cursor.copy(statements.COPY_ROWS) as copy:
            copy.set_types(statements.ROW_TYPES)
            for row in entry.rows:
                await copy.write_row((tenant, *row))
        async with cursor.copy(statements.COPY_DELTAS) as copy:
            copy.set_types(statements.DELTA_TYPES)
            for (minute, series), sums in entry.deltas.items():
                await copy.write_row((tenant, minute, series, *_delta(sums)))


def _delta(sums: Sums) -> list[Any]:
    row: list[Any] = [sums.calls, sums.input, sums.output, sums.cached_input, sums.reasoning_output]
    for spread in (sums.duration, sums.time_to_first_token):
        row += [spread.count, spread.sum, spread.least, spread.most, pack(spread.histogram)]
    return [*row, pack(sums.input_sizes), pack(sums.output_sizes)]


async def _writer(connection: Connection, tenant: str, writer: str) -> Writer:
    cursor = await connection.execute(
        "SELECT committed, fingerprint FROM metrics_writers WHERE tenant = %s AND writer = %s", (tenant, writer)
    )
    row = await cursor.fetchone()
    return Writer(committed=row[0], fingerprint=bytes(row[1])) if row else Writer(committed=0, fingerprint=b"")


async def _lock_tenant(connection: Connection, tenant: str) -> int:
    """Waits until no other process adds labels to this tenant; answers how many series it has."""
    cursor = await connection.execute(
        "SELECT series_count FROM metrics_tenants WHERE tenant = %s FOR UPDATE", (tenant,)
    )
    return int((await _one(cursor))[0])


async def _known_values(connection: Connection, tenant: str, values: Sequence[LabelValue], now: int) -> set[LabelValue]:
    """Answers which values are kept, and marks them as used."""
    arguments = (tenant, [value.label for value in values], [value.value for value in values])
    cursor = await connection.execute(
        "SELECT label, value, seen FROM metrics_label_values"
        " WHERE tenant = %s AND (label, value) IN (SELECT * FROM unnest(%s::text[], %s::text[]))",
        arguments,
    )
    rows = await cursor.fetchall()
    if any(row[2] < now - DAY for row in rows):
        await connection.execute(
            "UPDATE metrics_label_values SET seen = greatest(seen, %s)"
            " WHERE tenant = %s AND (label, value) IN (SELECT * FROM unnest(%s::text[], %s::text[]))",
            (now, *arguments),
        )
    return {LabelValue(row[0], row[1]) for row in rows}


async def _known_series(
    connection: Connection, tenant: str, digests: dict[bytes, Series], now: int
) -> dict[Series, int]:
    """Answers the ids of the series that exist, and marks them as used."""
    cursor = await connection.execute(
        "SELECT digest, id, seen FROM metrics_series WHERE tenant = %s AND digest = ANY (%s)", (tenant, list(digests))
    )
    rows = await cursor.fetchall()
    stale = [row[1] for row in rows if row[2] < now - DAY]
    if stale:
        await connection.execute(
            "UPDATE metrics_series SET seen = greatest(seen, %s) WHERE id = ANY (%s)", (now, sorted(stale))
        )
    return {digests[bytes(row[0])]: row[1] for row in rows}


async def _add_series(connection: Connection, tenant: str, key: bytes, series: Series, now: int) -> int:
    cursor = await connection.execute(
        statements.ADD_SERIES,
        {
            **series.labels._asdict(),
            "tenant": tenant,
            "digest": key,
            "custom": Jsonb(dict(series.labels.custom)),
            "status": int(series.status),
            "error_type": series.error_type,
            "now": now,
        },
    )
    return int((await _one(cursor))[0])


async def _oldest_running(connection: Connection) -> int:
    cursor = await connection.execute("SELECT pg_snapshot_xmin(pg_current_snapshot())::text::bigint")
    return int((await _one(cursor))[0])


async def _one(cursor: Any) -> tuple[Any, ...]:
    """Answers the row of a statement that always has one."""
    row: tuple[Any, ...] = await cursor.fetchone()
    return row


def _group(labels: str, width: int) -> tuple[str, ...]:
    return tuple(labels.split(statements.SEPARATOR)) if width else ()


def _sums(row: Row) -> Sums:
    return Sums(
        calls=row["calls"],
        errors=row["errors"],
        cancelled=row["cancelled"],
        input=row["input"],
        output=row["output"],
        cached_input=row["cached_input"],
        reasoning_output=row["reasoning_output"],
        duration=_spread(row, "duration"),
        time_to_first_token=_spread(row, "first"),
    )


def _spread(row: Row, prefix: str) -> Spread:
    return Spread(
        count=row[f"{prefix}_count"],
        sum=row[f"{prefix}_sum"],
        least=row[f"{prefix}_least"],
        most=row[f"{prefix}_most"],
        histogram=unpack(row[f"{prefix}_histogram"]),
    )


def _stored(row: Row) -> Stored:
    labels = Labels(
        **{name: row[column] for name, column in statements.COLUMNS.items() if name != "error_type"},
        custom=tuple(sorted(row["custom"].items())),
    )
    return Stored(
        time=row["time"],
        series=Series(labels, Status(row["status"]), row["error_type"]),
        input=row["input"],
        output=row["output"],
        cached_input=row["cached_input"],
        reasoning_output=row["reasoning_output"],
        duration=row["duration"],
        time_to_first_token=row["time_to_first_token"],
    )
