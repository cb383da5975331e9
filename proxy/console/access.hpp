#pragma once

#include <cstdint>
#include <string_view>

#include "lib/settings/console.hpp"

namespace crossfade::proxy::console {

enum class role : std::uint8_t { viewer, admin };

// Where a client comes from, as far as trust goes.
enum class origin : std::uint8_t {
    local,  // a Unix socket, or a loopback address at both ends
    elsewhere
};

struct admission {
    enum class outcome : std::uint8_t {
        granted,
        password_needed,  // whoever authenticates says whether it is right; `as` holds then
        refused,          // no user of the console
    } what = outcome::refused;
    role as = role::viewer;
};

// Whether the database that a client asks for is the console. While nobody may use it there is none.
bool is_console(const settings::console& config, std::string_view database);

// Who may come in, and as what. Pure.
admission admit(const settings::console& config, std::string_view user, origin from);

}  // namespace crossfade::proxy::console
