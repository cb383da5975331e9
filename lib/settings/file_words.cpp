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

std::vector<file_word> joined(const std::vector<file_word>& undone, std::vector<file_word> newer,
                              const flag_set& says) {
    for (const auto& each : undone) {
        if (!each.changed) continue;
        const auto same = std::ranges::find(newer, each.scope, &file_word::scope);
        if (same != newer.end())
            same->changed = true;
        else
            newer.push_back({each.scope, authority(says.resolve(each.scope.group, each.scope.tenant)), true});
    }
    return newer;
}

std::vector<file_word> unheeded(std::vector<file_word> words, const std::vector<heeded_word>& heeded,
                                std::uint64_t read_at) {
    for (auto& each : words)
        if (std::ranges::any_of(heeded, [&](const heeded_word& by) {
                return by.scope == each.scope && by.authority == each.authority && by.epoch >= read_at;
            }))
            each.changed = false;
    return words;
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
