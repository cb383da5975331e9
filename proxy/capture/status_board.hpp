#pragma once

#include <prometheus/counter.h>
#include <prometheus/gauge.h>
#include <prometheus/registry.h>

#include <array>
#include <mutex>

#include "lib/model/change.hpp"
#include "proxy/capture/setback.hpp"
#include "proxy/capture/wal_budget.hpp"
#include "proxy/publish/ack_tracker.hpp"

namespace crossfade::proxy::capture {

// What the publisher says of itself, to status() and to the metrics. Thread-safe. State changes are logged here, once
// each.
class status_board {
  public:
    // `most_events`, `most_bytes`: the bounds of what is unacknowledged, as metrics.
    status_board(prometheus::Registry& metrics, std::string stream, std::size_t most_events, std::size_t most_bytes);

    publisher_status read() const;

    void enter(const setback& from);  // any state but publishing
    // `confirmed`: what the slot was confirmed to before, so that the lag is known before Kafka's first answer.
    void enter_publishing(model::lsn confirmed);
    // While publishing: why it stands still; empty again when it goes on.
    void blocked(const std::string& reason, const std::string& way_out);

    void progress(const publish::ack_tracker& acks, model::lsn server_end);
    void published(const model::change_event& event);
    void heartbeat_failed();
    void retained(const kept_wal& now, std::size_t budget);
    // What is wrong with the WAL that the slot keeps; empty: nothing.
    void warn_of_wal(const std::string& reason, const std::string& way_out);

  private:
    void show(publisher_state state);

    std::string stream_;
    mutable std::mutex guard_;
    publisher_status now_;

    std::array<prometheus::Gauge*, 6> states_{};  // by publisher_state
    prometheus::Gauge& stopped_;
    prometheus::Gauge& unacknowledged_events_;
    prometheus::Gauge& unacknowledged_bytes_;
    prometheus::Gauge& retained_bytes_;
    prometheus::Gauge& retained_budget_;
    prometheus::Gauge& wal_left_;
    prometheus::Gauge& slot_idle_;
    std::array<prometheus::Gauge*, 4> wal_states_{};  // by wal_status
    prometheus::Gauge& lag_bytes_;
    prometheus::Counter& heartbeat_failures_;
    std::array<prometheus::Counter*, 6> published_{};  // by kind: insert, update, delete, truncate, message, heartbeat
};

}  // namespace crossfade::proxy::capture
