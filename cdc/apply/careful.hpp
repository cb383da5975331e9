#pragma once

#include <optional>
#include <set>
#include <string>
#include <vector>

#include "cdc/apply/batch_plan.hpp"
#include "cdc/apply/ddl_decision.hpp"
#include "cdc/apply/pipeline.hpp"
#include "cdc/apply/receipts.hpp"
#include "cdc/apply/target.hpp"
#include "cdc/apply/waiting_rows.hpp"
#include "cdc/consume/event_order.hpp"
#include "cdc/drift/record.hpp"
#include "lib/events/codec.hpp"

namespace crossfade::cdc::apply {

// An event to apply, with what its tables map to: one of a row change, each of a truncate (those that take part).
struct placed_event {
    const consume::received* from = nullptr;
    std::vector<std::shared_ptr<const table_mapping>> mappings;
    strictness how = strictness::exact;  // of a row change
    judgement judged = judgement::apply;
    const model::row_change* half = nullptr;  // what of the row change is meant; null: all of it
    std::set<std::string> being_copied = {};  // of a truncate's tables

    const model::row_change* row() const {
        return half != nullptr ? half : std::get_if<model::row_change>(&from->event.body);
    }
};

struct careful_settings {
    std::string stream;
    std::string topic;
    int partition = 0;
    std::size_t most_waiting = 1'000'000;  // changes of tables that wait for DDL: cdc.ddl_waiting_changes
    bool by_key = false;                   // the stream is ordered by key: others apply its other partitions
    // Of a stream that goes both ways: by whose name the follower's row of crossfade.authority is. Empty of others.
    std::string authority_of = {};
    stream_ends ends = {};
};

// The slow way: change by change, in commit order, each within a savepoint of the open transaction. Finds out what is
// different on the follower, lets the authority's row win, and stores records and dead letters in the same transaction.
// What happens to a row that waits among the dead letters goes there, too; `waiting` grows with them, and is what would
// be true if the transaction committed. After a failure that isn't a row's own the transaction is of no use any more.
class careful_writer {
  public:
    careful_writer(pipeline& to, const careful_settings& settings, const std::optional<origin_check>& origins,
                   waiting_rows& waiting)
        : to_(to), settings_(settings), origins_(origins), waiting_(waiting) {}

    pgclient::result<void> apply(const placed_event& event);
    // A dead letter, whether its row waits or not.
    pgclient::result<void> apply_again(const placed_event& event);
    // The row of a dead letter that has been applied is no difference any more.
    pgclient::result<void> note_mended(const placed_event& event);

    // What has been noted since the writer was made; true only once the transaction has committed.
    const std::vector<drift::record>& records() const { return records_; }
    std::size_t dead_letters() const { return dead_letters_; }
    // Rows that a proxy should have written and that were not as they should be.
    std::size_t healed() const { return healed_; }
    // Tables whose TRUNCATE could not be done while they are being copied.
    const std::set<std::string>& to_copy_anew() const { return to_copy_anew_; }

  private:
    // What the follower held.
    struct probe {
        bool found = false;
        std::optional<std::string> digest;
        std::optional<std::vector<std::string>> differs;
        bool foreign = false;

        static probe of(const pgclient::rows& got);
    };
    using answers = std::vector<pipeline::answer>;

    pgclient::failure behind(const std::string& table) const;
    pgclient::result<void> truncate_others(const placed_event& event);
    pgclient::result<void> insert(const placed_event& event, const model::row_change& change);
    pgclient::result<void> insert_over(const placed_event& event, const model::row_change& change,
                                       const pgclient::failure& why);
    pgclient::result<void> modify(const placed_event& event, const model::row_change& change);
    pgclient::result<void> modify_missing(const placed_event& event, const model::row_change& change);
    // false: it is not there, or can't be as it should; or there is a fault.
    pgclient::result<bool> overwrite(const table_mapping& mapping, const model::row_change& change,
                                     std::optional<pgclient::failure>& fault);
    pgclient::result<bool> write_row_anew(const table_mapping& mapping, const model::row_change& change,
                                          std::optional<pgclient::failure>& fault);
    pgclient::result<void> truncate(const placed_event& event, const model::truncate& change);
    pgclient::result<void> reject_truncate(const placed_event& event, const table_mapping& mapping,
                                           const pgclient::failure& why, std::string_view state);
    // Whether there are rows in these tables that a proxy has written ahead of the stream. If there are receipts at
    // all, nobody else writes to the tables until the transaction ends.
    pgclient::result<bool> hold_rows_ahead(const segment& of);
    pgclient::result<void> copy_over(const placed_event& event, const model::row_change& change);
    pgclient::result<void> tie(const placed_event& event, const model::row_change& change);
    pgclient::result<void> check(const placed_event& event, const model::row_change& change);
    pgclient::result<void> write_over(const placed_event& event, const model::row_change& change);

    // Runs statements within a savepoint of their own. A row's own fault is rolled back to it and given in `fault`.
    pgclient::result<answers> guarded(const std::vector<statement>& what, std::optional<pgclient::failure>& fault);

    pgclient::result<void> note(const placed_event& event, const model::row_change& change, drift::kind what,
                                drift::state now, const probe& follower);
    pgclient::result<void> reject(const placed_event& event, const table_mapping& mapping,
                                  const pgclient::failure& why);
    pgclient::result<void> put_aside(const placed_event& event, const table_mapping& mapping,
                                     const pgclient::failure& why, std::string_view state);
    pgclient::result<std::optional<std::string>> digest(const table_mapping& mapping, const model::row& row);
    pgclient::result<void> store(const drift::stored& what);

    pipeline& to_;
    const careful_settings& settings_;
    const std::optional<origin_check>& origins_;
    waiting_rows& waiting_;
    events::relation_encoder relations_;
    std::vector<drift::record> records_;
    std::size_t dead_letters_ = 0;
    std::size_t healed_ = 0;
    std::set<std::string> to_copy_anew_;
};

}  // namespace crossfade::cdc::apply
