#pragma once

#include <string>
#include <vector>

#include "ctl/init/plan.hpp"
#include "ctl/stream/source.hpp"
#include "lib/pgclient/connection.hpp"
#include "lib/settings/flags.hpp"
#include "lib/settings/settings.hpp"

namespace crossfade::ctl::init {

// One direction of a stream: its two ends, and what is to be done about them.
struct way {
    settings::configuration config;
    pgclient::connection source;
    pgclient::connection follower;
    pgclient::connection replication;  // to the source
    stream::source_identity identity;
    settings::assignment authorities;  // as the databases have them; legacy, where there is one way alone
    situation found;
    plan planned;
    std::vector<std::string> left_out;  // tables that the follower has not

    bool back() const { return config.source != settings::side::legacy; }
    std::string source_name() const { return std::string{config.source_name()}; }
    std::string follower_name() const { return std::string{config.follower_name()}; }
};

}  // namespace crossfade::ctl::init
