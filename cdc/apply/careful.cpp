#include "cdc/apply/careful.hpp"

#include <algorithm>

#include "cdc/apply/fault.hpp"
#include "cdc/apply/scope.hpp"
#include "lib/store/receipts.hpp"

namespace crossfade::cdc::apply {

using model::before_image;
using model::cell_kind;
using model::row_operation;

namespace {

constexpr std::string_view unique_violation = "23505";
constexpr std::string_view is_referred_to = "0A000";  // of TRUNCATE, by foreign keys

std::string_view name_of(const model::change_event& event) {
    const auto* change = std::get_if<model::row_change>(&event.body);
    if (change == nullptr) return "truncate";
    switch (change->operation) {
        case row_operation::insert:
            return "insert";
        case row_operation::update:
            return "update";
        case row_operation::remove:
            break;
    }
    return "delete";
}

// The row that a record is about, as far as the event knows it.
const model::row& row_of(const model::row_change& change) {
    return change.operation == row_operation::remove ? change.before : change.after;
}

// text[] of a query's answer; Crossfade's own query gives column names, which are quoted where need be.
std::vector<std::string> names_in(std::string_view array) {
    std::vector<std::string> names;
    std::string name;
    bool quoted = false;
    for (std::size_t i = 1; i + 1 < array.size(); ++i) {
        const char c = array[i];
        if (c == '\\') {
            name += array[++i];
        } else if (c == '"') {
            quoted = !quoted;
        } else if (c == ',' && !quoted) {
            names.push_back(std::move(name));
            name.clear();
        } else {
            name += c;
        }
    }
    if (array.size() > 2) names.push_back(std::move(name));
    return names;
}

// What a dead letter says of drift: of the row after the change, if there is one, or of the one before.
drift::record rejected_record(const model::change_event& event, const table_mapping& mapping,
                              row_side side = row_side::after) {
    drift::record made;
    made.table = mapping.target;
    made.at = event.at;
    if (const auto* change = std::get_if<model::row_change>(&event.body)) {
        made.tenant = tenant_of(mapping, *change);
        const auto& row = side == row_side::before ? change->before : row_of(*change);
        for (std::size_t i = 0; i < mapping.rel->columns.size() && i < row.size(); ++i) {
            if (!mapping.rel->columns[i].key || mapping.rel->identity == model::replica_identity::full) continue;
            made.key.emplace_back(mapping.rel->columns[i].name,
                                  row[i].kind == cell_kind::text ? std::optional{row[i].text} : std::nullopt);
        }
    }
    if (made.key.empty()) made.key.emplace_back("event", model::to_string(event.at));
    return made;
}

}  // namespace

// What the follower held.
struct careful_writer::probe {
    bool found = false;
    std::optional<std::string> digest;
    std::optional<std::vector<std::string>> differs;
    bool foreign = false;

