#include "lib/settings/file_words.hpp"

#include <algorithm>
#include <set>

namespace crossfade::settings {

std::vector<file_word> changed_words(const flag_set& before, const flag_set& after) {
    std::set<flag_scope> scopes;
    for (const auto* each : {&before, &after})
        for (auto& scope : each->scopes()) scopes.insert(std::move(scope));
    std::vector<file_word> words;
    for (const auto& each : scopes) {
        const auto says = authority(after.resolve(each.group, each.tenant));
        words.push_back({each, says, says != authority(before.resolve(each.group, each.tenant))});
    }
    const bool any = std::ranges::any_of(words, &file_word::changed);
    return any ? words : std::vector<file_word>{};
}

assignment asked_for(const assignment& now, const std::vector<file_word>& words, side to) {
    // What has its own word in the file keeps what it has when that around it goes.
    auto wanted = now;
    for (const auto& each : words) {
        const auto has = each.changed ? each.authority : now.of(each.scope.group, each.scope.tenant);
        if (each.scope == flag_scope{})
            wanted.everything = has;
        else
            wanted.apart[each.scope] = has;
    }
    std::set<std::string> groups{{}};
    std::set<std::string> tenants{{}};
    for (const auto& [scope, ignored] : wanted.apart) {
        groups.insert(scope.group);
        tenants.insert(scope.tenant);
    }
    assignment made{wanted.everything == to ? to : now.everything, {}};
    for (const auto& group : groups)
        for (const auto& tenant : tenants) {
            if (group.empty() && tenant.empty()) continue;
            made.apart[{group, tenant}] = wanted.of(group, tenant) == to ? to : now.of(group, tenant);
        }
    return made.pruned();
}

}  // namespace crossfade::settings
