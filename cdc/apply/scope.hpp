#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>

#include "cdc/apply/target.hpp"
#include "lib/settings/flags.hpp"
#include "lib/settings/reload.hpp"

namespace crossfade::cdc::apply {

// Why nothing at all is to be applied under these flags; empty when something is. Pure.
std::optional<std::string> reason_to_hold(const settings::configuration& config);

// Which rows the flags in force leave out: those of scopes that are legacy-only while others are not.
class scope_filter {
  public:
    explicit scope_filter(settings::snapshot in_force);

    bool applies(const model::table_name& table, std::string_view tenant);
    // Whether the row is that side's by what the databases say, `authorities`. Of a row that doesn't say its tenant
    // (the old image of a DELETE may be its key alone) not where the table's tenants are on both sides: nobody knows.
    bool is_home(settings::side side, const settings::assignment& authorities, const model::table_name& table,
                 std::string_view tenant);
    const settings::snapshot& in_force() const { return in_force_; }

  private:
    static constexpr std::size_t capacity = 100000;

    settings::snapshot in_force_;
    bool all_apply_ = true;
    std::unordered_map<std::string, bool> known_;          // "schema.table" NUL tenant
    std::unordered_map<std::string, std::string> groups_;  // by "schema.table"
};

// The tenant of a row: the value of the configured column, after the change or else before it; empty where there is
// none.
std::string_view tenant_of(const table_mapping& mapping, const model::row_change& change);

}  // namespace crossfade::cdc::apply
