#pragma once

#include <atomic>
#include <cstdint>
#include <string>
#include <thread>
#include <vector>

namespace crossfade::chaos {

// What a client knows of one of its transactions.
enum class outcome {
    acknowledged,  // COMMIT was answered: it has to be there
    aborted,       // it failed before COMMIT was sent: it must not be there
    unknown,       // the connection broke between COMMIT and its answer: either
};

struct entry {
    std::string tag;  // unique; in pgbench_history.filler and document.id
    outcome result;
};

// An application that tolerates lost connections: TPC-B's transaction over pgbench's tables, and with it a document
// that is written, grown, renamed and deleted. Every transaction leaves its tag in pgbench_history, which has no key.
class workload {
  public:
    // `name`: no two workloads of one pair of databases may have the same.
    workload(std::string dsn, unsigned clients, unsigned scale, std::string name);
    ~workload();

    void start();
    void stop();

    std::uint64_t acknowledged() const { return acknowledged_; }
    std::uint64_t errors() const { return errors_; }  // statements and connections that failed
    std::uint64_t hung() const { return hung_; }      // statements without any answer for half a minute
    std::string last_error() const;

    std::vector<entry> ledger() const;  // after stop()

    static const char* schema();  // of the table `document`

  private:
    void run(unsigned client);

    std::string dsn_;
    unsigned scale_;
    std::string name_;
    std::atomic<bool> stopping_ = false;
    std::atomic<std::uint64_t> acknowledged_ = 0;
    std::atomic<std::uint64_t> errors_ = 0;
    std::atomic<std::uint64_t> hung_ = 0;
    std::atomic<const char*> last_state_ = "";
    std::vector<std::vector<entry>> ledgers_;  // one a client; its own thread's until stop()
    std::vector<std::thread> threads_;
};

}  // namespace crossfade::chaos
