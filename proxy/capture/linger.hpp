#pragma once

#include <chrono>
#include <cstddef>
#include <optional>

namespace crossfade::proxy::capture {

// How long events wait for others, so that they share a request to Kafka, a batch of crossfade-cdc's and its commit,
// which is most of what a small transaction costs. Only for streams that nobody waits for: under `mirror` who waits
// says so in the stream. No clock of its own; one thread.
class linger {
  public:
    using clock = std::chrono::steady_clock;
    static constexpr std::chrono::milliseconds longest{50};
    static constexpr std::size_t most_events = 500;
    // Who waits is seldom alone.
    static constexpr std::chrono::milliseconds calm_after{500};

    // An event is there to be sent. `urgent`: somebody waits for it.
    void put(clock::time_point now, bool urgent);
    // Whether what is there is to be sent; with nothing there, it does no harm.
    bool is_over(clock::time_point now) const;
    void sent();
    // Whether something is there that nobody waits for, nor did lately: what legacy sends need not be looked at as soon
    // as it comes.
    bool calm(clock::time_point now) const;
    // When it will be over, if nothing comes; nothing: nothing is there.
    std::optional<clock::time_point> until() const { return until_; }

  private:
    std::optional<clock::time_point> until_;
    std::optional<clock::time_point> urgent_at_;
    std::size_t events_ = 0;
    bool urgent_ = false;
};

}  // namespace crossfade::proxy::capture
