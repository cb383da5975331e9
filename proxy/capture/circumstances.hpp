#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "lib/settings/settings.hpp"
#include "proxy/capture/setback.hpp"

namespace crossfade::proxy::capture {

// Where an operator's remedy for a stopped publisher shows: a slot that was made anew or that another publisher reads,
// a mark of `crossfade backfill --resync` or other events in the topic, a topic that takes larger messages. The slot
// isn't taken to find it out, so that nobody who is at work on it is disturbed.
struct circumstances {
    std::string slot;            // what it is and where it stands; empty: there is none
    bool held = false;           // somebody reads from it
    std::int64_t topic_end = 0;  // offset
    std::string message_limits;  // of the topics; empty where the broker doesn't tell
};

// Nothing when legacy or Kafka doesn't answer within some seconds. Blocks as long.
std::optional<circumstances> look_around(const settings::configuration& config);

// Whether another attempt may end otherwise than in `why`. That the slot is no longer held says nothing: it may have
// been ourselves. Nor does one look at which it is: that may be another's attempt, as vain as ours.
bool worth_another_look(const setback& why, const circumstances& before, const circumstances& now);

}  // namespace crossfade::proxy::capture
