#include "cdc/apply/receipts.hpp"

#include <string_view>
#include <utility>

#include "cdc/apply/batch_plan.hpp"
#include "lib/pgwire/array_literal.hpp"

namespace crossfade::cdc::apply {

namespace {

using model::before_image;
using model::cell_kind;
using model::row_operation;

const model::cell& key_cell_after(const table_mapping& mapping, std::size_t i, const model::row_change& change) {
    if (change.after.empty()) return key_cell(mapping, i, change);
    const auto& after = change.after[mapping.columns[mapping.key[i]].source];
    return after.kind == cell_kind::unchanged ? key_cell(mapping, i, change) : after;
}

model::row_change departure(const model::row_change& of) {
    return {of.rel, row_operation::remove, of.before_kind, of.before, {}};
}

// A row of which a part alone is known is one that has to be there.
model::row_change arrival(const table_mapping& mapping, const model::row_change& of) {
    if (auto whole = whole_after(of))
        return {of.rel, row_operation::insert, before_image::absent, {}, std::move(*whole)};
    model::row_change made{of.rel, row_operation::update, before_image::absent, {}, of.after};
    for (std::size_t i = 0; i < mapping.key.size(); ++i)
        made.after[mapping.columns[mapping.key[i]].source] = key_cell_after(mapping, i, of);
    return made;
}

template <class Number>
std::string array_of(const std::vector<Number>& numbers) {
    pgwire::array_literal made;
    for (const auto each : numbers) made.add(std::to_string(each));
    return made.take();
}

}  // namespace

std::optional<std::int64_t> mark_of(const table_mapping& mapping, const model::row_change& change, row_side which) {
    if (mapping.refused || mapping.key.empty()) return std::nullopt;
    std::vector<std::pair<std::string_view, std::string_view>> key;
    for (std::size_t i = 0; i < mapping.key.size(); ++i) {
        const auto& cell =
            which == row_side::before ? key_cell(mapping, i, change) : key_cell_after(mapping, i, change);
        if (cell.kind != cell_kind::text) return std::nullopt;
        key.emplace_back(mapping.columns[mapping.key[i]].target.name, cell.text);
    }
    return store::row_mark(mapping.target, key);
}

void mirrored_rows::take(std::unordered_map<store::source_xid, row_marks> receipts) {
    unmet = receipts;
    std::erase_if(unmet, [](const auto& each) { return each.second.empty(); });
    written = std::move(receipts);
}

void mirrored_rows::meet(store::source_xid transaction, const model::row_change& change, const table_mapping& mapping) {
    const auto found = unmet.find(transaction);
    if (found == unmet.end()) return;
    for (const auto which : {row_side::before, row_side::after})
        if (const auto mark = mark_of(mapping, change, which)) found->second.erase(*mark);
    if (found->second.empty()) unmet.erase(found);
}

bool is_verified(store::source_xid transaction, unsigned percent) {
    // Ids that follow each other are spread evenly (Knuth's multiplicative method).
    constexpr std::uint64_t golden = 0x9E3779B97F4A7C15;
    return (static_cast<std::uint64_t>(transaction) * golden >> 32) % 100 < percent;
}

void batch_judge::note(const model::change_event& event, std::optional<std::int64_t> mark, bool whole) {
    if (mark && mirrored_.wrote(event.xid, *mark)) last_[*mark] = {event.at, whole};
}

void batch_judge::look_at(const model::change_event& event, const model::row_change& change,
                          const table_mapping& mapping) {
    if (mirrored_.written.empty()) return;
    const bool whole = change.operation == row_operation::remove || whole_after(change).has_value();
    const bool moves = changes_key(mapping, change);
    note(event, mark_of(mapping, change, row_side::before), moves || whole);
    if (moves) note(event, mark_of(mapping, change, row_side::after), whole);
}

judgement batch_judge::of(const model::change_event& event, std::int64_t mark) const {
    if (mirrored_.ahead.contains(mark)) return judgement::ahead;
    const auto last = last_.find(mark);
    if (last == last_.end() || last->second.at < event.at) return judgement::apply;
    if (last->second.at == event.at) return judgement::check;
    return last->second.whole ? judgement::ahead : judgement::loosely;
}

judgement batch_judge::of(const model::change_event& event, row_operation what, std::int64_t mark,
                          const table_mapping& mapping) {
    if (taken_back_.contains(mark)) return judgement::apply;
    const auto how = of(event, mark);
    if (how == judgement::loosely) written_over_.insert(mark);
    if (how == judgement::check && !mapping.tied && !mirrored_.swept && !written_over_.contains(mark) &&
        !is_verified(event.xid, verified_percent_))
        return judgement::trusted;
    if (!mapping.tied || (how != judgement::ahead && how != judgement::loosely)) return how;
    if (what == row_operation::update) return how == judgement::ahead ? judgement::tied : how;
    taken_back_.insert(mark);
    return judgement::loosely;
}

std::vector<judged_change> batch_judge::judge(const model::change_event& event, const model::row_change& change,
                                              const table_mapping& mapping) {
    const auto before = mark_of(mapping, change, row_side::before);
    if (!before) return {{&change, judgement::apply, {}}};
    if (!changes_key(mapping, change)) return {{&change, of(event, change.operation, *before, mapping), {*before}}};
    const auto after = mark_of(mapping, change, row_side::after);
    if (!after) return {{&change, judgement::apply, {*before}}};
    const auto left = of(event, row_operation::remove, *before, mapping);
    const auto come_to = of(event, row_operation::insert, *after, mapping);
    if (left == judgement::apply && come_to == judgement::apply) return {{&change, left, {*before, *after}}};
    return {{&halves_.emplace_back(departure(change)), left, {*before}},
            {&halves_.emplace_back(arrival(mapping, change)), come_to, {*after}}};
}

statement wait_for_mirroring(const std::vector<store::source_xid>& transactions) {
    std::vector<std::int32_t> ids;
    ids.reserve(transactions.size());
    for (const auto each : transactions) ids.push_back(store::mirroring_lock_id(each));
    return {
        "SELECT pg_advisory_lock_shared($1::int, id), pg_advisory_unlock_shared($1::int, id)"
        " FROM unnest($2::int[]) AS id",
        {std::to_string(store::mirroring_lock_class), array_of(ids)},
        std::nullopt};
}

statement take_receipts(const std::string& stream, const std::vector<store::source_xid>& transactions) {
    return {std::string{store::take_receipts_sql}, {stream, array_of(transactions)}, std::nullopt};
}

statement rows_ahead(const std::string& stream) {
    return {std::string{store::rows_ahead_sql}, {stream}, std::nullopt};
}

statement take_rows_back(const std::string& stream, const row_marks& rows) {
    return {std::string{store::take_rows_back_sql},
            {stream, array_of(std::vector<std::int64_t>{rows.begin(), rows.end()})},
            std::nullopt};
}

std::unordered_map<store::source_xid, row_marks> taken_in(const pgclient::rows& got) {
    std::unordered_map<store::source_xid, row_marks> taken;
    for (int i = 0; i < got.size(); ++i) {
        auto& rows = taken[static_cast<store::source_xid>(got.integer(i, 0).value_or(0))];
        if (const auto mark = got.integer(i, 1)) rows.insert(*mark);
    }
    return taken;
}

row_marks marks_in(const pgclient::rows& got) {
    row_marks marks;
    marks.reserve(static_cast<std::size_t>(got.size()));
    for (int i = 0; i < got.size(); ++i) {
        if (const auto mark = got.integer(i, 0)) marks.insert(*mark);
    }
    return marks;
}

}  // namespace crossfade::cdc::apply
