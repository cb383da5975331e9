#pragma once

#include <atomic>
#include <cstdint>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "tests/chaos/client.hpp"
#include "tests/chaos/workload.hpp"

namespace crossfade::chaos {

// Clients that want the same few rows: counters, transfers between purses (which end in deadlocks), seats that are
// swapped under a unique key, rows that come and go. They tolerate lost connections and deadlocks.
class rivals {
  public:
    // `name`: no two of one pair of databases may have the same.
    rivals(std::string dsn, unsigned clients, std::string name);
    ~rivals();

    void start();
    void stop();

    std::uint64_t acknowledged() const { return acknowledged_; }
    std::uint64_t errors() const { return errors_; }
    std::uint64_t hung() const { return hung_; }
    std::string last_error() const;  // after stop()

    // After stop(). Each transaction with a tag leaves it in deed.tag.
    std::vector<entry> ledger() const;
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
    static deed next(std::mt19937& random, const std::string& tag);
    void run(unsigned client);

    std::string dsn_;
    std::string name_;
    std::atomic<bool> stopping_ = false;
    std::atomic<std::uint64_t> acknowledged_ = 0;
    std::atomic<std::uint64_t> errors_ = 0;
    std::atomic<std::uint64_t> hung_ = 0;
    std::atomic<std::uint64_t> raised_ = 0;
    std::atomic<std::uint64_t> unknown_raises_ = 0;
    std::vector<std::vector<entry>> ledgers_;  // one a client; its own thread's until stop()
    std::vector<std::string> last_errors_;     // likewise
    std::vector<std::thread> threads_;
};

}  // namespace crossfade::chaos
