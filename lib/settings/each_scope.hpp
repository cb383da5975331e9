#pragma once

#include <utility>

#include "lib/settings/flags.hpp"

namespace crossfade::settings {

// Other defaults, and what each scope says of its own changed: flag_overrides -> flag_overrides.
template <class Change>
flag_set with_each_scope(const flag_set& of, flags defaults, Change change) {
    auto groups = of.groups();
    for (auto& [name, group] : groups) group.overrides = change(group.overrides);
    auto tenants = of.tenants();
    for (auto& [name, tenant] : tenants) {
        tenant.overrides = change(tenant.overrides);
        for (auto& [group, overrides] : tenant.groups) overrides = change(overrides);
    }
    return {defaults, std::move(groups), std::move(tenants)};
}

}  // namespace crossfade::settings
