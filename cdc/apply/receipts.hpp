#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "cdc/apply/sql.hpp"
#include "cdc/apply/target.hpp"
#include "lib/model/change.hpp"
#include "lib/pgclient/connection.hpp"
#include "lib/store/receipts.hpp"

// Rows that proxies have written to the follower themselves, before the stream came by them (docs/adr/0022): what
// becomes of a batch's changes, given the receipts.
namespace crossfade::cdc::apply {

using row_marks = std::unordered_set<std::int64_t>;

struct mirrored_rows {
    // Of transactions that the stream is at, and whose receipts are taken: the follower has these rows.
    std::unordered_map<store::source_xid, row_marks> written;
    // Of these, what the stream has said no change of by now. At a transaction's end there is none, or the receipt is
    // another one's, which the source has lost, and whose number it has given once more.
    std::unordered_map<store::source_xid, row_marks> unmet;
    // Of later ones: the follower has these rows as they are going to be.
    row_marks ahead;
    // The batch empties a table, or has its columns changed: what was written before that on the follower, and is after
    // it on the authority, may not be there any more.
    bool swept = false;

    bool wrote(store::source_xid transaction, std::int64_t mark) const {
        const auto found = written.find(transaction);
        return found != written.end() && found->second.contains(mark);
    }
    void take(std::unordered_map<store::source_xid, row_marks> receipts);
    void meet(store::source_xid transaction, const model::row_change& change, const table_mapping& mapping);
};

// Of the row before the change or after it, which are one unless the change moves it. Empty where no receipt can be
// about it: the table can't be mapped, or has no key, or the key isn't known.
std::optional<std::int64_t> mark_of(const table_mapping& mapping, const model::row_change& change, row_side which);

enum class judgement {
    apply,    // as if nothing were mirrored
    ahead,    // leave it out: the follower has what became of the row later
    tied,     // likewise, but for the columns by which the row may be in others' way: what these are is the stream's
              // affair
    loosely,  // write it, whatever is there: what is mirrored of the row comes later, and may not say all of it
    check,    // the follower should have it; of a table with such columns, when these are written
    trusted,  // the same, and it isn't looked at: cdc.verify_mirrored_percent leaves it out
};

struct judged_change {
    const model::row_change* change = nullptr;
    judgement how = judgement::apply;
    std::vector<std::int64_t> marks;  // of its rows: two where one moves to another key
};

// Whether a transaction is among the share whose mirrored rows are looked at: the same each time that it comes by.
bool is_verified(store::source_xid transaction, unsigned percent);

// A row's changes in one batch go by the last of them that is mirrored: those before it are left out, it is checked,
// and those behind it find the row as it is after it, and are exact. In a table whose constraints tie rows together
// nothing that is mirrored is in a change's way (docs/adr/0033): the columns that tie are written by all of them, and a
// row that comes or goes before what is mirrored of it does so, and nothing is mirrored of it from there on. Pure.
class batch_judge {
  public:
    // `halves` outlives what is judged: where a row moves and another transaction has written one of the two keys, the
    // change is judged as two. `verified_percent`: of the transactions. What is written in front of a mirrored change
    // of the row, and columns that tie rows together, are no matter of trust: such rows are looked at in any case.
    batch_judge(const mirrored_rows& mirrored, std::deque<model::row_change>& halves, unsigned verified_percent)
        : mirrored_(mirrored), halves_(halves), verified_percent_(verified_percent) {}

    // Every change of the batch, before the first is judged.
    void look_at(const model::change_event& event, const model::row_change& change, const table_mapping& mapping);
    std::vector<judged_change> judge(const model::change_event& event, const model::row_change& change,
                                     const table_mapping& mapping);
    // Rows of which later receipts are not to be believed any more. When all is judged.
    const row_marks& taken_back() const { return taken_back_; }

  private:
    struct last_written {
        model::position at;
        bool whole = false;  // no earlier change has to be known for what it leaves
    };
    void note(const model::change_event& event, std::optional<std::int64_t> mark, bool whole);
    judgement of(const model::change_event& event, std::int64_t mark) const;
    judgement of(const model::change_event& event, model::row_operation what, std::int64_t mark,
                 const table_mapping& mapping);

    const mirrored_rows& mirrored_;
    std::deque<model::row_change>& halves_;
    unsigned verified_percent_;
    std::unordered_map<std::int64_t, last_written> last_;
    row_marks taken_back_;
    row_marks written_over_;  // loosely
};

// Waits for the transactions on the follower that mirror these and are under way: a proxy lets legacy commit when it
// has begun such a one.
statement wait_for_mirroring(const std::vector<store::source_xid>& transactions);
statement take_receipts(const std::string& stream, const std::vector<store::source_xid>& transactions);
statement rows_ahead(const std::string& stream);
// Has receipts say nothing of these.
statement take_rows_back(const std::string& stream, const row_marks& rows);
// Their answers.
std::unordered_map<store::source_xid, row_marks> taken_in(const pgclient::rows& got);
row_marks marks_in(const pgclient::rows& got);

}  // namespace crossfade::cdc::apply
