#pragma once

#include <prometheus/counter.h>
#include <prometheus/gauge.h>
#include <prometheus/registry.h>

#include <array>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <thread>

#include "lib/pgclient/connection.hpp"
#include "lib/settings/reload.hpp"
#include "lib/store/applied.hpp"
#include "lib/store/rights.hpp"
#include "proxy/reading/follower_view.hpp"
#include "proxy/reading/mark_book.hpp"
#include "proxy/reading/table_shapes.hpp"

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
    void take_news();
    bool look_at_tables(pgclient::connection& modern);
    bool look_for_more(pgclient::connection& legacy);
    bool look_at_rights(pgclient::connection& at, settings::side which);
    bool look_at_shapes(pgclient::connection& at, settings::side which);
    void say(const relation_names& misshapen);
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

    // Of the thread that listens. Rows may have been left out, or a table given up, by what was heard of: nothing that
    // was heard behind that counts before the next look.
    bool amiss_ = false;
    std::optional<std::uint64_t> news_;  // the number of the newest mark that is applied

    store::marker marker_;  // of the thread that makes marks

    std::mutex mutex_;                              // for what follows, up to the book
    std::array<store::rights_by_table, 2> rights_;  // by settings::side
    std::array<table_shapes, 2> shapes_;            // likewise
    relation_names said_misshapen_;                 // live tables, of those
    std::condition_variable_any changed_;
    mark_book book_;
    std::jthread marks_thread_;
    std::jthread listens_thread_;
};

}  // namespace crossfade::proxy::reading
