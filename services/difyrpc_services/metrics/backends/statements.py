"""The SQL of the PostgreSQL store. Tables and their meaning: migrations/0001_first.sql."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from psycopg import sql

from difyrpc_services.metrics.core.backend import Field, Selection, Test

SEPARATOR = "\x1f"  # between the labels of a group; labels hold no control characters
COLUMNS = {
    "app": "app",
    "workflow": "workflow",
    "node": "node",
    "operation": "operation",
    "provider": "provider",
    "model": "model",
    "user": "user_hash",
    "error_type": "error_type",
}

FIRST_BATCH = """
    INSERT INTO metrics_writers (tenant, writer, committed, fingerprint, seen)
    VALUES (%(tenant)s, %(writer)s, 1, %(fingerprint)s, %(now)s)
    ON CONFLICT (tenant, writer) DO NOTHING RETURNING committed
"""
NEXT_BATCH = """
    UPDATE metrics_writers SET committed = %(sequence)s, fingerprint = %(fingerprint)s, seen = %(now)s
    WHERE tenant = %(tenant)s AND writer = %(writer)s AND committed = %(sequence)s - 1 RETURNING committed
"""
COPY_ROWS = """
    COPY metrics_observations (tenant, time, series, input, output, cached_input, reasoning_output, duration,
        time_to_first_token)
    FROM STDIN (FORMAT BINARY)
"""
ROW_TYPES = ["text", *["int8"] * 8]
COPY_DELTAS = """
    COPY metrics_deltas (tenant, bucket, series, calls, input, output, cached_input, reasoning_output,
        duration_count, duration_sum, duration_least, duration_most, duration_histogram,
        first_count, first_sum, first_least, first_most, first_histogram, input_histogram, output_histogram)
    FROM STDIN (FORMAT BINARY)
"""
DELTA_TYPES = ["text", *["int8"] * 11, "int8[]", *["int8"] * 4, *["int8[]"] * 3]

ADD_FOLDED = """
    INSERT INTO metrics_folded AS kept (tenant, label, count)
    SELECT %(tenant)s, label, count FROM unnest(%(labels)s::text[], %(counts)s::bigint[]) AS new(label, count)
    ORDER BY label
    ON CONFLICT (tenant, label) DO UPDATE SET count = kept.count + EXCLUDED.count
"""

ADD_SERIES = """
    INSERT INTO metrics_series (tenant, digest, app, workflow, node, operation, provider, model, user_hash, custom,
        status, error_type, seen)
    VALUES (%(tenant)s, %(digest)s, %(app)s, %(workflow)s, %(node)s, %(operation)s, %(provider)s, %(model)s,
        %(user)s, %(custom)s, %(status)s, %(error_type)s, %(now)s)
    RETURNING id
"""
ADD_VALUES = """
    INSERT INTO metrics_label_values (tenant, label, value, seen)
    SELECT %(tenant)s, label, value, %(now)s FROM unnest(%(labels)s::text[], %(values)s::text[]) AS new(label, value)
"""

TAIL = """
    SELECT o.tenant, o.time, o.input, o.output, o.cached_input, o.reasoning_output, o.duration, o.time_to_first_token,
        s.app, s.workflow, s.node, s.operation, s.provider, s.model, s.user_hash, s.custom, s.status, s.error_type,
        count(*) OVER () AS found
    FROM metrics_observations o JOIN metrics_series s ON s.id = o.series
    WHERE o.transaction >= %(position)s AND o.transaction < %(next)s
    ORDER BY o.transaction, o.ctid
    LIMIT %(limit)s
