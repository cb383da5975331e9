#include <algorithm>

#include "cdc/apply/sql.hpp"
#include "lib/pgwire/array_literal.hpp"
#include "lib/store/receipts.hpp"

namespace crossfade::cdc::apply {

namespace {

using model::cell;
using model::cell_kind;

class one_row {
  public:
    // "$3::bigint"
    std::string value(const target_column& column, const cell& of) {
        parameters_.push_back(of.kind == cell_kind::text ? sql_parameter{of.text} : std::nullopt);
        return "$" + std::to_string(parameters_.size()) + "::" + column.type;
    }

    statement make(std::string sql, std::optional<std::int64_t> expected) {
        return {std::move(sql), std::move(parameters_), expected};
    }

    std::vector<sql_parameter> parameters_;
};

std::string column_of(std::string_view table, const target_column& column) {
    return std::string{table} + model::quote_identifier(column.name);
}

// "t.key = $1::type AND ...". Without key: the ctid of one row that has the content before the change. NULL is told
// apart in the text, so that an index on a column that is set can be used.
std::string where_is(const table_mapping& mapping, const model::row_change& change, one_row& row) {
    std::string where;
    if (!mapping.key.empty()) {
        for (std::size_t i = 0; i < mapping.key.size(); ++i) {
            const auto& column = mapping.columns[mapping.key[i]].target;
            where += (where.empty() ? "" : " AND ") +
                     column.is(column_of("t.", column), row.value(column, key_cell(mapping, i, change)));
        }
        return where;
    }
    for (const auto& column : mapping.columns) {
        const auto& was = change.before[column.source];
        where += where.empty() ? "" : " AND ";
        if (was.kind != cell_kind::text) {
            where += column_of("m.", column.target) + " IS NULL";
            continue;
        }
        const auto value = row.value(column.target, was);
        if (column.target.comparable) where += column_of("m.", column.target) + " = " + value + " AND ";
        where += column_of("m.", column.target) + "::text = (" + value + ")::text";
    }
    if (where.empty()) where = "true";
    // Each partition has rows of the same ctid.
    const auto row_at = [&](std::string_view of) {
        const auto name = std::string{of};
        return mapping.partitioned ? '(' + name + ".tableoid, " + name + ".ctid)" : name + ".ctid";
    };
    const auto found = mapping.partitioned ? "m.tableoid, m.ctid" : "m.ctid";
    return row_at("t") + " = (SELECT " + found + " FROM " + mapping.own_rows() + " AS m WHERE " + where + " LIMIT 1)";
}

std::string row_text(const table_mapping& mapping) {
    std::string columns;
    for (const auto& column : mapping.columns) {
        columns += (columns.empty() ? "" : ", ") + column_of("t.", column.target) + "::text";
    }
    return "md5(ROW(" + columns + ")::text)";
}

statement set_row(const table_mapping& mapping, const model::row_change& change, bool with_key) {
    one_row row;
    std::string set;
    std::string same;
    for (std::size_t i = 0; i < mapping.columns.size(); ++i) {
        const auto& column = mapping.columns[i];
        const auto& value = change.after[column.source];
        if (value.kind == cell_kind::unchanged) continue;
        if (!with_key && std::ranges::find(mapping.key, i) != mapping.key.end()) continue;
        if (column.target.identity_always) {
            same += " AND " + column_of("t.", column.target) + " = " + row.value(column.target, value);
            continue;
        }
        set += (set.empty() ? "" : ", ") + model::quote_identifier(column.target.name) + " = " +
               row.value(column.target, value);
    }
    if (set.empty()) {
        const auto name = model::quote_identifier(mapping.columns.front().target.name);
        set = name + " = t." + name;
    }
    const auto where = where_is(mapping, change, row);
    return row.make("UPDATE " + mapping.own_rows() + " AS t SET " + set + " WHERE " + where + same, 1);
}

constexpr const char* later_if_noted =
    "INSERT INTO crossfade.refetch (stream, table_name, key) SELECT $1::text, $2::text, $3::text[]"
    " WHERE EXISTS (SELECT FROM crossfade.refetch WHERE stream = $1::text AND table_name = $2::text"
    " AND key = $4::text[])"
    " ON CONFLICT (stream, table_name, key) DO UPDATE SET settled_lsn = NULL";

std::string key_array(const table_mapping& mapping, const model::row_change& change, row_side which) {
    pgwire::array_literal key;
    for (std::size_t i = 0; i < mapping.key.size(); ++i) {
        const auto source = mapping.columns[mapping.key[i]].source;
        const bool after =
            which == row_side::after && !change.after.empty() && change.after[source].kind != cell_kind::unchanged;
        key.add(after ? change.after[source].text : key_cell(mapping, i, change).text);
    }
    return key.take();
}

}  // namespace

statement insert_one(const table_mapping& mapping, const model::row& after) {
    one_row row;
    std::string columns;
    std::string values;
    for (const auto& column : mapping.columns) {
        columns += (columns.empty() ? "" : ", ") + model::quote_identifier(column.target.name);
        values += (values.empty() ? "" : ", ") + row.value(column.target, after[column.source]);
    }
    return row.make("INSERT INTO " + model::quoted(mapping.target) + " (" + columns +
                        ") OVERRIDING SYSTEM VALUE VALUES (" + values + ")",
                    1);
}

statement update_one(const table_mapping& mapping, const model::row_change& change) {
    return set_row(mapping, change, mapping.key.empty() || changes_key(mapping, change));
}

statement remove_one(const table_mapping& mapping, const model::row_change& change) {
    one_row row;
    const auto where = where_is(mapping, change, row);
    return row.make("DELETE FROM " + mapping.own_rows() + " AS t WHERE " + where, 1);
}

statement overwrite_one(const table_mapping& mapping, const model::row& after) {
    model::row_change change;
    change.rel = mapping.rel;
    change.operation = model::row_operation::update;
    change.after = after;
    return set_row(mapping, change, true);  // a key that is equal may have another text
}

std::optional<statement> write_anew(const table_mapping& mapping, const model::row_change& change) {
    one_row row;
    std::string columns;
    std::string values;
    std::string differs;
    for (const auto& column : mapping.columns) {
        const auto name = column_of("t.", column.target);
        const auto& value = change.after[column.source];
        const auto given = value.kind == cell_kind::unchanged ? name : row.value(column.target, value);
        columns += (columns.empty() ? "" : ", ") + model::quote_identifier(column.target.name);
        values += (values.empty() ? "" : ", ") + given;
        if (column.target.identity_always && value.kind != cell_kind::unchanged)
            differs += (differs.empty() ? "" : " OR ") + (name + " <> " + given);
    }
    if (differs.empty()) return std::nullopt;
    for (const auto& other : mapping.unmapped) {
        columns += ", " + model::quote_identifier(other);
        values += ", t." + model::quote_identifier(other);
    }
    const auto where = where_is(mapping, change, row);
    return row.make("WITH gone AS (DELETE FROM " + mapping.own_rows() + " AS t WHERE " + where + " AND (" + differs +
                        ") AND pg_catalog.current_setting('session_replication_role') = 'replica' RETURNING *)"
                        " INSERT INTO " +
                        model::quoted(mapping.target) + " (" + columns + ") OVERRIDING SYSTEM VALUE SELECT " + values +
                        " FROM gone AS t",
                    1);
}

std::optional<statement> tie_one(const table_mapping& mapping, const model::row_change& change) {
    one_row row;
    std::string set;
    std::string differs;
    for (const auto at : mapping.tied_columns) {
        const auto& column = mapping.columns[at];
        const auto& value = change.after[column.source];
        if (value.kind == cell_kind::unchanged || column.target.identity_always) continue;
        const auto given = row.value(column.target, value);
        set += (set.empty() ? "" : ", ") + model::quote_identifier(column.target.name) + " = " + given;
        differs += (differs.empty() ? "" : " OR ") + column_of("t.", column.target) + "::text IS DISTINCT FROM (" +
                   given + ")::text";
    }
    if (set.empty()) return std::nullopt;
    const auto where = where_is(mapping, change, row);
    return row.make("UPDATE " + mapping.own_rows() + " AS t SET " + set + " WHERE " + where + " AND (" + differs + ')',
                    std::nullopt);
}

statement truncate(const segment& of) {
    // Never CASCADE: the event names every table that the source emptied, and no other is to be.
    std::string tables;
    for (const auto& table : of.truncated_tables) {
        tables += (tables.empty() ? "" : ", ") + table->own_rows();
    }
    return {"TRUNCATE " + tables + (of.truncated->restart_identity ? " RESTART IDENTITY" : ""), {}, std::nullopt};
}

std::vector<statement> empty(const segment& of, const std::string& stream) {
    std::vector<statement> made;
    for (const auto& table : of.truncated_tables) {
        auto& one = made.emplace_back(statement{"DELETE FROM " + table->own_rows(), {}, std::nullopt});
        if (stream.empty() || table->tied) continue;
        one.sql += " WHERE NOT " + std::string{store::is_ahead_sql};
        one.parameters.emplace_back(stream);
    }
    return made;
}

std::vector<statement> copy_over_one(const table_mapping& mapping, const model::row_change& change, strictness how,
                                     const std::string& stream) {
    using model::row_operation;
    const auto without_count = [](statement of) {
        of.expected.reset();
        return of;
    };
    if (change.operation == row_operation::remove) return {without_count(remove_one(mapping, change))};
    const bool moves = changes_key(mapping, change);
    if (change.operation == row_operation::update && !moves) {
        std::vector<statement> set{without_count(update_one(mapping, change))};
        if (auto anew = write_anew(mapping, change)) set.push_back(without_count(std::move(*anew)));
        return set;
    }

    const auto whole = whole_after(change);
    const bool in_place = !whole && how == strictness::settling;
    std::vector<statement> made;
    if (moves && !in_place) made.push_back(without_count(remove_one(mapping, change)));
    const model::row_change in_its_place{
        change.rel, row_operation::remove, model::before_image::absent, {}, whole ? *whole : change.after};
    made.push_back(without_count(remove_one(mapping, in_its_place)));
    if (whole) {
        made.push_back(insert_one(mapping, *whole));
        return made;
    }
    auto later = fetch_later(mapping, change, row_side::after, stream);
    if (in_place) {
        made.push_back(without_count(update_one(mapping, change)));
        if (auto anew = write_anew(mapping, change)) made.push_back(without_count(std::move(*anew)));
        later.sql = later_if_noted;
        later.parameters.push_back(key_array(mapping, change, row_side::before));
    }
    made.push_back(std::move(later));
    return made;
}

statement fetch_later(const table_mapping& mapping, const model::row_change& change, row_side which,
                      const std::string& stream) {
    return {
        "INSERT INTO crossfade.refetch (stream, table_name, key) VALUES ($1::text, $2::text, $3::text[])"
        " ON CONFLICT (stream, table_name, key) DO UPDATE SET settled_lsn = NULL",
        {stream, model::to_string(mapping.target), key_array(mapping, change, which)},
        std::nullopt};
}

statement probe_one(const table_mapping& mapping, const model::row_change& change, const model::row* known,
                    const std::optional<origin_check>& origins) {
    one_row row;
    std::string differs = "NULL::text[]";
    if (known != nullptr) {
        differs.clear();
        for (const auto& column : mapping.columns) {
            const auto& value = (*known)[column.source];
            if (value.kind == cell_kind::unchanged) continue;
            row.parameters_.emplace_back(column.target.name);
            const auto name = "$" + std::to_string(row.parameters_.size()) + "::text";
            differs += (differs.empty() ? "" : ", ") + ("CASE WHEN " + column_of("t.", column.target)) +
                       "::text IS DISTINCT FROM (" + row.value(column.target, value) + ")::text THEN " + name + " END";
        }
        differs = "array_remove(ARRAY[" + differs + "]::text[], NULL)";
    }
    std::string foreign = "false";
    if (origins) {
        foreign = "coalesce((SELECT o.roident <> ALL ('" + origins->own_origins + "'::oid[]) AND o.timestamp > '" +
                  origins->since +
                  "'::timestamptz FROM pg_catalog.pg_xact_commit_timestamp_origin(t.xmin) AS o), false)";
    }
    const auto where = where_is(mapping, change, row);
    return row.make("SELECT " + row_text(mapping) + ", " + differs + ", " + foreign + " FROM " + mapping.own_rows() +
                        " AS t WHERE " + where + " FOR UPDATE",
                    std::nullopt);
}

statement digest_of(const table_mapping& mapping, const model::row& of) {
    one_row row;
    std::string values;
    for (const auto& column : mapping.columns) {
        const auto& value = of[column.source];
        row.parameters_.push_back(value.kind == cell_kind::text ? sql_parameter{value.text} : std::nullopt);
        values += (values.empty() ? "$" : ", $") + std::to_string(row.parameters_.size()) + "::text";
    }
    return row.make("SELECT md5(ROW(" + values + ")::text)", std::nullopt);
}

}  // namespace crossfade::cdc::apply
