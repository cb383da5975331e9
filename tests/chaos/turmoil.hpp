#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <random>
#include <string>
#include <thread>

#include "tests/chaos/client.hpp"

namespace crossfade::chaos {

// What a WAL holds beside short transactions: large ones, some of them rolled back, tables without a key and with rows
// that are equal, TRUNCATE (of several tables, with CASCADE, of partitions), rows that move between partitions,
// savepoints, prepared transactions, logical messages, cascades of foreign keys, and new columns. By one client, which
// tolerates lost connections; no other client touches its tables.
class turmoil {
  public:
    // `legacy`: the application's way, through the proxy. `modern`: directly; new columns are made there first.
    // `first`: where its rows are counted from; of two on the same databases each needs numbers of its own.
    // `pause`: between two rounds.
    turmoil(std::string legacy, std::string modern, std::uint64_t first, std::chrono::milliseconds pause = {});
    ~turmoil();

    void start();
    void stop();

    std::uint64_t rounds() const { return rounds_; }    // transactions that were answered
    std::uint64_t refused() const { return refused_; }  // statements with an ERROR: none is expected, ever
    std::string last_refusal() const;                   // after stop()
    std::uint64_t hung() const { return hung_; }

    // Of its tables. The legacy database needs max_prepared_transactions, too.
    static const char* schema();

  private:
    void run();
    answer one_round(PGconn* on);
    answer new_column(PGconn* on);
    answer all(PGconn* on, std::initializer_list<std::string> statements);
    answer finish_prepared(PGconn* on);

    std::string legacy_;
    std::string modern_;
    connection to_modern_;
    std::mt19937 random_{7};
    std::atomic<bool> stopping_ = false;
    std::atomic<std::uint64_t> rounds_ = 0;
    std::atomic<std::uint64_t> refused_ = 0;
    std::atomic<std::uint64_t> hung_ = 0;
    std::uint64_t next_;
    std::chrono::milliseconds pause_;
    unsigned columns_ = 0;
    std::string last_refusal_;
    std::thread thread_;
};

}  // namespace crossfade::chaos
