#include <algorithm>
#include <map>
#include <span>

#include "cdc/apply/sql.hpp"
#include "lib/pgwire/array_literal.hpp"
#include "lib/pgwire/copy_text.hpp"

namespace crossfade::cdc::apply {

namespace {

using model::cell;
using model::cell_kind;

// The columns of `unnest(...) AS s(c1, c2, ...)`.
class unnest {
  public:
    // Returns the expression by which the statement refers to the column's values.
    std::string add(const target_column& column) {
        const bool direct = !column.array_type.empty();
        const std::string number = std::to_string(arrays_.size() + 1);
        from_ += (arrays_.empty() ? "$" : ", $") + number + "::" + (direct ? column.array_type : "text[]");
        names_ += (arrays_.empty() ? "c" : ", c") + number;
        arrays_.emplace_back(direct ? column.delimiter : ',');
        return direct ? "s.c" + number : "s.c" + number + "::" + column.type;
    }

    std::string from() const { return "unnest(" + from_ + ") AS s(" + names_ + ")"; }

    void put(std::size_t column, std::string_view value) { arrays_[column].add(value); }
    void put(std::size_t column, const cell& value) {
        if (value.kind == cell_kind::text) {
            arrays_[column].add(value.text);
        } else {
            arrays_[column].add_null();
        }
    }

    std::vector<sql_parameter> take() {
        std::vector<sql_parameter> made;
        made.reserve(arrays_.size());
        for (auto& array : arrays_) made.emplace_back(array.take());
        return made;
    }

  private:
    std::string from_;
    std::string names_;
    std::vector<pgwire::array_literal> arrays_;
};

std::size_t bytes_of(std::span<const cell* const> cells) {
    std::size_t bytes = 0;
    for (const auto* value : cells) bytes += value == nullptr ? 0 : value->text.size() + 3;
    return bytes;
}

// Cuts `rows` into statements of the limits' size; `write` appends one row to the arrays.
template <class Row, class Size, class Write>
void cut(std::vector<statement>& into, const std::string& sql, unnest& arrays, std::span<const Row> rows,
         const sql_limits& limits, std::optional<std::int64_t> expected_each, Size size, Write write) {
    std::size_t count = 0;
    std::size_t bytes = 0;
    const auto flush = [&] {
        if (count == 0) return;
        std::optional<std::int64_t> expected;
        if (expected_each) expected = static_cast<std::int64_t>(count) * *expected_each;
        into.push_back({sql, arrays.take(), expected});
        count = bytes = 0;
    };
    for (const auto& row : rows) {
        write(row);
        bytes += size(row);
        if (++count == limits.rows || bytes >= limits.bytes) flush();
    }
    flush();
}

std::string foreign_row(const origin_check& origins) {
    return "coalesce((SELECT o.roident <> ALL ('" + origins.own_origins + "'::oid[]) AND o.timestamp > '" +
           origins.since + "'::timestamptz FROM pg_catalog.pg_xact_commit_timestamp_origin(t.xmin) AS o), false)";
}

// The conditions that the follower's row `t` is the one meant, and as the source had it.
struct matching {
    std::string where;
    std::size_t key_at = 0;
    std::size_t before_at = 0;
};

matching match(const table_mapping& mapping, bool with_before, const std::optional<origin_check>& origins,
               unnest& arrays, std::size_t next) {
    matching made;
    made.key_at = next;
    for (const auto at : mapping.key) {
        const auto& column = mapping.columns[at].target;
        made.where += (made.where.empty() ? "" : " AND ") +
                      column.is("t." + model::quote_identifier(column.name), arrays.add(column));
    }
    made.before_at = next + mapping.key.size();
    if (with_before) {
        for (const auto& column : mapping.columns) {
            made.where += " AND t." + model::quote_identifier(column.target.name) + "::text IS NOT DISTINCT FROM (" +
                          arrays.add(column.target) + ")::text";
        }
    }
    if (origins) made.where += " AND NOT " + foreign_row(*origins);
    return made;
}

void put_match(unnest& arrays, const table_mapping& mapping, const matching& where, const net_row& row,
               bool with_before) {
    for (std::size_t i = 0; i < row.key.size(); ++i) arrays.put(where.key_at + i, *row.key[i]);
    if (!with_before) return;
    for (std::size_t i = 0; i < mapping.columns.size(); ++i) {
        arrays.put(where.before_at + i, (*row.before)[mapping.columns[i].source]);
    }
}

// The table and the columns that a new row has values for.
std::string into(const table_mapping& mapping) {
    std::string columns;
    for (const auto& column : mapping.columns) {
        columns += (columns.empty() ? "" : ", ") + model::quote_identifier(column.target.name);
    }
    return model::quoted(mapping.target) + " (" + columns + ")";
}

std::string insert_from(const table_mapping& mapping, unnest& arrays) {
    std::string values;
    for (const auto& column : mapping.columns) values += (values.empty() ? "" : ", ") + arrays.add(column.target);
    return "INSERT INTO " + into(mapping) + " OVERRIDING SYSTEM VALUE SELECT " + values + " FROM " + arrays.from();
}

// New rows, where they are many: a row costs the server half of what it costs by INSERT. `cells` gives a row's value of
// the mapping's i-th column.
template <class Row, class Cells>
void copy(std::vector<statement>& statements, const table_mapping& mapping, std::span<const Row> rows,
          const sql_limits& limits, Cells cells) {
    const auto sql = copy_into(mapping);
    pgwire::copy_text lines;
    std::int64_t count = 0;
    const auto flush = [&] {
        if (count == 0) return;
        statements.push_back({sql, {lines.take()}, count, true});
        count = 0;
    };
    for (const auto& row : rows) {
        for (std::size_t i = 0; i < mapping.columns.size(); ++i) {
            const cell& value = cells(row, i);
            if (value.kind == cell_kind::text) {
                lines.add(value.text);
            } else {
                lines.add_null();
            }
        }
        lines.end_line();
        ++count;
        if (lines.size() >= limits.bytes) flush();
    }
    flush();
}

using row_list = std::vector<const net_row*>;

class table_statements {
  public:
    table_statements(const table_plan& of, const std::optional<origin_check>& origins, const sql_limits& limits,
                     const std::string& stream, std::vector<statement>& into)
        : mapping_(*of.mapping),
          how_(of.how),
          exact_(how_ == strictness::exact),
          origins_(exact_ ? origins : no_check),
          limits_(limits),
          stream_(stream),
          into_(into) {}

