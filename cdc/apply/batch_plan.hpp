#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <variant>
#include <vector>

#include "cdc/apply/target.hpp"
#include "lib/model/change.hpp"

namespace crossfade::cdc::apply {

// What several changes of one row come to. Cells point into the events, which outlive the plan.
struct net_row {
    bool existed = false;                    // whether the follower has to have it before the batch
    bool exists = false;                     // ... and after
    std::vector<const model::cell*> key;     // one a key column
    std::vector<const model::cell*> values;  // one a mapped column; null: not known and not touched (TOAST)
    const model::row* before = nullptr;      // the whole row before the batch, where the source says it
    bool anew = false;                       // it has gone in between, and no UPDATE gives it all of its new values
    // Its mark, where a proxy has written the last change itself: the follower is to be as after it.
    std::optional<std::int64_t> mirrored = {};
    // The follower has what became of it later, or has it no more: of `values` there are the columns that tie, alone.
    bool ahead = false;
};

// Changes of one table between two barriers, at most one a key: their order among each other doesn't matter.
struct net_step {
    std::vector<net_row> rows;
};
// New rows of a table without a key, in their order.
struct append_step {
    std::vector<const model::row_change*> rows;
};
// A change that stands alone: of a row's key, or in a table without key.
struct single_step {
    const model::row_change* change = nullptr;
};
using step = std::variant<net_step, append_step, single_step>;

// exact: the follower has to be as the source was before each change. copied_over: the table is being copied beside the
// stream, so that rows may be missing, or newer than the change; a new row replaces what is there, others are
// touched if they are there, and what is to go may be gone. When the stream has passed the copy all are as they should
// be. settling: all of it is copied, and none of that is newer than the change, but for rows in crossfade.refetch
// (docs/adr/0014).
enum class strictness { exact, copied_over, settling };

struct table_plan {
    std::shared_ptr<const table_mapping> mapping;
    std::vector<step> steps;
    strictness how = strictness::exact;
};

// Tables that don't wait for each other: under session_replication_role = replica no foreign key ties them. A truncate
// comes before the segment's rows.
struct segment {
    const model::truncate* truncated = nullptr;
    std::vector<std::shared_ptr<const table_mapping>> truncated_tables;
    std::vector<table_plan> tables;
};

struct batch_plan {
    std::vector<segment> segments;
    std::size_t changes = 0;
    // The changes contradict each other (an insert of a row that is there), or a table can't take them: the batch is to
    // be applied change by change.
    bool careful = false;
};

// Nets changes as they come, in commit order. Pure.
class batch_planner {
  public:
    // `mirrored`: the row's mark, of a change that a proxy has written to the follower itself. What comes before it no
    // longer matters there, and what follows finds the row as it left it.
    void add(const model::row_change& change, const std::shared_ptr<const table_mapping>& mapping,
             strictness how = strictness::exact, std::optional<std::int64_t> mirrored = {});
    // An update of a row of which a proxy has written a later change.
    void add_tied(const model::row_change& change, const std::shared_ptr<const table_mapping>& mapping);
    void add(const model::truncate& change, std::vector<std::shared_ptr<const table_mapping>> tables);

    batch_plan take();

  private:
    struct table_state {
        std::size_t plan = 0;                               // index in the segment
        std::unordered_map<std::string, std::size_t> rows;  // by key, of the last step if that is a net_step
    };

    // Null: it can't be planned.
    table_plan* plan_for(const std::shared_ptr<const table_mapping>& mapping, strictness how, table_state*& state);
    net_row& row_of(table_plan& plan, table_state& state, const model::row_change& change);
    void net(table_plan& plan, table_state& state, const model::row_change& change,
             std::optional<std::int64_t> mirrored);

    batch_plan plan_;
    std::unordered_map<const table_mapping*, table_state> tables_;
};

// The rows that a batch touches, by hashes of table and key, sorted: two batches that share none may be written side by
// side.
using touched_rows = std::vector<std::size_t>;

// Empty where that can't be told by keys: truncates, single rows of tables without a key, tables that are being copied,
// and what is to be applied change by change.
std::optional<touched_rows> touched(const batch_plan& plan);
bool disjoint(const touched_rows& one, const touched_rows& other);

// The row after the change, with what the event leaves out taken from the row before. Empty when that isn't known.
std::optional<model::row> whole_after(const model::row_change& change);

// The cell of a row's key column `i` (index into mapping.key) before the change, or of an insert after it.
const model::cell& key_cell(const table_mapping& mapping, std::size_t i, const model::row_change& change);

// Whether an UPDATE gives its row another key.
bool changes_key(const table_mapping& mapping, const model::row_change& change);

}  // namespace crossfade::cdc::apply
