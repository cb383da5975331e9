#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "lib/model/change.hpp"
#include "lib/model/table_name.hpp"
#include "lib/model/tie.hpp"

namespace crossfade::cdc::apply {

// A column of the follower's table. Type names are as SQL takes them, qualified, without modifier: a cast to
// varchar(3) would cut silently, the assignment to the column refuses.
struct target_column {
    std::string name;
    std::string type;
    std::string array_type;  // of its elements; empty for a type that has none, which arrays are
    char delimiter = ',';    // between the elements of array_type: box has ';'
    bool generated = false;
    bool identity_always = false;  // takes a value in an INSERT alone
    bool comparable = false;       // `=` says the same as the text, or less
    std::string equals = "=";      // of its type: see store::operator_sql()
    bool one_text = true;          // of its type: see store::one_text_sql()
    bool not_null = false;
    bool tied = false;  // a constraint beside the primary key looks at it, by which rows may be in each other's way

    // That `of`, which is this column, has this value. What a type takes for equal may be two keys of the source.
    std::string is(const std::string& of, const std::string& value) const {
        const auto found = of + ' ' + equals + ' ' + value;
        return equals == "=" ? found : found + " AND " + of + "::text = (" + value + ")::text";
    }
};

struct unique_key {
    std::vector<std::string> columns;
    bool primary = false;
};

struct target_table {
    model::table_name name;
    std::vector<target_column> columns;
    std::vector<unique_key>
        keys;  // the primary key first; only those without expression, predicate and nullable column

    std::vector<model::tie> ties;  // where they were asked for
    bool tied = false;             // has such constraints; see target_column
    bool partitioned = false;
    std::int64_t shape = 0;  // another one when it is another table, or has other columns: see shape_sql

    bool copyable = true;  // COPY is refused where row security is in force for our role

    const target_column* find(std::string_view column) const;
};

// Why a table's rows can't be applied at all.
struct unmappable {
    std::string sqlstate;
    std::string reason;
};

// How one version of a source's table goes into the follower's.
struct table_mapping {
    struct column {
        std::size_t source = 0;  // index in the relation
        target_column target;
    };

    std::shared_ptr<const model::relation> rel;
    model::table_name target;
    std::vector<column> columns;        // those that are written
    std::vector<std::size_t> key;       // indices into `columns`; empty: rows are known by their whole content alone
    std::optional<std::size_t> tenant;  // index in the relation
    bool keyed = false;                 // the follower itself refuses a second row of the same key
    bool copyable = true;
    std::optional<std::string> tied_by;     // of the target's ties
    bool tied = false;                      // see target_table
    std::vector<std::size_t> tied_columns;  // indices into `columns`, but for the key's
    std::vector<std::size_t> always;        // likewise: GENERATED ALWAYS AS IDENTITY, but for the key's
    std::vector<std::string> unmapped;      // what the follower's table has besides, but for generated columns
    bool partitioned = false;
    std::int64_t shape = 0;  // the target's

    std::optional<unmappable> refused;  // then nothing above but rel, target and tenant counts

    // The target in SQL, without the rows of tables that inherit from it: they have events of their own.
    std::string own_rows() const { return (partitioned ? "" : "ONLY ") + model::quoted(target); }
};

// Pure. `target` is null when the follower has no such table. `tenant_column` may be empty.
// Key: the replica identity's columns; under FULL and NOTHING, which name none, the follower's primary key, or another
// key of it whose columns the source has too.
table_mapping map_table(std::shared_ptr<const model::relation> rel, const target_table* target,
                        std::string_view tenant_column);

}  // namespace crossfade::cdc::apply
