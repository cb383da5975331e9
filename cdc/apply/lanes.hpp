#pragma once

#include <chrono>
#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "cdc/apply/applier.hpp"

namespace crossfade::cdc::apply {

// A batch of whole transactions, and the progress that it begins at and comes to.
struct lane_batch {
    std::vector<consume::received> events;
    store::progress from;
    store::progress to;
};

// What became of one.
struct lane_outcome {
    enum class kind {
        applied,  // committed, and all before it
        refused,  // nothing of it is done; to be applied alone, in its place
        fenced,   // another writer has moved the progress
        failed,   // the connection broke; whether it is committed is not known
    };
    kind what = kind::refused;
    lane_batch batch;
    apply_report report;
    std::optional<pgclient::failure> why;
    std::chrono::duration<double> took{0};
};

// Writes batches side by side, each on a connection and a thread of its own, and commits them in their order: a reader
// of the follower sees what one connection would have left, at every moment. A batch begins when all before it have
// said which rows they touch, and none of those that are not committed touches one of its own; it commits when all
// before it have.
//
// What rows touch is told by their keys. Other constraints (a second unique key) may make a later batch be in an
// earlier one's way, or fail: it waits no longer than lock_timeout, and then it and all after it are refused, which
// undoes them. Whoever applies them then does so alone and in order, which is always right.
//
// submit() and settle() are one thread's.
class lanes {
  public:
    struct settings {
        std::string dsn;
        careful_settings place;
        std::string tenant_column;
        std::string since;  // see session::mark_origin
        std::chrono::milliseconds silence;
        int count = 2;
    };

    // Connects. Fails where the lanes could not do what `main`, which applies alone, can: without the right to set
    // session_replication_role, or without origins where it has one. `main` is told of their origins.
    static pgclient::result<std::unique_ptr<lanes>> open(const settings& of, session& main,
                                                         const std::function<bool()>& interrupted);
    ~lanes();  // waits for what is under way, and undoes what is not committed
    lanes(const lanes&) = delete;
    lanes& operator=(const lanes&) = delete;

    // To follow what was submitted before. Waits for a lane to be free.
    void submit(lane_batch next, crossfade::settings::snapshot in_force);
    // Those that are committed and not yet told of, in their order, without waiting.
    std::vector<lane_outcome> applied();
    // Waits for all, and tells of all, in their order. Behind one that was not applied none is.
    std::vector<lane_outcome> settle();

    bool empty() const;
    // Whether one was not applied: settle() is due.
    bool troubled() const;
    // Where the last one submitted comes to. While not empty().
    const store::progress& tail() const { return tail_; }

    // What the lanes know of the follower is to be read again.
    void look_again();

  private:
    struct job;
    struct lane;

    lanes() = default;
    void run(lane& own);
    void work(lane& own, job& on);
    bool admit(job& of, touched_rows rows);
    bool await_turn(job& of);
    bool abandoned(const job& of) const;

    mutable std::mutex mutex_;
    std::condition_variable changed_;
    std::deque<std::shared_ptr<job>> jobs_;  // not yet told of, in their order
    std::vector<std::unique_ptr<lane>> lanes_;
    store::progress tail_;
    bool stopping_ = false;
};

}  // namespace crossfade::cdc::apply
