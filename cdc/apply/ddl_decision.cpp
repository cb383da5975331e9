#include "cdc/apply/ddl_decision.hpp"

#include <algorithm>

namespace crossfade::cdc::apply {

using events::ddl_effect;
using events::ddl_notice;
using events::ddl_policy;
using events::ddl_table;

namespace {

constexpr std::string_view same_again = "make the same change on modern";

void append(std::string& to, std::string_view more) {
    if (more.empty()) return;
    if (!to.empty()) to += "; ";
    to += more;
}

std::string copy_again(const ddl_table& table) {
    return "copy it again: crossfade backfill --tables " + to_string(table.name);
}

// Why changes of the table can't go on being applied as they were, with the way out; empty: they can.
std::string difference(const ddl_notice& seen, const sql::table_change& change, const ddl_table& table,
                       const table_shape& follower) {
    const bool understood = seen.direct && seen.whole;
    switch (table.effect) {
        case ddl_effect::harmless:
        case ddl_effect::dropped:
        case ddl_effect::partition_dropped:
            return {};
        case ddl_effect::altered:
        case ddl_effect::partition_altered:
        case ddl_effect::column_dropped:
            break;
    }
    if (understood && change.cosmetic) return {};
    if (seen.tag.starts_with("ALTER TYPE") || seen.tag.starts_with("ALTER DOMAIN"))
        return "the type " + table.object + " has changed: " + std::string{same_again};
    if (understood && change.brings_rows) return "a partition's rows are not in the stream: " + copy_again(table);
    if (table.effect == ddl_effect::column_dropped) return {};  // legacy has less than before
    if (const auto objection = shape_objection(table, follower, understood ? &change.retyped : nullptr))
        return *objection + ": " + std::string{same_again};
    if (seen.rewritten && !(understood && change.converts))
        return "legacy has computed rows anew, which are not in the stream: " + copy_again(table);
    return {};
}

// What is left to do where nothing has to wait.
std::string remark(const ddl_notice& seen, const ddl_table& table) {
    switch (table.effect) {
        case ddl_effect::dropped:
            return to_string(table.name) + " is gone on legacy; modern still has it";
        case ddl_effect::partition_dropped:
            return "rows of " + table.object + " are gone on legacy; modern still has them";
        case ddl_effect::column_dropped:
            return table.object + " is gone on legacy; modern may still have it";
        case ddl_effect::harmless:
            return seen.tag == "CREATE INDEX" ? "modern may want the index, too" : "";
        case ddl_effect::altered:
        case ddl_effect::partition_altered:
            break;
    }
    return "modern takes the rows of " + to_string(table.name) + " as it is";
}

// Why the statement itself is not to be run on modern.
std::string objection_to_passing(const ddl_notice& seen, const sql::table_change& change) {
    if (!seen.direct) return "a function or DO block did it";
    if (!seen.whole) return "its text was cut";
    if (seen.tables.size() != 1 || seen.tables.front().effect != ddl_effect::altered)
        return "it is no change of one captured table";
    if (!change.obstacle.empty()) return change.obstacle;
    const auto& named = seen.tables.front().name;
    if (change.table != named.name || (!change.schema.empty() && change.schema != named.schema))
        return "its text names another table";
    if (seen.rewritten && !change.converts) return "legacy has computed rows anew";
    return {};
}

}  // namespace

std::string_view to_string(ddl_action what) {
    switch (what) {
        case ddl_action::note:
            return "noted";
        case ddl_action::pass:
            return "passed";
        case ddl_action::pause:
            break;
    }
    return "paused";
}

std::optional<std::string> shape_objection(const ddl_table& legacy, const table_shape& follower,
                                           const std::vector<std::string>* retyped) {
    const auto name = to_string(legacy.name);
    if (!follower) return "modern has no table " + name;
    std::string missing;
    std::string others;
    for (const auto& [column, type] : legacy.columns) {
        const auto there = std::ranges::find(*follower, column, &shape_column::name);
        if (there == follower->end())
            missing += (missing.empty() ? "" : ", ") + column;
        else if (there->type != type && (retyped == nullptr || std::ranges::find(*retyped, column) != retyped->end()))
            others +=
                (others.empty() ? "" : ", ") + column + " is " + type + " on legacy and " + there->type + " on modern";
    }
    if (!missing.empty()) return "modern's table " + name + " has no column " + missing;
    if (!others.empty()) return "modern's table " + name + " has columns of other types (" + others + ')';
    for (const auto& column : *follower) {
        const bool known =
            std::ranges::any_of(legacy.columns, [&](const auto& each) { return each.first == column.name; });
        if (!known && column.demanding)
            return "modern's table " + name + " demands column " + column.name + ", which legacy does not have";
    }
    return std::nullopt;
}

ddl_decision decide(const ddl_notice& seen, const sql::table_change& change,
                    const std::vector<std::optional<table_shape>>& tables) {
    ddl_decision made;
    bool applied = false;
    for (std::size_t i = 0; i < seen.tables.size() && i < tables.size(); ++i) {
        if (!tables[i]) continue;
        applied = true;
        const auto& table = seen.tables[i];
        const auto why = difference(seen, change, table, *tables[i]);
        append(made.advice, why.empty() ? remark(seen, table) : why);
        if (!why.empty() && std::ranges::find(made.paused, table.name) == made.paused.end())
            made.paused.push_back(table.name);
    }
    if (!applied) {
        made.advice = "changes of the table are not applied now, or a copy made since has it";
        return made;
    }
    if (seen.policy == ddl_policy::note) {
        made.paused.clear();
        return made;
    }
    if (seen.policy == ddl_policy::pass && !change.cosmetic) {
        const auto objection = objection_to_passing(seen, change);
        if (objection.empty()) {
            made.what = ddl_action::pass;
            return made;
        }
        if (!made.paused.empty()) append(made.advice, "not passed on: " + objection);
    }
    if (!made.paused.empty()) made.what = ddl_action::pause;
    return made;
}

}  // namespace crossfade::cdc::apply
