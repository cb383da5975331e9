#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <thread>

#include "cdc/follow/metrics.hpp"
#include "cdc/follow/status.hpp"
#include "cdc/follow/wait.hpp"
#include "lib/kafka/producer.hpp"
#include "lib/pgclient/connection.hpp"
#include "lib/settings/settings.hpp"

namespace crossfade::cdc::follow {

// Reads crossfade.drift for the gauges, and brings dead letters to their topic: at least once, as one is marked as
// published after the broker has acknowledged it. One that the topic is too small for is left out until the program
// starts again: the others don't wait behind it. On a thread and a connection of its own; applying never waits for it.
class ledger_keeper {
  public:
    ledger_keeper(settings::configuration config, status_board& board, metrics& measured);
    ~ledger_keeper() { stop(); }
    ledger_keeper(const ledger_keeper&) = delete;
    ledger_keeper& operator=(const ledger_keeper&) = delete;

    void start();
    void stop();
    // Something was recorded: look now rather than at the next interval.
    void nudge() { wait_.nudge(); }

  private:
    void run(const std::stop_token& stopping);
    pgclient::result<void> count_drift(pgclient::connection& db);
    // Where the stream's partitions have several followers, one of them brings the letters: as long as it lives.
    bool is_mine(pgclient::connection& db);
    // Whether all that was there is published, but for what the topic doesn't take.
    pgclient::result<bool> publish_letters(const std::stop_token& stopping, pgclient::connection& db);

    struct sending {
        std::set<std::int64_t> acknowledged;
        std::string why;         // it didn't come to its end; empty: it did
        bool too_large = false;  // as one of them is larger than the topic takes
    };
    sending send(const pgclient::rows& letters, const std::stop_token& stopping);
    pgclient::result<void> forget_gone(pgclient::connection& db);
    void leave_out(std::int64_t id, std::string_view table);

    settings::configuration config_;
    status_board& board_;
    metrics& measured_;
    std::unique_ptr<kafka::producer> producer_;
    std::string said_;
    std::set<std::int64_t> too_large_;  // letters that the topic doesn't take: not tried again
    bool mine_ = false;                 // while the connection lives
    interruptible_wait wait_;
    std::jthread thread_;
};

}  // namespace crossfade::cdc::follow
