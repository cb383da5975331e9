#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <stdexcept>
#include <stop_token>
#include <string>
#include <utility>
#include <vector>

#include "lib/handover/intent.hpp"
#include "lib/handover/sequences.hpp"
#include "lib/pgclient/connection.hpp"
#include "lib/settings/settings.hpp"
#include "lib/store/audit.hpp"
#include "lib/store/authority.hpp"

// The steps of a flip (docs/adr/0024), for whoever makes one and for whoever clears up behind one that died.
namespace crossfade::handover {

struct order {
    intent meant;                // by the gates' look; if it is another than `before` by now, nothing is done
    settings::flag_scope scope;  // what proxies are to hold, and what the history says; all that moves is in it
    std::string by;              // whom the history names
    std::string program;         // that makes it, for the audit log
    std::string reason;          // what it says why
    std::vector<std::string> forced;
    // For how long an attempt may hold writes before it is undone, and for how long attempts are made.
    std::chrono::milliseconds hold_max{500};
    std::chrono::milliseconds patience{30000};
    // Before the decision the attempt under way is undone and no other is made; behind it nothing is waited for any
    // more that others may wait for as well.
    std::stop_token give_up;
};

struct report {
    bool done = false;
    std::string why;                   // it wasn't
    std::vector<std::string> details;  // who or what was in the way
    int attempts = 0;
    std::int64_t epoch = 0;             // in force now
    std::chrono::microseconds held{0};  // in the last attempt, from the word to hold to the word to go on
    // Of the last attempt: what was reached, and how long after the word to hold.
    std::vector<std::pair<std::string, std::chrono::microseconds>> steps;
};

// The audit log's entry of such a flip, but for its outcome.
store::audit_entry entry_of(const std::string& stream, const order& what);

// What a coordinator that died left, and what was made of it.
enum class leftover { none, undone, finished };

// The step that couldn't be taken. The message names the side.
class trouble : public std::runtime_error {
  public:
    using std::runtime_error::runtime_error;
};

// One at a time makes flips: claim() says whether it is this one. Blocking; one thread.
class coordinator {
  public:
    // `config`: as the file has it, not turned. `say` is told each step, for people.
    coordinator(const settings::configuration& config, std::function<void(const std::string&)> say);
    ~coordinator();
    coordinator(const coordinator&) = delete;
    coordinator& operator=(const coordinator&) = delete;

    // False: another one is at work. One whose flip is overdue and who says nothing isn't: his sessions are ended,
    // which may take two seconds. Of a side that can't be reached there is nothing to claim; flip() needs both.
    bool claim();
    // After claim(): undoes what wasn't decided, finishes what was, some seconds at most but for what modern may have
    // to be brought again (30 s). Throws trouble where a side is away, as nobody knows what that one has decided, and
    // what can be done without it is done then; may be called again.
    leftover settle(const std::stop_token& give_up = {});
    // After settle(). Gates are the caller's affair. Throws trouble where it can't be told what became of it: settle()
    // by whoever comes next finds out.
    report flip(const order& what);

    // Who is the authority of what and since when, as the newer of the sides that can be reached has it.
    std::optional<store::authority_row> newest();
    // The same by both, as claimed; throws trouble where one can't be read.
    store::authority_row newest_of_both();

  private:
    struct place;
    struct attempt;
    // Why an attempt came to nothing.
    struct setback {
        std::string why;
        bool for_good = false;  // another attempt would meet the same
    };

    enum class which_holders { silent, all };

    place& at(settings::side which);
    place& need(settings::side which);
    pgclient::rows ask(place& on, const std::string& doing, const std::string& sql,
                       const std::vector<pgclient::parameter>& parameters = {});
    std::optional<store::authority_row> row(place& on);
    bool take_locks();
    bool end_the_silent();
    void end_holders(place& on, which_holders which);
    void learn(place& on);
    std::vector<sequence> sequences(place& on);
    std::set<std::string> divided(const place& on, const settings::assignment& by) const;  // tables' oids

    std::optional<setback> try_once(attempt& made, report& into);
    std::optional<setback> attempt_once(attempt& made, report& into);
    bool hold(const attempt& made, report& into);
    bool fence(attempt& made);
    bool drain(const attempt& made);
    bool has_all(place& on, const std::string& stream, model::lsn fenced_at);
    void flush(place& on);
    std::vector<std::string> obstacles(place& on);
    std::int64_t letters(place& on, const std::string& stream);
    bool leads_back(place& on);
    // Why what changes hands is not whole on the new side any more, or will not stay so; empty: it is.
    std::string not_whole(const attempt& made);
    void decide(const attempt& made);
    void note_undone(place& on, const store::audit_entry& entry);
    void undo(place& on, std::int64_t flip, const std::string& why);
    void close_history(place& on);
    void finish(place& decided, const std::stop_token& give_up);
    void wait_for_all(place& decided, place& opened, const store::authority_row& by, const std::stop_token& give_up);
    static void note(report& into, const attempt& made, std::string step);
    // A transaction that needs the tables' locks: tried with a short timeout until it has them. False: `until` is over.
    bool with_tables(place& on, const std::string& doing, const settings::assignment& fenced_by,
                     const std::string& then, std::chrono::steady_clock::time_point until,
                     const std::stop_token& give_up = {});
    // Why it can't be.
    std::optional<std::string> move_sequences(const attempt& made);
    std::optional<std::string> divide_sequences(const attempt& made);
    void rejoin_sequences(const settings::assignment& by);

    const settings::configuration& config_;
    std::function<void(const std::string&)> say_;
    std::unique_ptr<place> legacy_;
    std::unique_ptr<place> modern_;
    std::optional<trouble> away_;  // the side that could not be claimed
};

}  // namespace crossfade::handover
