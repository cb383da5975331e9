#include "lib/handover/intent.hpp"

#include <set>
#include <string>

namespace crossfade::handover {

std::vector<settings::flag_scope> scopes_that_move(const intent& what, const settings::flag_set& flags) {
    std::set<std::string> groups{{}};
    std::set<std::string> tenants{{}};
    for (const auto& each : flags.scopes()) {
        groups.insert(each.group);
        tenants.insert(each.tenant);
    }
    for (const auto* each : {&what.before, &what.after})
        for (const auto& [scope, ignored] : each->apart) {
            groups.insert(scope.group);
            tenants.insert(scope.tenant);
        }
    std::vector<settings::flag_scope> all;
    for (const auto& group : groups)
        for (const auto& tenant : tenants)
            if (what.before.of(group, tenant) != what.after.of(group, tenant)) all.push_back({group, tenant});
    return all;
}

}  // namespace crossfade::handover
