#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "lib/settings/settings.hpp"

namespace crossfade::proxy::strategy {

// What a start-up packet's (name, value) pairs set it to: a pair of that name counts, else `options` (-c name=value,
// --name=value), as in PostgreSQL, where names don't heed case and the last one wins. Nothing: they don't.
std::optional<std::string> set_at_start(std::string_view name,
                                        std::span<const std::pair<std::string, std::string>> parameters);

// The tenant of a session by its start-up packet; empty when it names none. For tenant_source::parameter what is
// set_at_start(). `database` falls back to the user, as the server does. What a session sets later by SET is not seen.
std::string tenant_of(const settings::tenancy& by, std::span<const std::pair<std::string, std::string>> parameters);

}  // namespace crossfade::proxy::strategy
