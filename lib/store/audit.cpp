#include "lib/store/audit.hpp"

#include "lib/store/audit_text.hpp"

namespace crossfade::store {
namespace {

// A reason that somebody typed, or a failure's message, needs no more.
constexpr std::size_t longest_text = 4096;

// An array as JSON: a text that no two different rows have in common. What is JSON in them goes in as its text, as
// JSON's null is not SQL's; jsonb's text is the same whoever wrote it.
constexpr std::string_view hash_of_a =
    "sha256(convert_to(jsonb_build_array(encode(a.prev_hash, 'hex'), a.id,"
    " to_char(a.at AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US'), a.stream, a.by_role, a.by_whom, a.program,"
    " a.action, a.scope, a.reason, a.before::text, a.after::text, a.outcome)::text, 'UTF8'))";

constexpr std::string_view table_sql = R"sql(
CREATE SCHEMA IF NOT EXISTS crossfade;

-- What operators have changed. Rows are added by crossfade.audit_append() alone, and never changed.
CREATE TABLE IF NOT EXISTS crossfade.audit (
    id        bigint      PRIMARY KEY,         -- 1, 2, 3: without a gap, also over transactions that were rolled back
    at        timestamptz NOT NULL,
    stream    text        NOT NULL,
    by_role   text        NOT NULL,            -- of the session
    by_whom   text        NOT NULL,            -- as far as the one who ordered it has said
    program   text        NOT NULL,
    action    text        NOT NULL,
    scope     text        NOT NULL,
    reason    text        NOT NULL,
    before    jsonb,
    after     jsonb,
    outcome   text        NOT NULL,
    prev_hash bytea       NOT NULL,            -- of the row before; empty in the first one
    hash      bytea       NOT NULL
);

CREATE OR REPLACE FUNCTION crossfade.audit_refuse() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $refuse$
BEGIN
    RAISE EXCEPTION USING ERRCODE = 'XF007', SCHEMA = TG_TABLE_SCHEMA, TABLE = TG_TABLE_NAME,
        MESSAGE = 'crossfade.audit is added to, and never changed';
END
$refuse$;
-- Where all is as it should be, no lock is taken that an appender would wait for.
DO $guard$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_catalog.pg_trigger WHERE tgrelid = 'crossfade.audit'::regclass AND tgname = 'crossfade_audit') THEN
        CREATE TRIGGER crossfade_audit BEFORE UPDATE OR DELETE OR TRUNCATE ON crossfade.audit
            FOR EACH STATEMENT EXECUTE FUNCTION crossfade.audit_refuse();
    END IF;
    IF EXISTS (SELECT FROM pg_catalog.pg_trigger
               WHERE tgrelid = 'crossfade.audit'::regclass AND tgname = 'crossfade_audit' AND tgenabled <> 'A') THEN
        ALTER TABLE crossfade.audit ENABLE ALWAYS TRIGGER crossfade_audit;
    END IF;
END
$guard$;

-- With the rights of its owner: who is to append needs EXECUTE on it, and nothing on the table.
CREATE OR REPLACE FUNCTION crossfade.audit_append(stream text, by_whom text, program text, action text, scope text, reason text,
                                                  before jsonb, after jsonb, outcome text) RETURNS bytea
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $append$
DECLARE
    made crossfade.audit;
BEGIN
    -- A snapshot from before the lock would not have the row that is the last one by now.
    IF current_setting('transaction_isolation') NOT IN ('read committed', 'read uncommitted') THEN
        RAISE EXCEPTION USING ERRCODE = '25001', MESSAGE = 'crossfade.audit_append() needs a transaction that is READ COMMITTED';
    END IF;
    PERFORM pg_advisory_xact_lock(@lock@, 0);
    SELECT a.id, a.hash INTO made.id, made.prev_hash FROM crossfade.audit a ORDER BY a.id DESC LIMIT 1;
    made.id := coalesce(made.id, 0) + 1;
    made.prev_hash := coalesce(made.prev_hash, '');
    made.at := clock_timestamp();
    made.stream := stream;
    made.by_role := session_user;
    made.by_whom := by_whom;
    made.program := program;
    made.action := action;
    made.scope := scope;
    made.reason := reason;
    made.before := before;
    made.after := after;
    made.outcome := outcome;
    SELECT @hash@ INTO made.hash FROM (SELECT made.*) a;
    INSERT INTO crossfade.audit SELECT made.*;
    RETURN made.hash;
END
$append$;
REVOKE ALL ON FUNCTION crossfade.audit_append(text, text, text, text, text, text, jsonb, jsonb, text) FROM PUBLIC;
)sql";

