#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "cdc/apply/target.hpp"
#include "lib/pgclient/connection.hpp"

namespace crossfade::cdc::apply {

// A query's expression: the operator of btree's `strategy` (3: =, 5: >) that sorts go by for the type whose oid the SQL
// `type` is, as SQL takes it. Our sessions look in pg_catalog alone, and of a type that is coerced to one of there, as
// citext is to text, they would find that one's, which says something else.
std::string operator_sql(const std::string& type, int strategy, const std::string& in_pg_catalog);

// Reads one table's description from the follower; null when there is no such table that rows can be written to.
pgclient::result<std::shared_ptr<const target_table>> load_target(pgclient::connection& db,
                                                                  const model::table_name& table,
                                                                  bool with_ties = false);

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
