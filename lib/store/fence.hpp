#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "lib/model/table_name.hpp"
#include "lib/pgclient/connection.hpp"
#include "lib/settings/flags.hpp"

// What keeps an application's writes to a table, or to some tenants' rows of it, on one side (docs/adr/0024, 0026).
//
// A table has up to four triggers, none of which fires for what comes under session_replication_role = replica:
//   crossfade_fence           before any statement: refuses all
//   crossfade_fence_new, _old after each row that there is then, or was before: refuses those of some tenants, or of
//   all
//                             but some. Their argument says of which
//   crossfade_fence_truncate  before TRUNCATE, which has no rows: refuses while the table's tenants are on two sides
namespace crossfade::store {

struct fence {
    bool closed = false;                 // to all but `tenants`, else to none but those
    std::vector<std::string> tenants{};  // in order; none for a table whose rows have no tenant

    // Whether rows of one table are at home on both sides.
    bool divides() const { return !tenants.empty(); }

    friend bool operator==(const fence&, const fence&) = default;
};

// What `here` has to refuse of a table of that group. `by_tenant`: its rows have one.
fence fence_of(const settings::assignment& authorities, settings::side here, std::string_view group, bool by_tenant);

struct fenced_table {
    std::string oid;
    std::string name;          // as SQL takes it
    model::table_name stream;  // as the stream calls it: of a partition the table that it is part of
    bool is_part = false;      // a partition of that
    bool by_tenant = false;    // it has the tenants' column
    bool prepared = false;     // has crossfade_fence
    fence now{};
};

// The same of one of them; `groups`: as the file has them.
fence fence_of(const settings::assignment& authorities, settings::side here, const settings::flag_set& groups,
               const fenced_table& table);

// The tables of a publication, and the leaves and inner partitions of those that are partitioned. `tenant_column`: of
// the file, may be empty.
pgclient::result<std::vector<fenced_table>> load_fences(pgclient::connection& db, const std::string& publication,
                                                        const std::string& tenant_column);

// Statements, each with a semicolon behind it. Creating leaves the table open.
std::string create_fence_sql(const fenced_table& table);
// From what the table has to what it is to have. Takes SHARE ROW EXCLUSIVE, and row level triggers PostgreSQL 14.
std::string set_fence_sql(const fenced_table& table, const fence& to, std::string_view tenant_column);

}  // namespace crossfade::store
