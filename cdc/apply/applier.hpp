#pragma once

#include <chrono>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "cdc/apply/careful.hpp"
#include "cdc/apply/ddl_keeper.hpp"
#include "cdc/apply/doubtful_times.hpp"
#include "cdc/apply/letter_box.hpp"
#include "cdc/apply/receipts.hpp"
#include "cdc/apply/recent_transactions.hpp"
#include "cdc/apply/scope.hpp"
#include "cdc/apply/session.hpp"
#include "cdc/apply/target_catalog.hpp"
#include "lib/store/progress.hpp"

namespace crossfade::cdc::apply {

// What became of a batch.
struct apply_report {
    enum class outcome {
        applied,     // committed; or, of a part, written
        backfill,    // a backfill is copying: nothing was changed, try again later
        unfinished,  // a backfill began, did not finish, and nobody is at it
        fenced,      // another writer has moved the progress
        overfull,    // too much waits for a table's DDL: nothing was changed, try again later
        tied,        // a constraint of the follower ties rows that the stream has in several partitions
    };
    outcome what = outcome::applied;
    std::string table;       // for unfinished, overfull and tied
    std::string constraint;  // for tied
    bool careful = false;
    std::size_t rows = 0;
    std::map<std::string, std::uint64_t> applied;  // by kind
    std::map<std::string, std::uint64_t> skipped;  // by reason
    std::vector<drift::record> records;
    std::vector<ddl_record> ddl;
    std::size_t dead_letters = 0;
    std::size_t judged = 0;       // transactions that a proxy has written to the follower itself
    std::size_t healed = 0;       // rows of these that were not as the source has them
    std::size_t given_up = 0;     // receipts whose transactions did not come by, or only others of the same number
    letter_box::outcome letters;  // what was asked of those that were there before
};

// Writes batches to the follower: its rows and its progress in one transaction. First all at once, in a way that proves
// that the follower was as the source had it (every statement touches the number of rows that it should); where it
// doesn't, or where the follower refuses something, the batch is rolled back and applied by careful_writer.
//
// Where proxies write rows to the follower themselves it judges instead: it waits for the transactions that do, takes
// the receipts of those that the batch comes by, and leaves rows alone that are there or further on. A row is never
// taken back: who mirrors a later change of it while the batch is written has the batch written anew.
//
// A failure of apply() means that nothing was committed, or, when the connection broke at COMMIT, that it isn't known:
// load the progress again. Not thread-safe.
class applier {
  public:
    // `recent` outlives it, and is told of what is applied to tables that are being copied beside the stream.
    applier(session& to, target_catalog& catalog, careful_settings settings, store::progress from,
            recent_transactions& recent);

    // Reads crossfade.tables. Before the first apply().
    pgclient::result<void> load_tables();

    // `advance`: commits with this progress. Without it the events are a part of a transaction that is still open.
    // `moved`: the partitions that wait at the one event there is, this one among them, and whose progress is moved
    // with it; empty: this one's alone.
    pgclient::result<apply_report> apply(const std::vector<consume::received>& events,
                                         const std::optional<store::progress>& advance, scope_filter& scopes,
                                         const std::vector<std::uint32_t>& moved = {});

    // The same in two halves, for batches that are written side by side (lanes). prepare() writes all but the progress;
    // `admit` is told what will be touched before anything is, waits until it may be, and says false when it must not.
    // False: nothing is left of it, and it has to be applied by apply(), when all before it are.
    pgclient::result<bool> prepare(const std::vector<consume::received>& events, scope_filter& scopes,
                                   const std::function<bool(touched_rows)>& admit);
    // Moves the progress and commits what prepare() has written.
    pgclient::result<apply_report> finish(const store::progress& from, const store::progress& to);
    // What operators ask for, waiting rows and the tables' states are read again before the next batch.
    void look_again() { reload_ = true; }
    // The same, and the follower's tables may be others.
    void begin_anew() {
        reload_ = true;
        catalog_.forget();
    }
    // Others have moved the progress, on behalf of whoever uses this one.
    void moved_to(store::progress at) { progress_ = std::move(at); }

    // Takes back the parts written so far, or what prepare() has written.
    pgclient::result<void> roll_back();
    bool in_transaction() const { return open_; }

    // Who asks to be told of a transaction's commit (lib/store/applied.hpp).
    struct marks {
        std::map<std::uint64_t, std::uint64_t> newest;  // numbers, by asker
        bool without_number = false;

        void note(const std::vector<consume::received>& events);
    };

    const store::progress& progress() const { return progress_; }
    pgclient::connection& follower() { return to_.db; }
    std::size_t waiting() const { return letters_.rows().size(); }

