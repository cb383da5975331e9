#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "ctl/stream/source.hpp"
#include "lib/model/lsn.hpp"
#include "lib/settings/settings.hpp"

namespace crossfade::ctl::stream {

// The end of a partition of the stream's topic.
struct topic_tail {
    std::int64_t low = 0;
    std::int64_t high = 0;
    std::optional<model::lsn> end_lsn;                 // of the last event; nullopt when there is none
    std::optional<settings::event_ordering> ordering;  // of the stream that it was published for

    bool ever_written() const { return high > 0; }
};
// One for each partition that the topic has by the file. Throws stop: unreachable when Kafka does not answer, or the
// topic has fewer.
std::vector<topic_tail> read_tails(const settings::configuration& config);

// Publishes a heartbeat that ends at `at`, by resync_publisher, to every partition. A publisher stops at a topic that
// ends before its slot, or in another history than legacy's; after a resync this says that the copy has what counts. A
// follower from before the copy, restored from a backup, stops there. Returns when Kafka has acknowledged all; throws
// stop otherwise.
void place_marker(const settings::configuration& config, const source_identity& source, model::lsn at);
// The same for the JSON topic, whose readers go by places that another server, or one that was set back, has a second
// time: a message of events::resync_prefix.
void tell_json_readers(const settings::configuration& config, const source_identity& source, model::lsn at);

}  // namespace crossfade::ctl::stream
