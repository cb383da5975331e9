#pragma once

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>

#include "cdc/follow/metrics.hpp"
#include "cdc/follow/status.hpp"
#include "cdc/follow/stream_follower.hpp"
#include "cdc/follow/wait.hpp"
#include "lib/kafka/group_member.hpp"
#include "lib/settings/reload.hpp"

namespace crossfade::cdc::follow {

// Follows the stream: its one partition, or those that the consumer group gives to this process, where the stream is
// ordered by key. Another process that still believes that it has one of them can't write: the follower's lock and
// progress see to that, not the group.
class crew {
  public:
    // As stream_follower's.
    crew(std::function<settings::snapshot()> in_force, status_board& board, metrics& measured,
         std::function<void()> on_records);
    ~crew();
    crew(const crew&) = delete;
    crew& operator=(const crew&) = delete;

    void start();
    void stop();
    // The configuration may have changed.
    void nudge();

  private:
    using partitions = kafka::group_member::partitions;

    void run(const std::stop_token& stopping);
    // Until the member is of no use any more.
    void serve(const std::stop_token& stopping, kafka::group_member& member);
    void follow(int partition);
    void leave(const partitions& which);
    // What the board says while there is no partition.
    void describe(follower_state now, const std::string& reason);

    std::function<settings::snapshot()> in_force_;
    settings::snapshot at_start_;
    status_board& board_;
    metrics& measured_;
    std::function<void()> on_records_;
    std::mutex mutex_;  // of followers_, for nudge()
    std::map<int, std::unique_ptr<stream_follower>> followers_;
    interruptible_wait wait_;
    std::jthread thread_;  // the group's member, where there is a group
};

}  // namespace crossfade::cdc::follow