std::string filled(std::string text, std::string_view place, std::string_view by) {
    text.replace(text.find(place), place.size(), by);
    return text;
}

// Whether standard_conforming_strings is on or not.
std::string literal(std::string_view text) {
    std::string quoted = "E'";
    for (const char c : text) {
        if (c == '\'' || c == '\\') quoted += c;
        quoted += c;
    }
    return quoted + '\'';
}

std::string text_literal(std::string_view said) {
    return literal(audit_text(said, longest_text)) + "::text";
}

std::string json_literal(std::string_view json) {
    return json.empty() ? "NULL::jsonb" : literal(audit_text(json, std::string_view::npos)) + "::jsonb";
}

}  // namespace

std::string_view audit_sql() {
    static const std::string sql =
        filled(filled(std::string{table_sql}, "@lock@", std::to_string(audit_lock_class)), "@hash@", hash_of_a);
    return sql;
}

std::string append_audit_sql(const audit_entry& entry) {
    std::string sql = "SELECT pg_catalog.encode(crossfade.audit_append(";
    for (const auto* each : {&entry.stream, &entry.by_whom, &entry.program, &entry.action, &entry.scope, &entry.reason})
        sql += text_literal(*each) + ", ";
    return sql + json_literal(entry.before_json) + ", " + json_literal(entry.after_json) + ", " +
           text_literal(entry.outcome) + "), 'hex')";
}

pgclient::result<pgclient::rows> append_audit(pgclient::connection& db, const audit_entry& entry) {
    return db.exec(append_audit_sql(entry));
}

bool audit_is_missing(const pgclient::failure& why) {
    // No function, no schema; or the function alone is left, whose row type or table is gone.
    return why.sqlstate == "42883" || why.sqlstate == "3F000" || why.sqlstate == "42704" || why.sqlstate == "42P01";
}

std::string_view audit_walk_sql() {
    static const std::string sql = R"sql(
WITH walked AS (
    SELECT a.id, a.hash IS DISTINCT FROM )sql" +
                                   std::string{hash_of_a} + R"sql( AS altered,
           a.id IS DISTINCT FROM lag(a.id, 1, 0::bigint) OVER chain + 1 AS gap,
           a.prev_hash IS DISTINCT FROM lag(a.hash, 1, ''::bytea) OVER chain AS torn, lag(a.id) OVER chain AS previous
    FROM crossfade.audit a WINDOW chain AS (ORDER BY a.id)
), misfit AS (
    SELECT * FROM walked WHERE altered OR gap OR torn ORDER BY id LIMIT 1
)
SELECT (SELECT count(*) FROM walked),
       coalesce((SELECT encode(a.hash, 'hex') FROM crossfade.audit a ORDER BY a.id DESC LIMIT 1), ''),
       EXISTS (SELECT FROM pg_trigger WHERE tgrelid = 'crossfade.audit'::regclass AND tgname = 'crossfade_audit' AND tgenabled = 'A'),
       m.id, m.altered, m.gap, m.torn, m.previous
FROM (SELECT) one LEFT JOIN misfit m ON true)sql";
    return sql;
}

}  // namespace crossfade::store
