#include "lib/store/authority.hpp"

#include <utility>

#include "lib/settings/assignment_text.hpp"
#include "lib/store/schema.hpp"

namespace crossfade::store {
namespace {

constexpr std::string_view load_sql =
    "SELECT epoch, authority, state, fenced_at::text,"
    " (extract(epoch FROM hold_until - clock_timestamp()) * 1000)::bigint, coalesce(flip, 0), apart::text,"
    " coalesce(moving::text, ''),"
    // A column that a schema from before hasn't got.
    " coalesce(to_char((to_jsonb(a) ->> 'completed_at')::timestamptz AT TIME ZONE 'UTC',"
    " 'YYYY-MM-DD HH24:MI:SS \"UTC\"'), ''),"
    " (extract(epoch FROM clock_timestamp() - updated_at) * 1000)::bigint"
    " FROM crossfade.authority a WHERE stream = $1::text";

handover_state state_of(std::string_view text) {
    for (const auto each : {handover_state::holding, handover_state::fenced, handover_state::handed})
        if (text == to_string(each)) return each;
    return handover_state::settled;
}

}  // namespace

std::string_view to_string(handover_state state) {
    switch (state) {
        case handover_state::settled:
            return "settled";
        case handover_state::holding:
            return "holding";
        case handover_state::fenced:
            return "fenced";
        case handover_state::handed:
            return "handed";
    }
    return "";
}

std::string_view authority_sql() {
    return R"sql(
CREATE SCHEMA IF NOT EXISTS crossfade;

-- Who takes the application's writes. The two sides have a row each, and the one with the higher epoch is right.
CREATE TABLE IF NOT EXISTS crossfade.authority (
    stream         text        PRIMARY KEY,
    epoch          bigint      NOT NULL,
    authority      text        NOT NULL CHECK (authority IN ('legacy', 'modern')),
    state          text        NOT NULL DEFAULT 'settled' CHECK (state IN ('settled', 'holding', 'fenced', 'handed')),
    apart          jsonb       NOT NULL DEFAULT '[]',  -- scopes with an authority of their own
    flip           bigint,                     -- of crossfade.flips, while one is under way
    moving         jsonb,                      -- the scope that it moves
    hold_until     timestamptz,                -- while holding
    fenced_at      pg_lsn,
    follower_since timestamptz,                -- when this side last ceased to be the authority; null: it never was
    updated_at     timestamptz NOT NULL DEFAULT now()
);

-- Where a schema from before lacks it alone: proxies read the table all the time, and would wait behind who waits for its lock.
DO $guard$
BEGIN
    -- completed_at: when an operator gave the way back up. Nothing is carried to legacy from then on, and no flip leads there.
    IF NOT EXISTS (SELECT FROM pg_catalog.pg_attribute
                   WHERE attrelid = 'crossfade.authority'::regclass AND attname = 'completed_at') THEN
        ALTER TABLE crossfade.authority
            ADD COLUMN IF NOT EXISTS apart jsonb NOT NULL DEFAULT '[]',
            ADD COLUMN IF NOT EXISTS moving jsonb,
            ADD COLUMN completed_at timestamptz;
    END IF;
END
$guard$;

-- Proxies that run; who has not been seen for a while doesn't.
CREATE TABLE IF NOT EXISTS crossfade.proxies (
    stream    text        NOT NULL,
    proxy     text        NOT NULL,
    seen_at   timestamptz NOT NULL DEFAULT clock_timestamp(),
    holds_for bigint,                          -- the flip for which nothing new begins, and nothing is under way any more
    busy      int         NOT NULL DEFAULT 0,  -- sessions in a transaction, while it is to hold
    PRIMARY KEY (stream, proxy)
);

-- Every flip that was begun while this side was the authority.
CREATE TABLE IF NOT EXISTS crossfade.flips (
    id         bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    stream     text        NOT NULL,
    from_side  text        NOT NULL,
    to_side    text        NOT NULL,
    table_group text       NOT NULL DEFAULT '',
    tenant     text        NOT NULL DEFAULT '',
    by_role    text        NOT NULL DEFAULT session_user,
    by_whom    text        NOT NULL,           -- as far as the one who ordered it has said
    reason     text        NOT NULL DEFAULT '',
    forced     text[]      NOT NULL DEFAULT '{}',  -- what stood in the way and was overruled
    attempts   int         NOT NULL DEFAULT 0,
    outcome    text        NOT NULL DEFAULT 'under way' CHECK (outcome IN ('under way', 'done', 'undone')),
    why        text        NOT NULL DEFAULT '',    -- it was undone
    begun_at   timestamptz NOT NULL DEFAULT clock_timestamp(),
    held_at    timestamptz,                    -- of the last attempt, here and below
    fenced_at  timestamptz,
    decided_at timestamptz,
    ended_at   timestamptz,
    epoch      bigint                          -- that it has begun
);

DO $guard$
DECLARE
    relation oid := 'crossfade.flips'::regclass;
BEGIN
    IF NOT EXISTS (SELECT FROM pg_catalog.pg_attribute WHERE attrelid = relation AND attname = 'tenant') THEN
        ALTER TABLE crossfade.flips
            ADD COLUMN IF NOT EXISTS table_group text NOT NULL DEFAULT '',
            ADD COLUMN tenant text NOT NULL DEFAULT '';
    END IF;
    -- completed: no flip, but the end of all of them.
    IF NOT EXISTS (SELECT FROM pg_catalog.pg_constraint WHERE conrelid = relation AND conname = 'flips_outcome_check'
                   AND pg_catalog.pg_get_constraintdef(oid) LIKE '%completed%') THEN
        ALTER TABLE crossfade.flips DROP CONSTRAINT IF EXISTS flips_outcome_check;
        ALTER TABLE crossfade.flips
            ADD CONSTRAINT flips_outcome_check CHECK (outcome IN ('under way', 'done', 'undone', 'completed'));
    END IF;
END
$guard$;

-- On legacy: the last word of the file about a scope that was heeded, for all proxies that read it. epoch: when it was taken up.
CREATE TABLE IF NOT EXISTS crossfade.file_words (
    stream      text        NOT NULL,
    table_group text        NOT NULL,
    tenant      text        NOT NULL,
    authority   text        NOT NULL CHECK (authority IN ('legacy', 'modern')),
    epoch       bigint      NOT NULL,
    heeded_at   timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (stream, table_group, tenant)
);

-- Sequences of tables whose tenants are on two sides: each side counts in steps twice as long, so that they never meet.
CREATE TABLE IF NOT EXISTS crossfade.split_sequences (
    stream    text   NOT NULL,
    sequence  text   NOT NULL,                 -- as SQL takes it
    increment bigint NOT NULL,                 -- that it had
    anchor    bigint NOT NULL,                 -- this side draws those that are whole steps of twice that away from it
    PRIMARY KEY (stream, sequence)
);

-- By which a flip's gates see that rows come all the way: written on one side, carried to the other by the stream. It has no fence.
CREATE TABLE IF NOT EXISTS crossfade.sentinel (
    stream     text        NOT NULL,           -- that carries it
    series     bigint      NOT NULL,
    word       text        NOT NULL,
    written_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (stream, series)
);

-- Of the triggers crossfade_fence*, which are enabled on the side that is not the authority, or of whose rows it is not. What
-- Crossfade itself writes comes under session_replication_role = replica, where they don't fire.
CREATE OR REPLACE FUNCTION crossfade.fence() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $fence$
BEGIN
    RAISE EXCEPTION USING ERRCODE = 'XF005', SCHEMA = TG_TABLE_SCHEMA, TABLE = TG_TABLE_NAME,
        MESSAGE = CASE
            WHEN TG_LEVEL = 'ROW' THEN
                format('table %I.%I takes the writes of this row''s tenant on the other database', TG_TABLE_SCHEMA, TG_TABLE_NAME)
            WHEN TG_NAME = 'crossfade_fence_truncate' THEN
                format('table %I.%I takes some tenants'' writes on the other database', TG_TABLE_SCHEMA, TG_TABLE_NAME)
            ELSE format('table %I.%I takes the application''s writes on the other database', TG_TABLE_SCHEMA, TG_TABLE_NAME)
        END,
        HINT = CASE
            WHEN TG_NAME = 'crossfade_fence_truncate' THEN 'DELETE removes the rows of a tenant.'
            ELSE 'Write through crossfade-proxy, which knows which one. "crossfade status" tells it, and "crossfade flip" changes it.'
        END;
END
$fence$;
-- The fence fires in sessions of whoever writes.
GRANT USAGE ON SCHEMA crossfade TO PUBLIC;
)sql";
}

