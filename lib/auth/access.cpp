#include "lib/auth/access.hpp"

#include <algorithm>

namespace crossfade::auth {
namespace {

bool hold(const origins& from, const std::optional<ip_address>& address) {
    if (from.all) return true;
    if (!address) return from.local;
    return std::any_of(from.ranges.begin(), from.ranges.end(),
                       [&](const address_range& each) { return each.holds(*address); });
}

bool hold(const names& some, std::string_view name) {
    return some.all ||
           std::find(some.exact.begin(), some.exact.end(), name.substr(0, longest_name)) != some.exact.end();
}

bool met(tls_demand demand, const connection_facts& of) {
    return demand == tls_demand::any || (demand == tls_demand::required) == of.tls;
}

bool fits(const access_rule& rule, const connection_facts& of) {
    return hold(rule.from, of.address) && hold(rule.users, of.user) &&
           (hold(rule.databases, of.database) || hold(rule.databases, of.known_as)) && met(rule.tls, of);
}

// As pg_hba.conf's: what the client knows of itself, so that its owner can see what the rules saw.
std::string description(const connection_facts& of) {
    return "host \"" + (of.address ? to_string(*of.address) : "[local]") + "\", user \"" + of.user + "\", database \"" +
           of.database + "\", " + (of.tls ? "TLS" : "no encryption");
}

}  // namespace

std::string_view to_string(access_method method) {
    switch (method) {
        case access_method::relay:
            return "relay";
        case access_method::scram:
            return "scram";
        case access_method::cert:
            return "cert";
        case access_method::reject:
            return "reject";
    }
    return "";
}

std::string_view to_string(tls_demand demand) {
    switch (demand) {
        case tls_demand::any:
            return "any";
        case tls_demand::required:
            return "required";
        case tls_demand::forbidden:
            return "forbidden";
    }
    return "";
}

std::variant<access_allowed, access_refused> decide(const access_rules& rules, const connection_facts& of) {
    const auto rule = std::find_if(rules.begin(), rules.end(), [&](const access_rule& each) { return fits(each, of); });
    if (rule == rules.end()) return access_refused{"no access rule fits", "no access rule for " + description(of)};
    const auto named = "access rule " + std::to_string(rule - rules.begin() + 1);
    if (rule->method == access_method::reject)
        return access_refused{named + " rejects it", "access is rejected for " + description(of)};
    if (rule->method == access_method::cert) {
        if (!of.certificate_name)
            return access_refused{named + " wants a client certificate",
                                  "connection requires a valid client certificate"};
        if (*of.certificate_name != of.user)
            return access_refused{named + ": the client certificate is for another user",
                                  "certificate authentication failed for user \"" + of.user + '"'};
    }
    return access_allowed{rule->method};
}

}  // namespace crossfade::auth
