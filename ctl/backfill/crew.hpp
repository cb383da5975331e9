#pragma once

#include <condition_variable>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "ctl/backfill/copy.hpp"
#include "ctl/backfill/display.hpp"

namespace crossfade::ctl::backfill {

// One connection pair that copies tables one after the other.
struct worker {
    pgclient::connection source;  // in a transaction with the exported snapshot
    pgclient::connection target;
};

// Copies all tasks with all workers, each on a thread of its own. A failed table does not stop the others; an
// interruption does.
class crew {
  public:
    explicit crew(const std::vector<task>& tasks);
    ~crew();

    // Begins with the tables that wait or were overtaken; `how` is used until wait() says that all is done. Not before
    // what was started earlier is.
    void start(std::vector<worker> workers, const copy_order& how);
    std::size_t overtaken() const;

    // Waits until all is done, or `at_most`. True when done.
    bool wait(std::chrono::milliseconds at_most);

    totals sum() const;
    std::vector<std::string> failures() const;
    const table_progress& progress(std::size_t task) const { return *progress_[task]; }

  private:
    void work(worker with, const copy_order& how);

    const std::vector<task>& tasks_;
    std::vector<std::unique_ptr<table_progress>> progress_;
    std::vector<std::size_t> queue_;
    std::atomic<std::size_t> next_{0};  // in the queue
    const std::chrono::steady_clock::time_point begun_ = std::chrono::steady_clock::now();
    mutable std::mutex mutex_;
    std::condition_variable finished_;
    std::size_t working_ = 0;            // under mutex_
    std::vector<std::string> failures_;  // under mutex_
    std::vector<std::jthread> threads_;
};

}  // namespace crossfade::ctl::backfill
