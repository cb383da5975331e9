#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "lib/model/table_name.hpp"

namespace crossfade::settings {

enum class write_strategy { legacy_only, legacy_primary, mirror, prefer_modern, modern_only };
enum class read_strategy { legacy, compare, prefer_modern, modern };
// What becomes of a mirrored transaction whose rows the proxy can't bring to modern: the stream does, or it fails.
enum class mirror_failure { stream, fail };
enum class side { legacy, modern };

// As operators write them: "legacy-primary", "prefer-modern", "legacy".
std::string_view to_string(write_strategy strategy);
std::string_view to_string(read_strategy strategy);
std::string_view to_string(mirror_failure what);
std::string_view to_string(side authority);

// The flags in force for one scope.
struct flags {
    bool hybrid_mode_enabled = true;
    write_strategy dual_write_strategy = write_strategy::legacy_primary;
    read_strategy hybrid_read_strategy = read_strategy::legacy;
    double migration_drift_tolerance = 0.0005;  // share of rows, 0..1
    bool cutover_completed = false;
    bool cutover_guardrail_enabled = true;
    int canary_percent = 100;  // 0..100
    mirror_failure on_mirror_failure = mirror_failure::stream;

    friend bool operator==(const flags&, const flags&) = default;
};

// The strategy after the master switch: hybrid_mode_enabled=false is legacy-only whatever else is set.
write_strategy effective_strategy(const flags& of);

// The side whose commit decides under these flags.
side authority(const flags& of);

// Whether a mirrored transaction fails if its rows can't be brought to modern before it is committed.
bool has_to_fail(const flags& of);

// Whether reads may go to modern while legacy is the authority: `prefer-modern` or `modern`, where modern has the rows.
bool may_read_at_follower(const flags& of);

// What a scope says of its own; the rest comes from the scope around it.
struct flag_overrides {
    std::optional<bool> hybrid_mode_enabled;
    std::optional<write_strategy> dual_write_strategy;
    std::optional<read_strategy> hybrid_read_strategy;
    std::optional<double> migration_drift_tolerance;
    std::optional<bool> cutover_completed;
    std::optional<bool> cutover_guardrail_enabled;
    std::optional<int> canary_percent;
    std::optional<mirror_failure> on_mirror_failure;

    friend bool operator==(const flag_overrides&, const flag_overrides&) = default;
};

flags apply(const flag_overrides& overrides, flags base);

struct table_group {
    std::vector<std::string> tables;  // patterns of model::matches
    flag_overrides overrides;

    friend bool operator==(const table_group&, const table_group&) = default;
};

struct tenant_overrides {
    flag_overrides overrides;
    std::map<std::string, flag_overrides, std::less<>> groups;

    friend bool operator==(const tenant_overrides&, const tenant_overrides&) = default;
};

// What flags are written down for, and what a flip moves: ("", "") everything, (group, ""), ("", tenant), (group,
// tenant).
struct flag_scope {
    std::string group;
    std::string tenant;

    friend auto operator<=>(const flag_scope&, const flag_scope&) = default;
};
// "everything", "group orders", "tenant acme", "group orders of tenant acme".
std::string to_string(const flag_scope& scope);

// Who is the authority of what. A scope's own word counts before that of the one around it, as with flags.
struct assignment {
    side everything = side::legacy;
    std::map<flag_scope, side> apart{};  // those that were given away by themselves, or kept

    side of(std::string_view group, std::string_view tenant) const;
    // Whether that side is the authority of anything.
    bool has(side which) const;
    // What it is once all of the scope is `to`'s, whatever parts of it had a word of their own. A tenant's word counts
    // before that of a group, so that it keeps its share of one.
    assignment with(const flag_scope& scope, side to) const;
    // Without those that make no difference.
    assignment pruned() const;

    friend bool operator==(const assignment&, const assignment&) = default;
};

// "legacy", "legacy, modern of tenant acme".
std::string to_string(const assignment& of);

// All flags of one configuration, immutable. Nesting, the most specific wins:
// defaults, table group, tenant, tenant within group.
class flag_set {
  public:
    flag_set() = default;
    flag_set(flags defaults, std::map<std::string, table_group, std::less<>> groups,
             std::map<std::string, tenant_overrides, std::less<>> tenants);

    const flags& defaults() const { return defaults_; }
    const std::map<std::string, table_group, std::less<>>& groups() const { return groups_; }
    const std::map<std::string, tenant_overrides, std::less<>>& tenants() const { return tenants_; }

    // The group that the table belongs to; empty when none does. A table is in one group at most: load() refuses others
    // where it can see it; among patterns that overlap the first group by name wins.
    std::string_view group_of(const model::table_name& table) const;

    // `group` and `tenant` may be empty or unknown: then they add nothing.
    flags resolve(std::string_view group, std::string_view tenant) const;

    // The same with everybody in charge of what is his, whatever is written: where a strategy has the other side in
    // charge it is legacy-primary or prefer-modern instead.
    flag_set under(const assignment& authorities) const;
    flag_set under(side authority) const { return under(assignment{authority}); }

    // Who would be in charge by what is written: by(group, tenant) of the result is authority(resolve(group, tenant)).
    assignment assigned() const;

    // Every scope that is written down.
    using scope = flag_scope;
    std::vector<scope> scopes() const;
    // Whether that is the effective strategy of any of them.
    bool has(write_strategy strategy) const;
    // Whether a transaction that can't be mirrored is to fail in any of them.
    bool has_to_fail() const;
    // Whether reads may go to modern in any of them while legacy is the authority there.
    bool may_read_at_follower() const;

    friend bool operator==(const flag_set&, const flag_set&) = default;

  private:
    flags defaults_;
    std::map<std::string, table_group, std::less<>> groups_;
    std::map<std::string, tenant_overrides, std::less<>> tenants_;
};

}  // namespace crossfade::settings
