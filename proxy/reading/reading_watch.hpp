#pragma once

#include <prometheus/counter.h>
#include <prometheus/gauge.h>
#include <prometheus/registry.h>

#include <condition_variable>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <thread>

#include "lib/pgclient/connection.hpp"
#include "lib/settings/reload.hpp"
#include "proxy/reading/follower_view.hpp"
#include "proxy/reading/mark_book.hpp"

namespace crossfade::proxy::reading {

// Keeps a follower_view up to date while reads may go to modern by the flags, and lets it grow old otherwise: writes
// marks to legacy's WAL, hears on modern of their being applied, and reads there which tables are live and how much of
// them is known to differ. On connections and threads of its own. docs/adr/0029 says why it is right.
class reading_watch {
  public:
    // The view outlives it.
    reading_watch(std::function<settings::snapshot()> in_force, follower_view& view, prometheus::Registry& metrics);
    ~reading_watch() { stop(); }
    reading_watch(const reading_watch&) = delete;
    reading_watch& operator=(const reading_watch&) = delete;

    void start();
    // Takes as long as a question to a database that is under way, some seconds at most. Any thread.
    void stop();

  private:
    using clock = mark_book::instant::clock;

    void make_marks(const std::stop_token& stopping);
    void listen(const std::stop_token& stopping);
    bool mark(pgclient::connection& legacy);
    bool hear(pgclient::connection& modern);
    bool look_at_tables(pgclient::connection& modern);
    bool look_for_more(pgclient::connection& legacy);
    bool look_at_names(pgclient::connection& at, settings::side which);
    void lose_modern();
    void note_lag();
    std::chrono::milliseconds interval() const;
    bool wanted_by_flags() const { return in_force_()->config.flags.may_read_at_follower(); }
    // False: it is to stop. Ends early when somebody wants news.
    bool pause(const std::stop_token& stopping, std::chrono::milliseconds time, bool until_wanted);

    const std::function<settings::snapshot()> in_force_;
    follower_view& view_;
    prometheus::Gauge& lag_;
    prometheus::Gauge& waiting_;
    prometheus::Gauge& there_;
    prometheus::Counter& marks_;

    std::mutex mutex_;  // for the book
    std::condition_variable_any changed_;
    mark_book book_;
    std::jthread marks_thread_;
    std::jthread listens_thread_;
};

}  // namespace crossfade::proxy::reading
