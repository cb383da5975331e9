#include "lib/store/authority.hpp"

#include <utility>

#include "lib/store/schema.hpp"

namespace crossfade::store {
namespace {

constexpr std::string_view load_sql =
    "SELECT epoch, authority, state, fenced_at::text,"
    " (extract(epoch FROM hold_until - clock_timestamp()) * 1000)::bigint, coalesce(flip, 0)"
    " FROM crossfade.authority WHERE stream = $1::text";

handover_state state_of(std::string_view text) {
    for (const auto each : {handover_state::holding, handover_state::fenced, handover_state::handed})
        if (text == to_string(each)) return each;
    return handover_state::settled;
}

std::string for_all(const std::vector<std::string>& tables, std::string_view what) {
    std::string sql;
    for (const auto& each : tables)
        sql += "ALTER TABLE ONLY " + each + ' ' + std::string{what} + " TRIGGER crossfade_fence;";
    return sql;
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
    flip           bigint,                     -- of crossfade.flips, while one is under way
    hold_until     timestamptz,                -- while holding
    fenced_at      pg_lsn,
    follower_since timestamptz,                -- when this side last ceased to be the authority; null: it never was
    updated_at     timestamptz NOT NULL DEFAULT now()
);

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

-- Of the trigger crossfade_fence, which is enabled on the side that is not the authority. What Crossfade itself writes comes under
-- session_replication_role = replica, where it doesn't fire.
CREATE OR REPLACE FUNCTION crossfade.fence() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $fence$
BEGIN
    RAISE EXCEPTION USING ERRCODE = 'XF005', SCHEMA = TG_TABLE_SCHEMA, TABLE = TG_TABLE_NAME,
        MESSAGE = format('table %I.%I takes the application''s writes on the other database', TG_TABLE_SCHEMA, TG_TABLE_NAME),
        HINT = 'Write through crossfade-proxy, which knows which one. "crossfade status" tells it, and "crossfade flip" changes it.';
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
    row.authority = got->text(0, 1);
    row.state = state_of(got->text(0, 2));
    if (const auto at = model::parse_lsn(got->text(0, 3))) row.fenced_at = *at;
    if (const auto left = got->integer(0, 4)) row.holds_for = std::chrono::milliseconds{*left};
    row.flip = got->integer(0, 5).value_or(0);
    return std::optional{std::move(row)};
}

const authority_row* newer(const std::optional<authority_row>& left, const std::optional<authority_row>& right) {
    if (!left) return right ? &*right : nullptr;
    return right && right->epoch > left->epoch ? &*right : &*left;
}

std::string fenced_tables_sql() {
    return "SELECT t.relid, t.relid::regclass::text, g.oid IS NOT NULL, coalesce(g.tgenabled <> 'D', false) FROM (" +
           std::string{stream_tables_sql} +
           ") t JOIN pg_class c ON c.oid = t.relid AND c.relkind IN ('r', 'p')"
           " LEFT JOIN pg_trigger g ON g.tgrelid = t.relid AND g.tgname = 'crossfade_fence' AND NOT g.tgisinternal"
           " ORDER BY 1";
}

std::string create_fence_sql(const std::string& table) {
    return "CREATE TRIGGER crossfade_fence BEFORE INSERT OR UPDATE OR DELETE OR TRUNCATE ON " + table +
           " FOR EACH STATEMENT EXECUTE FUNCTION crossfade.fence(); ALTER TABLE ONLY " + table +
           " DISABLE TRIGGER crossfade_fence";
}

std::string enable_fences_sql(const std::vector<std::string>& tables) {
    return for_all(tables, "ENABLE");
}

std::string disable_fences_sql(const std::vector<std::string>& tables) {
    return for_all(tables, "DISABLE");
}

}  // namespace crossfade::store
