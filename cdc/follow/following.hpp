#pragma once

#include <prometheus/registry.h>

#include <functional>

#include "cdc/follow/crew.hpp"
#include "cdc/follow/ledger_keeper.hpp"
#include "cdc/follow/source_watch.hpp"
#include "cdc/follow/topic_watch.hpp"
#include "lib/settings/reload.hpp"

namespace crossfade::cdc::follow {

// One stream, with all that is done for it: who applies, who keeps the books, and who looks at its two ends.
class following {
  public:
    // As stream_follower's.
    following(const std::function<settings::snapshot()>& in_force, prometheus::Registry& registry);

    void start();
    void stop();
    // The configuration may have changed.
    void nudge() { crew_.nudge(); }

    const status_board& board() const { return board_; }

  private:
    settings::snapshot at_start_;
    status_board board_;
    metrics measured_;
    ledger_keeper ledger_;
    source_watch source_;
    topic_watch topic_;
    crew crew_;
};

}  // namespace crossfade::cdc::follow
