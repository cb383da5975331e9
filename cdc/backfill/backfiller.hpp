#pragma once

#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "cdc/apply/careful.hpp"
#include "cdc/apply/session.hpp"
#include "cdc/apply/target_catalog.hpp"
#include "cdc/backfill/rows_query.hpp"
#include "cdc/backfill/source_reader.hpp"
#include "lib/failpoint/failpoint.hpp"
#include "lib/pgclient/copy.hpp"
#include "lib/settings/reload.hpp"
#include "lib/store/backfill.hpp"
#include "lib/store/progress.hpp"

namespace crossfade::cdc::backfill {

// Copies tables while their changes are applied: between two batches, a chunk at a time, in the transaction that notes
// how far it is. What `crossfade backfill --live` has asked for is in crossfade.backfills; docs/adr/0014 says why the
// copy and the stream come to the same rows in the end.
//
// A table that can't be copied stands still, with the reason there; the stream and the other tables go on. Not
// thread-safe.
class backfiller {
  public:
    // All of it outlives the backfiller. `in_force`: of the stream's configuration; `interrupted`: a chunk under way is
    // given up.
    backfiller(apply::session& to, apply::target_catalog& catalog, apply::recent_transactions& recent,
               apply::careful_settings settings, std::string source_dsn, std::function<settings::snapshot()> in_force,
               std::function<bool()> interrupted);

    struct turn {
        bool worked = false;          // another may follow at once
        bool tables_changed = false;  // crossfade.tables has to be read again before anything is applied
        std::int64_t rows = 0;        // of a chunk
        std::int64_t bytes = 0;
        std::chrono::duration<double> took{0};
    };
    // One step: a chunk, or a table's beginning or end. While no transaction is open on the follower, whose place in
    // the stream is `at`; `lag`: how far that is behind. A failure is the follower's, and the state of its connection
    // is not known.
    pgclient::result<turn> take(const store::progress& at, std::chrono::milliseconds lag);

    // Whether a step is worth it, as of the last one.
    bool due(std::chrono::milliseconds lag) const {
        return current_ != nullptr && lag <= current_->max_lag && steady::now() >= again_at_ &&
               (current_->max_rate == 0 || steady::now() >= not_before_);
    }
    // Whether take() is to be called: a step is worth it, or it is time to see what is asked for.
    bool wants_a_turn(std::chrono::milliseconds lag) const {
        return due(lag) || steady::now() - looked_ >= look_interval;
    }
    // What was asked for, done or not.
    const std::vector<store::backfill>& tables() const { return tables_; }

  private:
    using steady = std::chrono::steady_clock;
    static constexpr std::chrono::seconds look_interval{1};
    // What is known of a table from one chunk to the next.
    struct memory {
        std::unique_ptr<source_table> table;
        std::int64_t rows = 1000;  // of the next chunk
        double speed = 0;          // rows a second, of the last chunks; 0: none yet
        double growth = 16;        // how many times as large as the last one a chunk may be
        int conflicts = 0;         // chunks in a row that could not be written for rows in their way
        model::lsn not_before;     // the follower's place for the next attempt

        // `took`: for the `written` rows of a chunk; `fair`: for what the next one may, within limits.
        void sized_by(double written, std::chrono::duration<double> took, std::chrono::duration<double> fair);
    };

    void note_asked();
    // Whether nobody may be reading the table who doesn't know of the copy yet.
    pgclient::result<bool> is_known_of();
    pgclient::result<turn> begin(const store::progress& at);
    pgclient::result<turn> copy(const store::progress& at);
    pgclient::result<turn> refetch(const store::progress& at);
    pgclient::result<turn> finish(const store::progress& at);

    // Begins the follower's transaction of a step. A turn: there is none, the source's is closed, and that is what the
    // step comes to.
    pgclient::result<std::optional<turn>> enter(const store::progress& at);
    // Whether the follower takes the application's writes of the table, or of some of its rows. It stays so until the
    // open transaction ends.
    pgclient::result<bool> follower_is_home();

    // The moment of a chunk, with the source's transaction open; empty: not now, or never, as `hopeless_` says.
    std::optional<view> open_view(memory& of, const store::progress& at);
    // Writes rows of the source, within the open transaction; takes those out of the way that have the same key.
    pgclient::relayed write(const apply::table_mapping& to, const rows_query& what, bool expected);
    pgclient::relayed remove(const apply::table_mapping& from, const rows_query& what);
    pgclient::result<bool> clear(const apply::table_mapping& of);
    // What a write that failed comes to.
    pgclient::result<turn> give_up(memory& of, const pgclient::relayed& failed, const view& now);
    pgclient::result<turn> hold(const std::string& reason);
    void source_failed(const pgclient::failure& why);
    pgclient::result<void> leave();
    // Ends the transactions of both sides. False: a statement has not touched the rows it is about, as somebody has
    // asked for something else meanwhile, and nothing is changed.
    pgclient::result<bool> commit(failpoint::listed written);

    apply::session& to_;
    apply::target_catalog& catalog_;
    apply::recent_transactions& recent_;
    const apply::careful_settings settings_;
    std::function<settings::snapshot()> in_force_;
    std::function<bool()> interrupted_;
    source_reader source_;
    std::vector<store::backfill> tables_;
    const store::backfill* current_ = nullptr;  // of tables_
    std::map<std::string, memory> known_;
    std::map<std::string, steady::time_point> asked_;  // for which tables, and since when that is seen here
    std::optional<std::uint64_t> fence_;
    steady::time_point looked_{};
    steady::time_point not_before_{};          // by max_rate
    steady::time_point again_at_{};            // as somebody has the table
    steady::time_point left_ = steady::now();  // the end of the last step
    steady::duration stream_took_{0};          // from there to this one
    std::string said_;
    std::string hopeless_;
};

}  // namespace crossfade::cdc::backfill