    void operator()(const net_step& of) {
        if (!exact_) return copy_over(of);
        // Absent ones first: a row inserted and deleted within the batch, which the follower must not have either.
        std::map<std::pair<bool, bool>, row_list> removed;               // existed, with before
        std::map<std::pair<std::vector<bool>, bool>, row_list> updated;  // columns that are known, with before
        row_list inserted;
        std::map<std::vector<bool>, row_list> tied;
        std::map<std::vector<bool>, row_list> there;
        row_list gone;
        for (const auto& row : of.rows) {
            const bool with_before = row.before != nullptr;
            if (row.ahead || (row.mirrored && row.exists)) tied[tying(row)].push_back(&row);
            if (row.ahead) continue;
            if (row.mirrored && row.exists) {
                there[known(row)].push_back(&row);
            } else if (row.mirrored) {
                gone.push_back(&row);
            } else if (!row.exists) {
                removed[{row.existed, with_before}].push_back(&row);
            } else if (!row.existed) {
                inserted.push_back(&row);
            } else if (row.anew) {
                removed[{true, with_before}].push_back(&row);
                inserted.push_back(&row);
            } else {
                updated[{known(row), with_before}].push_back(&row);
            }
        }
        for (const auto& [kind, rows] : removed) remove(rows, kind.first ? 1 : 0, kind.second);
        for (const auto& [kind, rows] : updated) update(rows, kind.first, kind.second);
        for (const auto& [mask, rows] : tied) tie(rows, mask);
        if (!inserted.empty()) insert(inserted);
        for (const auto& [mask, rows] : there) check(rows, mask);
        if (!gone.empty()) check_gone(gone);
    }

    void operator()(const append_step& of) {
        if (copies(of.rows.size())) {
            return copy<const model::row_change*>(into_, mapping_, of.rows, limits_,
                                                  [&](const auto* change, std::size_t i) -> const cell& {
                                                      return change->after[mapping_.columns[i].source];
                                                  });
        }
        unnest arrays;
        const auto sql = insert_from(mapping_, arrays);
        cut<const model::row_change*>(
            into_, sql, arrays, of.rows, limits_, 1,
            [](const auto* change) {
                std::size_t bytes = 0;
                for (const auto& value : change->after) bytes += value.text.size() + 3;
                return bytes;
            },
            [&](const auto* change) {
                for (std::size_t i = 0; i < mapping_.columns.size(); ++i) {
                    arrays.put(i, change->after[mapping_.columns[i].source]);
                }
            });
    }

