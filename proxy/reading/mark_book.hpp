#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>

namespace crossfade::proxy::reading {

// How far behind a follower is, from marks in the authority's WAL: whoever has applied one has all that was committed
// before it was asked for. Knows no databases and no threads.
class mark_book {
  public:
    using instant = std::chrono::steady_clock::time_point;
    // Marks that are not applied. Beyond them the oldest are forgotten: what is known then is no younger than it is.
    static constexpr std::size_t most = 1000;

    // One that was asked for at that time, later than all before it, and has a greater number.
    void made(instant asked, std::uint64_t number);
    // The follower says, of its own accord, that it has applied this one. It may say so before made() does.
    void applied(std::uint64_t number);
    // What was known is of no use: another server, or nobody has listened meanwhile.
    void forget();

    // The follower has all that the authority had committed by then; nothing: that isn't known.
    std::optional<instant> fresh_to() const { return fresh_to_; }
    std::size_t waiting() const { return waiting_.size(); }

  private:
    struct mark {
        instant asked;
        std::uint64_t number;
    };
    void has_all_before(instant asked);

    std::deque<mark> waiting_;
    std::uint64_t last_applied_ = 0;
    std::optional<instant> fresh_to_;
};

}  // namespace crossfade::proxy::reading
