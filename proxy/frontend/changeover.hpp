#pragma once

#include <chrono>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>

#include "lib/auth/server_login.hpp"
#include "lib/pgwire/session_status.hpp"
#include "lib/settings/flags.hpp"
#include "proxy/frontend/changeover_queue.hpp"
#include "proxy/frontend/front_metrics.hpp"
#include "proxy/frontend/interview.hpp"
#include "proxy/frontend/parked_connection.hpp"
#include "proxy/frontend/repeatable_start.hpp"
#include "proxy/portrait/hearing.hpp"

namespace crossfade::proxy::frontend {

// Why a session can't go over.
struct unable {
    move_result what = move_result::obstacle;
    std::string reason;    // for the client and the log: names, but no values
    bool for_now = false;  // it may be tried again
};
using hindrance = std::optional<unable>;

// A session that goes over to the other database, step by step: asked by leave(), on a new connection let in by
// enter(), made what it was by settle(). It does with the session's connection to the old database only what the client
// doesn't notice. The caller bounds the time by closing the connections. In the event loop's thread.
class changeover {
  public:
    using instant = std::chrono::steady_clock::time_point;

    // What was heard of the session, and the settings to ask for. Any thread.
    changeover(portrait::hearing::memory heard, std::shared_ptr<const std::set<std::string>> settings, instant began)
        : heard_(std::move(heard)), settings_(std::move(settings)), began_(began) {}
    // The client's statement without a name that the server hasn't got: a Parse's body.
    void keep_unnamed(std::string_view parse);
    // It needs none there, as its client has sent another one already.
    void forget_unnamed();
    // Settings with a dot that it has on a connection of its own, so that they are found on the other one, too.
    void ask_also(const std::map<std::string, std::string>& settings) {
        for (const auto& each : settings) ask_also_.insert(each.first);
    }

    // The session of `of` has this database; `surveys` may know it already.
    asio::awaitable<hindrance> leave(transport& old, settings::side of, const std::string& database,
                                     changeover_queue& surveys);
    // By the newest of the connections, to the other side, `of`, with its start-up message.
    asio::awaitable<hindrance> enter(settings::side of, std::string opening, auth::server_login login);
    // Where it is to stay there, formats that the new database's host hasn't got may be left behind, if they are
    // nothing but the old server's own: whoever logs in there finds no others.
    enum class purpose { to_stay, for_a_while };
    asio::awaitable<hindrance> settle(transport& old, purpose why);

    // The session's connection to `of` is one that only reads (docs/adr/0029): what that says of
    // default_transaction_read_only is ours, and the session has what `at_home` says.
    void only_reads_on(settings::side of, const portrait::session_portrait* at_home);
    // Once it is settled: makes the new connection such a one.
    asio::awaitable<hindrance> only_read();

    // Instead of enter() and settle(): by a connection that the session has left before. False: it is of no use any
    // more.
    asio::awaitable<bool> come_back(parked_connection to);
    // Behind leave(): whether its transactions are that where they don't say otherwise.
    bool is_serializable() const;
    // Once it is settled, the connection to the old database, `of`, for that; nothing where it can't be kept.
    bool may_be_parked() const;
    std::optional<parked_connection> park(transport& old, settings::side of,
                                          std::optional<pgwire::backend_key_data> key) const;

    // Of a session in a transaction that did nothing but begin: it is undone on the old database, before leave(), and
    // begun again by the same messages on the new one, behind settle(), or on the old one after all.
    asio::awaitable<hindrance> undo(transport& old, const repeatable_start& of);
    asio::awaitable<hindrance> begin_there(const repeatable_start& with);
    asio::awaitable<hindrance> begin_here(transport& old, const repeatable_start& with);

    // The new connection, of which there may be several, one after the other.
    transport& connected(transport to);
    // Ends what is under way; `late`: because it has taken too long.
    void close() {
        if (next_) next_->close();
    }
    void give_up() {
        late_ = true;
        close();
    }
    bool late() const { return late_; }
    // Whether it doesn't wait for the old database.
    bool is_there() const { return next_.has_value(); }
    // The connection to the old database is of no use any more.
    bool has_lost_old() const { return lost_old_; }
    // What the session was found to hold.
    const portrait::session_portrait& found() const { return was_; }

    // Once it is settled: the connection; the settings that the new database reports otherwise than the old one; what
    // the client has been notified of there, whole messages; and what comes behind them from the server.
    transport take_connection() { return std::move(*next_); }
    std::map<std::string, std::string> reported_anew() const;
    // Of these, what the client was told meanwhile of a transaction that has begun anew.
    std::map<std::string, std::string> reported_again() const;
    std::string notifications() const;
    std::string take_rest() { return from_next_ ? from_next_->take_rest() : std::string{}; }
    // What the client was told by the old database meanwhile, whole messages; also if it didn't come to that.
    const std::string& meanwhile() const { return from_old_; }
    // And what has come from the old database behind it.
    std::string take_rest_of_old() { return reader_of_old_ ? reader_of_old_->take_rest() : std::string{}; }
    const std::optional<pgwire::backend_key_data>& key() const { return key_; }
    // Whether it is somebody else than who logged in.
    bool has_other_role(std::string_view user) const { return was_.role != "none" || was_.user != user; }
    portrait::hearing::memory take_heard() { return std::move(heard_); }
    instant began() const { return began_; }

  private:
    asio::awaitable<hindrance> hear_welcome();
    // What `from` says of the setting that makes it only read.
    static void take_writability(portrait::session_portrait& to, const portrait::session_portrait* from);
    asio::awaitable<boost::system::result<std::vector<std::string>, interview_failure>> make_alike(
        const portrait::session_portrait& fresh, purpose why);
    unable refused_to_be_asked(settings::side side, const interview_failure& failure);
    message_reader& reader_of(transport& old);

    portrait::hearing::memory heard_;
    std::shared_ptr<const std::set<std::string>> settings_;
    std::set<std::string> ask_also_;
    instant began_;
    bool kept_back_ = false;
    bool forgot_unnamed_ = false;
    bool late_ = false;
    bool lost_old_ = false;

    std::unique_ptr<message_reader> reader_of_old_;
    for_client from_old_;
    std::optional<settings::side> only_reads_;
    std::unique_ptr<const portrait::session_portrait> at_home_;  // of one that does
    portrait::question asked_;
    portrait::session_portrait was_;

    settings::side to_ = settings::side::legacy;
    std::optional<transport> next_;
    std::unique_ptr<message_reader> from_next_;
    for_client said_by_next_;
    std::map<std::string, std::string> parameters_;  // as `next_` reports them
    std::optional<pgwire::backend_key_data> key_;
};

}  // namespace crossfade::proxy::frontend
