#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>

#include "proxy/mirror/keeper.hpp"
#include "proxy/portrait/notebook.hpp"
#include "proxy/strategy/plan.hpp"

namespace crossfade::proxy::frontend {

// Whether the statement leaves other statements under the names of prepared ones.
bool renames_prepared(const sql::statement& it);

// What the client may write with a text, `known`, and mirrored scopes. What isn't known to write nothing counts as a
// write, and what it writes by a name that isn't in `where` as a write of any table; null: none is known.
enum class mirror_debt : std::uint8_t {
    none,
    mirror,   // of a mirrored scope
    or_fail,  // besides, it is to fail if the follower can't have it: on_mirror_failure
};
mirror_debt debt_of(const sql::understanding* known, const settings::in_force& flags,
                    const strategy::session_facts& session, const mirror::write_targets* where);

// Of a session that may be mirrored: which of the server's answers say that something is committed that the follower
// has to have before the client hears it. What a client sends before its last write is answered waits with it. For the
// thread of the session's loop.
class mirror_gate {
  public:
    // A longer text counts as a write.
    static constexpr std::size_t longest_read = 4096;
    // Names of prepared statements that are known to write nothing; others count as writes.
    static constexpr std::size_t most_names = 1000;

    // `books`: null where nobody keeps any.
    mirror_gate(portrait::notebook& notes, const mirror::ledger* books) : notes_(notes), books_(books) {}

    // How much of a message's body it needs to see.
    std::size_t wanted_of_client(char type) const;
    // `how`: the server reads texts.
    void client_said(char type, std::uint32_t length, std::string_view beginning, const settings::in_force& flags,
                     const strategy::session_facts& session, sql::lexing how = {false, false});
    void server_said(char type);

    struct answer {
        std::size_t at = std::string_view::npos;  // where it begins; what is in front of it may go on
        bool whole = false;                       // it is all there. If not, more has to come before that is known
    };
    // The first answer in the server's bytes that has to wait: CommandComplete and ReadyForQuery outside of a
    // transaction, or the latter alone. `body_left`: bytes in front that belong to a message that has gone on.
    answer look_for_answer(std::string_view chunk, std::size_t body_left, bool ready_is_due) const;
    // The follower has been asked for, or isn't waited for: so much that has come is settled by that.
    void asked(std::size_t bytes) { settled_ = bytes; }
    // So much has gone on to the client; `quiet`: nothing is left to be answered; `idle`: nor under way.
    void answered(std::size_t bytes, bool quiet, bool idle);

    // How many of the client's messages counted as writes.
    unsigned writes() const { return writes_; }

    std::size_t kept_bytes() const { return kept_; }

  private:
    bool may_write(std::string_view text, std::size_t missing, const settings::in_force& flags,
                   const strategy::session_facts& session, sql::lexing how);
    void wrote();
    void keep_calm(std::string_view statement, bool calm);
    void forget_calm();

    portrait::notebook& notes_;
    const mirror::ledger* books_;
    // Prepared statements, each with the round in which the client sent it.
    std::map<std::string, std::uint64_t, std::less<>> calm_;
    std::size_t kept_ = 0;     // their bytes
    std::uint64_t round_ = 0;  // until all is answered; what was parsed in it isn't known to be there
    bool failed_ = false;      // in this round: what comes may be skipped by the server
    bool wrote_ = false;       // since the session was idle, perhaps
    unsigned writes_ = 0;
    std::size_t settled_ = 0;  // of what the server has sent
};

}  // namespace crossfade::proxy::frontend
