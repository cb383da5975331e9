// What a careful_writer writes down of what it meets: drift, and dead letters.
#include <algorithm>

#include "cdc/apply/careful.hpp"
#include "cdc/apply/scope.hpp"

namespace crossfade::cdc::apply {

using model::cell_kind;
using model::row_operation;

namespace {

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
    letter.rows =
        change == nullptr ? waiting_rows::hashes{waiting_rows::every_row} : waiting_rows::of(*change, mapping);
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
