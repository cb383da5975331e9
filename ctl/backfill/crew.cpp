#include "ctl/backfill/crew.hpp"

#include "ctl/exit_code.hpp"

namespace crossfade::ctl::backfill {

crew::crew(const std::vector<task>& tasks, const copy_order& how) : tasks_(tasks), how_(how) {
    for (std::size_t i = 0; i < tasks.size(); ++i) progress_.push_back(std::make_unique<table_progress>());
}

crew::~crew() = default;  // threads_ join first, being last

void crew::start(std::vector<worker> workers) {
    begun_ = std::chrono::steady_clock::now();
    working_ = workers.size();
    for (auto& each : workers)
        threads_.emplace_back([this, with = std::move(each)]() mutable { work(std::move(with)); });
}

void crew::work(worker with) {
    for (std::size_t at = next_++; at < tasks_.size() && !how_.interrupted; at = next_++) {
        try {
            copy_table(tasks_[at], how_, with.source, with.target, *progress_[at]);
        } catch (const stop& why) {
            const std::lock_guard lock(mutex_);
            failures_.emplace_back(why.what());
        }
    }
    const std::lock_guard lock(mutex_);
    --working_;
    finished_.notify_all();
}

bool crew::wait(std::chrono::milliseconds at_most) {
    std::unique_lock lock(mutex_);
    return finished_.wait_for(lock, at_most, [this] { return working_ == 0; });
}

totals crew::sum() const {
    totals sum;
    sum.tables = tasks_.size();
    sum.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begun_).count();
    for (std::size_t i = 0; i < tasks_.size(); ++i) {
        sum.rows += progress_[i]->rows;
        sum.bytes += progress_[i]->bytes;
        sum.expected_rows += tasks_[i].estimated_rows;
        sum.expected_bytes += tasks_[i].bytes;
        if (progress_[i]->now == table_progress::stage::done) ++sum.tables_done;
    }
    return sum;
}

std::vector<std::string> crew::failures() const {
    const std::lock_guard lock(mutex_);
    return failures_;
}

}  // namespace crossfade::ctl::backfill
