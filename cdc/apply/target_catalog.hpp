#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "cdc/apply/sql.hpp"
#include "cdc/apply/target.hpp"
#include "lib/pgclient/connection.hpp"

namespace crossfade::cdc::apply {

// Reads one table's description from the follower; null when there is no such table that rows can be written to.
pgclient::result<std::shared_ptr<const target_table>> load_target(pgclient::connection& db,
                                                                  const model::table_name& table,
                                                                  bool with_ties = false);

// Gives a row, which isn't expected, where the target is another table than was mapped, or has other columns: what is
// written goes by what it was, and is cast to the types it had. Asked for when it is written, and the table can't be
// changed any more. It doesn't look at keys: by others a statement touches another number of rows.
statement unless_as_mapped(const table_mapping& mapping);

// The follower's tables as far as they have been needed, and how the source's go into them. Queries the follower when
// it meets a table for the first time. Not thread-safe.
class target_catalog {
  public:
    // `with_ties`: of target_table.
    explicit target_catalog(std::string tenant_column, bool with_ties = false)
        : tenant_column_(std::move(tenant_column)), with_ties_(with_ties) {}

    pgclient::result<std::shared_ptr<const table_mapping>> mapping(pgclient::connection& db,
                                                                   const std::shared_ptr<const model::relation>& rel);

    // After DDL on the follower: everything is read anew.
    void forget();
    // Those that could not be mapped: perhaps somebody has mended the follower. For each batch.
    void forget_refused();
    void tenant_column(std::string name);
    // What store::ties_fingerprint_sql says now: another one than before is like DDL.
    void ties(std::string_view fingerprint);

  private:
    static constexpr std::size_t capacity = 10000;

    pgclient::result<std::shared_ptr<const target_table>> load(pgclient::connection& db,
                                                               const model::table_name& table);

    std::string tenant_column_;
    bool with_ties_;
    std::string ties_;
    std::unordered_map<model::table_name, std::shared_ptr<const target_table>> targets_;
    std::unordered_map<std::shared_ptr<const model::relation>, std::shared_ptr<const table_mapping>> mappings_;
    std::vector<std::shared_ptr<const model::relation>> refused_;
};

}  // namespace crossfade::cdc::apply