"""

COMPACT = """
    WITH gone AS MATERIALIZED (
        DELETE FROM metrics_deltas
        WHERE ctid = ANY (ARRAY (SELECT ctid FROM metrics_deltas LIMIT %(limit)s FOR UPDATE SKIP LOCKED))
        RETURNING *
    ), widths (width) AS (
        SELECT unnest(%(widths)s::bigint[])
    ), buckets AS MATERIALIZED (
        SELECT tenant, series, bucket, kind, packed >> 48 AS key, sum(packed & 281474976710655)::bigint AS count
        FROM gone
        CROSS JOIN LATERAL (VALUES ('duration', duration_histogram), ('first', first_histogram),
            ('input', input_histogram), ('output', output_histogram)) AS parts (kind, histogram)
        CROSS JOIN LATERAL unnest(histogram) AS packed
        GROUP BY 1, 2, 3, 4, 5
    ), numbers AS (
        SELECT tenant, width, bucket / width * width AS bucket, series, sum(calls)::bigint AS calls,
            sum(input)::bigint AS input, sum(output)::bigint AS output, sum(cached_input)::bigint AS cached_input,
            sum(reasoning_output)::bigint AS reasoning_output,
            sum(duration_count)::bigint AS duration_count, sum(duration_sum)::bigint AS duration_sum,
            min(duration_least) AS duration_least, max(duration_most) AS duration_most,
            sum(first_count)::bigint AS first_count, sum(first_sum)::bigint AS first_sum,
            min(first_least) AS first_least, max(first_most) AS first_most
        FROM gone CROSS JOIN widths
        GROUP BY 1, 2, 3, 4
    ), histograms AS (
        SELECT tenant, width, bucket, series,
            array_agg((key << 48) + count ORDER BY key) FILTER (WHERE kind = 'duration') AS duration_histogram,
            array_agg((key << 48) + count ORDER BY key) FILTER (WHERE kind = 'first') AS first_histogram
        FROM (
            SELECT tenant, width, bucket / width * width AS bucket, series, kind, key, sum(count)::bigint AS count
            FROM buckets CROSS JOIN widths
            WHERE kind IN ('duration', 'first')
            GROUP BY 1, 2, 3, 4, 5, 6
        ) AS wide
        GROUP BY 1, 2, 3, 4
    ), rolled AS (
        INSERT INTO metrics_rollups AS r (tenant, width, bucket, series, calls, input, output, cached_input,
            reasoning_output, duration_count, duration_sum, duration_least, duration_most, duration_histogram,
            first_count, first_sum, first_least, first_most, first_histogram)
        SELECT tenant, width, bucket, series, calls, input, output, cached_input, reasoning_output,
            duration_count, duration_sum, duration_least, duration_most, coalesce(duration_histogram, '{}'),
            first_count, first_sum, first_least, first_most, coalesce(first_histogram, '{}')
        FROM numbers LEFT JOIN histograms USING (tenant, width, bucket, series)
        ON CONFLICT (tenant, width, bucket, series) DO UPDATE SET
            calls = r.calls + EXCLUDED.calls,
            input = r.input + EXCLUDED.input,
            output = r.output + EXCLUDED.output,
            cached_input = r.cached_input + EXCLUDED.cached_input,
            reasoning_output = r.reasoning_output + EXCLUDED.reasoning_output,
            duration_count = r.duration_count + EXCLUDED.duration_count,
            duration_sum = r.duration_sum + EXCLUDED.duration_sum,
            duration_least = least(r.duration_least, EXCLUDED.duration_least),
            duration_most = greatest(r.duration_most, EXCLUDED.duration_most),
            duration_histogram = metrics_merge(r.duration_histogram, EXCLUDED.duration_histogram),
            first_count = r.first_count + EXCLUDED.first_count,
            first_sum = r.first_sum + EXCLUDED.first_sum,
            first_least = least(r.first_least, EXCLUDED.first_least),
            first_most = greatest(r.first_most, EXCLUDED.first_most),
            first_histogram = metrics_merge(r.first_histogram, EXCLUDED.first_histogram)
    ), exposed AS (
        SELECT s.tenant, s.operation, s.provider, s.model, s.status, s.error_type, sum(calls)::bigint AS calls,
            sum(input)::bigint AS input, sum(output)::bigint AS output, sum(cached_input)::bigint AS cached_input,
            sum(reasoning_output)::bigint AS reasoning_output, sum(duration_sum)::bigint AS duration_sum,
            sum(first_sum)::bigint AS first_sum
        FROM gone JOIN metrics_series s ON s.id = gone.series
        GROUP BY 1, 2, 3, 4, 5, 6
    ), exposed_histograms AS (
        SELECT tenant, operation, provider, model, status, error_type,
            array_agg((key << 48) + count ORDER BY key) FILTER (WHERE kind = 'duration') AS duration_histogram,
            array_agg((key << 48) + count ORDER BY key) FILTER (WHERE kind = 'first') AS first_histogram,
            array_agg((key << 48) + count ORDER BY key) FILTER (WHERE kind = 'input') AS input_histogram,
            array_agg((key << 48) + count ORDER BY key) FILTER (WHERE kind = 'output') AS output_histogram
        FROM (
            SELECT s.tenant, s.operation, s.provider, s.model, s.status, s.error_type, kind, key,
                sum(count)::bigint AS count
            FROM buckets JOIN metrics_series s ON s.id = buckets.series
            GROUP BY 1, 2, 3, 4, 5, 6, 7, 8
        ) AS wide
        GROUP BY 1, 2, 3, 4, 5, 6
    ), totalled AS (
        INSERT INTO metrics_totals AS t (tenant, operation, provider, model, status, error_type, calls, input, output,
            cached_input, reasoning_output, duration_sum, first_sum, duration_histogram, first_histogram,
            input_histogram, output_histogram)
        SELECT tenant, operation, provider, model, status, error_type, calls, input, output, cached_input,
            reasoning_output, duration_sum, first_sum, coalesce(duration_histogram, '{}'),
            coalesce(first_histogram, '{}'), coalesce(input_histogram, '{}'), coalesce(output_histogram, '{}')
        FROM exposed LEFT JOIN exposed_histograms USING (tenant, operation, provider, model, status, error_type)
        ON CONFLICT (tenant, operation, provider, model, status, error_type) DO UPDATE SET
            calls = t.calls + EXCLUDED.calls,
            input = t.input + EXCLUDED.input,
            output = t.output + EXCLUDED.output,
            cached_input = t.cached_input + EXCLUDED.cached_input,
            reasoning_output = t.reasoning_output + EXCLUDED.reasoning_output,
            duration_sum = t.duration_sum + EXCLUDED.duration_sum,
            first_sum = t.first_sum + EXCLUDED.first_sum,
            duration_histogram = metrics_merge(t.duration_histogram, EXCLUDED.duration_histogram),
            first_histogram = metrics_merge(t.first_histogram, EXCLUDED.first_histogram),
            input_histogram = metrics_merge(t.input_histogram, EXCLUDED.input_histogram),
            output_histogram = metrics_merge(t.output_histogram, EXCLUDED.output_histogram)
    )
    SELECT count(*) FROM gone
