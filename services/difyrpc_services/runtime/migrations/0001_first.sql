-- pgvector goes to `public`, where every other application of this database expects it; without the right
-- to write there, into our own schema. An extension that exists stays where it is.
DO $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_extension WHERE extname = 'vector') THEN
        BEGIN
            CREATE EXTENSION vector WITH SCHEMA public;
        EXCEPTION WHEN insufficient_privilege OR invalid_schema_name THEN
            EXECUTE format('CREATE EXTENSION vector WITH SCHEMA %I', current_schema());
        END;
    END IF;
END
$$;

CREATE TABLE runtime_keys (
    id text PRIMARY KEY,
    tenant text NOT NULL,
    name text NOT NULL,
    scopes text[] NOT NULL,
    secret_sha256 bytea NOT NULL,
    created_at timestamptz NOT NULL,
    expires_at timestamptz,
    revoked_at timestamptz,
    last_used_on date
);

CREATE INDEX runtime_keys_tenant ON runtime_keys (tenant, created_at, id);

CREATE TABLE runtime_replays (
    tenant text NOT NULL,
    method text NOT NULL,
    request_id text NOT NULL,
    body_sha256 bytea NOT NULL,
    answer bytea,
    claimed_at timestamptz NOT NULL,
    PRIMARY KEY (tenant, method, request_id)
);

CREATE INDEX runtime_replays_claimed_at ON runtime_replays (claimed_at);
