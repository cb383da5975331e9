#include "proxy/console/provider.hpp"

namespace crossfade::proxy::console {

std::string_view to_string(session_state of) {
    switch (of) {
        case session_state::login:
            return "login";
        case session_state::idle:
            return "idle";
        case session_state::active:
            return "active";
        case session_state::in_transaction:
            return "in transaction";
        case session_state::waiting:
            return "waiting for server";
        case session_state::paused:
            return "paused";
    }
    return "";
}

needs needs_of(subject what) {
    switch (what) {
        case subject::sessions:
        case subject::clients:
        case subject::servers:
        case subject::pools:
        case subject::users:
            return {.sessions = true};
        case subject::mem:
            return {.sessions = true, .memory = true};
        case subject::databases:
        case subject::lists:
        case subject::pauses:
            return {.sessions = true, .holds = true};
        case subject::stats:
        case subject::stats_totals:
        case subject::stats_averages:
            return {.traffic = true};
        case subject::stream:
            return {.stream = true};
        case subject::drift:
            return {.drift = true};
        case subject::limits:
            return {.limits = true};
        case subject::help:
        case subject::version:
        case subject::flags:
        case subject::config:
            break;
    }
    return {};
}

std::vector<std::uint64_t> in_the_way(const scope& of, const std::vector<session_facts>& sessions) {
    std::vector<std::uint64_t> ids;
    for (const auto& each : sessions) {
        const bool busy = each.state == session_state::active || each.state == session_state::in_transaction;
        if (busy && covers(of, {each.database, each.tenant, {}})) ids.push_back(each.id);
    }
    return ids;
}

}  // namespace crossfade::proxy::console
