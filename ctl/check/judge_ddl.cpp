#include "ctl/check/judge.hpp"
#include "ctl/output/table.hpp"
#include "lib/store/ddl_watch.hpp"

namespace crossfade::ctl::check {

void judge_ddl(const evidence& of, const catalog::database& legacy, findings& into) {
    constexpr const char* id = "legacy.ddl";
    const std::string wanted{to_string(of.stream.ddl)};
    const bool watched = legacy.ddl.watches == store::ddl_watches;
    const auto& policy = legacy.ddl.policy;
    if (!watched && !legacy.role.superuser) {
        into.warn(id,
                  "DDL is not noticed: its event triggers need a superuser, which role " + legacy.role.name + " is not",
                  "run `crossfade init` once with a superuser in " + of.source +
                      ".dsn; until then columns are followed as rows show"
                      " them, and stream.ddl: " +
                      wanted + " has no effect");
    } else if (!watched && legacy.slot) {
        into.warn(id, "DDL is not noticed: its event triggers are missing or disabled", "crossfade init");
    } else if (watched && policy.empty() && legacy.role.superuser && legacy.slot) {
        into.warn(id, "DDL is noticed for other streams alone", "crossfade init");
    } else if (watched && !policy.empty() && policy != wanted) {
        into.warn(id, "policy " + policy + " is in force, the file says " + wanted, "crossfade init");
    } else if (watched && !policy.empty() && !legacy.ddl.unwatched.empty()) {
        into.warn(id,
                  "TRUNCATE of a partition by its own name is not noticed, of " + output::joined(legacy.ddl.unwatched) +
                      ": a trigger is missing, or not enabled ALWAYS",
                  "crossfade init");
    } else if (watched) {
        into.ok(id, policy.empty() ? "noticed, by a policy that this role may not read" : "noticed, policy " + policy);
    } else {
        into.ok(id, "`crossfade init` makes it noticed");
    }
}

}  // namespace crossfade::ctl::check
