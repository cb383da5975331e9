#include "cdc/apply/batch_plan.hpp"

#include <algorithm>
#include <utility>

namespace crossfade::cdc::apply {

namespace {

using model::before_image;
using model::cell_kind;
using model::row_operation;

std::string key_text(const table_mapping& mapping, const model::row_change& change) {
    std::string text;
    for (std::size_t i = 0; i < mapping.key.size(); ++i) {
        const auto& cell = key_cell(mapping, i, change);
        if (cell.kind != cell_kind::text) {
            text += "n;";
            continue;
        }
        text += std::to_string(cell.text.size());
        text += ':';
        text += cell.text;
    }
    return text;
}

std::vector<const model::cell*> key_cells(const table_mapping& mapping, const model::row_change& change) {
    std::vector<const model::cell*> cells;
    cells.reserve(mapping.key.size());
    for (std::size_t i = 0; i < mapping.key.size(); ++i) cells.push_back(&key_cell(mapping, i, change));
    return cells;
}

// Lays the new row over what is known; unchanged TOAST values keep what was there.
void lay_over(net_row& row, const table_mapping& mapping, const model::row& after) {
    row.values.resize(mapping.columns.size(), nullptr);
    for (std::size_t i = 0; i < mapping.columns.size(); ++i) {
        const auto& cell = after[mapping.columns[i].source];
        if (cell.kind != cell_kind::unchanged) row.values[i] = &cell;
    }
}

bool complete(const net_row& row) {
    return std::ranges::find(row.values, nullptr) == row.values.end();
}

void mix(std::size_t& into, std::size_t more) {
    into ^= more + 0x9e3779b97f4a7c15 + (into << 6) + (into >> 2);
}

void mix(std::size_t& into, const model::cell& cell) {
    mix(into, static_cast<std::size_t>(cell.kind));
    mix(into, std::hash<std::string>{}(cell.text));
}

// The rows of one table's plan; false where keys don't tell.
bool add_touched(const table_plan& plan, touched_rows& to) {
    const auto& mapping = *plan.mapping;
    const auto table = std::hash<model::table_name>{}(mapping.target);
    for (const auto& each : plan.steps) {
        if (const auto* net = std::get_if<net_step>(&each)) {
            for (const auto& row : net->rows) {
                auto& mark = to.emplace_back(table);
                for (const auto* cell : row.key) mix(mark, *cell);
            }
        } else if (const auto* one = std::get_if<single_step>(&each)) {
            if (mapping.key.empty()) return false;
            auto& before = to.emplace_back(table);
            for (std::size_t i = 0; i < mapping.key.size(); ++i) mix(before, key_cell(mapping, i, *one->change));
            if (one->change->operation != row_operation::update) continue;
            auto& after = to.emplace_back(table);
            for (const auto at : mapping.key) {
                const auto source = mapping.columns[at].source;
                const auto& cell = one->change->after[source];
                mix(after, cell.kind == cell_kind::unchanged ? one->change->before[source] : cell);
            }
        }
        // New rows of a table without a key are no others' rows.
    }
    return true;
}

}  // namespace

std::optional<touched_rows> touched(const batch_plan& plan) {
    if (plan.careful) return std::nullopt;
    touched_rows made;
    made.reserve(plan.changes);
    for (const auto& part : plan.segments) {
        if (part.truncated != nullptr) return std::nullopt;
        for (const auto& table : part.tables) {
            if (table.how != strictness::exact || !add_touched(table, made)) return std::nullopt;
        }
    }
    std::ranges::sort(made);
    return made;
}

bool disjoint(const touched_rows& one, const touched_rows& other) {
    auto a = one.begin();
    auto b = other.begin();
    while (a != one.end() && b != other.end()) {
        if (*a == *b) return false;
        ++(*a < *b ? a : b);
    }
    return true;
}

std::optional<model::row> whole_after(const model::row_change& change) {
    auto row = change.after;
    for (std::size_t i = 0; i < row.size(); ++i) {
        if (row[i].kind != cell_kind::unchanged) continue;
        if (change.before_kind != before_image::whole || change.before[i].kind == cell_kind::unchanged)
            return std::nullopt;
        row[i] = change.before[i];
    }
    return row;
}

const model::cell& key_cell(const table_mapping& mapping, std::size_t i, const model::row_change& change) {
    const auto source = mapping.columns[mapping.key[i]].source;
    if (change.before_kind != before_image::absent) return change.before[source];
    return change.after[source];
}

bool changes_key(const table_mapping& mapping, const model::row_change& change) {
    if (change.operation != row_operation::update || change.before_kind == before_image::absent) return false;
    for (const auto at : mapping.key) {
        const auto source = mapping.columns[at].source;
        const auto& after = change.after[source];
        if (after.kind != cell_kind::unchanged && after != change.before[source]) return true;
    }
    return false;
}

table_plan* batch_planner::plan_for(const std::shared_ptr<const table_mapping>& mapping, strictness how,
                                    table_state*& state) {
    ++plan_.changes;
    if (mapping->refused) {
        plan_.careful = true;
        return nullptr;
    }
    if (plan_.segments.empty()) plan_.segments.emplace_back();
    auto& segment = plan_.segments.back();
    const auto [entry, fresh] = tables_.try_emplace(mapping.get());
    state = &entry->second;
    if (fresh) {
        // Another version of the same table goes on after the steps of the one before.
        for (const auto& other : segment.tables) {
            if (other.mapping->target == mapping->target) plan_.careful = true;
        }
        state->plan = segment.tables.size();
        segment.tables.push_back({mapping, {}, how});
    }
    auto& plan = segment.tables[state->plan];
    if (plan.how != how) plan_.careful = true;
    return &plan;
}

void batch_planner::add(const model::row_change& change, const std::shared_ptr<const table_mapping>& mapping,
                        strictness how, std::optional<std::int64_t> mirrored) {
    table_state* known = nullptr;
    auto* const found = plan_for(mapping, how, known);
    if (found == nullptr) return;
    auto& plan = *found;
    auto& state = *known;
    if (mapping->key.empty() && change.operation == row_operation::insert) {
        if (plan.steps.empty() || !std::holds_alternative<append_step>(plan.steps.back())) {
            plan.steps.emplace_back(append_step{});
        }
        std::get<append_step>(plan.steps.back()).rows.push_back(&change);
    } else if (mapping->key.empty() || changes_key(*mapping, change)) {
        plan.steps.emplace_back(single_step{&change});
        state.rows.clear();
    } else {
        net(plan, state, change, mirrored);
    }
}

void batch_planner::add_tied(const model::row_change& change, const std::shared_ptr<const table_mapping>& mapping) {
    table_state* state = nullptr;
    auto* const plan = plan_for(mapping, strictness::exact, state);
    if (plan == nullptr) return;
    auto& row = row_of(*plan, *state, change);
    row.existed = row.exists = row.ahead = true;
    row.values.resize(mapping->columns.size(), nullptr);
    for (const auto at : mapping->tied_columns) {
        const auto& cell = change.after[mapping->columns[at].source];
        if (cell.kind != cell_kind::unchanged) row.values[at] = &cell;
    }
}

net_row& batch_planner::row_of(table_plan& plan, table_state& state, const model::row_change& change) {
    if (plan.steps.empty() || !std::holds_alternative<net_step>(plan.steps.back())) {
        plan.steps.emplace_back(net_step{});
        state.rows.clear();
    }
    auto& rows = std::get<net_step>(plan.steps.back()).rows;
    const auto [known, fresh] = state.rows.try_emplace(key_text(*plan.mapping, change), rows.size());
    if (fresh) {
        auto& row = rows.emplace_back();
        row.key = key_cells(*plan.mapping, change);
        row.existed = change.operation != row_operation::insert;
        row.exists = row.existed;
        if (plan.how == strictness::exact && row.existed && change.before_kind == before_image::whole)
            row.before = &change.before;
    }
    return rows[known->second];
}

void batch_planner::net(table_plan& plan, table_state& state, const model::row_change& change,
                        std::optional<std::int64_t> mirrored) {
    const auto& mapping = *plan.mapping;
    const bool exact = plan.how == strictness::exact;
    auto& row = row_of(plan, state, change);
    row.ahead = false;
    if (exact && !mirrored && row.exists == (change.operation == row_operation::insert)) {
        plan_.careful = true;
        return;
    }
    if (mirrored) {
        row.existed = change.operation != row_operation::remove;
        row.before = nullptr;
    } else if (row.mirrored && change.before_kind == before_image::whole) {
        row.before = &change.before;
    }
    row.mirrored = mirrored;
    if (change.operation == row_operation::remove) {
        row.exists = false;
        row.values.clear();
        return;
    }
    row.exists = true;
    // Beside a copy a row may be missing that an earlier change has touched: a new one is written in any case.
    if (!exact && change.operation == row_operation::insert) row.existed = false;
    if (change.operation == row_operation::insert) row.anew = row.existed && !mapping.always.empty();
    if (!exact && row.existed && !mapping.always.empty()) plan_.careful = true;
    lay_over(row, mapping, change.after);
    if (exact && !row.existed && !complete(row)) plan_.careful = true;
}

void batch_planner::add(const model::truncate& change, std::vector<std::shared_ptr<const table_mapping>> tables) {
    ++plan_.changes;
    for (const auto& table : tables) {
        if (table->refused) plan_.careful = true;
    }
    auto& opened = plan_.segments.emplace_back();
    opened.truncated = &change;
    opened.truncated_tables = std::move(tables);
    tables_.clear();
}

batch_plan batch_planner::take() {
    tables_.clear();
    return std::exchange(plan_, {});
}

}  // namespace crossfade::cdc::apply
