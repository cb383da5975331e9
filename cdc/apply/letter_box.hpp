#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <set>
#include <string>

#include "cdc/apply/careful.hpp"
#include "cdc/apply/session.hpp"
#include "cdc/apply/target_catalog.hpp"
#include "cdc/apply/waiting_rows.hpp"
#include "lib/store/progress.hpp"

namespace crossfade::cdc::apply {

// What operators have asked for of the dead letters (`crossfade deadletters`), and which rows wait behind one.
class letter_box {
  public:
    letter_box(session& to, target_catalog& catalog, const careful_settings& settings)
        : to_(to), catalog_(catalog), settings_(settings) {}

    // Reads what is there. Outside a transaction.
    pgclient::result<void> load();

    waiting_rows& rows() { return rows_; }
    const waiting_rows& rows() const { return rows_; }
    // Whether there is something to do.
    bool asked() const { return asked_; }

    struct outcome {
        std::size_t replayed = 0;
        std::size_t refused = 0;  // again
        std::size_t behind = 0;   // an earlier change of the same row still waits
        std::size_t discarded = 0;
    };
    // Does it, up to `most_at_a_time` of them in the stream's order, in a transaction of its own, and only while no
    // backfill copies and the follower's progress is what `at` says. By the follower's tables as they are then: who
    // mends one asks for its letters. load() afterwards: rows() knows only what waited before.
    pgclient::result<outcome> serve(const store::progress& at);

    static constexpr int most_at_a_time = 500;

  private:
    struct letter;
    struct mirrored;
    // Empty: the tables have been altered meanwhile, and nothing was done.
    pgclient::result<std::optional<outcome>> serve_once(const store::progress& at);
    pgclient::result<std::shared_ptr<const table_mapping>> mapping_of(
        const std::shared_ptr<const model::relation>& rel);
    pgclient::result<bool> are_as_mapped();
    std::string mine() const;
    std::string in_their_turn() const;
    pgclient::result<void> free_what_waited();
    pgclient::result<void> read_rows_ahead(mirrored& of);
    pgclient::result<void> take_back(const mirrored& of);
    pgclient::result<void> replay(const letter& one, mirrored& rows, outcome& so_far);
    pgclient::result<void> keep_unreadable(const letter& one, outcome& so_far);

    session& to_;
    target_catalog& catalog_;
    const careful_settings& settings_;
    waiting_rows rows_;
    events::relation_decoder relations_;
    std::set<std::shared_ptr<const table_mapping>> used_;  // in the transaction under way
    bool asked_ = false;
};

}  // namespace crossfade::cdc::apply
