-- Records of files: what is stored, for whom, and which bytes belong to it.

CREATE TABLE files_files (
    tenant        text        NOT NULL,
    id            text        COLLATE "C" NOT NULL,
    display_name  text        COLLATE "C" NOT NULL,
    size_bytes    bigint      NOT NULL CHECK (size_bytes >= 0),
    sha256        text        NOT NULL,
    media_type    text        NOT NULL,
    blob          text        NOT NULL,
    generation    bigint      NOT NULL,
    revision      bigint      NOT NULL,
    create_time   timestamptz NOT NULL,
    update_time   timestamptz NOT NULL,
    expire_time   timestamptz,
    tags          text[]      NOT NULL,
    metadata      jsonb       NOT NULL,
    PRIMARY KEY (tenant, id)
);
CREATE INDEX files_files_display_name ON files_files (tenant, display_name, id);
CREATE INDEX files_files_create_time ON files_files (tenant, create_time, id);
CREATE INDEX files_files_update_time ON files_files (tenant, update_time, id);
CREATE INDEX files_files_size_bytes ON files_files (tenant, size_bytes, id);
CREATE INDEX files_files_expire_time ON files_files (expire_time) WHERE expire_time IS NOT NULL;

-- The ledger: a row is here before its first byte is stored.
CREATE TABLE files_uploads (
    tenant           text        NOT NULL,
    id               text        COLLATE "C" NOT NULL,
    key              text        COLLATE "C" NOT NULL UNIQUE,
    spec             jsonb       NOT NULL,
    expire_time      timestamptz NOT NULL,
    committed_bytes  bigint      NOT NULL,
    reserved_bytes   bigint      NOT NULL,
    writer           integer     NOT NULL,
    file_id          text        NOT NULL,
    PRIMARY KEY (tenant, id)
) WITH (fillfactor = 70);
CREATE INDEX files_uploads_expire_time ON files_uploads (expire_time);
CREATE INDEX files_uploads_open ON files_uploads (tenant) WHERE file_id = '';

-- Content is stored once a tenant; refs counts the files that have it.
CREATE TABLE files_blobs (
    tenant      text    NOT NULL,
    key         text    COLLATE "C" NOT NULL UNIQUE,
    sha256      text    NOT NULL,
    size_bytes  bigint  NOT NULL,
    refs        bigint  NOT NULL CHECK (refs > 0),
    PRIMARY KEY (tenant, sha256)
) WITH (fillfactor = 80);

-- Bytes that nobody uses any more and that are to be removed.
CREATE TABLE files_garbage (
    folder  text COLLATE "C" NOT NULL,
    key     text COLLATE "C" NOT NULL PRIMARY KEY
);

-- Used bytes of a tenant, in several rows so that commits do not wait for each other.
CREATE TABLE files_usage (
    tenant      text    NOT NULL,
    slot        integer NOT NULL,
    used_bytes  bigint  NOT NULL,
    PRIMARY KEY (tenant, slot)
) WITH (fillfactor = 50);

-- Stores of bytes that belong to these records.
CREATE TABLE files_stores (
    identity  text PRIMARY KEY
);
