#pragma once

#include <atomic>
#include <chrono>
#include <string>

#include "tests/chaos/crowd.hpp"

namespace crossfade::chaos {

// An application that tolerates lost connections: TPC-B's transaction over pgbench's tables, and with it a document
// that is written, grown, renamed and deleted. Every transaction leaves its tag in pgbench_history.filler, which has no
// key, and in document.id.
class workload : public crowd {
  public:
    // `pause`: between two transactions of a client, which has other things to do, too.
    workload(std::string dsn, unsigned clients, unsigned scale, std::string name, std::chrono::milliseconds pause = {});
    ~workload() override { stop(); }

    std::string last_error() const { return last_state_.load(); }

    static const char* schema();  // of the table `document`

  private:
    void run(unsigned client) override;

    unsigned scale_;
    std::chrono::milliseconds pause_;
    std::atomic<const char*> last_state_ = "";
};

}  // namespace crossfade::chaos
