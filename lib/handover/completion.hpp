#pragma once

#include <functional>
#include <string>

#include "lib/preflight/finding.hpp"
#include "lib/settings/settings.hpp"

// The end of a cutover (docs/adr/0032): modern keeps what it has, and the way back is given up.
namespace crossfade::handover {

struct ending {
    std::string by;
    std::string program;
    std::string reason;
    bool look_only = false;  // at the gates
    bool overrule = false;   // those that warn
};

struct ended {
    bool elsewhere = false;  // a flip is under way: nothing was looked at
    bool refused = false;    // by the gates, and nothing has changed
    preflight::findings gates;
    std::string completed_at;  // empty: it isn't
    bool was_before = false;   // what is behind it was looked to again
    std::string left;          // what of it could not be taken away, and has to be done again; empty: nothing
};

// Blocking, some seconds. In this order: decided and written down on modern, told to legacy, the slot of the way back
// dropped; may be called again until nothing is left. Throws trouble where a side can't be asked.
ended complete(const settings::configuration& config, const ending& what,
               const std::function<void(const std::string&)>& say);

// Of a flip to legacy behind it, for people.
std::string no_way_back(const std::string& completed_at);

}  // namespace crossfade::handover
