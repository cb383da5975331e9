#include "cdc/follow/following.hpp"

namespace crossfade::cdc::follow {

following::following(const std::function<settings::snapshot()>& in_force, prometheus::Registry& registry)
    : at_start_(in_force()),
      measured_(registry, at_start_->config.stream.name),
      ledger_(at_start_->config, board_, measured_),
      source_(at_start_->config, board_, measured_),
      topic_(at_start_->config, board_, registry),
      crew_(in_force, board_, measured_, [this] { ledger_.nudge(); }) {}

void following::start() {
    crew_.start();
    ledger_.start();
    source_.start();
    topic_.start();
}

void following::stop() {
    crew_.stop();
    ledger_.stop();
    source_.stop();
    topic_.stop();
}

}  // namespace crossfade::cdc::follow
