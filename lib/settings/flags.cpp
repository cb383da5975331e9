#include "lib/settings/flags.hpp"

#include <algorithm>
#include <set>
#include <utility>

#include "lib/settings/each_scope.hpp"

namespace crossfade::settings {

std::string_view to_string(write_strategy strategy) {
    switch (strategy) {
        case write_strategy::legacy_only:
            return "legacy-only";
        case write_strategy::legacy_primary:
            return "legacy-primary";
        case write_strategy::mirror:
            return "mirror";
        case write_strategy::prefer_modern:
            return "prefer-modern";
        case write_strategy::modern_only:
            return "modern-only";
    }
    return "";
}

std::string_view to_string(read_strategy strategy) {
    switch (strategy) {
        case read_strategy::legacy:
            return "legacy";
        case read_strategy::compare:
            return "compare";
        case read_strategy::prefer_modern:
            return "prefer-modern";
        case read_strategy::modern:
            return "modern";
    }
    return "";
}

std::string_view to_string(mirror_failure what) {
    return what == mirror_failure::stream ? "stream" : "fail";
}

std::string_view to_string(side authority) {
    return authority == side::legacy ? "legacy" : "modern";
}

write_strategy effective_strategy(const flags& of) {
    return of.hybrid_mode_enabled ? of.dual_write_strategy : write_strategy::legacy_only;
}

side authority(const flags& of) {
    switch (effective_strategy(of)) {
        case write_strategy::prefer_modern:
        case write_strategy::modern_only:
            return side::modern;
        case write_strategy::legacy_only:
        case write_strategy::legacy_primary:
        case write_strategy::mirror:
            break;
    }
    return side::legacy;
}

bool has_to_fail(const flags& of) {
    return effective_strategy(of) == write_strategy::mirror && of.on_mirror_failure == mirror_failure::fail;
}

flags apply(const flag_overrides& overrides, flags base) {
    base.hybrid_mode_enabled = overrides.hybrid_mode_enabled.value_or(base.hybrid_mode_enabled);
    base.dual_write_strategy = overrides.dual_write_strategy.value_or(base.dual_write_strategy);
    base.hybrid_read_strategy = overrides.hybrid_read_strategy.value_or(base.hybrid_read_strategy);
    base.migration_drift_tolerance = overrides.migration_drift_tolerance.value_or(base.migration_drift_tolerance);
    base.cutover_completed = overrides.cutover_completed.value_or(base.cutover_completed);
    base.cutover_guardrail_enabled = overrides.cutover_guardrail_enabled.value_or(base.cutover_guardrail_enabled);
    base.canary_percent = overrides.canary_percent.value_or(base.canary_percent);
    base.on_mirror_failure = overrides.on_mirror_failure.value_or(base.on_mirror_failure);
    return base;
}

flag_set::flag_set(flags defaults, std::map<std::string, table_group, std::less<>> groups,
                   std::map<std::string, tenant_overrides, std::less<>> tenants)
    : defaults_(defaults), groups_(std::move(groups)), tenants_(std::move(tenants)) {}

std::string_view flag_set::group_of(const model::table_name& table) const {
    for (const auto& [name, group] : groups_)
        for (const auto& pattern : group.tables)
            if (model::matches(pattern, table)) return name;
    return {};
}

flags flag_set::resolve(std::string_view group, std::string_view tenant) const {
    flags found = defaults_;
    if (const auto named = groups_.find(group); named != groups_.end()) found = apply(named->second.overrides, found);
    if (const auto named = tenants_.find(tenant); named != tenants_.end()) {
        found = apply(named->second.overrides, found);
        const auto within = named->second.groups.find(group);
        if (within != named->second.groups.end()) found = apply(within->second, found);
    }
    return found;
}

bool flag_set::has(write_strategy strategy) const {
    return std::ranges::any_of(
        scopes(), [&](const scope& each) { return effective_strategy(resolve(each.group, each.tenant)) == strategy; });
}

bool flag_set::has_to_fail() const {
    return std::ranges::any_of(
        scopes(), [&](const scope& each) { return settings::has_to_fail(resolve(each.group, each.tenant)); });
}

flag_set flag_set::under(side authority) const {
    const auto fallback = authority == side::legacy ? write_strategy::legacy_primary : write_strategy::prefer_modern;
    flags defaults = defaults_;
    // The master switch means legacy, too.
    if (authority == side::modern) defaults.hybrid_mode_enabled = true;
    const auto turn = [&](std::optional<write_strategy>& strategy) {
        if (strategy && settings::authority({.dual_write_strategy = *strategy}) != authority) strategy = fallback;
    };
    std::optional<write_strategy> of_defaults = defaults.dual_write_strategy;
    turn(of_defaults);
    defaults.dual_write_strategy = *of_defaults;
    const auto turn_reads = [&](std::optional<read_strategy>& strategy) {
        if (strategy == read_strategy::legacy || strategy == read_strategy::modern)
            strategy = authority == side::legacy ? read_strategy::legacy : read_strategy::modern;
    };
    std::optional<read_strategy> reads = defaults.hybrid_read_strategy;
    turn_reads(reads);
    defaults.hybrid_read_strategy = *reads;
    if (authority == side::legacy) defaults.cutover_completed = false;
    const auto turned = [&](flag_overrides of) {
        if (authority == side::modern) of.hybrid_mode_enabled.reset();
        turn(of.dual_write_strategy);
        turn_reads(of.hybrid_read_strategy);
        if (authority == side::legacy) of.cutover_completed.reset();
        return of;
    };
    return with_each_scope(*this, defaults, turned);
}

std::vector<flag_set::scope> flag_set::scopes() const {
    std::set<scope> all{{"", ""}};
    for (const auto& [group, ignored] : groups_) all.insert({group, ""});
    for (const auto& [tenant, overrides] : tenants_) {
        all.insert({"", tenant});
        for (const auto& [group, ignored] : overrides.groups) all.insert({group, tenant});
    }
    return {all.begin(), all.end()};
}

}  // namespace crossfade::settings
