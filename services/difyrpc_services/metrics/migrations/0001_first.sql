-- Usage of models and tools. Times are microseconds since 1970 in UTC, durations are microseconds.
-- A histogram is an array of bucket * 2^48 + count; a bucket may come twice in one that was not merged.

CREATE TABLE metrics_tenants (
    tenant text PRIMARY KEY,
    salt bytea NOT NULL,
    series_count integer NOT NULL DEFAULT 0
);

-- The last batch of each writer; it moves in the transaction that stores the batch.
CREATE TABLE metrics_writers (
    tenant text NOT NULL,
    writer text NOT NULL,
    committed bigint NOT NULL,
    fingerprint bytea NOT NULL,
    seen bigint NOT NULL,
    PRIMARY KEY (tenant, writer)
);

-- Values that a tenant keeps apart; what is not here is folded into `other`.
CREATE TABLE metrics_label_values (
    tenant text NOT NULL,
    label text NOT NULL,
    value text NOT NULL,
    seen bigint NOT NULL,
    PRIMARY KEY (tenant, label, value)
);

CREATE TABLE metrics_folded (
    tenant text NOT NULL,
    label text NOT NULL,
    count bigint NOT NULL,
    PRIMARY KEY (tenant, label)
);

CREATE TABLE metrics_series (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    tenant text NOT NULL,
    digest bytea NOT NULL,
    app text NOT NULL,
    workflow text NOT NULL,
    node text NOT NULL,
    operation text NOT NULL,
    provider text NOT NULL,
    model text NOT NULL,
    user_hash text NOT NULL,
    custom jsonb NOT NULL,
    status smallint NOT NULL,
    error_type text NOT NULL,
    seen bigint NOT NULL,
    UNIQUE (tenant, digest)
);

-- Single observations. No unique key and no foreign key: rows are copied in, read by time, and deleted by time.
CREATE TABLE metrics_observations (
    tenant text NOT NULL,
    time bigint NOT NULL,
    series bigint NOT NULL,
    input bigint NOT NULL,
    output bigint NOT NULL,
    cached_input bigint NOT NULL,
    reasoning_output bigint NOT NULL,
    duration bigint,
    time_to_first_token bigint,
    -- A live tail reads what transactions below the oldest running one have committed.
    transaction bigint NOT NULL DEFAULT (pg_current_xact_id()::text::bigint)
);
CREATE INDEX metrics_observations_time ON metrics_observations USING brin (time) WITH (pages_per_range = 32);
CREATE INDEX metrics_observations_transaction ON metrics_observations USING brin (transaction)
    WITH (pages_per_range = 32, autosummarize = on);

-- What batches added, by minute: appended by batches without waiting for each other, merged into roll-ups soon after.
-- Every number is in exactly one of the two, so a statement that reads both never counts twice.
CREATE TABLE metrics_deltas (
    tenant text NOT NULL,
    bucket bigint NOT NULL,
    series bigint NOT NULL,
    calls bigint NOT NULL,
    input bigint NOT NULL,
    output bigint NOT NULL,
    cached_input bigint NOT NULL,
    reasoning_output bigint NOT NULL,
    duration_count bigint NOT NULL,
    duration_sum bigint NOT NULL,
    duration_least bigint,
    duration_most bigint,
    duration_histogram bigint[] NOT NULL,
    first_count bigint NOT NULL,
    first_sum bigint NOT NULL,
    first_least bigint,
    first_most bigint,
    first_histogram bigint[] NOT NULL,
    input_histogram bigint[] NOT NULL,
    output_histogram bigint[] NOT NULL
) WITH (autovacuum_vacuum_scale_factor = 0.05, autovacuum_vacuum_threshold = 5000);
CREATE INDEX metrics_deltas_bucket ON metrics_deltas (tenant, bucket);

-- The same by minute, quarter of an hour and hour (`width`).
CREATE TABLE metrics_rollups (
    tenant text NOT NULL,
    width bigint NOT NULL,
    bucket bigint NOT NULL,
    series bigint NOT NULL,
    calls bigint NOT NULL,
    input bigint NOT NULL,
    output bigint NOT NULL,
    cached_input bigint NOT NULL,
    reasoning_output bigint NOT NULL,
    duration_count bigint NOT NULL,
    duration_sum bigint NOT NULL,
    duration_least bigint,
    duration_most bigint,
    duration_histogram bigint[] NOT NULL,
    first_count bigint NOT NULL,
    first_sum bigint NOT NULL,
    first_least bigint,
    first_most bigint,
    first_histogram bigint[] NOT NULL,
    PRIMARY KEY (tenant, width, bucket, series)
) WITH (fillfactor = 80);

-- Since ever, for counters that never fall. Nothing is swept from here.
CREATE TABLE metrics_totals (
    tenant text NOT NULL,
    operation text NOT NULL,
    provider text NOT NULL,
    model text NOT NULL,
    status smallint NOT NULL,
    error_type text NOT NULL,
    calls bigint NOT NULL,
    input bigint NOT NULL,
    output bigint NOT NULL,
    cached_input bigint NOT NULL,
    reasoning_output bigint NOT NULL,
    duration_sum bigint NOT NULL,
    first_sum bigint NOT NULL,
    duration_histogram bigint[] NOT NULL,
    first_histogram bigint[] NOT NULL,
    input_histogram bigint[] NOT NULL,
    output_histogram bigint[] NOT NULL,
    PRIMARY KEY (tenant, operation, provider, model, status, error_type)
) WITH (fillfactor = 80);

CREATE FUNCTION metrics_merge(a bigint[], b bigint[]) RETURNS bigint[]
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT coalesce(array_agg((bucket << 48) + count ORDER BY bucket), '{}')
    FROM (
        SELECT packed >> 48 AS bucket, sum(packed & 281474976710655)::bigint AS count
        FROM unnest(a || b) AS packed
        GROUP BY 1
    ) AS merged
$$;
