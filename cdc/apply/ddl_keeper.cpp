#include "cdc/apply/ddl_keeper.hpp"

#include <algorithm>
#include <array>

#include "lib/failpoint/failpoint.hpp"
#include "lib/pgwire/array_literal.hpp"
#include "lib/store/receipts.hpp"
#include "lib/store/ties.hpp"

namespace crossfade::cdc::apply {

namespace {

// Modern's readers wait behind a waiting ALTER TABLE, so it gives way, and is tried again with its batch.
constexpr std::string_view patience = "5s";

std::string hexadecimal(std::string_view bytes) {
    static constexpr std::string_view digits = "0123456789abcdef";
    std::string text = "\\x";
    for (const char c : bytes) {
        const auto byte = static_cast<unsigned char>(c);
        text += digits[byte >> 4];
        text += digits[byte & 15];
    }
    return text;
}

std::string names_of(const events::ddl_notice& seen, std::string_view between) {
    std::string names;
    for (const auto& each : seen.tables) names += (names.empty() ? "" : std::string{between}) + to_string(each.name);
    return names;
}

}  // namespace

pgclient::result<void> ddl_keeper::apply(const consume::received& event, const standing_of& stands,
                                         waiting_rows& waiting, std::vector<ddl_record>& done) {
    const auto& message = std::get<model::logical_message>(event.event.body);
    const auto seen = events::read_ddl(message);
    if (!seen) {
        done.push_back({"unreadable", {}, {}, "of a newer version, or not of Crossfade", event.event.at});
        return {};
    }
    if (seen->stream != settings_.stream) return {};
    auto genuine = sealed(*seen, event.event);
    if (!genuine) return genuine.error();
    if (!*genuine) {
        done.push_back(
            {"unsealed",
             {},
             {},
             "not of " + settings_.ends.source + "'s event triggers; crossfade init brings the sides together",
             event.event.at});
        return {};
    }
    auto decided = decide_on(*seen, stands, waiting);
    if (!decided) return decided.error();
    if (auto stored = store(*seen, event.event, *decided); !stored) return stored;
    if (decided->what == ddl_action::pause) {
        for (const auto& table : decided->paused) {
            if (auto paused = pause(table, event, decided->advice, waiting); !paused) return paused;
        }
    }
    done.push_back(
        {std::string{to_string(decided->what)}, seen->tag, names_of(*seen, ", "), decided->advice, event.event.at});
    failpoint::pass("ddl.done");
    return {};
}

pgclient::result<ddl_decision> ddl_keeper::decide_on(const events::ddl_notice& seen, const standing_of& stands,
                                                     const waiting_rows& waiting) {
    const auto& first = seen.tables.front();
    if (first.effect == events::ddl_effect::partition_emptied) return empty(first, stands(first), waiting);
    const auto change = sql::read_table_change(seen.direct && seen.whole ? seen.statement : std::string{});
    std::vector<std::optional<table_shape>> shapes;
    bool begins = false;
    for (const auto& each : seen.tables) {
        auto& shape = shapes.emplace_back();
        const auto as = stands(each);
        if (as == ddl_standing::being_copied && changes_rows(seen, change, each)) {
            to_copy_anew_.insert(to_string(each.name));
            begins = true;
        }
        if (as == ddl_standing::left_out || as == ddl_standing::being_copied) continue;
        auto found = shape_of(each.name);
        if (!found) return found.error();
        shape = std::move(*found);
    }
    auto decided = decide(seen, change, shapes, settings_.ends);
    if (begins)
        decided.advice = decided.advice == not_applied ? begins_anew : decided.advice + "; " + std::string{begins_anew};
    // The rows of what waits are of the table as it was before.
    if (decided.what == ddl_action::pass && waiting.any(to_string(first.name))) {
        decided.what = ddl_action::pause;
        decided.advice +=
            waiting.held(to_string(first.name))
                ? "; not passed on: the table waits for an earlier command"
                : "; not passed on: earlier changes of the table wait (crossfade deadletters list): replay "
                  "them first";
        decided.paused = {first.name};
    }
    if (decided.what != ddl_action::pass) return decided;
    auto refused = run(seen, change);
    if (!refused) return refused.error();
    if (!*refused) {
        decided.advice = "done on " + settings_.ends.follower + ", too";
    } else {
        decided.what = decided.paused.empty() ? ddl_action::note : ddl_action::pause;
        decided.advice += "; " + settings_.ends.follower + " has refused it: " + **refused;
    }
    return decided;
}

pgclient::result<ddl_decision> ddl_keeper::empty(const events::ddl_table& part, ddl_standing as,
                                                 const waiting_rows& waiting) {
    const auto& ends = settings_.ends;
    if (as == ddl_standing::left_out) return ddl_decision{ddl_action::note, std::string{not_applied}, {}};
    std::string why;
    if (as == ddl_standing::round_the_fence) {
        why = "done while " + ends.follower + " is the authority, round the fence";
    } else if (waiting.any(to_string(part.name))) {
        why = "earlier changes of the table wait";
    } else {
        auto refused = remove_rows(part);
        if (!refused) return refused.error();
        if (!*refused) return ddl_decision{ddl_action::pass, "its rows are gone on " + ends.follower + ", too", {}};
        why = ends.follower + " has refused to remove them: " + **refused;
    }
    return ddl_decision{ddl_action::pause,
                        "rows of " + part.object + " are gone on " + ends.source + ", and not on " + ends.follower +
                            " (" + why + "): copy it again: crossfade backfill --tables " + to_string(part.name),
                        {part.name}};
}

pgclient::result<ddl_keeper::refusal> ddl_keeper::remove_rows(const events::ddl_table& part) {
    auto& db = to_.db;
    return attempted([&]() -> pgclient::result<refusal> {
        const auto patient = wait_for_locks(std::string{patience});
        if (!patient) return patient.error();
        // The same part there is emptied as here, unless rows of others refer to some of them, which TRUNCATE doesn't
        // look at.
        auto same = db.exec(
            "SELECT c.oid::regclass::text FROM pg_class c WHERE c.oid = to_regclass($1) AND c.relispartition"
            " AND to_regclass($2) IN (SELECT relid FROM pg_partition_ancestors(c.oid))"
            " AND pg_get_partition_constraintdef(c.oid) = $3"
            " AND NOT EXISTS (SELECT FROM pg_constraint f WHERE f.contype = 'f' AND f.confrelid = c.oid)",
            {part.object, model::quoted(part.name), part.rows});
        if (!same) return same.error();
        const auto whole = model::quoted(part.name);
        auto receipts = db.exec(std::string{store::any_receipt_sql}, {settings_.stream});
        if (!receipts) return receipts.error();
        // What proxies have written ahead of the stream came after the TRUNCATE on legacy; see careful_writer.
        bool ahead = receipts->boolean(0, 0);
        if (ahead) {
            if (auto held = db.exec("LOCK TABLE " + whole + " IN SHARE ROW EXCLUSIVE MODE"); !held) return held.error();
            auto found = db.exec("SELECT EXISTS (SELECT FROM " + whole + " WHERE (" + part.rows + ") AND " +
                                     std::string{store::is_ahead_sql} + ") AND NOT EXISTS (SELECT FROM (" +
                                     store::tied_columns_sql("(SELECT to_regclass($2)::oid)") + ") AS tied)",
                                 {settings_.stream, whole});
            if (!found) return found.error();
            ahead = found->boolean(0, 0);
        }
        const auto remove = "DELETE FROM " + whole + " WHERE (" + part.rows + ')';
        auto done = ahead ? db.exec(remove + " AND NOT " + std::string{store::is_ahead_sql}, {settings_.stream})
                          : db.exec(same->empty() ? remove : "TRUNCATE " + std::string{same->text(0, 0)});
        if (!done) return done.error();
        if (auto reset = wait_for_locks(*patient); !reset) return reset.error();
        return refusal{};
    });
}

pgclient::result<bool> ddl_keeper::sealed(const events::ddl_notice& seen, const model::change_event& event) {
    // One that was sealed for another transaction is a copy.
    if (seen.xid != event.xid) return false;
    auto got = to_.db.exec(
        "SELECT encode(sha256(secret || sha256(secret || $2::bytea)), 'hex') FROM crossfade.ddl_seals WHERE stream = "
        "$1",
        {settings_.stream, hexadecimal(seen.document)});
    if (!got) return got.error();
    return !got->empty() && got->text(0, 0) == seen.seal;
}

pgclient::result<table_shape> ddl_keeper::shape_of(const model::table_name& table) {
    auto got = to_.db.exec(
        "SELECT a.attname, format_type(a.atttypid, a.atttypmod),"
        " a.attnotnull AND NOT a.atthasdef AND a.attidentity = '', a.attgenerated <> ''"
        " FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid"
        " WHERE a.attrelid = to_regclass($1) AND c.relkind IN ('r', 'p') AND a.attnum > 0 AND NOT a.attisdropped",
        {model::quoted(table)});
    if (!got) return got.error();
    if (got->empty()) return table_shape{};
    std::vector<shape_column> columns;
    for (int i = 0; i < got->size(); ++i)
        columns.push_back(
            {std::string{got->text(i, 0)}, std::string{got->text(i, 1)}, got->boolean(i, 2), got->boolean(i, 3)});
    return table_shape{std::move(columns)};
}

pgclient::result<ddl_keeper::refusal> ddl_keeper::run(const events::ddl_notice& seen, const sql::table_change& change) {
    const auto& table = seen.tables.front();
    std::string path;
    for (const auto& each : seen.search_path) path += (path.empty() ? "" : ", ") + model::quote_identifier(each);
    const std::string named = (change.schema.empty() ? "" : model::quote_identifier(change.schema) + '.') +
                              model::quote_identifier(change.table);
    auto& db = to_.db;
    return attempted([&]() -> pgclient::result<refusal> {
        auto gets_values = default_of_types(table, change);
        if (!gets_values || *gets_values) return gets_values;
        // What SET LOCAL sets is undone by the savepoint, or below.
        const auto patient = wait_for_locks(std::string{patience});
        if (!patient) return patient.error();
        if (auto set = db.exec("SELECT set_config('search_path', $1, true)", {path}); !set) return set.error();
        auto same = db.exec("SELECT to_regclass($1) = to_regclass($2)", {named, model::quoted(table.name)});
        if (!same) return same.error();
        if (!same->boolean(0, 0)) return refusal{"its text names another table there"};
        failpoint::pass("ddl.pass");
        auto done = db.exec(seen.statement, {});  // one statement, whatever the parser here made of it
        if (!done) return done.error();
        auto reset = db.exec("SELECT set_config('search_path', 'pg_catalog', true)");
        if (!reset) return reset.error();
        if (auto waits = wait_for_locks(*patient); !waits) return waits.error();
        auto shape = shape_of(table.name);
        if (!shape) return shape.error();
        return shape_objection(table, *shape, &change.retyped);
    });
}

// What such a transaction locks the application may be waiting for: behind it locks are waited for as ever.
pgclient::result<pgclient::parameter> ddl_keeper::wait_for_locks(const pgclient::parameter& most) {
    auto was = to_.db.exec("SHOW lock_timeout");
    if (!was) return was.error();
    auto set = to_.db.exec("SELECT set_config('lock_timeout', $1, true)", {most});
    if (!set) return set.error();
    return pgclient::parameter{std::string{was->text(0, 0)}};
}

pgclient::result<ddl_keeper::refusal> ddl_keeper::default_of_types(const events::ddl_table& table,
                                                                   const sql::table_change& change) {
    if (change.added.empty()) return refusal{};
    pgwire::array_literal types;
    for (const auto& [column, type] : table.columns)
        if (std::ranges::find(change.added, column) != change.added.end()) types.add(type);
    auto got = to_.db.exec(
        "SELECT string_agg(format_type(t.oid, NULL), ', ') FROM unnest($1::text[]) AS n (name)"
        " JOIN pg_type t ON t.oid = to_regtype(n.name) WHERE t.typdefault IS NOT NULL",
        {types.take()});
    if (!got) return got.error();
    if (got->null(0, 0)) return refusal{};
    return refusal{"a new column has the default of its type, " + std::string{got->text(0, 0)} +
                   ", which may be another value there"};
}

pgclient::result<ddl_keeper::refusal> ddl_keeper::attempted(const std::function<pgclient::result<refusal>()>& attempt) {
    auto& db = to_.db;
    if (auto begun = db.exec("SAVEPOINT crossfade_ddl"); !begun) return begun.error();
    auto refused = attempt();
    if (refused && !*refused) {
        if (auto kept = db.exec("RELEASE SAVEPOINT crossfade_ddl"); !kept) return kept.error();
        return refused;
    }
    if (!refused && (refused.error().transient() || refused.error().connection_lost())) return refused;
    if (auto back = db.exec("ROLLBACK TO SAVEPOINT crossfade_ddl; RELEASE SAVEPOINT crossfade_ddl"); !back)
        return back.error();
    return refused ? *refused : refusal{refused.error().message};
}

pgclient::result<void> ddl_keeper::store(const events::ddl_notice& seen, const model::change_event& event,
                                         const ddl_decision& made) {
    pgwire::array_literal tables;
    for (const auto& each : seen.tables) tables.add(to_string(each.name));
    constexpr std::array<std::string_view, 3> policies{"note", "pause", "pass"};
    auto stored = to_.db.exec(
        "INSERT INTO crossfade.ddl (stream, timeline, commit_lsn, ordinal, commit_time, tables, command, statement,"
        " role, policy, outcome, advice) VALUES ($1::text, $2::bigint, $3::pg_lsn, $4::bigint,"
        " timestamptz '1970-01-01 00:00:00+00' + $5::bigint * interval '1 microsecond', $6::text[], $7::text, $8::text,"
        " $9::text, $10::text, $11::text, $12::text) ON CONFLICT (stream, commit_lsn, ordinal) DO NOTHING",
        {settings_.stream, std::to_string(event.at.timeline), model::to_string(event.at.commit_lsn),
         std::to_string(event.at.ordinal), std::to_string(event.commit_time.time_since_epoch().count()), tables.take(),
         seen.tag, seen.statement, seen.role, std::string{policies.at(static_cast<std::size_t>(seen.policy))},
         std::string{to_string(made.what)}, made.advice});
    if (!stored) return stored.error();
    return {};
}

pgclient::result<void> ddl_keeper::pause(const model::table_name& table, const consume::received& event,
                                         const std::string& why, waiting_rows& waiting) {
    events::relation_encoder relations;
    drift::dead_letter letter;
    letter.table = table;
    letter.operation = ddl_operation;
    letter.sqlstate = ddl_sqlstate;
    letter.reason = why;
    letter.event = events::encode(event.event, relations);
    letter.offset = event.offset;
    letter.at = event.event.at;
    letter.state = "refused";
    letter.rows = {waiting_rows::every_row};
    const auto letters = drift::store(settings_.stream, settings_.topic, settings_.partition, letter);
    if (auto stored = to_.db.exec(std::string{letters.sql}, letters.parameters); !stored) return stored.error();
    waiting.hold(to_string(table));
    return {};
}

}  // namespace crossfade::cdc::apply