    static probe of(const pgclient::rows& got) {
        probe made;
        made.found = !got.empty();
        if (!made.found) return made;
        made.digest = std::string{got.text(0, 0)};
        if (!got.null(0, 1)) made.differs = names_in(got.text(0, 1));
        made.foreign = got.boolean(0, 2);
        return made;
    }
};

pgclient::result<void> careful_writer::apply(const placed_event& event) {
    if (const auto* change = event.row()) {
        const auto& mapping = *event.mappings.front();
        if (event.how != strictness::exact && !mapping.refused) return copy_over(event, *change);
        if (!waiting_.empty() && waiting_.holds(to_string(mapping.target), *change)) {
            return put_aside(event, mapping, behind(to_string(mapping.target)), "behind");
        }
        if (mapping.refused) return apply_again(event);
        if (event.judged == judgement::tied) return tie(event, *change);
        if (event.judged == judgement::check) return check(event, *change);
        if (event.judged == judgement::loosely) return write_over(event, *change);
    } else if (std::ranges::any_of(event.mappings,
                                   [&](const auto& mapping) { return waiting_.held(to_string(mapping->target)); })) {
        return truncate_others(event);
    }
    return apply_again(event);
}

// Why a change waits that is sound itself.
pgclient::failure careful_writer::behind(const std::string& table) const {
    const bool held = waiting_.held(table);
    return {"",
            held ? "waits for its table: crossfade ddl list" : "waits behind an earlier change of the same row",
            {},
            {},
            {}};
}

// Those that wait for DDL keep what they have until it is their turn.
pgclient::result<void> careful_writer::truncate_others(const placed_event& event) {
    placed_event others{event.from, {}};
    for (const auto& mapping : event.mappings) {
        const auto table = to_string(mapping->target);
        if (!waiting_.held(table)) {
            others.mappings.push_back(mapping);
        } else if (auto done = put_aside(event, *mapping, behind(table), "behind"); !done) {
            return done;
        }
    }
    return others.mappings.empty() ? pgclient::result<void>{} : apply_again(others);
}

pgclient::result<void> careful_writer::apply_again(const placed_event& event) {
    const auto& body = event.from->event.body;
    if (const auto* change = std::get_if<model::truncate>(&body)) return truncate(event, *change);
    const auto* change = event.row();
    if (change == nullptr) return {};
    const auto& mapping = *event.mappings.front();
    if (mapping.refused)
        return reject(event, mapping, {mapping.refused->sqlstate, mapping.refused->reason, {}, {}, {}});
    return change->operation == row_operation::insert ? insert(event, *change) : modify(event, *change);
}

// A row that can't be written now is not refused: what is in its way may be older, or newer, than the change. It is
// copied by itself when the stream has moved on.
pgclient::result<void> careful_writer::copy_over(const placed_event& event, const model::row_change& change) {
    const auto& mapping = *event.mappings.front();
    std::optional<pgclient::failure> fault;
    if (auto done = guarded(copy_over_one(mapping, change, event.how, settings_.stream), fault); !done)
        return done.error();
    if (!fault) return {};
    to_.add(fetch_later(mapping, change, row_side::before, settings_.stream));
    if (change.operation != row_operation::remove)
        to_.add(fetch_later(mapping, change, row_side::after, settings_.stream));
    if (auto noted = to_.run(); !noted) return noted.error();
    return {};
}

// Of a row that a proxy has written.
pgclient::result<void> careful_writer::tie(const placed_event& event, const model::row_change& change) {
    const auto& mapping = *event.mappings.front();
    const auto ties = tie_one(mapping, change);
    if (!ties) return {};
    std::optional<pgclient::failure> fault;
    if (auto done = guarded({*ties}, fault); !done) return done.error();
    return fault ? reject(event, mapping, *fault) : pgclient::result<void>{};
}

// A row that a proxy has written.
pgclient::result<void> careful_writer::check(const placed_event& event, const model::row_change& change) {
    const auto& mapping = *event.mappings.front();
    const bool removed = change.operation == row_operation::remove;
    std::optional<pgclient::failure> fault;
    if (const auto ties = removed ? std::nullopt : tie_one(mapping, change)) {
        if (auto tied = guarded({*ties}, fault); !tied) return tied.error();
        fault.reset();  // met again below, by the whole row
    }
    auto got = guarded({probe_one(mapping, change, removed ? nullptr : &change.after, std::nullopt)}, fault);
    if (!got) return got.error();
    if (fault) return reject(event, mapping, *fault);
    const auto follower = probe::of(got->front().got);
    const bool as_it_should = removed ? !follower.found : follower.differs && follower.differs->empty();
    if (as_it_should) return {};
    ++healed_;
    return write_over(event, change);
}

// The row as the change leaves it, whatever is there.
pgclient::result<void> careful_writer::write_over(const placed_event& event, const model::row_change& change) {
    const auto& mapping = *event.mappings.front();
    std::optional<pgclient::failure> fault;
    const bool removes = change.operation == row_operation::remove;
    auto got = guarded({removes ? remove_one(mapping, change) : overwrite_one(mapping, change.after)}, fault);
    if (!got) return got.error();
    if (fault) return reject(event, mapping, *fault);
    if (removes || got->front().got.affected() > 0) return {};
    const auto row = whole_after(change);
    if (!row) {
        // Where others of it follow they tell what is missing.
        if (event.judged == judgement::loosely) return {};
        return note(event, change, drift::kind::update_missing, drift::state::confirmed, {});
    }
    if (auto done = guarded({insert_one(mapping, *row)}, fault); !done) return done.error();
    return fault ? reject(event, mapping, *fault) : pgclient::result<void>{};
}

pgclient::result<careful_writer::answers> careful_writer::guarded(const std::vector<statement>& what,
                                                                  std::optional<pgclient::failure>& fault) {
    to_.add("SAVEPOINT crossfade_row");
    for (const auto& each : what) to_.add(each);
    to_.add("RELEASE SAVEPOINT crossfade_row");
    auto got = to_.run();
    if (got) {
        got->erase(got->begin());
        return got;
    }
    if (!is_row_fault(got.error())) return got.error();
    fault = got.error();
    to_.add("ROLLBACK TO SAVEPOINT crossfade_row");
    to_.add("RELEASE SAVEPOINT crossfade_row");
    return to_.run();
}

pgclient::result<void> careful_writer::insert(const placed_event& event, const model::row_change& change) {
    const auto& mapping = *event.mappings.front();
    std::optional<pgclient::failure> fault;
    if (auto done = guarded({insert_one(mapping, change.after)}, fault); !done) return done.error();
    if (!fault) return {};
    if (fault->sqlstate == unique_violation) return insert_over(event, change, *fault);
    return reject(event, mapping, *fault);
}

// A row that is in the way of a new one. If it has the same key it becomes the authority's row; if not, it is some
// other row, and nothing says that the authority doesn't have that one too.
pgclient::result<void> careful_writer::insert_over(const placed_event& event, const model::row_change& change,
                                                   const pgclient::failure& why) {
    const auto& mapping = *event.mappings.front();
    probe follower;
    std::optional<pgclient::failure> fault;
    if (!mapping.key.empty()) {
        auto got = guarded({probe_one(mapping, change, &change.after, std::nullopt)}, fault);
        if (!got) return got.error();
        if (fault) return reject(event, mapping, *fault);
        follower = probe::of(got->front().got);
    }
    if (!follower.found) {
        if (auto noted = note(event, change, drift::kind::insert_exists, drift::state::confirmed, follower); !noted) {
            return noted.error();
        }
        return reject(event, mapping, why);
    }
    if (auto done = guarded({overwrite_one(mapping, change.after)}, fault); !done) return done.error();
    if (!fault) return note(event, change, drift::kind::insert_exists, drift::state::repaired, follower);
    const auto kind =
        fault->sqlstate == unique_violation ? drift::kind::multiple_unique_conflicts : drift::kind::insert_exists;
    if (auto noted = note(event, change, kind, drift::state::confirmed, follower); !noted) return noted.error();
    return reject(event, mapping, *fault);
}

pgclient::result<void> careful_writer::modify(const placed_event& event, const model::row_change& change) {
    const auto& mapping = *event.mappings.front();
    const bool removes = change.operation == row_operation::remove;
    const auto act = removes ? remove_one(mapping, change) : update_one(mapping, change);
    const auto* known = change.before_kind == before_image::whole ? &change.before : nullptr;
    const bool keyed = !mapping.key.empty();

    std::vector<statement> statements;
    if (keyed) statements.push_back(probe_one(mapping, change, known, origins_));
    statements.push_back(act);
    std::optional<pgclient::failure> fault;
    auto got = guarded(statements, fault);
    if (!got) return got.error();
    if (fault) {
        if (fault->sqlstate == unique_violation) {
            if (auto noted = note(event, change, drift::kind::update_exists, drift::state::confirmed, {}); !noted) {
                return noted.error();
            }
        }
        return reject(event, mapping, *fault);
    }
    if ((*got)[keyed ? 1 : 0].got.affected() == 0) return modify_missing(event, change);
    if (!keyed) return {};
    const auto follower = probe::of(got->front().got);
    const bool differs = follower.differs && !follower.differs->empty();
    if (!differs && !follower.foreign) return {};
    if (removes) return note(event, change, drift::kind::delete_origin_differs, drift::state::repaired, follower);
    const bool whole = whole_after(change).has_value();
    // Unchanged values were not written, and may be what differs.
    return note(event, change, drift::kind::update_origin_differs,
                whole ? drift::state::repaired : drift::state::suspect, follower);
}

pgclient::result<void> careful_writer::modify_missing(const placed_event& event, const model::row_change& change) {
    const auto& mapping = *event.mappings.front();
    if (change.operation == row_operation::remove) {
        return note(event, change, drift::kind::delete_missing, drift::state::repaired, {});
    }
    const auto row = whole_after(change);
    if (!row) return note(event, change, drift::kind::update_missing, drift::state::confirmed, {});
    std::optional<pgclient::failure> fault;
    if (auto done = guarded({insert_one(mapping, *row)}, fault); !done) return done.error();
    auto noted =
        note(event, change, drift::kind::update_missing, fault ? drift::state::confirmed : drift::state::repaired, {});
    if (!noted || !fault) return noted;
    return reject(event, mapping, *fault);
}

// They were written after the TRUNCATE on legacy, and what the stream has of them may not be the whole of it.
pgclient::result<bool> careful_writer::hold_rows_ahead(const segment& of) {
    to_.add({std::string{store::any_receipt_sql}, {settings_.stream}, std::nullopt});
    auto any = to_.run();
    if (!any) return any.error();
    if (!any->front().got.boolean(0, 0)) return false;
    std::string found;
    for (const auto& table : of.truncated_tables) {
        if (table->tied) continue;  // new ones are the stream's, and of others it is believed
        const auto name = model::quoted(table->target);
        to_.add({"LOCK TABLE " + name + " IN SHARE ROW EXCLUSIVE MODE", {}, std::nullopt});
        found += (found.empty() ? "SELECT " : " OR ") + ("EXISTS (SELECT FROM " + name + " WHERE ") +
                 std::string{store::is_ahead_sql} + ')';
    }
    if (found.empty()) return false;
    to_.add({found, {settings_.stream}, std::nullopt});
    const auto got = to_.run();
    if (!got) return got.error();
    return got->back().got.boolean(0, 0);
}

pgclient::result<void> careful_writer::truncate(const placed_event& event, const model::truncate& change) {
    segment only;
    only.truncated = &change;
    for (const auto& mapping : event.mappings) {
        if (!mapping->refused) {
            only.truncated_tables.push_back(mapping);
        } else if (auto done =
                       reject(event, *mapping, {mapping->refused->sqlstate, mapping->refused->reason, {}, {}, {}});
                   !done) {
            return done;
        }
    }
    if (only.truncated_tables.empty()) return {};
    const auto ahead = hold_rows_ahead(only);
    if (!ahead) return ahead.error();
    std::optional<pgclient::failure> fault;
    if (auto done = guarded(*ahead ? apply::empty(only, settings_.stream) : std::vector{apply::truncate(only)}, fault);
        !done)
        return done.error();
    // What refers to it and was emptied with it was copied since, perhaps, and keeps what it has.
    const bool others_keep_theirs = event.mappings.size() < change.relations.size();
    if (fault && fault->sqlstate == is_referred_to && others_keep_theirs) {
        fault.reset();
        if (auto done = guarded(apply::empty(only), fault); !done) return done.error();
    }
    for (const auto& mapping : only.truncated_tables) {
        if (fault || !waiting_.any(to_string(mapping->target))) continue;
        // What waited was about rows that are gone on both sides now.
        to_.add(
            statement{"DELETE FROM crossfade.dead_letters WHERE stream = $1::text AND table_name = $2::text"
                      " AND (commit_lsn, ordinal) <= ($3::pg_lsn, $4::bigint)",
                      {settings_.stream, model::to_string(mapping->target),
                       model::to_string(event.from->event.at.commit_lsn), std::to_string(event.from->event.at.ordinal)},
                      std::nullopt});
        if (auto done = to_.run(); !done) return done.error();
        waiting_.clear(to_string(mapping->target));
    }
    if (!fault) return {};
    for (const auto& mapping : only.truncated_tables) {
        if (auto done = reject(event, *mapping, *fault); !done) return done;
    }
    return {};
}

pgclient::result<void> careful_writer::note(const placed_event& event, const model::row_change& change,
                                            drift::kind what, drift::state now, const probe& follower) {
    const auto& mapping = *event.mappings.front();
    drift::record made;
    made.table = mapping.target;
    made.tenant = tenant_of(mapping, change);
    made.what = what;
    made.now = now;
    made.at = event.from->event.at;
    made.columns = follower.differs;
    made.follower_digest = follower.digest;
    if (change.operation != row_operation::remove) {
        // Of the whole row alone: a digest of a part of it equals nothing.
        if (const auto row = whole_after(change)) {
            auto digested = digest(mapping, *row);
            if (!digested) return digested.error();
            made.authority_digest = std::move(*digested);
        }
    }
    for (std::size_t i = 0; i < mapping.key.size(); ++i) {
        const auto& cell = key_cell(mapping, i, change);
        made.key.emplace_back(mapping.columns[mapping.key[i]].target.name,
                              cell.kind == cell_kind::text ? std::optional{cell.text} : std::nullopt);
    }
    if (mapping.key.empty()) {
        auto digested = digest(mapping, change.before.empty() ? change.after : change.before);
        if (!digested) return digested.error();
        made.key.emplace_back("row_md5", std::move(*digested));
    }
    auto stored = store(drift::store(settings_.stream, made));
    records_.push_back(std::move(made));
    return stored;
}

pgclient::result<void> careful_writer::reject(const placed_event& event, const table_mapping& mapping,
                                              const pgclient::failure& why) {
    return put_aside(event, mapping, why, "refused");
}

pgclient::result<void> careful_writer::put_aside(const placed_event& event, const table_mapping& mapping,
                                                 const pgclient::failure& why, std::string_view state) {
    auto made = rejected_record(event.from->event, mapping);
    drift::dead_letter letter;
    letter.table = mapping.target;
    letter.tenant = made.tenant;
    letter.operation = name_of(event.from->event);
    letter.sqlstate = why.sqlstate;
    letter.reason = why.message;
    if (!why.column.empty()) letter.reason += " (column " + why.column + ")";
    if (!why.constraint.empty()) letter.reason += " (constraint " + why.constraint + ")";
    letter.event = events::encode(event.from->event, relations_);
    letter.offset = event.from->offset;
    letter.at = event.from->event.at;
    letter.state = state;
    const auto* change = std::get_if<model::row_change>(&event.from->event.body);
    // Behind a TRUNCATE that could not be done everything else of the table has to wait.
    letter.rows = change == nullptr ? waiting_rows::hashes{waiting_rows::every_row} : waiting_rows::of(*change);
    waiting_.add(to_string(mapping.target), letter.rows);
    if (auto stored = store(drift::store(settings_.stream, settings_.topic, settings_.partition, letter)); !stored) {
        return stored;
    }
    ++dead_letters_;
    // Nothing is wrong with what waits for its table.
    if (state == "behind" && waiting_.held(to_string(mapping.target))) {
        waiting_.count_held(1);
        return {};
    }
    auto stored = store(drift::store(settings_.stream, made));
    records_.push_back(std::move(made));
    return stored;
}

pgclient::result<void> careful_writer::note_mended(const placed_event& event) {
    const auto* change = std::get_if<model::row_change>(&event.from->event.body);
    for (const auto side : {row_side::before, row_side::after}) {
        if (side == row_side::before && (change == nullptr || change->before.empty())) continue;
        const auto made = rejected_record(event.from->event, *event.mappings.front(), side);
        if (auto mended = store(drift::mend(settings_.stream, made)); !mended) return mended;
    }
    return {};
}

pgclient::result<std::optional<std::string>> careful_writer::digest(const table_mapping& mapping,
                                                                    const model::row& row) {
    to_.add(digest_of(mapping, row));
    auto got = to_.run();
    if (!got) return got.error();
    return std::optional{std::string{got->front().got.text(0, 0)}};
}

pgclient::result<void> careful_writer::store(const drift::stored& what) {
    to_.add(statement{std::string{what.sql}, what.parameters, std::nullopt});
    if (auto done = to_.run(); !done) return done.error();
    return {};
}

}  // namespace crossfade::cdc::apply