  private:
    struct sorted;
    // A batch's rows, written all at once.
    struct attempted {
        std::vector<pipeline::answer> answers;
        std::optional<pgclient::failure> fault;  // a row's
        bool surprised = false;                  // by rows that are not as expected, or by their tables
        bool reshaped = false;                   // by the tables
        bool good = false;
    };
    enum class beginning { good, backfill, other_tables };
    // What a table's state makes of a change.
    enum class treatment { apply, left_out, copied, copied_over, settling, unfinished };
    treatment treat(const model::table_name& table, const model::change_event& event);
    bool is_being_copied(const model::table_name& table) const;
    bool was_filled_behind(const model::table_name& table, const model::change_event& event) const;
    ddl_standing standing_of(const events::ddl_table& table, const model::change_event& event, scope_filter& scopes,
                             sorted& batch);
    // `change`: the row's, null for what has none.
    pgclient::result<std::shared_ptr<const table_mapping>> mapping_of(const std::shared_ptr<const model::relation>& rel,
                                                                      const model::row_change* change,
                                                                      scope_filter& scopes);
    pgclient::result<sorted> sort(const std::vector<consume::received>& events, scope_filter& scopes);
    statement moving(const store::progress& to, const std::vector<std::uint32_t>& moved) const;
    // Empty: crossfade.tables has changed, or there are receipts where none were looked for; sort anew.
    pgclient::result<std::optional<apply_report>> write(const std::vector<consume::received>& events,
                                                        const std::optional<store::progress>& advance,
                                                        scope_filter& scopes, const std::vector<std::uint32_t>& moved);
    // Statements of a transaction's start; the answers to the second and third say whether a backfill copies, and
    // whether crossfade.tables is as it was loaded. Returns how many they are.
    std::size_t add_beginning();
    statement fingerprinting() const;
    beginning read_beginning(const std::vector<pipeline::answer>& answers) const;
    // Under that ordering a partition's applier would see other partitions' receipts, and no proxy leaves any.
    bool heeds_receipts() const { return !settings_.by_key; }
    bool judges(const scope_filter& scopes) const;
    void seen_receipts();
    pgclient::result<beginning> read_receipts(const std::vector<consume::received>& events);
    pgclient::result<void> look_at(const std::vector<consume::received>& events, batch_judge& judge);
    bool believes(const model::change_event& event, const table_mapping& mapping, const scope_filter& scopes);
    // Runs what was added before, whose statements are `before_rows`, too.
    pgclient::result<attempted> write_at_once(const sorted& batch, std::size_t before_rows);
    using mapping_set = std::set<std::shared_ptr<const table_mapping>>;
    // Behind what was written by them. See unless_as_mapped.
    pgclient::result<bool> are_as_mapped(const mapping_set& used);
    // Until the rows are there. False: as write()'s empty answer.
    pgclient::result<bool> see_through(sorted& batch, attempted tried, const std::vector<consume::received>& events,
                                       scope_filter& scopes, apply_report& report);
    pgclient::result<void> read_rows_ahead();
    pgclient::result<std::optional<apply_report>> turn_back(std::optional<apply_report> with);
    // For the proxies' sessions that wait for it: the news comes with the commit.
    void tell(model::lsn end);
    void add_telling(std::string payload);
    pgclient::result<void> serve_letters();
    // False: the tables are others than they were when it began.
    pgclient::result<bool> write_carefully(sorted& batch, scope_filter& scopes, apply_report& report);
    bool marks_stale(const sorted& batch) const;
    void mark_stale(const sorted& batch);
    void copy_anew(const sorted& batch);
    void give_up(const pgclient::failure& because);

    session& to_;
    target_catalog& catalog_;
    careful_settings settings_;
    store::progress progress_;
    letter_box letters_;
    recent_transactions& recent_;
    letter_box::outcome served_;  // since the last report
    struct known_table : store::table_state {
        std::optional<source_snapshot> copied_at;
    };
    std::unordered_map<std::string, known_table> tables_;
    std::string fingerprint_;
    bool open_ = false;  // a follower's transaction is under way
    // Where the follower is the authority of anything: what comes of that from the other side was written there round
    // the fence.
    struct at_home {
        settings::side follower;
        settings::assignment authorities;
    };
    std::optional<at_home> at_home_;
    bool reload_ = false;   // crossfade.tables is to be read before the next transaction
    bool judging_ = false;  // in the transaction under way
    bool amiss_ = false;    // it has left out rows, or written down what isn't as it should be
    marks marks_;           // in it
    mirrored_rows mirrored_;
    doubtful_times doubts_;
    std::chrono::steady_clock::time_point judge_until_{};
    std::chrono::steady_clock::time_point gives_up_at_{};
    std::chrono::steady_clock::time_point reads_ties_at_{};
    std::size_t given_up_ = 0;  // receipts, in the transaction that is open
    apply_report so_far_;       // of the parts before
};

}  // namespace crossfade::cdc::apply
