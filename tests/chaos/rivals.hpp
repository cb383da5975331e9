#pragma once

#include <atomic>
#include <cstdint>
#include <random>
#include <string>
#include <vector>

#include "tests/chaos/crowd.hpp"

namespace crossfade::chaos {

// Clients that want the same few rows: counters, transfers between purses (which end in deadlocks), seats that are
// swapped under a unique key, rows that come and go, many at once, and tables and partitions that are emptied. They
// tolerate lost connections and deadlocks.
class rivals : public crowd {
  public:
    // What they do: everything, or only what is about rows that may be in each other's way by other columns than a key.
    enum class game : std::uint8_t { all, seats };
    rivals(std::string dsn, unsigned clients, std::string name, game what = game::all);
    ~rivals() override { stop(); }

    std::string last_error() const;  // after stop()

    // Each transaction with a tag leaves it in deed.tag.
    static constexpr const char* tags = "SELECT tag, count(*) FROM deed GROUP BY 1";
    // How often a counter was raised, for certain, and at most.
    std::uint64_t raised() const { return raised_; }
    std::uint64_t perhaps_raised() const { return raised_ + unknown_raises_; }

    static const char* schema();
    static const char* rows();
    // What holds on either side whatever is going on: one row, one column, "t".
    static const char* invariant();

  private:
    struct deed {
        std::vector<std::string> statements;  // of one transaction
        bool raises = false;                  // a counter, by one
    };
    deed next(std::mt19937& random, const std::string& tag) const;
    void run(unsigned client) override;

    const game what_;
    std::atomic<std::uint64_t> raised_ = 0;
    std::atomic<std::uint64_t> unknown_raises_ = 0;
    std::vector<std::string> last_errors_;  // one a client; its own thread's until stop()
};

}  // namespace crossfade::chaos
