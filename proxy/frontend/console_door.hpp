#pragma once

#include <functional>
#include <string>

#include "lib/pgwire/startup.hpp"
#include "proxy/console/access.hpp"
#include "proxy/frontend/front_metrics.hpp"
#include "proxy/frontend/surroundings.hpp"
#include "proxy/frontend/transport.hpp"

namespace crossfade::proxy::frontend {

// How a console came to its end, and what is still to be said to the client; empty: nothing.
struct console_end {
    session_end end = session_end::client_left;
    std::string goodbye;
};

// The whole of a console session, for a client whose start-up message asks for the console's database: who may come in,
// then question and answer until the client leaves or the socket is closed. `early`: what came behind the start-up
// message; `logged_in` is called when the client is in. All that is referred to must outlive the call.
asio::awaitable<console_end> serve_console(transport& client, surroundings& around, settings::snapshot in_force,
                                           pgwire::startup_message opening, std::string early,
                                           std::function<void()> logged_in);

}  // namespace crossfade::proxy::frontend
