#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "proxy/console/scope.hpp"

namespace crossfade::proxy::console {

using instant = std::chrono::sys_time<std::chrono::microseconds>;

// One PAUSE in force.
struct hold {
    scope what;
    instant since{};
    instant until{};  // it lets go by itself then
    std::string by;   // the user who paused
};

// The pauses in force. A value: who holds sessions swaps one for the next whole, as with the flags, and a session looks
// at the newest whenever it is at a boundary (ADR 0008).
class hold_set {
  public:
    static constexpr std::size_t most = 100;

    bool empty() const { return holds_.empty(); }
    bool full() const { return holds_.size() >= most; }
    const std::vector<hold>& all() const { return holds_; }  // in the order in which they began

    // The first hold that the party has to wait for; null: none. A hold that is over holds nobody, even where nobody
    // has taken it out yet.
    const hold* covering(const held_party& party, instant now) const;
    const hold* find(const scope& what) const;

    // Adds one. The same scope a second time: since stays, until and by are the new ones. At most `most`: the caller
    // asks full() first, and a full set stays as it is.
    void add(hold one);
    // These, and one more that is nobody's PAUSE, whatever the bound: a flip's.
    hold_set beside(hold one) const;
    // Takes out the hold of exactly this scope; whether it was there.
    bool remove(const scope& what);
    // Takes out those that are over by `now`, and gives them.
    std::vector<hold> expire(instant now);
    // When expire() has something to do next; instant::max() when nothing is held.
    instant next_end() const;

  private:
    std::vector<hold> holds_;
};

}  // namespace crossfade::proxy::console
