#pragma once

#include <chrono>
#include <cstdint>
#include <optional>

#include "ctl/stream/source.hpp"
#include "lib/model/lsn.hpp"
#include "lib/settings/settings.hpp"

namespace crossfade::ctl::stream {

// The end of the stream's topic. Throws stop: unreachable when Kafka does not answer.
struct topic_tail {
    std::int64_t low = 0;
    std::int64_t high = 0;
    std::optional<model::lsn> end_lsn;    // of the last event; nullopt when the topic is empty
    std::uint64_t system_identifier = 0;  // its cluster

    bool ever_written() const { return high > 0; }
};
topic_tail read_tail(const settings::configuration& config);

// Publishes a heartbeat that ends at `at`, by resync_publisher. A publisher stops at a topic that ends before its slot,
// or in another history than legacy's; after a resync this says that the copy has what counts. A follower from before
// the copy, restored from a backup, stops there. Returns when Kafka has acknowledged it; throws stop otherwise.
void place_marker(const settings::configuration& config, const source_identity& source, model::lsn at);

}  // namespace crossfade::ctl::stream
