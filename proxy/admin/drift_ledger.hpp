#pragma once

#include <boost/system/result.hpp>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "lib/pgclient/connection.hpp"
#include "proxy/console/provider.hpp"

namespace crossfade::proxy::admin {

// Reads what crossfade-cdc has written down as drift in the modern database: one query at a time, on a thread of its
// own, as libpq waits.
class drift_ledger {
  public:
    using found = pgclient::result<std::vector<console::drift_facts>>;
    using taker = std::function<void(found)>;

    // The modern database's dsn, and the stream's name.
    drift_ledger(std::string dsn, std::string stream);
    ~drift_ledger() { stop(); }
    // Waits for the query under way; those that wait for it fail.
    void stop();

    // `then` is called once, in the ledger's thread, or in the caller's with sqlstate 53000 when `most_waiting` wait
    // already. `timeout` bounds each of the steps: connection and query. At most `most_rows` sums are read.
    void read(std::chrono::milliseconds timeout, unsigned most_rows, taker then);

    static constexpr std::size_t most_waiting = 8;

  private:
    struct errand {
        std::chrono::milliseconds timeout;
        unsigned most_rows;
        taker then;
    };
    void work();
    found look(const errand& wanted) const;

    std::string dsn_;
    std::string stream_;
    std::mutex mutex_;
    std::condition_variable changed_;
    std::deque<errand> waiting_;
    bool ending_ = false;
    std::thread thread_;
};

}  // namespace crossfade::proxy::admin
