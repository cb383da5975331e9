#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>

#include "lib/settings/settings.hpp"

namespace crossfade::ctl::kafka {

struct topic_facts {
    int partitions = 0;  // 0: no such topic
    // cleanup.policy, retention.ms, max.message.bytes, ...; nullopt: the broker doesn't tell.
    std::optional<std::map<std::string, std::string>> settings;
};

struct facts {
    std::string brokers;
    std::string problem;  // why nothing could be asked; empty when it could
    int broker_count = 0;
    std::uint64_t largest_message = 0;  // that is produced
    topic_facts changes;
    topic_facts dead_letters;
    topic_facts json;  // asked for where stream.json_events says so
};

// Asks the cluster; never throws, what did not answer is in `problem`. Bounded to about ten seconds.
facts read_facts(const settings::configuration& config);

}  // namespace crossfade::ctl::kafka
