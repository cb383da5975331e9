#include "proxy/console/access.hpp"

#include <algorithm>

namespace crossfade::proxy::console {
namespace {

bool has(const std::vector<std::string>& users, std::string_view user) {
    return std::find(users.begin(), users.end(), user) != users.end();
}

}  // namespace

bool is_console(const settings::console& config, std::string_view database) {
    return config.enabled() && config.database == database;
}

admission admit(const settings::console& config, std::string_view user, origin from) {
    const bool admin = has(config.admins, user);
    if (!admin && !has(config.viewers, user)) return {};
    const bool trusted = config.trust_local && from == origin::local;
    return {trusted ? admission::outcome::granted : admission::outcome::password_needed,
            admin ? role::admin : role::viewer};
}

}  // namespace crossfade::proxy::console
