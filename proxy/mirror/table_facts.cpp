#include "proxy/mirror/table_facts.hpp"

#include <algorithm>
#include <utility>

namespace crossfade::proxy::mirror {
namespace {

// A list of SQL's, of what `each` makes of the columns for which it makes anything.
template <class Each>
std::string list(const table_facts& of, std::string_view between, Each each) {
    std::string text;
    for (std::size_t i = 0; i < of.columns.size(); ++i) {
        const std::string part = each(i, of.columns[i]);
        if (!part.empty()) text += (text.empty() ? "" : std::string{between}) + part;
    }
    return text;
}

using column = table_facts::column;

std::string place(table_facts::row_sql& in, std::size_t of) {
    in.parameters.push_back(of);
    return "$" + std::to_string(in.parameters.size());
}

// Whatever the column's own collation takes for equal.
std::string to_the_letter(const std::string& one, const std::string& other) {
    return one + "::text COLLATE \"C\" = " + other + "::text";
}

// Not the row of an equal key: the receipt is about this one.
std::string where_key(const table_facts& of, table_facts::row_sql& in) {
    return list(of, " AND ", [&](std::size_t i, const column& each) {
        if (!each.key) return std::string{};
        const auto name = model::quote_identifier(each.name);
        const bool plain = each.equals == "=" && each.one_text;
        const auto value = place(in, i) + (plain ? std::string{} : "::" + each.type);
        const auto found = name + ' ' + each.equals + ' ' + value;
        return each.one_text ? found : found + " AND " + to_the_letter(name, '(' + value + ')');
    });
}

// Likewise, of ON CONFLICT; empty where it makes no difference.
std::string where_same_key(const table_facts& of) {
    return list(of, " AND ", [](std::size_t, const column& each) {
        const auto name = model::quote_identifier(each.name);
        return each.key && !each.one_text ? to_the_letter("crossfade." + name, "excluded." + name) : std::string{};
    });
}

}  // namespace

void write_row_sql(table_facts& of, std::uint64_t serial) {
    const auto name = [&](std::string_view kind) { return "crossfade_" + std::string{kind} + std::to_string(serial); };
    const auto table = model::quoted(of.name);
    const auto value_of = [](const column& each) { return model::quote_identifier(each.name); };
    const auto changes = [](const column& each) { return each.written && each.settable && !each.key; };

    of.insert = {name("i"), {}, {}};
    const auto columns =
        list(of, ", ", [&](std::size_t, const column& each) { return each.written ? value_of(each) : std::string{}; });
    const auto values = list(of, ", ", [&](std::size_t i, const column& each) {
        return each.written ? place(of.insert, i) : std::string{};
    });
    // By another name than its own, which may be "excluded".
    of.insert.text =
        "INSERT INTO " + table + " AS crossfade (" + columns + ") OVERRIDING SYSTEM VALUE VALUES (" + values + ")";

    of.put = {name("p"), {}, of.insert.parameters};
    const auto key =
        list(of, ", ", [&](std::size_t, const column& each) { return each.key ? value_of(each) : std::string{}; });
    const auto replaced = list(of, ", ", [&](std::size_t, const column& each) {
        return changes(each) ? value_of(each) + " = excluded." + value_of(each) : std::string{};
    });
    of.put.text =
        of.insert.text + " ON CONFLICT (" + key + ") DO " + (replaced.empty() ? "NOTHING" : "UPDATE SET " + replaced);
    const auto same_key = where_same_key(of);
    if (!replaced.empty() && !same_key.empty()) of.put.text += " WHERE " + same_key;

    of.update = {name("u"), {}, {}};
    auto set = list(of, ", ", [&](std::size_t i, const column& each) {
        return changes(each) && !each.tied ? value_of(each) + " = " + place(of.update, i) : std::string{};
    });
    if (set.empty()) {
        // The row still has to be there.
        const auto first = std::ranges::find_if(of.columns, &column::key);
        set = value_of(*first) + " = " + value_of(*first);
    }
    of.update.text = "UPDATE " + table + " SET " + set + " WHERE ";
    of.update.text += where_key(of, of.update);
    // As texts, as whoever judges compares them: some types have no equality, and that of others is coarser.
    of.update.text += list(of, "", [&](std::size_t i, const column& each) {
        return each.tied && !each.key ? " AND " + value_of(each) + "::text IS NOT DISTINCT FROM (" +
                                            place(of.update, i) + "::" + each.type + ")::text"
                                      : std::string{};
    });

    of.remove = {name("d"), "DELETE FROM " + table + " WHERE ", {}};
    of.remove.text += where_key(of, of.remove);
}

catalog::catalog(const std::map<std::uint32_t, std::shared_ptr<const table_facts>>& tables, rests_until resting)
    : by_oid_(tables.begin(), tables.end()), resting_(std::move(resting)) {
    for (const auto& [oid, each] : tables) {
        by_name_.emplace(each->name.name, each);
        for (const auto& partition : each->partitions) by_oid_.emplace(partition.oid, each);
    }
}

const table_facts* catalog::find(std::string_view schema, std::string_view name) const {
    const auto found = by_name_.find(std::string{name});
    if (found == by_name_.end() || (!schema.empty() && found->second->name.schema != schema)) return nullptr;
    return found->second.get();
}

std::shared_ptr<const table_facts> catalog::find(std::uint32_t oid) const {
    const auto found = by_oid_.find(oid);
    return found == by_oid_.end() ? nullptr : found->second;
}

bool catalog::rests(const table_facts& table) const {
    if (resting_.empty()) return false;
    const auto found = resting_.find(table.oid);
    return found != resting_.end() && clock::now() < found->second;
}

bool brings_ties(const table_facts& table, const sql::statement& it) {
    return table.tied && it.rows && it.rows->what == sql::row_write::operation::insert;
}

bool sets_ties(const table_facts& table, const sql::statement& it) {
    return it.rows && std::ranges::any_of(table.columns, [&](const column& each) {
               return each.tied && std::ranges::find(it.rows->set_columns, each.name) != it.rows->set_columns.end();
           });
}

bool takes(const table_facts& table, const sql::statement& it, std::string_view role) {
    using operation = sql::row_write::operation;
    if (!it.rows || it.calls_may_write || !table.readers.contains(role)) return false;
    const auto& set = it.rows->set_columns;
    const bool moves = std::ranges::any_of(
        table.columns, [&](const column& each) { return each.key && std::ranges::find(set, each.name) != set.end(); });
    if (moves) return false;
    switch (it.rows->what) {
        case operation::insert:
            return set.empty() || table.updates;
        case operation::update:
            return table.updates;
        case operation::remove:
            return table.removes;
    }
    return false;
}

}  // namespace crossfade::proxy::mirror