std::vector<pgclient::parameter> handover_lock_key(std::string_view stream) {
    return {std::to_string(handover_lock_class), std::to_string(lock_id(lock::applying, stream))};
}

pgclient::result<std::optional<authority_row>> load_authority(pgclient::connection& db, const std::string& stream) {
    auto got = db.exec(std::string{load_sql}, {stream});
    if (!got && (got.error().sqlstate == "42P01" || got.error().sqlstate == "3F000"))
        return std::optional<authority_row>{};
    if (!got) return got.error();
    if (got->empty()) return std::optional<authority_row>{};
    authority_row row;
    row.epoch = got->integer(0, 0).value_or(0);
    auto apart = settings::parse_apart(got->text(0, 6));
    if (!apart)
        return pgclient::failure{"XF004", "crossfade.authority has no such column as it should: apart", {}, {}, {}};
    row.authorities = {
        got->text(0, 1) == to_string(settings::side::modern) ? settings::side::modern : settings::side::legacy,
        std::move(*apart)};
    row.moving = settings::parse_scope(got->text(0, 7)).value_or(settings::flag_scope{});
    row.state = state_of(got->text(0, 2));
    if (const auto at = model::parse_lsn(got->text(0, 3))) row.fenced_at = *at;
    if (const auto left = got->integer(0, 4)) row.holds_for = std::chrono::milliseconds{*left};
    row.flip = got->integer(0, 5).value_or(0);
    row.completed_at = got->text(0, 8);
    row.unchanged_for = std::chrono::milliseconds{got->integer(0, 9).value_or(0)};
    return std::optional{std::move(row)};
}

const authority_row* newer(const std::optional<authority_row>& left, const std::optional<authority_row>& right) {
    if (!left) return right ? &*right : nullptr;
    if (!right) return &*left;
    const bool completed_there = !right->completed_at.empty() && left->completed_at.empty();
    return right->epoch > left->epoch || (right->epoch == left->epoch && completed_there) ? &*right : &*left;
}

}  // namespace crossfade::store
