#include "cdc/backfill/rows_query.hpp"

#include <algorithm>

#include "lib/pgwire/array_literal.hpp"
#include "lib/pgwire/copy_text.hpp"

namespace crossfade::cdc::backfill {

namespace {

constexpr std::string_view after_setting = "crossfade.after";
constexpr std::string_view keys_setting = "crossfade.keys";

std::string joined(const std::vector<std::string>& of, std::string_view suffix = {}) {
    std::string list;
    for (const auto& each : of) {
        list += (list.empty() ? "" : ", ") + each;
        list += suffix;
    }
    return list;
}

std::string column_name(const source_table& of, std::size_t column) {
    return model::quote_identifier(of.rel->columns[column].name);
}

std::string select(const apply::table_mapping& mapping, const source_table& of) {
    std::vector<std::string> columns;
    for (const auto& each : mapping.columns) columns.push_back(column_name(of, each.source));
    return "SELECT " + joined(columns) + " FROM " + (of.partitioned ? "" : "ONLY ") + model::quoted(of.rel->table);
}

std::string setting(std::string_view name) {
    return "current_setting('" + std::string{name} + "')";
}

// The rows behind the key `last`. A comparison of rows takes one operator for all columns. Where there are several, the
// rows that share the first columns with it are a query of their own, so that each reads a range of the index.
std::string select_behind(const apply::table_mapping& mapping, const source_table& of,
                          const std::vector<std::string>& columns, const std::vector<std::string>& last,
                          const std::string& next) {
    const auto compared = [&](std::size_t i) -> const auto& {
        return of.compared[of.key[i]];
    };
    const auto all = select(mapping, of) + " WHERE ";
    const bool alike =
        std::ranges::all_of(of.key, [&](auto each) { return of.compared[each].after == compared(0).after; });
    if (alike) return all + "(" + joined(columns) + ") " + compared(0).after + " (" + joined(last) + ")";
    std::string parts;
    std::string shared;
    for (std::size_t i = 0; i < columns.size(); ++i) {
        const auto part = "(" + all + shared + columns[i] + ' ' + compared(i).after + ' ' + last[i] + next + ")";
        parts = parts.empty() ? part : part + " UNION ALL " + parts;
        shared += columns[i] + ' ' + compared(i).equals + ' ' + last[i] + " AND ";
    }
    return "SELECT * FROM (" + parts + ") AS parts";
}

}  // namespace

std::vector<std::size_t> places(const apply::table_mapping& mapping, const std::vector<std::size_t>& source) {
    std::vector<std::size_t> found;
    for (const auto wanted : source) {
        const auto at = std::ranges::find(mapping.columns, wanted, &apply::table_mapping::column::source);
        if (at == mapping.columns.end()) return {};
        found.push_back(static_cast<std::size_t>(at - mapping.columns.begin()));
    }
    return found;
}

std::string chunk_key(const apply::table_mapping& mapping, const source_table& of) {
    std::vector<std::string> columns;
    const auto at = places(mapping, of.key);
    // A change of another column isn't known to move the row from one chunk to another.
    const bool tells_moves = std::ranges::all_of(
        at, [&](auto column) { return std::ranges::find(mapping.key, column) != mapping.key.end(); });
    if (!at.empty() && tells_moves)
        for (const auto column : of.key) columns.push_back(column_name(of, column));
    return joined(columns);
}

rows_query next_chunk(const apply::table_mapping& mapping, const source_table& of, const std::string& last_key,
                      std::int64_t limit) {
    std::vector<std::string> columns;
    std::vector<std::string> last;
    for (const auto column : of.key) {
        columns.push_back(column_name(of, column));
        last.push_back("(" + setting(after_setting) + "::text[])[" + std::to_string(last.size() + 1) +
                       "]::" + of.types[column]);
    }
    const auto next = " ORDER BY " + joined(columns) + " LIMIT " + std::to_string(limit);
    rows_query made;
    made.rows = (last_key.empty() ? select(mapping, of) : select_behind(mapping, of, columns, last, next)) + next;
    made.columns = places(mapping, of.key);
    made.keys = "SELECT coalesce(json_agg(json_build_array(" + joined(columns, "::text") + ")), '[]') FROM (" +
                made.rows + ") AS c";
    if (!last_key.empty()) {
        made.setting = after_setting;
        made.value = last_key;
    }
    return made;
}

rows_query whole_table(const apply::table_mapping& mapping, const source_table& of) {
    rows_query made;
    made.rows = select(mapping, of);
    return made;
}

rows_query by_keys(const apply::table_mapping& mapping, const source_table& of, std::string keys) {
    std::string where;
    for (std::size_t i = 0; i < mapping.key.size(); ++i) {
        const auto column = mapping.columns[mapping.key[i]].source;
        where += (i == 0 ? "" : " AND ") + column_name(of, column) + ' ' + of.compared[column].equals + " (e.value->>" +
                 std::to_string(i) + ")::" + of.types[column];
    }
    rows_query made;
    made.rows = select(mapping, of) + " WHERE EXISTS (SELECT FROM json_array_elements(" + setting(keys_setting) +
                "::json) AS e WHERE " + where + ")";
    made.keys = "SELECT " + setting(keys_setting);
    made.columns = mapping.key;
    made.setting = keys_setting;
    made.value = std::move(keys);
    return made;
}

std::string key_of(const rows_query& what, std::string_view row) {
    const auto values = pgwire::copy_text_values(row);
    pgwire::array_literal key;
    for (const auto place : what.columns) key.add(values.at(place).value_or(""));
    return key.take();
}

std::string remove_sql(const apply::table_mapping& mapping, const rows_query& what) {
    std::string where;
    for (std::size_t i = 0; i < what.columns.size(); ++i) {
        const auto& column = mapping.columns[what.columns[i]].target;
        where += (where.empty() ? "" : " AND ") + column.is("t." + model::quote_identifier(column.name),
                                                            "(e.value->>" + std::to_string(i) + ")::" + column.type);
    }
    return "DELETE FROM " + model::quoted(mapping.target) + " AS t USING json_array_elements($1::json) AS e WHERE " +
           where;
}

}  // namespace crossfade::cdc::backfill