"""

TOTALS = """
    SELECT operation, provider, model, status, error_type, calls, input, output, cached_input, reasoning_output,
        duration_sum, first_sum, duration_histogram, first_histogram, input_histogram, output_histogram
    FROM metrics_totals
    UNION ALL
    SELECT operation, provider, model, status, error_type, calls, input, output, cached_input, reasoning_output,
        duration_sum, first_sum, duration_histogram, first_histogram, input_histogram, output_histogram
    FROM metrics_deltas d JOIN metrics_series s ON s.id = d.series
"""
FOLDED = """
    SELECT CASE WHEN label LIKE 'custom.%' THEN 'custom' ELSE label END, sum(count)::bigint
    FROM metrics_folded GROUP BY 1
"""

_SELECT = sql.SQL("""
    WITH matched AS MATERIALIZED (
        SELECT id, status, {group} AS labels FROM metrics_series WHERE tenant = {tenant} AND {tests} AND {groups}
    ), parts AS MATERIALIZED (
        SELECT labels, status, width_bucket(bucket, {bounds}::bigint[]) - 1 AS step, found.*
        FROM (
            SELECT bucket, series, calls, input, output, cached_input, reasoning_output, duration_count, duration_sum,
                duration_least, duration_most, first_count, first_sum, first_least, first_most {histograms}
            FROM unnest({widths}::bigint[], {starts}::bigint[], {ends}::bigint[]) AS segments (width, first, last)
            JOIN metrics_rollups r USING (width)
            WHERE r.tenant = {tenant} AND r.bucket >= segments.first AND r.bucket < segments.last
            UNION ALL
            SELECT bucket, series, calls, input, output, cached_input, reasoning_output, duration_count, duration_sum,
                duration_least, duration_most, first_count, first_sum, first_least, first_most {histograms}
            FROM metrics_deltas
            WHERE tenant = {tenant} AND bucket >= {first} AND bucket < {last}
        ) AS found
        JOIN matched ON matched.id = found.series
    ), numbers AS (
        SELECT labels, step, sum(calls)::bigint AS calls,
            coalesce(sum(calls) FILTER (WHERE status = 2), 0)::bigint AS errors,
            coalesce(sum(calls) FILTER (WHERE status = 3), 0)::bigint AS cancelled,
            sum(input)::bigint AS input, sum(output)::bigint AS output, sum(cached_input)::bigint AS cached_input,
            sum(reasoning_output)::bigint AS reasoning_output,
            sum(duration_count)::bigint AS duration_count, sum(duration_sum)::bigint AS duration_sum,
            min(duration_least) AS duration_least, max(duration_most) AS duration_most,
            sum(first_count)::bigint AS first_count, sum(first_sum)::bigint AS first_sum,
            min(first_least) AS first_least, max(first_most) AS first_most
        FROM parts GROUP BY labels, step
    )
