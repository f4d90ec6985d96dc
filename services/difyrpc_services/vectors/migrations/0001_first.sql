-- Points live in tables of their own, `vectors_points_<key>`, made with their collection.

CREATE TABLE vectors_collections (
    key bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    tenant text COLLATE "C" NOT NULL,
    name text COLLATE "C" NOT NULL,
    engine text NOT NULL,
    metric text NOT NULL,
    dimension integer NOT NULL CHECK (dimension > 0),
    model text NOT NULL,
    fingerprint text NOT NULL,
    description text NOT NULL,
    metadata jsonb NOT NULL,
    version bigint NOT NULL DEFAULT 1,
    is_indexed boolean NOT NULL DEFAULT false,
    create_time timestamptz NOT NULL DEFAULT now(),
    update_time timestamptz NOT NULL DEFAULT now(),
    UNIQUE (tenant, name)
);

CREATE TABLE vectors_streams (
    collection bigint NOT NULL REFERENCES vectors_collections ON DELETE CASCADE,
    stream_id text COLLATE "C" NOT NULL,
    sequence bigint NOT NULL,
    update_time timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (collection, stream_id)
);