    void operator()(const single_step& of) {
        if (!exact_) {
            for (auto& each : copy_over_one(mapping_, *of.change, how_, stream_)) into_.push_back(std::move(each));
            return;
        }
        into_.push_back(of.change->operation == model::row_operation::remove ? remove_one(mapping_, *of.change)
                                                                             : update_one(mapping_, *of.change));
    }

  private:
    static inline const std::optional<origin_check> no_check;
    static inline const target_column mark_column{.name = {}, .type = "bigint", .array_type = "bigint[]"};

    // New rows take the place of what is there. What was there before and isn't comes with its chunk, or has gone
    // since.
    void copy_over(const net_step& of) {
        row_list gone;
        row_list fresh;
        std::map<std::vector<bool>, row_list> touched_ones;
        for (const auto& row : of.rows) {
            if (!row.exists || !row.existed) gone.push_back(&row);
            if (row.exists && row.existed) touched_ones[known(row)].push_back(&row);
            if (row.exists && !row.existed) fresh.push_back(&row);
        }
        if (!gone.empty()) remove(gone, std::nullopt, false);
        for (const auto& [mask, rows] : touched_ones) update(rows, mask, false);
        if (!fresh.empty()) insert(fresh);
    }

    // A line without columns can't be told from none.
    bool copies(std::size_t rows) const {
        return mapping_.copyable && !mapping_.columns.empty() && rows >= limits_.copied;
    }

    // Columns whose values are known, but for those that found the row.
    std::vector<bool> known(const net_row& row) const {
        std::vector<bool> mask(mapping_.columns.size());
        for (std::size_t i = 0; i < mask.size(); ++i) mask[i] = row.values[i] != nullptr;
        for (const auto at : mapping_.key) mask[at] = false;
        return mask;
    }

    std::vector<bool> tying(const net_row& row) const {
        std::vector<bool> mask(mapping_.columns.size());
        for (const auto at : mapping_.tied_columns)
            mask[at] = row.values[at] != nullptr && !mapping_.columns[at].target.identity_always;
        return mask;
    }

    // Where they are there, and have other values: nothing is locked for the others' sake.
    void tie(const row_list& rows, const std::vector<bool>& mask) {
        unnest arrays;
        std::string set;
        std::string differs;
        std::vector<std::size_t> columns;
        for (std::size_t i = 0; i < mask.size(); ++i) {
            if (!mask[i]) continue;
            const auto& column = mapping_.columns[i].target;
            const auto given = arrays.add(column);
            set += (set.empty() ? "" : ", ") + model::quote_identifier(column.name) + " = " + given;
            differs += (differs.empty() ? "t." : " OR t.") + model::quote_identifier(column.name) +
                       "::text IS DISTINCT FROM (" + given + ")::text";
            columns.push_back(i);
        }
        if (columns.empty()) return;
        const auto where = match(mapping_, false, std::nullopt, arrays, columns.size());
        const auto sql = "UPDATE " + mapping_.own_rows() + " AS t SET " + set + " FROM " + arrays.from() + " WHERE " +
                         where.where + " AND (" + differs + ')';
        cut<const net_row*>(
            into_, sql, arrays, rows, limits_, std::nullopt,
            [](const auto* row) { return bytes_of(row->values) + bytes_of(row->key); },
            [&](const auto* row) {
                for (std::size_t i = 0; i < columns.size(); ++i) arrays.put(i, *row->values[columns[i]]);
                put_match(arrays, mapping_, where, *row, false);
            });
    }

    // The marks of rows that are missing, or that have another value.
    void check(const row_list& rows, const std::vector<bool>& mask) {
        unnest arrays;
        std::string differs =
            "t." + model::quote_identifier(mapping_.columns[mapping_.key.front()].target.name) + " IS NULL";
        std::vector<std::size_t> columns;
        for (std::size_t i = 0; i < mask.size(); ++i) {
            if (!mask[i]) continue;
            const auto& column = mapping_.columns[i].target;
            differs += " OR t." + model::quote_identifier(column.name) + "::text IS DISTINCT FROM (" +
                       arrays.add(column) + ")::text";
            columns.push_back(i);
        }
        const auto where = match(mapping_, false, std::nullopt, arrays, columns.size());
        select_marks(rows, arrays, where, " LEFT JOIN ", " WHERE " + differs, [&](const net_row& row) {
            for (std::size_t i = 0; i < columns.size(); ++i) arrays.put(i, *row.values[columns[i]]);
        });
    }

    void check_gone(const row_list& rows) {
        unnest arrays;
        const auto where = match(mapping_, false, std::nullopt, arrays, 0);
        select_marks(rows, arrays, where, " JOIN ", "", [](const net_row&) {});
    }

