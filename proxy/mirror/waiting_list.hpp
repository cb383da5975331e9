#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <deque>
#include <functional>
#include <optional>
#include <string_view>
#include <utility>

namespace crossfade::proxy::mirror {

// How a wait ended: label `result` of crossfade_mirror_waits_total.
enum class wait_end : std::uint8_t {
    applied,   // the follower has it
    late,      // it had not within proxy.mirror_timeout; the stream brings it
    degraded,  // it wasn't waited for, as others were late before
};
inline constexpr std::array wait_ends{wait_end::applied, wait_end::late, wait_end::degraded};
std::string_view to_string(wait_end how);

// Transactions that the authority has committed, and whose clients have no answer yet: they wait until the follower has
// them. What each needs is a mark in the authority's WAL behind its commit, and the news that this one, or a later one,
// is applied. Marks are known by numbers that rise. One serves all who wait when it is asked for.
//
// One who was late makes the list degraded: nobody waits any more, until three probes in a row have come through in
// half of the time. A probe is a wait like any other, but of nobody.
//
// Pure: time comes from the caller, who carries out what it asks. At most one wait a session, so it is bounded by their
// number. Not thread-safe.
class waiting_list {
  public:
    using clock = std::chrono::steady_clock;
    using milliseconds = std::chrono::milliseconds;
    using release = std::function<void(wait_end how)>;

    static constexpr milliseconds probe_interval{500};
    static constexpr int probes_to_recover = 3;

    struct ended {
        wait_end how;
        clock::duration took;
        release tell;
    };

    // False: it need not wait, as the list is degraded. `since`: it does already, for others of the same follower.
    bool enter(clock::time_point since, milliseconds timeout, release tell);

    // Whether somebody waits without a mark, or may have missed the news of his, and none is being made.
    bool wants_mark() const { return !making_ && (!unmarked_.empty() || (missed_ && !marked_.empty())); }
    void mark_begun();
    // Its number; nullopt: it isn't there, and those who waited for it need another one.
    void mark_made(std::optional<std::uint64_t> number, clock::time_point now);

    // The follower has the stream up to this mark.
    void applied(std::uint64_t number, clock::time_point now);
    // Nobody may have heard what was applied by now.
    void news_missed() { missed_ = true; }
    // Those who have waited for too long; and, while it is degraded, probes. To be called often.
    void look_at_clock(clock::time_point now, milliseconds timeout);
    // Nobody waits any more: who did was late.
    void give_up(clock::time_point now);

    // Who is to be told, in the order in which their waits ended; to be done without the lock that guards the list.
    std::deque<ended> take_ended() { return std::exchange(ended_, {}); }

    bool degraded() const { return degraded_; }
    std::size_t waiting() const { return unmarked_.size() + making_for_.size() + marked_.size(); }

  private:
    struct wait {
        clock::time_point since;
        clock::time_point deadline;
        release tell;  // null: a probe
        std::uint64_t behind = 0;
    };
    void end(wait&& one, wait_end how, clock::time_point now);
    void end_late(std::deque<wait>& of, clock::time_point now);
    void end_applied(clock::time_point now);

    std::deque<wait> unmarked_;
    std::deque<wait> making_for_;  // those whom the mark under way is for
    std::deque<wait> marked_;      // numbers rise
    bool making_ = false;
    bool missed_ = false;
    std::uint64_t applied_ = 0;
    std::deque<ended> ended_;  // not yet taken
    bool degraded_ = false;
    bool probing_ = false;  // one is under way
    int probes_ = 0;        // that came through in time, in a row
    clock::time_point next_probe_{};
};

}  // namespace crossfade::proxy::mirror
