#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "lib/pgwire/session_tracker.hpp"
#include "lib/sql/effect.hpp"
#include "proxy/frontend/savepoints.hpp"
#include "proxy/mirror/keeper.hpp"
#include "proxy/mirror/row_text.hpp"
#include "proxy/portrait/notebook.hpp"
#include "proxy/strategy/plan.hpp"

namespace crossfade::proxy::frontend {

// Goes along with a session that is mirrored, and gets from its own statements what they write (docs/adr/0022): a
// hidden column in front of RETURNING gives the rows, and the client sees nothing of it. Before the transaction is
// committed everything stands still until the follower has the rows: an explicit COMMIT is held, and the Sync of an
// implicit transaction goes on as a Flush first.
//
// What it can't follow it leaves alone and says so; the stream brings the rows then, as it does anyway, and the answer
// waits for it. Changes bytes and keeps an account of what is to be answered; knows no sockets. For the thread of the
// session's loop.
class escort {
  public:
    // Longer messages of a client are passed on unread.
    static constexpr std::size_t longest_message = std::size_t{12} << 10;
    // Of one transaction.
    static constexpr std::size_t most_rows = 500;
    static constexpr std::size_t most_bytes = std::size_t{1} << 20;
    // That are sent ahead together. Fewer are not worth the follower's being woken by them.
    static constexpr std::size_t rows_worth_sending = 16;
    // Prepared statements of a session that it has a version of.
    static constexpr unsigned most_prepared = 500;

    // `role`: whom the session logged in as.
    escort(mirror::ledger& books, portrait::notebook& notes, std::string role)
        : books_(books), notes_(notes), role_(std::move(role)) {}

    struct client_step {
        enum class action : std::uint8_t {
            pass,     // `bytes` of the client's go on, or as many as there are
            replace,  // `instead` goes on in their place: messages of `types`
            hold,     // not now
            more,     // the message is to be seen whole
        };
        action what = action::pass;
        std::size_t bytes = 0;
        std::string_view instead{};
        std::string_view types{};
        bool mirrored = false;                                       // what it writes will be seen
        mirror::leave_reason why = mirror::leave_reason::statement;  // if not
    };
    // Where a message is sent, and how it is understood.
    struct circumstances {
        const settings::in_force& flags;
        const strategy::session_facts& facts;
        const pgwire::session_tracker& where;
        sql::lexing lexing;
        bool away = false;  // what is left to the stream would come late; see may_fail()
    };
    // `from` begins at a message.
    client_step on_client(std::string_view from, const circumstances& now);
    // Something was passed on that may write what can't be seen.
    void other_write(mirror::leave_reason why = mirror::leave_reason::statement);
    // A simple query that isn't the client's was sent in the place of what it has sent.
    void other_query() { owe({due::kind::query}); }

    // What the client is to get of these bytes of the server, the next in their order; nothing: all of them as they
    // are.
    std::optional<std::string_view> from_server(std::string_view bytes);

    // The server has answered all that it was asked; `idle`: and nothing is open there. What a COPY swallows isn't
    // known here.
    void nothing_is_due(bool idle);

    // What is to be done before more of the client's goes on.
    enum class errand : std::uint8_t {
        none,
        flush,       // have the server answer what it was asked
        send_ahead,  // rows() to the follower, as many as aren't there, without waiting; sent_ahead()
        take_back,   // what was sent ahead isn't so; sent_ahead(false)
        write,       // rows() to the follower, and then go_on()
        proceed,     // nothing: go_on()
    };
    errand next();
    // Whether that is send_ahead, without taking it up.
    bool may_send_ahead() const;
    bool has_known_tables() const;
    // Of the transaction, until it has ended: a COMMIT that is held may yet be cancelled.
    const mirror::mirrored_transaction& rows() const { return taken_; }
    // Whether the follower has been given rows(). If not, nothing of this transaction is sent ahead any more, and what
    // was is not to be committed.
    void sent_ahead(bool well);
    // The rows are with the follower, or not: `why`. What was held goes on, behind these `bytes` to the server:
    // messages of `types`. `away`: see circumstances.
    struct ahead {
        std::string bytes{};
        std::string_view types{};
    };
    ahead go_on(std::optional<mirror::leave_reason> why, bool away);
    // Whether the answer that ends the transaction is one on which the follower is to commit, too. `answer`: the
    // server's bytes from its CommandComplete or ReadyForQuery.
    bool commits(std::string_view answer) const;
    // The follower has committed, or not.
    void committed(bool well);
    // The server has ended the transaction, and the client isn't told yet: while it waits, the catalogs are read.
    void ended();

