#pragma once

#include <thread>

#include "cdc/follow/metrics.hpp"
#include "cdc/follow/status.hpp"
#include "cdc/follow/wait.hpp"
#include "lib/settings/settings.hpp"

namespace crossfade::cdc::follow {

// Measures the lag once a second: asks the source where its WAL ends, on a connection and a thread of its own, so that
// a source that is away or slow never disturbs applying.
class source_watch {
  public:
    source_watch(settings::configuration config, status_board& board, metrics& measured);
    ~source_watch() { stop(); }
    source_watch(const source_watch&) = delete;
    source_watch& operator=(const source_watch&) = delete;

    void start();
    void stop();

  private:
    void run(const std::stop_token& stopping);

    settings::configuration config_;
    status_board& board_;
    metrics& measured_;
    interruptible_wait wait_;
    std::jthread thread_;
};

}  // namespace crossfade::cdc::follow
