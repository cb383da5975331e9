#include "lib/settings/settings.hpp"

namespace crossfade::settings {

std::string to_string(const endpoint& at) {
    const bool six = at.host.find(':') != std::string::npos && !at.host.starts_with('/');
    return (six ? '[' + at.host + ']' : at.host) + ':' + std::to_string(at.port);
}

}  // namespace crossfade::settings