    // Holds what the client sends.
    bool holds() const { return phase_ != phase::open; }
    std::size_t kept_bytes() const;

    // Whether nothing was written since the session was idle, for certain, or all of it is undone by this answer (see
    // commits()).
    bool wrote_nothing(std::string_view answer) const;

    // Between transactions: whether the session is mirrored by now. `may_fail`: for some of its scopes
    // on_mirror_failure is `fail`.
    void mirror(bool is, bool may_fail) {
        active_ = is;
        may_fail_ = may_fail;
    }
    bool may_fail() const { return may_fail_; }
    // Whether the transaction fails if its rows can't be written to the follower.
    bool has_to_be_mirrored() const { return has_to_be_mirrored_; }

    // The client's Parse of a statement without a name that the server hasn't got; empty: it has what there is.
    const std::string& unnamed() const { return unnamed_; }
    // Under another role than it logged in as.
    void distrust() { trusted_ = false; }
    bool distrusts() const { return !trusted_; }

  private:
    enum class phase : std::uint8_t { open, settling, writing, committing };
    using change = mirror::mirrored_row::change;

    struct manner {
        bool strip = false;      // its rows begin with the hidden column
        bool returning = false;  // and the client has asked for others
        change what = change::insert;
        bool or_fail = false;  // if the follower can't have them
        bool sets_ties = false;
        std::string table = {};  // as the statement calls it, without its schema
        savepoint_step step{};
        std::optional<sql::effect::commit> commit = {};  // it is one
    };
    // What was put into a text, in characters: errors name a place behind it.
    struct shift {
        std::uint32_t behind = 0;
        std::uint32_t by = 0;
    };
    struct due {
        enum class kind : std::uint8_t { query, sync, function_call, parse, bind, describe, execute, close };
        kind what;
        bool hide = false;  // ours: the client hears nothing of the answer
        manner how{};
        shift moved{};
        bool commits = false;  // of a simple query: its CommandComplete says that it is committed
    };
    // What a message of the client is answered as; nothing: not at all.
    static std::optional<due::kind> kind_of(char type);
    // What is known of a prepared statement.
    struct known_statement {
        std::shared_ptr<const sql::understanding> text;               // null: nothing
        std::optional<unsigned> hidden;                               // the number of ours; nothing: there is none
        mirror::leave_reason left = mirror::leave_reason::statement;  // if there is none of ours
        std::uint64_t round = 0;                                      // in which the client sent it
    };

    client_step query(std::string_view message, const circumstances& now);
    client_step parse(std::string_view from, std::size_t size, const circumstances& now);
    client_step bind(std::string_view from, std::size_t size, const circumstances& now);
    client_step describe(std::string_view message);
    client_step execute(std::string_view message, const circumstances& now);
    client_step close(std::string_view message);
    client_step sync(std::string_view message, const circumstances& now);

    // A longer message than what is read.
    client_step unread(char type, std::string_view beginning, std::size_t size, const circumstances& now);
    // The client's statement without a name, in front of what needs it to be there.
    client_step make_up_for_unnamed();
    unsigned free_number();
    // Whether the client is told instead that it can't be mirrored. Notes what has to be, as COMMIT may be too late to
    // tell.
    bool must_fail(const sql::understanding* known, const circumstances& now);
    // In the place of the client's next `bytes`, which are a Query, or of extended messages.
    client_step fail_query(std::size_t bytes, mirror::leave_reason why);
    client_step fail_commit(std::size_t bytes, mirror::leave_reason why);
    client_step fail_batch(std::size_t bytes, mirror::leave_reason why);
    client_step fail_sync(std::string_view message);
    std::string failing_batch(mirror::leave_reason why);
    // Of a COMMIT: the reason for which it is to fail.
    std::optional<mirror::leave_reason> must_not_commit(const circumstances& now);
    // Whether something has to be with the follower in time, as far as it was sent, and can't be.
    bool would_be_late(const circumstances& now) const;
    static bool is_asked(const due& each);
    // The transaction fails in any case, unless its client goes back to a savepoint.
    void owe_follower_nothing();
    // Nothing: it may go on.
    std::optional<client_step> look_at_commit(const sql::effect::commit& it, const circumstances& now);
    client_step hold_commit();
    // Holds what follows, until it is answered and its rows are written; a Sync of ours ends it.
    void settle_by_sync();

    client_step pass(std::size_t bytes) const {
        return {.what = client_step::action::pass, .bytes = bytes, .why = left_};
    }
    client_step hold() const { return {.what = client_step::action::hold}; }
    client_step replace(std::size_t bytes, std::string_view types, bool mirrored);
    void owe(due what);

