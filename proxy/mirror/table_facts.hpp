#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "lib/model/table_name.hpp"
#include "lib/sql/statement.hpp"

namespace crossfade::proxy::mirror {

// A table whose rows a proxy may write to the follower itself, as what a statement does to it is all in what its
// RETURNING says: no trigger, rule, policy or foreign key's action of the authority's adds to it, and the follower's
// table takes the same columns under the same primary key.
struct table_facts {
    struct column {
        std::string name;
        bool written = true;  // not generated
        bool key = false;
        bool settable = true;  // by UPDATE on the follower; an identity that is GENERATED ALWAYS isn't
        // A constraint of the follower's beside its primary key looks at it: what it is there is the stream's affair.
        bool tied = false;
        // The follower's, without modifier. With another one there are other statements: what was prepared keeps its
        // parameters' types.
        std::string type = {};
        std::string equals = "=";  // of a key, in SQL (store/equality.hpp)
        bool one_text = true;      // of a key: all values that are equal to one have its text

        friend bool operator==(const column&, const column&) = default;
    };

    struct partition {
        std::uint32_t oid = 0;
        model::table_name name;

        friend bool operator==(const partition&, const partition&) = default;
    };

    std::uint32_t oid = 0;  // on the authority
    model::table_name name;
    std::vector<partition> partitions;  // on all levels; rows say which of them they are in
    std::vector<column> columns;        // all of the authority's table, in its order
    bool plain = false;      // its values' texts are read alike, whatever settings but client_encoding they are made by
    bool updates = true;     // an UPDATE changes this table's rows alone
    bool removes = true;     // likewise
    bool zoned_key = false;  // the key's texts may depend on TimeZone
    bool bytes_key = false;  // likewise on bytea_output
    bool tied = false;       // there are such constraints, and new rows are the stream's affair
    std::set<std::string, std::less<>> readers;  // roles that may read all of it, which RETURNING needs

    // For the follower, with what their parameters are: indices into `columns`.
    struct row_sql {
        std::string name;  // unique within a process, for prepared statements
        std::string text;
        std::vector<std::size_t> parameters;
    };
    row_sql insert;  // fails where the row is there
    row_sql put;     // in the place of what is there
    row_sql update;  // touches the row only if it has the values in its tied columns already
    row_sql remove;
};

// Fills in the statements. `serial` makes their names unique.
void write_row_sql(table_facts& of, std::uint64_t serial);

// Such tables of an authority, as they were when the catalogs were read. Immutable, shared by threads.
class catalog {
  public:
    using clock = std::chrono::steady_clock;
    // Tables whose rows the follower has refused, by oid, and until when they are let alone.
    using rests_until = std::map<std::uint32_t, clock::time_point>;

    explicit catalog(const std::map<std::uint32_t, std::shared_ptr<const table_facts>>& tables,
                     rests_until resting = {});

    // By what a statement calls it; null where it isn't one of them. Names are unique among all of the authority's
    // relations, so that search_path makes no difference.
    const table_facts* find(std::string_view schema, std::string_view name) const;
    // By where a row is: a partition stands for the table that it is of.
    std::shared_ptr<const table_facts> find(std::uint32_t oid) const;
    // Whether its rows had better be left to the stream for now, by whoever has the choice.
    bool rests(const table_facts& table) const;
    std::size_t size() const { return by_name_.size(); }

  private:
    std::unordered_map<std::uint32_t, std::shared_ptr<const table_facts>> by_oid_;
    std::unordered_map<std::string, std::shared_ptr<const table_facts>> by_name_;
    rests_until resting_;
};

// By the name of a table of an authority: by which name the rows are mirrored that a statement writes by it. That of a
// partition is its root's. What isn't here may be rows of any table: views, tables with rules or with children.
using write_targets = std::unordered_map<model::table_name, model::table_name>;

// Whether what the statement does to the table, on behalf of the role, is all in its rows.
bool takes(const table_facts& table, const sql::statement& it, std::string_view role);
// Whether it writes new rows of a table whose constraints may have them in the way of others (docs/adr/0033).
bool brings_ties(const table_facts& table, const sql::statement& it);
// Whether it says what such columns are to be, perhaps what they are.
bool sets_ties(const table_facts& table, const sql::statement& it);

}  // namespace crossfade::proxy::mirror
