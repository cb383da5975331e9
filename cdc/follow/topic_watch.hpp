#pragma once

#include <prometheus/gauge.h>
#include <prometheus/registry.h>

#include <chrono>
#include <map>
#include <optional>
#include <thread>

#include "cdc/follow/retention.hpp"
#include "cdc/follow/status.hpp"
#include "cdc/follow/wait.hpp"
#include "lib/kafka/consumer.hpp"
#include "lib/pgclient/connection.hpp"
#include "lib/settings/settings.hpp"

namespace crossfade::cdc::follow {

// Looks every ten seconds how old the next event to be applied is, against how long the topic keeps it, so that a
// follower that stands still (held, waiting, standing by, slow) is noticed before Kafka deletes what it needs. On
// connections and a thread of its own; it asks and changes nothing. While modern is away, the progress that it had last
// counts.
class topic_watch {
  public:
    topic_watch(settings::configuration config, status_board& board, prometheus::Registry& registry);
    ~topic_watch() { stop(); }
    topic_watch(const topic_watch&) = delete;
    topic_watch& operator=(const topic_watch&) = delete;

    void start();
    void stop();

  private:
    void run(const std::stop_token& stopping);
    void ask_progress();
    kafka::result<retention_outlook> look();
    kafka::result<retention_outlook> look(kafka::partition_reader& reader, int partition, std::int64_t next);
    void tell(const retention_outlook& found);

    settings::configuration config_;
    status_board& board_;
    prometheus::Gauge& age_;
    prometheus::Gauge& retention_;
    prometheus::Gauge& used_;
    interruptible_wait wait_;
    std::optional<pgclient::connection> modern_;
    std::map<int, std::int64_t> next_offsets_;  // by partition
    retention_limits limits_;
    std::optional<std::chrono::steady_clock::time_point> limits_read_;
    double said_ = 0;  // the share at which the last warning was logged
    std::jthread thread_;
};

}  // namespace crossfade::cdc::follow
