#include "cdc/apply/ddl_decision.hpp"

#include <algorithm>

namespace crossfade::cdc::apply {

using events::ddl_effect;
using events::ddl_notice;
using events::ddl_policy;
using events::ddl_table;

namespace {

std::string same_again(const stream_ends& ends) {
    return "make the same change on " + ends.follower;
}

void append(std::string& to, std::string_view more) {
    if (more.empty()) return;
    if (!to.empty()) to += "; ";
    to += more;
}

std::string copy_again(const ddl_table& table) {
    return "copy it again: crossfade backfill --tables " + to_string(table.name);
}

// Whether existing rows of the source have values that nothing but a copy brings. now() is one constant for all rows,
// and nothing is rewritten for it; a new column without a default of its own is rewritten for its type's alone.
bool computed_rows(const ddl_notice& seen, const sql::table_change& change, const ddl_table& table) {
    const auto is_new = [&](const std::string& column) {
        return !table.fresh || std::ranges::find(*table.fresh, column) != table.fresh->end();
    };
    return change.computes || std::ranges::any_of(change.computes_if_new, is_new) ||
           (seen.rewritten && (!change.converts || !change.added.empty()));
}

// Why changes of the table can't go on being applied as they were, with the way out; empty: they can.
std::string difference(const ddl_notice& seen, const sql::table_change& change, const ddl_table& table,
                       const table_shape& follower, const stream_ends& ends) {
    const bool understood = seen.direct && seen.whole;
    switch (table.effect) {
        case ddl_effect::harmless:
        case ddl_effect::dropped:
        case ddl_effect::partition_dropped:
        case ddl_effect::partition_emptied:
            return {};
        case ddl_effect::altered:
        case ddl_effect::partition_altered:
        case ddl_effect::column_dropped:
            break;
    }
    if (understood && change.cosmetic) return {};
    if (seen.tag.starts_with("ALTER TYPE") || seen.tag.starts_with("ALTER DOMAIN"))
        return "the type " + table.object + " has changed: " + same_again(ends);
    if (understood && change.brings_rows) return "a partition's rows are not in the stream: " + copy_again(table);
    if (table.effect == ddl_effect::column_dropped) return {};  // the source has less than before
    std::string why;
    if (const auto objection = shape_objection(table, follower, understood ? &change.retyped : nullptr, ends))
        why = *objection + ": " + same_again(ends);
    if (understood ? computed_rows(seen, change, table) : seen.rewritten)
        append(why, ends.source + " has computed rows anew, which are not in the stream: " + copy_again(table));
    return why;
}

// What is left to do where nothing has to wait.
std::string remark(const ddl_notice& seen, const ddl_table& table, const stream_ends& ends) {
    switch (table.effect) {
        case ddl_effect::dropped:
            return to_string(table.name) + " is gone on " + ends.source + "; " + ends.follower + " still has it";
        case ddl_effect::partition_dropped:
            return "rows of " + table.object + " are gone on " + ends.source + "; " + ends.follower + " still has them";
        case ddl_effect::partition_emptied:
        case ddl_effect::column_dropped:
            return table.object + " is gone on " + ends.source + "; " + ends.follower + " may still have it";
        case ddl_effect::harmless:
            return seen.tag == "CREATE INDEX" ? ends.follower + " may want the index, too" : "";
        case ddl_effect::altered:
        case ddl_effect::partition_altered:
            break;
    }
    return ends.follower + " takes the rows of " + to_string(table.name) + " as it is";
}

// Why the statement itself is not to be run on the follower.
std::string objection_to_passing(const ddl_notice& seen, const sql::table_change& change, const stream_ends& ends) {
    if (!seen.direct) return "a function or DO block did it";
    if (!seen.whole) return "its text was cut";
    if (seen.tables.size() != 1 || seen.tables.front().effect != ddl_effect::altered)
        return "it is no change of one captured table";
    if (!change.obstacle.empty()) return change.obstacle;
    const auto& named = seen.tables.front().name;
    if (change.table != named.name || (!change.schema.empty() && change.schema != named.schema))
        return "its text names another table";
    if (seen.rewritten && !change.added.empty()) return "a new column's values may be computed by its type's default";
    if (seen.rewritten && !change.converts)
        return ends.source + " has computed rows anew, perhaps as its session's settings say";
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

std::optional<std::string> shape_objection(const ddl_table& source, const table_shape& follower,
                                           const std::vector<std::string>* retyped, const stream_ends& ends) {
    const auto name = to_string(source.name);
    if (!follower) return ends.follower + " has no table " + name;
    std::string missing;
    std::string generated;
    std::string others;
    for (const auto& [column, type] : source.columns) {
        const auto there = std::ranges::find(*follower, column, &shape_column::name);
        if (there == follower->end())
            missing += (missing.empty() ? "" : ", ") + column;
        else if (there->generated)
            generated += (generated.empty() ? "" : ", ") + column;
        else if (there->type != type && (retyped == nullptr || std::ranges::find(*retyped, column) != retyped->end()))
            others += (others.empty() ? "" : ", ") + column + " is " + type + " on " + ends.source + " and " +
                      there->type + " on " + ends.follower;
    }
    if (!missing.empty()) return ends.follower + "'s table " + name + " has no column " + missing;
    if (!generated.empty())
        return ends.follower + "'s table " + name + " generates " + generated + ", which " + ends.source +
               " has values of";
    if (!others.empty()) return ends.follower + "'s table " + name + " has columns of other types (" + others + ')';
    for (const auto& column : *follower) {
        const bool known =
            std::ranges::any_of(source.columns, [&](const auto& each) { return each.first == column.name; });
        if (!known && column.demanding)
            return ends.follower + "'s table " + name + " demands column " + column.name + ", which " + ends.source +
                   " does not have";
    }
    return std::nullopt;
}

bool changes_rows(const ddl_notice& seen, const sql::table_change& change, const ddl_table& table) {
    switch (table.effect) {
        case ddl_effect::harmless:
        case ddl_effect::dropped:
            return false;
        case ddl_effect::partition_dropped:
        case ddl_effect::partition_emptied:
        case ddl_effect::column_dropped:
            return true;
        case ddl_effect::altered:
        case ddl_effect::partition_altered:
            break;
    }
    return !seen.direct || !seen.whole || !change.cosmetic;
}

ddl_decision decide(const ddl_notice& seen, const sql::table_change& change,
                    const std::vector<std::optional<table_shape>>& tables, const stream_ends& ends) {
    ddl_decision made;
    bool applied = false;
    for (std::size_t i = 0; i < seen.tables.size() && i < tables.size(); ++i) {
        if (!tables[i]) continue;
        applied = true;
        const auto& table = seen.tables[i];
        const auto why = difference(seen, change, table, *tables[i], ends);
        append(made.advice, why.empty() ? remark(seen, table, ends) : why);
        if (!why.empty() && std::ranges::find(made.paused, table.name) == made.paused.end())
            made.paused.push_back(table.name);
    }
    if (!applied) {
        made.advice = not_applied;
        return made;
    }
    if (seen.policy == ddl_policy::note) {
        made.paused.clear();
        return made;
    }
    if (seen.policy == ddl_policy::pass && !change.cosmetic) {
        const auto objection = objection_to_passing(seen, change, ends);
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
