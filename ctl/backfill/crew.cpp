#include "ctl/backfill/crew.hpp"

#include <algorithm>

#include "ctl/exit_code.hpp"

namespace crossfade::ctl::backfill {

crew::crew(const std::vector<task>& tasks) : tasks_(tasks) {
    for (std::size_t i = 0; i < tasks.size(); ++i) progress_.push_back(std::make_unique<table_progress>());
}

crew::~crew() = default;  // threads_ join first, being last

void crew::start(std::vector<worker> workers, const copy_order& how) {
    threads_.clear();
    queue_.clear();
    next_ = 0;
    for (std::size_t i = 0; i < tasks_.size(); ++i) {
        const auto now = progress_[i]->now.load();
        if (now == table_progress::stage::waiting || now == table_progress::stage::overtaken) queue_.push_back(i);
    }
    working_ = workers.size();
    for (auto& each : workers)
        threads_.emplace_back([this, &how, with = std::move(each)]() mutable { work(std::move(with), how); });
}

std::size_t crew::overtaken() const {
    return static_cast<std::size_t>(std::ranges::count_if(
        progress_, [](const auto& each) { return each->now == table_progress::stage::overtaken; }));
}

void crew::work(worker with, const copy_order& how) {
    for (std::size_t at = next_++; at < queue_.size() && !how.interrupted; at = next_++) {
        try {
            copy_table(tasks_[queue_[at]], how, with.source, with.target, *progress_[queue_[at]]);
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
