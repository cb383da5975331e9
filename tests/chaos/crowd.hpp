#pragma once

#include <atomic>
#include <cstdint>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "tests/chaos/client.hpp"
#include "tests/support/postgres.hpp"

namespace crossfade::chaos {

// What a client knows of one of its transactions.
enum class outcome {
    acknowledged,  // COMMIT was answered: it has to be there
    aborted,       // it failed before COMMIT was sent: it must not be there
    unknown,       // the connection broke between COMMIT and its answer: either
};

struct entry {
    std::string tag;  // unique
    outcome result;
};

// Expects that each tag's fate on a side is what its client knows. `tags`: a query for the tags that are there, each
// with how often it is.
void expect_kept(const std::vector<entry>& ledger, const support::postgres_cluster& side, const std::string& tags);

// Clients, a thread each, with what each of them knows. What is derived from it calls stop() before it goes.
class crowd {
  public:
    // `name`: in front of its tags; no two of one pair of databases may have the same.
    crowd(std::string dsn, unsigned clients, std::string name)
        : dsn_(std::move(dsn)), name_(std::move(name)), ledgers_(clients) {}
    virtual ~crowd() = default;
    crowd(const crowd&) = delete;
    crowd& operator=(const crowd&) = delete;

    void start();
    void stop();

    std::uint64_t acknowledged() const { return acknowledged_; }
    std::uint64_t errors() const { return errors_; }  // statements and connections that failed
    std::uint64_t hung() const { return hung_; }      // statements without any answer for half a minute

    // What one of them was told that failed first, where what is derived says so.
    std::string first_error() const;

    std::vector<entry> ledger() const;  // after stop()

  protected:
    virtual void run(unsigned client) = 0;  // until stopping()
    // A statement, or a transaction; `on`: what it failed on, null if there was no connection.
    void failed(const std::string& tag, PGconn* on);
    // BEGIN, these and COMMIT, up to the first that isn't done.
    struct transaction_end {
        answer last;
        outcome result;
    };
    static transaction_end transact(PGconn* on, const std::vector<std::string>& statements);
    bool stopping() const { return stopping_; }
    const std::string& dsn() const { return dsn_; }
    std::string tag(unsigned client, std::uint64_t sequence) const {
        return name_ + std::to_string(client) + '-' + std::to_string(sequence);
    }
    void knows(unsigned client, std::string tag, outcome result) {
        ledgers_[client].push_back({std::move(tag), result});
    }

    std::atomic<std::uint64_t> acknowledged_ = 0;
    std::atomic<std::uint64_t> errors_ = 0;
    std::atomic<std::uint64_t> hung_ = 0;

  private:
    std::string dsn_;
    std::string name_;
    std::atomic<bool> stopping_ = false;
    std::vector<std::vector<entry>> ledgers_;  // one a client; its own thread's until stop()
    std::vector<std::thread> threads_;
    mutable std::mutex mutex_;
    std::string first_error_;
};

}  // namespace crossfade::chaos
