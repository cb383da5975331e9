#include "lib/settings/settings.hpp"

namespace crossfade::settings {

std::string to_string(const endpoint& at) {
    const bool six = at.host.find(':') != std::string::npos && !at.host.starts_with('/');
    return (six ? '[' + at.host + ']' : at.host) + ':' + std::to_string(at.port);
}

std::string_view to_string(tls_mode mode) {
    switch (mode) {
        case tls_mode::disable:
            return "disable";
        case tls_mode::prefer:
            return "prefer";
        case tls_mode::require:
            return "require";
        case tls_mode::verify_ca:
            return "verify-ca";
        case tls_mode::verify_full:
            return "verify-full";
    }
    return "";
}

std::string_view to_string(ddl_policy policy) {
    switch (policy) {
        case ddl_policy::note:
            return "note";
        case ddl_policy::pause:
            return "pause";
        case ddl_policy::pass:
            return "pass";
        case ddl_policy::refuse:
            return "refuse";
    }
    return "";
}

std::string_view to_string(auth_mode mode) {
    return mode == auth_mode::relay ? "relay" : "terminate";
}

std::string_view to_string(event_ordering order) {
    return order == event_ordering::key ? "key" : "transaction";
}

std::string_view to_string(cleanup_policy policy) {
    return policy == cleanup_policy::compact ? "compact" : "delete";
}

std::string_view to_string(wal_action action) {
    return action == wal_action::alert ? "alert" : "drop-slot";
}

}  // namespace crossfade::settings
