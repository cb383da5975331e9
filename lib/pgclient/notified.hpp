#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include "lib/pgclient/connection.hpp"

namespace crossfade::pgclient {

// What the connection has been notified of on the channels that it listens to, in order: the payloads. Some may have
// come with the answer to a statement; libpq has read them then, and a socket that one waits for says nothing of them.
// Those are handed over at once. Where there are none it waits for some, `patience` at most. nullopt: the connection is
// lost.
std::optional<std::vector<std::string>> notified(connection& of, std::chrono::milliseconds patience);

}  // namespace crossfade::pgclient
