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

std::string to_string(const flag_scope& scope) {
    if (scope.group.empty() && scope.tenant.empty()) return "everything";
    if (scope.group.empty()) return "tenant " + scope.tenant;
    return "group " + scope.group + (scope.tenant.empty() ? std::string{} : " of tenant " + scope.tenant);
}

side assignment::of(std::string_view group, std::string_view tenant) const {
    for (const auto& scope : {flag_scope{std::string{group}, std::string{tenant}}, flag_scope{{}, std::string{tenant}},
                              flag_scope{std::string{group}, {}}})
        if (const auto own = apart.find(scope); own != apart.end()) return own->second;
    return everything;
}

bool assignment::has(side which) const {
    return everything == which || std::ranges::any_of(apart, [&](const auto& each) { return each.second == which; });
}

assignment assignment::with(const flag_scope& scope, side to) const {
    if (scope == flag_scope{}) return {to, {}};
    assignment made = *this;
    std::erase_if(made.apart, [&](const auto& each) {
        const auto& inner = each.first;
        return (scope.group.empty() && inner.tenant == scope.tenant) ||
               (scope.tenant.empty() && inner.group == scope.group);
    });
    made.apart[scope] = to;
    return made.pruned();
}

assignment assignment::pruned() const {
    std::set<std::string> groups{{}};
    std::set<std::string> tenants{{}};
    for (const auto& [scope, ignored] : apart) {
        groups.insert(scope.group);
        tenants.insert(scope.tenant);
    }
    const auto same = [&](const assignment& left, const assignment& right) {
        return std::ranges::all_of(groups, [&](const auto& group) {
            return std::ranges::all_of(
                tenants, [&](const auto& tenant) { return left.of(group, tenant) == right.of(group, tenant); });
        });
    };
    assignment made = *this;
    for (const auto& [scope, ignored] : apart) {
        auto without = made;
        without.apart.erase(scope);
        if (same(without, made)) made = std::move(without);
    }
    return made;
}

std::string to_string(const assignment& of) {
    std::string text{to_string(of.everything)};
    for (const auto& [scope, authority] : of.apart)
        text.append(", ").append(to_string(authority)).append(" of ").append(to_string(scope));
    return text;
}

bool has_to_fail(const flags& of) {
    return effective_strategy(of) == write_strategy::mirror && of.on_mirror_failure == mirror_failure::fail;
}

bool may_read_at_follower(const flags& of) {
    const auto writes = effective_strategy(of);
    return (writes == write_strategy::legacy_primary || writes == write_strategy::mirror) &&
           (of.hybrid_read_strategy == read_strategy::prefer_modern ||
            of.hybrid_read_strategy == read_strategy::modern);
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

bool flag_set::may_read_at_follower() const {
    return std::ranges::any_of(
        scopes(), [&](const scope& each) { return settings::may_read_at_follower(resolve(each.group, each.tenant)); });
}

namespace {

flags in_charge(flags of, side wanted) {
    const bool as_written = authority(of) == wanted;
    // A master switch that is off says legacy, and nothing else.
    if (authority(of) != wanted) of.hybrid_mode_enabled = true;
    if (authority(of) != wanted)
        of.dual_write_strategy =
            wanted == side::legacy ? write_strategy::legacy_primary : write_strategy::prefer_modern;
    // What was written for the other side in charge says nothing of reads from a follower.
    if (wanted == side::legacy && !as_written) of.hybrid_read_strategy = read_strategy::legacy;
    if (wanted == side::modern && of.hybrid_read_strategy == read_strategy::legacy)
        of.hybrid_read_strategy = read_strategy::modern;
    if (wanted == side::legacy) of.cutover_completed = false;
    return of;
}

flag_overrides overrides_for(flag_overrides own, const flags& wanted) {
    own.hybrid_mode_enabled = wanted.hybrid_mode_enabled;
    own.dual_write_strategy = wanted.dual_write_strategy;
    own.hybrid_read_strategy = wanted.hybrid_read_strategy;
    own.cutover_completed = wanted.cutover_completed;
    return own;
}

}  // namespace

// From the widest scope to the narrowest: one that comes out right by what is around it needs no word of its own.
flag_set flag_set::under(const assignment& authorities) const {
    flag_set made{in_charge(defaults_, authorities.everything), groups_, tenants_};
    std::set<std::string, std::less<>> groups;
    std::set<std::string, std::less<>> tenants;
    for (const auto& [group, ignored] : groups_) groups.insert(group);
    for (const auto& [tenant, ignored] : tenants_) tenants.insert(tenant);
    // A group that no file has had no tables, and nothing is in charge of it.
    for (const auto& [own, ignored] : authorities.apart)
        if (!own.tenant.empty()) tenants.insert(own.tenant);
    const auto wanted = [&](std::string_view group, std::string_view tenant) {
        return in_charge(resolve(group, tenant), authorities.of(group, tenant));
    };
    for (const auto& group : groups)
        if (const auto as = wanted(group, {}); made.resolve(group, {}) != as)
            made.groups_[group].overrides = overrides_for(std::move(made.groups_[group].overrides), as);
    for (const auto& tenant : tenants) {
        if (const auto as = wanted({}, tenant); made.resolve({}, tenant) != as)
            made.tenants_[tenant].overrides = overrides_for(std::move(made.tenants_[tenant].overrides), as);
        for (const auto& group : groups)
            if (const auto as = wanted(group, tenant); made.resolve(group, tenant) != as) {
                auto& own = made.tenants_[tenant].groups[group];
                own = overrides_for(std::move(own), as);
            }
    }
    return made;
}

assignment flag_set::assigned() const {
    assignment made{authority(defaults_), {}};
    for (const auto& each : scopes()) made.apart[each] = authority(resolve(each.group, each.tenant));
    made.apart.erase(flag_scope{});
    // A tenant that is named for something else has its share of a group go with the group.
    for (const auto& [tenant, ignored] : tenants_)
        for (const auto& [group, unused] : groups_)
            if (const auto is = authority(resolve(group, tenant)); made.of(group, tenant) != is)
                made.apart[{group, tenant}] = is;
    return made.pruned();
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
