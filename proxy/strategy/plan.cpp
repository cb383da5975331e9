#include "proxy/strategy/plan.hpp"

#include <algorithm>

namespace crossfade::proxy::strategy {
namespace {

using settings::write_strategy;

follower_path path_of(write_strategy strategy) {
    switch (strategy) {
        case write_strategy::legacy_only:
        case write_strategy::modern_only:
            return follower_path::none;
        case write_strategy::legacy_primary:
            return follower_path::stream;
        case write_strategy::mirror:
            return follower_path::mirror;
        case write_strategy::prefer_modern:
            return follower_path::reverse_stream;
    }
    return follower_path::none;
}

// How much a strategy owes the side that follows.
int debt(write_strategy strategy) {
    switch (strategy) {
        case write_strategy::legacy_only:
        case write_strategy::modern_only:
            return 0;
        case write_strategy::legacy_primary:
        case write_strategy::prefer_modern:
            return 1;
        case write_strategy::mirror:
            return 2;
    }
    return 0;
}

}  // namespace

std::string_view to_string(follower_path path) {
    switch (path) {
        case follower_path::none:
            return "none";
        case follower_path::stream:
            return "stream";
        case follower_path::mirror:
            return "mirror";
        case follower_path::reverse_stream:
            return "reverse-stream";
    }
    return "";
}

plan decide(const settings::in_force& flags, const session_facts& session, const statement_facts& statement) {
    if (!session.moves) return {.epoch = flags.epoch};
    const auto& scopes = flags.config.flags;
    const auto around = scopes.resolve({}, session.tenant);
    plan made{settings::authority(around), effective_strategy(around), flags.epoch};
    made.or_fail = statement.tables.empty() && has_to_fail(around);
    bool first = true;
    for (const auto& table : statement.tables) {
        const auto wanted = scopes.resolve(scopes.group_of(table), session.tenant);
        const auto strategy = effective_strategy(wanted);
        if (first || debt(strategy) > debt(made.strategy)) made.strategy = strategy;
        made.or_fail = made.or_fail || has_to_fail(wanted);
        first = false;
    }
    made.follower = path_of(made.strategy);
    return made;
}

settings::side authority_of(const settings::in_force& flags, const session_facts& session) {
    return session.moves ? flags.config.authority_of(session.tenant) : settings::side::legacy;
}

namespace {

template <class Is>
bool any_scope(const settings::in_force& flags, const session_facts& session, Is is) {
    if (!session.moves) return false;
    const auto& scopes = flags.config.flags;
    const auto holds = [&](std::string_view group) { return is(scopes.resolve(group, session.tenant)); };
    return holds({}) || std::ranges::any_of(scopes.groups(), [&](const auto& group) { return holds(group.first); });
}

}  // namespace

bool may_change_hands(const settings::in_force& flags, const session_facts& session) {
    return any_scope(flags, session,
                     [](const auto& of) { return path_of(effective_strategy(of)) != follower_path::none; });
}

bool may_be_mirrored(const settings::in_force& flags, const session_facts& session) {
    return any_scope(flags, session, [](const auto& of) { return effective_strategy(of) == write_strategy::mirror; });
}

bool is_mirrored_whole(const settings::in_force& flags, const session_facts& session) {
    return session.moves &&
           !any_scope(flags, session, [](const auto& of) { return effective_strategy(of) != write_strategy::mirror; });
}

bool may_have_to_fail(const settings::in_force& flags, const session_facts& session) {
    return any_scope(flags, session, settings::has_to_fail);
}

}  // namespace crossfade::proxy::strategy
