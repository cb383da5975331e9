#include "cdc/apply/scope.hpp"

#include <algorithm>

namespace crossfade::cdc::apply {

namespace {

bool legacy_only(const settings::flag_set& flags, std::string_view group, std::string_view tenant) {
    return settings::effective_strategy(flags.resolve(group, tenant)) == settings::write_strategy::legacy_only;
}

}  // namespace

std::optional<std::string> reason_to_hold(const settings::configuration& config) {
    const auto& flags = config.flags;
    if (settings::authority(flags.defaults()) == settings::side::modern) {
        return "modern is the authority: changes of legacy are not applied to it";
    }
    const auto scopes = flags.scopes();
    const bool all = legacy_only(flags, "", "") && std::all_of(scopes.begin(), scopes.end(), [&](const auto& scope) {
                         return legacy_only(flags, scope.group, scope.tenant);
                     });
    if (!all) return std::nullopt;
    // settings::turned() has it so.
    if (config.source == settings::side::modern) return "modern-only: legacy gets nothing any more";
    return flags.defaults().hybrid_mode_enabled ? "every scope is legacy-only" : "hybrid_mode_enabled is false";
}

scope_filter::scope_filter(settings::snapshot in_force) : in_force_(std::move(in_force)) {
    const auto& flags = in_force_->config.flags;
    const auto scopes = flags.scopes();
    all_apply_ = !legacy_only(flags, "", "") && std::none_of(scopes.begin(), scopes.end(), [&](const auto& scope) {
        return legacy_only(flags, scope.group, scope.tenant);
    });
}

bool scope_filter::applies(const model::table_name& table, std::string_view tenant) {
    if (all_apply_) return true;
    std::string name = model::to_string(table);
    name += '\0';
    name += tenant;
    if (const auto known = known_.find(name); known != known_.end()) return known->second;
    if (known_.size() >= capacity) known_.clear();
    const auto& flags = in_force_->config.flags;
    const bool applied = !legacy_only(flags, flags.group_of(table), tenant);
    known_.emplace(std::move(name), applied);
    return applied;
}

bool scope_filter::is_home(settings::side side, const settings::assignment& authorities, const model::table_name& table,
                           std::string_view tenant) {
    if (authorities.apart.empty()) return authorities.everything == side;
    auto name = model::to_string(table);
    auto known = groups_.find(name);
    if (known == groups_.end()) {
        if (groups_.size() >= capacity) groups_.clear();
        std::string group{in_force_->config.flags.group_of(table)};
        known = groups_.emplace(std::move(name), std::move(group)).first;
    }
    const auto& group = known->second;
    const bool nobody_knows = tenant.empty() && std::ranges::any_of(authorities.apart, [&](const auto& each) {
                                  return authorities.of(group, each.first.tenant) != side;
                              });
    return !nobody_knows && authorities.of(group, tenant) == side;
}

std::string_view tenant_of(const table_mapping& mapping, const model::row_change& change) {
    if (!mapping.tenant) return {};
    for (const auto* row : {&change.after, &change.before}) {
        if (*mapping.tenant < row->size() && (*row)[*mapping.tenant].kind == model::cell_kind::text) {
            return (*row)[*mapping.tenant].text;
        }
    }
    return {};
}

}  // namespace crossfade::cdc::apply