    template <class PutValues>
    void select_marks(const row_list& rows, unnest& arrays, const matching& where, const std::string& join,
                      const std::string& condition, PutValues put_values) {
        const auto begin = into_.size();
        const auto mark = arrays.add(mark_column);
        const auto sql = "SELECT " + mark + " FROM " + arrays.from() + join + mapping_.own_rows() + " AS t ON " +
                         where.where + condition;
        cut<const net_row*>(
            into_, sql, arrays, rows, limits_, std::nullopt,
            [](const auto* row) { return bytes_of(row->values) + bytes_of(row->key); },
            [&](const auto* row) {
                put_values(*row);
                put_match(arrays, mapping_, where, *row, false);
                arrays.put(where.before_at, std::to_string(*row->mirrored));
            });
        for (auto i = begin; i < into_.size(); ++i) into_[i].checks = true;
    }

    void remove(const row_list& rows, std::optional<std::int64_t> expected_each, bool with_before) {
        unnest arrays;
        const auto where = match(mapping_, with_before, expected_each == 0 ? std::nullopt : origins_, arrays, 0);
        const auto sql =
            "DELETE FROM " + mapping_.own_rows() + " AS t USING " + arrays.from() + " WHERE " + where.where;
        cut<const net_row*>(
            into_, sql, arrays, rows, limits_, expected_each, [](const auto* row) { return bytes_of(row->key); },
            [&](const auto* row) { put_match(arrays, mapping_, where, *row, with_before); });
    }

    void update(const row_list& rows, const std::vector<bool>& mask, bool with_before) {
        unnest arrays;
        std::string set;
        std::string same;
        std::vector<std::size_t> columns;
        for (std::size_t i = 0; i < mask.size(); ++i) {
            if (!mask[i]) continue;
            const auto& column = mapping_.columns[i].target;
            const auto name = model::quote_identifier(column.name);
            if (column.identity_always) {
                // A row with another value isn't there for an UPDATE. Of a copy, such rows are written one by one.
                if (!exact_) continue;
                same += " AND t." + name + " = " + arrays.add(column);
            } else {
                set += (set.empty() ? "" : ", ") + name + " = " + arrays.add(column);
            }
            columns.push_back(i);
        }
        const auto where = match(mapping_, with_before, origins_, arrays, columns.size());
        if (set.empty()) {
            // Nothing but the key is known: the row still has to be there.
            const auto& key = mapping_.columns[mapping_.key.front()].target.name;
            set = model::quote_identifier(key) + " = t." + model::quote_identifier(key);
        }
        const auto sql = "UPDATE " + mapping_.own_rows() + " AS t SET " + set + " FROM " + arrays.from() + " WHERE " +
                         where.where + same;
        cut<const net_row*>(
            into_, sql, arrays, rows, limits_, exact_ ? std::optional<std::int64_t>{1} : std::nullopt,
            [](const auto* row) { return bytes_of(row->values); },
            [&](const auto* row) {
                for (std::size_t i = 0; i < columns.size(); ++i) arrays.put(i, *row->values[columns[i]]);
                put_match(arrays, mapping_, where, *row, with_before);
            });
    }

    void insert(const row_list& rows) {
        if (copies(rows.size())) {
            return copy<const net_row*>(into_, mapping_, rows, limits_,
                                        [](const auto* row, std::size_t i) -> const cell& { return *row->values[i]; });
        }
        unnest arrays;
        const auto sql = insert_from(mapping_, arrays);
        cut<const net_row*>(
            into_, sql, arrays, rows, limits_, 1, [](const auto* row) { return bytes_of(row->values); },
            [&](const auto* row) {
                for (std::size_t i = 0; i < mapping_.columns.size(); ++i) arrays.put(i, *row->values[i]);
            });
    }

    const table_mapping& mapping_;
    const strictness how_;
    const bool exact_;
    const std::optional<origin_check>& origins_;
    const sql_limits& limits_;
    const std::string& stream_;
    std::vector<statement>& into_;
};

}  // namespace

std::string copy_into(const table_mapping& mapping) {
    return "COPY " + into(mapping) + " FROM STDIN";
}

std::vector<statement> many(const segment& of, const std::optional<origin_check>& origins, const sql_limits& limits,
                            const std::string& stream) {
    std::vector<statement> made;
    if (of.truncated != nullptr && !of.truncated_tables.empty()) made.push_back(truncate(of));
    for (const auto& table : of.tables) {
        table_statements visit{table, origins, limits, stream, made};
        for (const auto& each : table.steps) std::visit(visit, each);
    }
    return made;
}

}  // namespace crossfade::cdc::apply
