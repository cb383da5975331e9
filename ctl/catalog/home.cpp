#include "ctl/catalog/home.hpp"

#include <algorithm>

#include "lib/store/fence.hpp"

namespace crossfade::ctl::catalog {

home home_of(const table& which, const settings::assignment& authorities, const settings::configuration& of) {
    const auto& column = of.tenants.column;
    const bool by_tenant =
        !column.empty() && std::ranges::find(which.columns, column, &catalog::column::name) != which.columns.end();
    const auto fence = store::fence_of(authorities, settings::side::legacy, of.flags.group_of(which.name), by_tenant);
    if (fence.divides()) return home::both;
    return fence.closed ? home::modern : home::legacy;
}

}  // namespace crossfade::ctl::catalog
