#pragma once

#include <optional>
#include <string>

#include "ctl/context.hpp"
#include "ctl/exit_code.hpp"

namespace crossfade::ctl::flags {

struct options {
    std::optional<std::string> group;
    std::optional<std::string> tenant;
};

// `crossfade flags show`: the file's flags by scope, next to those in force in the running proxy. With stream.both_ways
// the databases say who is in charge, and what they have moved is no difference.
// no: they differ. unreachable: the proxy or a database did not answer (the file's are shown all the same).
exit_code show(const context& in, const options& with);

}  // namespace crossfade::ctl::flags