    std::shared_ptr<const sql::understanding> understand(std::string_view text, sql::lexing how);
    static const sql::statement* only(const std::shared_ptr<const sql::understanding>& known);
    // What the statement does to what is known of the session.
    void heed(const sql::statement& it);
    void heed_ddl(const sql::statement& it);
    // Nothing: left_ says why.
    std::optional<manner> mirrors(const sql::statement& it, const circumstances& now);
    struct text_and_shift {
        std::string text;
        shift moved;
    };
    static text_and_shift rewritten(std::string_view text, const sql::statement& it);
    bool must_wait_to_commit(const pgwire::session_tracker& where) const;
    // Whether rows were taken, or are to come, of what has been sent.
    bool brings_rows() const;

    // One message of the server's, as much of it as was asked for; what becomes of the rest of it.
    std::size_t wanted(std::string_view beginning) const;
    void on_message(std::string_view beginning, std::size_t size);
    void on_row(std::string_view beginning, std::size_t size);
    void on_error();
    void on_ready(char status);
    void tell(std::string_view bytes);
    void differ();
    void pop(due::kind what);
    void capture(std::string_view hidden, const manner& how);
    void follow(const savepoint_step& done);
    void on_end(bool undone);
    void forget_rows();
    void forget_unseen();
    // What was written for a COMMIT that hasn't ended the transaction isn't to be committed by another one.
    void take_back_what_is_written();
    void doubt_what_is_ahead() { ahead_.doubted = ahead_.rows > 0; }

    mirror::ledger& books_;
    portrait::notebook& notes_;
    std::string role_;
    bool active_ = true;
    bool may_fail_ = false;
    bool trusted_ = true;  // neither another role nor temporary relations that may hide tables

    phase phase_ = phase::open;
    bool implicit_ = false;  // what is held is followed by a Sync of ours
    bool flushed_ = false;
    bool cleared_ = false;                   // the COMMIT may go on
    bool ddl_ = false;                       // in this transaction
    std::vector<model::table_name> ddl_of_;  // none: of whatever it may be

    std::deque<due> due_;
    bool skipping_ = false;  // the server does, up to a Sync that hasn't been sent
    bool batch_mirrors_ = false;
    bool batch_controls_ = false;  // has something in it that begins or ends transactions
    std::map<std::string, known_statement, std::less<>> prepared_;
    std::uint64_t round_ = 0;  // until all is answered; what was parsed in it isn't known to be there
    // As the server has them, or fewer: an entry too many is of a name that no Execute succeeds with.
    std::map<std::string, manner, std::less<>> portals_;
    // The Parse of the client's statement without a name, where the server has got ours alone.
    std::string unnamed_;
    unsigned serial_ = 0;  // of ours that was made last

    // Of the transaction.
    mirror::mirrored_transaction taken_;
    std::size_t taken_bytes_ = 0;
    savepoints savepoints_;
    struct ahead_of_the_end {
        std::size_t rows = 0;
        bool doubted = false;  // they may not be the transaction's any more
        bool none = false;     // no more are to be
    };
    ahead_of_the_end ahead_;
    bool covered_ = true;  // all that it wrote is in there
    bool wrote_ = false;
    bool failed_ = false;           // since the last ReadyForQuery
    bool ends_explicitly_ = false;  // the next CommandComplete of a COMMIT or ROLLBACK is of all that is under way
    bool on_follower_ = false;
    bool undone_ = false;
    bool mirrored_ = false;
    bool has_to_be_mirrored_ = false;  // what was taken, or fails
    bool has_to_be_in_time_ = false;   // likewise what the stream brings
    struct debt {
        bool mirrored = false;
        bool in_time = false;
    };
    debt forgiven_;  // of these two, as the transaction fails
    std::optional<mirror::leave_reason> commit_fails_;
    mirror::leave_reason why_ = mirror::leave_reason::statement;
    mirror::leave_reason left_ = mirror::leave_reason::statement;  // why the message at hand is, if it writes

    std::string out_;  // to the server
    std::string types_;
    std::string partial_;   // of a server's message
    std::string complete_;  // a CommandComplete of the server's that is yet to be true
    std::string answer_;    // to the client, where it isn't what the server has sent
    std::string_view given_;
    std::size_t unchanged_ = 0;  // of that, from its beginning
    bool changed_ = false;
    std::size_t rest_ = 0;  // of the server's message at hand
    std::size_t drop_ = 0;  // of that, what the client doesn't get, which comes first
};

}  // namespace crossfade::proxy::frontend