""")
_NUMBERS = sql.SQL("SELECT *, '{}'::bigint[] AS duration_histogram, '{}'::bigint[] AS first_histogram FROM numbers")
_WITH_HISTOGRAMS = sql.SQL("""
    , histograms AS (
        SELECT labels, step,
            array_agg((key << 48) + count) FILTER (WHERE kind = 'duration') AS duration_histogram,
            array_agg((key << 48) + count) FILTER (WHERE kind = 'first') AS first_histogram
        FROM (
            SELECT labels, step, kind, packed >> 48 AS key, sum(packed & 281474976710655)::bigint AS count
            FROM parts
            CROSS JOIN LATERAL (VALUES ('duration', duration_histogram), ('first', first_histogram))
                AS both_kinds (kind, histogram)
            CROSS JOIN LATERAL unnest(histogram) AS packed
            GROUP BY 1, 2, 3, 4
        ) AS merged
        GROUP BY 1, 2
    )
    SELECT numbers.*, coalesce(duration_histogram, '{}') AS duration_histogram,
        coalesce(first_histogram, '{}') AS first_histogram
    FROM numbers LEFT JOIN histograms USING (labels, step)
""")


def usage(tenant: str, selection: Selection) -> sql.Composed:
    """Writes the statement that sums a selection, one row a group and step."""
    groups: sql.Composable = sql.SQL("TRUE")
    group = group_expression(selection.group_by)
    if selection.groups is not None:
        wanted = [SEPARATOR.join(labels) for labels in selection.groups]
        groups = sql.SQL("{} = ANY ({}::text[])").format(group, sql.Literal(wanted))
    segments = selection.segments
    wants = sql.SQL(", duration_histogram, first_histogram" if selection.histograms else "")
    select = _SELECT.format(
        group=group,
        groups=groups,
        tenant=sql.Literal(tenant),
        tests=tests_expression(selection.tests),
        bounds=sql.Literal(list(selection.bounds[:-1])),
        histograms=wants,
        widths=sql.Literal([segment.width for segment in segments]),
        starts=sql.Literal([segment.start for segment in segments]),
        ends=sql.Literal([segment.end for segment in segments]),
        first=sql.Literal(selection.bounds[0]),
        last=sql.Literal(selection.bounds[-1]),
    )
    return select + (_WITH_HISTOGRAMS if selection.histograms else _NUMBERS)


def observations(tenant: str, start: int, end: int, tests: Sequence[Test]) -> sql.Composed:
    """Writes the statement that reads single observations."""
    return sql.SQL("""
        SELECT time, input, output, cached_input, reasoning_output, duration, time_to_first_token,
            app, workflow, node, operation, provider, model, user_hash, custom, status, error_type
        FROM metrics_observations o
        JOIN (SELECT * FROM metrics_series WHERE tenant = {tenant} AND {tests}) s ON s.id = o.series
        WHERE o.tenant = {tenant} AND time >= {start} AND time < {end}
        ORDER BY time
    """).format(
        tenant=sql.Literal(tenant),
        tests=tests_expression(tests),
        start=sql.Literal(start),
        end=sql.Literal(end),
    )


def group_expression(fields: Sequence[Field]) -> sql.Composable:
    """Writes the labels of a group as one text."""
    if not fields:
        return sql.SQL("''")
    parts = sql.SQL(", ").join(label_expression(field.name) for field in fields)
    return sql.SQL("concat_ws({}, {})").format(sql.Literal(SEPARATOR), parts)


def tests_expression(tests: Sequence[Test]) -> sql.Composable:
    """Writes the condition that a series passes all tests."""
    written: list[Any] = [
        sql.SQL("{} {} (ARRAY[{}]::text[])").format(
            label_expression(test.field.name),
            sql.SQL("<> ALL" if test.is_exclusion else "= ANY"),
            sql.SQL(", ").join(map(sql.Literal, sorted(test.values))),
        )
        for test in tests
    ]
    return sql.SQL(" AND ").join(written) if written else sql.SQL("TRUE")


def label_expression(name: str) -> sql.Composable:
    """Writes the value of one label."""
    if name == "status":
        return sql.SQL("(ARRAY['ok', 'error', 'cancelled'])[status]")
    if name.startswith("custom."):
        return sql.SQL("coalesce(custom ->> {}, '')").format(sql.Literal(name.removeprefix("custom.")))
    return sql.Identifier(COLUMNS[name])
