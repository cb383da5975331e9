#include "lib/store/schema.hpp"

#include <algorithm>
#include <cstdint>

namespace crossfade::store {

std::string_view schema_sql() {
    return R"sql(
CREATE SCHEMA IF NOT EXISTS crossfade;

CREATE TABLE IF NOT EXISTS crossfade.meta (
    version      int         NOT NULL,
    installed_at timestamptz NOT NULL DEFAULT now(),
    one          bool        NOT NULL DEFAULT true UNIQUE CHECK (one)
);
INSERT INTO crossfade.meta (version) VALUES (7)
    ON CONFLICT (one) DO UPDATE SET version = greatest(meta.version, excluded.version);

-- Where the follower is. system_identifier and timeline are of the source; commit_lsn and end_lsn of the last transaction;
-- next_offset is where reading begins after a restart: at or before the first event not applied.
CREATE TABLE IF NOT EXISTS crossfade.progress (
    stream            text        NOT NULL,
    topic             text        NOT NULL,
    partition         int         NOT NULL,
    next_offset       bigint      NOT NULL,
    system_identifier numeric(20) NOT NULL,
    timeline          bigint      NOT NULL,
    commit_lsn        pg_lsn      NOT NULL,
    end_lsn           pg_lsn      NOT NULL,
    commit_time       timestamptz,
    created_at        timestamptz NOT NULL DEFAULT now(),  -- rows written before belong to the first copy
    updated_at        timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (stream, partition)
) WITH (fillfactor = 50);
-- What a schema from before lacks. ALTER TABLE and CREATE INDEX lock the table before they look whether there is anything to
-- do, and who waits for a lock makes the stream wait behind him: so where all is as it should be they are not said.
DO $guard$
DECLARE
    relation oid := 'crossfade.progress'::regclass;
BEGIN
    -- The timelines that led to this one, and where each was left, as history files have them.
    IF NOT EXISTS (SELECT FROM pg_catalog.pg_attribute WHERE attrelid = relation AND attname = 'left_timelines') THEN
        ALTER TABLE crossfade.progress ADD COLUMN left_timelines text NOT NULL DEFAULT '';
    END IF;
    -- Of a stream that is ordered by key: commit_lsn and ordinal are of the last event, end_lsn is what nothing of this partition
    -- is missing before. waiting_*: the event that this partition has come to and does not go past before the others have come so
    -- far, too.
    IF NOT EXISTS (SELECT FROM pg_catalog.pg_attribute WHERE attrelid = relation AND attname = 'waiting_offset') THEN
        ALTER TABLE crossfade.progress
            ADD COLUMN IF NOT EXISTS ordinal         bigint NOT NULL DEFAULT 0,
            ADD COLUMN IF NOT EXISTS waiting_lsn     pg_lsn,
            ADD COLUMN IF NOT EXISTS waiting_ordinal bigint,
            ADD COLUMN IF NOT EXISTS waiting_offset  bigint;
    END IF;
END
$guard$;

CREATE TABLE IF NOT EXISTS crossfade.tables (
    stream      text        NOT NULL,
    table_name  text        NOT NULL,          -- schema.table
    state       text        NOT NULL,
    copied_lsn  pg_lsn,
    copied_rows bigint,
    stale_since pg_lsn,
    updated_at  timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (stream, table_name)
);
DO $guard$
DECLARE
    relation oid := 'crossfade.tables'::regclass;
BEGIN
    -- Legacy's place in its WAL when a copy that holds the stream had written the table. What proxies had written before that may
    -- have been cleared by it.
    IF NOT EXISTS (SELECT FROM pg_catalog.pg_attribute WHERE attrelid = relation AND attname = 'filled_lsn') THEN
        ALTER TABLE crossfade.tables ADD COLUMN filled_lsn pg_lsn;
    END IF;
    IF NOT EXISTS (SELECT FROM pg_catalog.pg_constraint WHERE conrelid = relation AND conname = 'tables_state_check'
                   AND pg_catalog.pg_get_constraintdef(oid) LIKE '%backfilling%') THEN
        ALTER TABLE crossfade.tables DROP CONSTRAINT IF EXISTS tables_state_check;
        ALTER TABLE crossfade.tables
            ADD CONSTRAINT tables_state_check CHECK (state IN ('new', 'copying', 'backfilling', 'live', 'stale'));
    END IF;
END
$guard$;

-- Tables that are copied while the stream runs. asked: from the beginning; copying: up to last_key, in the order of key_columns;
-- catching_up: all of it is copied, and the stream has not passed settled_lsn yet. Where key_columns is empty the table is copied
-- whole, at source_snapshot (as pg_current_snapshot() writes it). reason: why it stands still until it is asked for again.
CREATE TABLE IF NOT EXISTS crossfade.backfills (
    stream          text        NOT NULL,
    table_name      text        NOT NULL,
    state           text        NOT NULL CHECK (state IN ('asked', 'copying', 'catching_up', 'done')),
    reason          text,
    key_columns     text        NOT NULL DEFAULT '',
    last_key        text[],                    -- of the last row copied; until it is done
    source_snapshot text,
    settled_lsn     pg_lsn,                    -- what was copied is not newer
    estimated_rows  bigint      NOT NULL DEFAULT 0,
    copied_rows     bigint      NOT NULL DEFAULT 0,
    copied_bytes    bigint      NOT NULL DEFAULT 0,
    max_lag         interval    NOT NULL DEFAULT '5s',  -- of the stream; beyond it no chunk is copied
    max_rate        bigint      NOT NULL DEFAULT 0,     -- bytes a second; 0: no limit
    asked_at        timestamptz NOT NULL DEFAULT now(),
    began_at        timestamptz,
    updated_at      timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (stream, table_name)
) WITH (fillfactor = 50);

-- Rows of such tables that an event alone did not say all of: to be copied by themselves, and then kept until the stream has
-- passed settled_lsn. Empty when none is being copied.
CREATE TABLE IF NOT EXISTS crossfade.refetch (
    id         bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    stream     text        NOT NULL,
    table_name text        NOT NULL,
    key        text[]      NOT NULL,           -- in the order of the follower's key
    settled_lsn pg_lsn,                        -- null: not copied yet
    UNIQUE (stream, table_name, key)
);

-- key: the row's key as a JSON object of text values. Digests are md5 of the row's text, null where there is no row.
-- No other value of a row is kept.
CREATE TABLE IF NOT EXISTS crossfade.drift (
    id               bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    stream           text        NOT NULL,
    tenant           text        NOT NULL DEFAULT '',
    table_name       text        NOT NULL,
    key              jsonb       NOT NULL,
    kind             text        NOT NULL,
    state            text        NOT NULL CHECK (state IN ('suspect', 'confirmed', 'repaired', 'dismissed')),
    columns          text[],                   -- those that differ, where known
    authority_digest text,
    follower_digest  text,
    commit_lsn       pg_lsn,
    ordinal          bigint,
    seen             bigint      NOT NULL DEFAULT 1,
    first_seen       timestamptz NOT NULL DEFAULT now(),
    last_seen        timestamptz NOT NULL DEFAULT now(),
    UNIQUE (stream, table_name, key, kind)
);

CREATE TABLE IF NOT EXISTS crossfade.dead_letters (
    id         bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    stream     text        NOT NULL,
    topic      text        NOT NULL,
    partition  int         NOT NULL,
    kafka_offset bigint    NOT NULL,
    system_identifier numeric(20) NOT NULL,
    timeline   bigint      NOT NULL,
    commit_lsn pg_lsn      NOT NULL,
    ordinal    bigint      NOT NULL,
    tenant     text        NOT NULL DEFAULT '',
    table_name text        NOT NULL,
    operation  text        NOT NULL,
    sqlstate   text        NOT NULL,
    reason     text        NOT NULL,
    event      bytea       NOT NULL,           -- the Event as it came, so that it can be replayed
    created_at timestamptz NOT NULL DEFAULT now(),
    published_at timestamptz,                  -- when the dead-letter topic had it
    UNIQUE (stream, partition, commit_lsn, ordinal, table_name)
);
DO $guard$
DECLARE
    relation oid := 'crossfade.dead_letters'::regclass;
BEGIN
    -- state: `refused` by the follower; `behind`, as an earlier change of the same row waits; `replay` and `discard`: asked for
    -- by an operator. keys: hashes of the rows that it is about; 0 is every row of the table.
    IF NOT EXISTS (SELECT FROM pg_catalog.pg_attribute WHERE attrelid = relation AND attname = 'tries') THEN
        ALTER TABLE crossfade.dead_letters
            ADD COLUMN IF NOT EXISTS state text NOT NULL DEFAULT 'refused'
                CHECK (state IN ('refused', 'behind', 'replay', 'discard')),
            ADD COLUMN IF NOT EXISTS keys  bigint[] NOT NULL DEFAULT '{}',
            ADD COLUMN IF NOT EXISTS tries int NOT NULL DEFAULT 1;
    END IF;
    IF to_regclass('crossfade.dead_letters_asked') IS NULL THEN
        CREATE INDEX dead_letters_asked ON crossfade.dead_letters (stream) WHERE state IN ('replay', 'discard');
    END IF;
    IF to_regclass('crossfade.dead_letters_of_ddl') IS NULL THEN
        CREATE INDEX dead_letters_of_ddl ON crossfade.dead_letters (stream) WHERE operation = 'ddl';
    END IF;
    IF to_regclass('crossfade.dead_letters_unpublished') IS NULL THEN
        CREATE INDEX dead_letters_unpublished ON crossfade.dead_letters (id) WHERE published_at IS NULL;
    END IF;
END
$guard$;

-- DDL of legacy that the stream has come by. outcome: what was done about it; a table that waits for one has a dead letter of the same
-- position whose operation is `ddl`. The statement may hold literals.
CREATE TABLE IF NOT EXISTS crossfade.ddl (
    id          bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    stream      text        NOT NULL,
    timeline    bigint      NOT NULL,
    commit_lsn  pg_lsn      NOT NULL,
    ordinal     bigint      NOT NULL,
    commit_time timestamptz NOT NULL,
    tables      text[]      NOT NULL,
    command     text        NOT NULL,           -- its tag
    statement   text        NOT NULL,           -- as the client sent it, perhaps cut, perhaps only what led to it
    role        text        NOT NULL,
    policy      text        NOT NULL,
    outcome     text        NOT NULL CHECK (outcome IN ('noted', 'passed', 'paused')),
    advice      text        NOT NULL,
    seen_at     timestamptz NOT NULL DEFAULT now(),
    UNIQUE (stream, commit_lsn, ordinal)
);
-- What seals legacy's messages about DDL: whoever may only write there can't forge one.
CREATE TABLE IF NOT EXISTS crossfade.ddl_seals (
    stream text  PRIMARY KEY,
    secret bytea NOT NULL
);

-- Transactions of the authority whose rows a proxy has written here itself, and which the stream has not come by yet: keys are hashes
-- of these rows.
CREATE TABLE IF NOT EXISTS crossfade.receipts (
    stream      text        NOT NULL,
    xid         bigint      NOT NULL,           -- the authority's, without its epoch
    keys        bigint[]    NOT NULL,
    mirrored_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (stream, xid)
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000);
)sql";
}

int lock_id(lock which, std::string_view stream) {
    // FNV-1a: the same in every version of Crossfade, which std::hash is not.
    std::uint32_t hash = 2166136261U ^ static_cast<std::uint32_t>(which);
    for (const char c : stream) hash = (hash ^ static_cast<unsigned char>(c)) * 16777619U;
    return static_cast<int>(hash);
}

std::vector<pgclient::parameter> lock_key(lock which, std::string_view stream) {
    return {std::to_string(lock_class), std::to_string(lock_id(which, stream))};
}

std::vector<pgclient::parameter> partition_lock_key(std::string_view stream, int partition) {
    return lock_key(lock::applying, std::string{stream} + '/' + std::to_string(partition));
}

std::string origin_name(std::string_view stream, int writer) {
    return "crossfade_" + std::string{stream} + '_' + std::to_string(writer);
}

bool is_origin_of(std::string_view stream, std::string_view name) {
    const std::string ours = "crossfade_" + std::string{stream} + '_';
    return name.size() > ours.size() && name.starts_with(ours) &&
           std::ranges::all_of(name.substr(ours.size()), [](char c) { return c >= '0' && c <= '9'; });
}

}  // namespace crossfade::store
