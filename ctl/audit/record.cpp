#include "ctl/audit/record.hpp"

#include <pwd.h>
#include <unistd.h>

#include <utility>

#include "ctl/exit_code.hpp"

namespace crossfade::ctl::audit {

std::string whom(const std::string& said) {
    if (!said.empty()) return said;
    const auto* const user = ::getpwuid(::getuid());
    return user != nullptr ? user->pw_name : std::to_string(::getuid());
}

store::audit_entry entry(const context& in, std::string action, std::string scope) {
    return {.stream = in.config.stream.name,
            .by_whom = whom(in.by),
            .program = "crossfade",
            .action = std::move(action),
            .scope = std::move(scope),
            .reason = in.reason,
            .before_json = {},
            .after_json = {},
            .outcome = "done"};
}

void append(pgclient::connection& on, const store::audit_entry& what) {
    const auto appended = store::append_audit(on, what);
    if (appended) return;
    const auto& why = appended.error();
    const bool missing = store::audit_is_missing(why);
    throw stop(why.connection_lost() ? exit_code::unreachable : exit_code::no,
               (missing ? "there is no crossfade.audit yet: " : "writing crossfade.audit: ") + to_string(why),
               missing ? "crossfade init" : "");
}

}  // namespace crossfade::ctl::audit
