#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "proxy/console/console_session.hpp"

namespace crossfade::proxy::console::test {

// What a console says, readable: "T(id:20,user:25) D(1,ann) C(SHOW) Z(I)". An error is "E(42601 message | hint)", a
// notice "N(message)", NULL "~", binary values are "x00ff".
std::string transcript(std::string_view bytes);

// Carries a request out for the tests; nothing: the request is kept, and the conversation ends waiting.
using proxy_stand_in = std::function<answer(const request&)>;

struct conversation {
    role as = role::admin;
    std::size_t max_rows = 1000;
    proxy_stand_in proxy = [](const request&) { return done{}; };
    std::vector<std::string> asked = {};  // what the proxy was asked, as "PAUSE GROUP g by ann"

    // All that the console says to these bytes, the greeting left out. `step`: how many bytes it is fed at a time, and
    // how many it may write at a time.
    std::string said_to(std::string_view bytes, std::size_t step = 100000);
    // The same, having checked that the way in which the bytes are cut doesn't matter.
    std::string hold(std::string_view bytes);

    bool closed = false;  // by the last conversation
};

party ann();
// One of everything, for all that SHOW can show.
facts sample_facts();

// "PAUSE GROUP orders by ann"
std::string to_string(const request& what);

}  // namespace crossfade::proxy::console::test
