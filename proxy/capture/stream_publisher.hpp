#pragma once

#include <prometheus/registry.h>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "lib/model/lsn.hpp"
#include "lib/settings/reload.hpp"

namespace crossfade::proxy::capture {

enum class publisher_state {
    off,         // not started, or stopped by stop()
    waiting,     // something is missing or away; tried again by itself
    standby,     // another publisher holds the slot; takes over when it goes
    publishing,  // holds the slot
    stopped,     // events are missing or can't be had: an operator must act, and it goes on when that shows
    completed,   // of a way back that was given up (docs/adr/0032): nobody is to publish any more
};
std::string_view to_string(publisher_state state);

struct publisher_status {
    publisher_state state = publisher_state::off;
    std::string reason;        // why it isn't publishing, or why publishing stands still; empty when all is well
    std::string way_out;       // what to do about it; empty when nothing need be done
    model::lsn confirmed_lsn;  // confirmed to the slot: everything before it is in Kafka. 0/0: nothing yet
    model::lsn published_lsn;  // end of the newest transaction handed to Kafka, acknowledged or not
    std::uint64_t unacknowledged_events = 0;
    std::uint64_t retained_wal_bytes = 0;  // WAL that the slot keeps on the server
    std::string wal_warning;               // what is wrong with it; empty: nothing
    std::string wal_way_out;
};

// Reads the source's WAL (legacy's, but for the way back of stream.both_ways) from the stream's slot and publishes each
// change to the stream's topic, on threads of its own; clients' sessions never wait for it. Any number of proxies may
// run one: the slot lets one in at a time, the others stand by. Settings of stream, kafka and the database are those at
// construction.
class stream_publisher {
  public:
    // Bytes of events given to Kafka and not acknowledged yet, at which reading stops; besides
    // settings::proxy::max_unacknowledged_events.
    static constexpr std::size_t max_unacknowledged_bytes = std::size_t{64} << 20;

    // `in_force`: the flags by now; empty: as at the start.
    stream_publisher(settings::snapshot at_start, prometheus::Registry& metrics,
                     std::function<settings::snapshot()> in_force = {});
    ~stream_publisher();  // stops
    stream_publisher(const stream_publisher&) = delete;
    stream_publisher& operator=(const stream_publisher&) = delete;

    // Once. Returns at once; what goes wrong is in status().
    void start();
    // Waits, a few seconds at most, for Kafka's answers to what was published, confirms it and lets the slot go.
    void stop();

    // Thread-safe.
    publisher_status status() const;

  private:
    struct impl;
    std::unique_ptr<impl> impl_;
};

}  // namespace crossfade::proxy::capture
