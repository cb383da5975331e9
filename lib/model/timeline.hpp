#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "lib/model/lsn.hpp"

namespace crossfade::model {

// A timeline that the source has left, and where: what is on it before `end` belongs to the present one as well; what
// is on it from there on was never there, or is no longer.
struct timeline_end {
    std::uint32_t timeline = 0;
    lsn end;

    friend bool operator==(const timeline_end&, const timeline_end&) = default;
};

// The source's present timeline and those that led to it, oldest first. A promotion begins a timeline, and so does the
// end of a recovery to a point in time; LSNs behind that point are used a second time.
class timeline_history {
  public:
    timeline_history() = default;
    timeline_history(std::uint32_t present, std::vector<timeline_end> left)
        : present_(present), left_(std::move(left)) {}

    std::uint32_t present() const { return present_; }

    // The timeline that the record is on whose first byte, or any other, is at `at`.
    std::uint32_t timeline_at(lsn at) const;
    // Whether all of `timeline` up to `end` belongs to the source's history.
    bool holds(std::uint32_t timeline, lsn end) const;
    // Where `timeline` was left; empty for the present one, and for those that the source was never on.
    std::optional<lsn> left_at(std::uint32_t timeline) const;
    // Those that led to `timeline`.
    std::vector<timeline_end> before(std::uint32_t timeline) const;

  private:
    std::uint32_t present_ = 0;
    std::vector<timeline_end> left_;
};

// A history file, as TIMELINE_HISTORY gives it: "1\t0/3000060\tno recovery target specified", one line a timeline.
// Empty for anything else.
std::optional<std::vector<timeline_end>> parse_timeline_history(std::string_view content);

}  // namespace crossfade::model
