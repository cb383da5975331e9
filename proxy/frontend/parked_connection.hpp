#pragma once

#include <cstddef>
#include <optional>

#include "lib/pgwire/session_status.hpp"
#include "lib/settings/flags.hpp"
#include "proxy/frontend/transport.hpp"
#include "proxy/portrait/portrait.hpp"

namespace crossfade::proxy::frontend {

// A connection that a session has left for the other database, and will come back to. Nobody uses it meanwhile, so that
// it holds what it held then. Nothing comes by it unless something is wrong with it, as its session listens to no
// channel.
struct parked_connection {
    // What is remembered of what it holds, at most: a session that holds more isn't parked.
    static constexpr std::size_t most_bytes = std::size_t{64} << 10;

    transport connection;
    settings::side side;
    portrait::session_portrait held;
    std::optional<pgwire::backend_key_data> key;
    std::size_t bytes = 0;  // of `held`, about

    // Nobody knows by `held` which statement without a name it has.
    void distrust_unnamed() {
        held.unnamed_there = true;
        held.heard.statement = portrait::heard_facts::unnamed::unknown;
        held.heard.parse.clear();
    }
};

}  // namespace crossfade::proxy::frontend
