#pragma once

#include <atomic>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "lib/pgwire/message_scanner.hpp"
#include "lib/pgwire/session_status.hpp"
#include "lib/pgwire/session_tracker.hpp"
#include "proxy/console/provider.hpp"
#include "proxy/frontend/cancel_registry.hpp"
#include "proxy/frontend/changeover.hpp"
#include "proxy/frontend/ear.hpp"
#include "proxy/frontend/escort.hpp"
#include "proxy/frontend/front_metrics.hpp"
#include "proxy/frontend/greeting.hpp"
#include "proxy/frontend/guide.hpp"
#include "proxy/frontend/lane.hpp"
#include "proxy/frontend/login.hpp"
#include "proxy/frontend/mirror_gate.hpp"
#include "proxy/frontend/refusal.hpp"
#include "proxy/frontend/relay_loop.hpp"
#include "proxy/frontend/route.hpp"
#include "proxy/frontend/surroundings.hpp"
#include "proxy/frontend/usher.hpp"
#include "proxy/strategy/plan.hpp"

namespace crossfade::proxy::frontend {

class event_loop;

// One client and its one server, from the first byte to the last. It begins and ends at home, on the event loop that
// the client's socket belongs to; between the log-in and the goodbye it rides on a relay_loop. One of the two threads
// owns it at a time, and calls it.
//
// There may be ten thousand of them that have nothing to do, so what an opening needs is gone when it is over: no
// coroutine lives while it rides. What is rarely needed is on the heap while it is; what can be derived is.
class session : public std::enable_shared_from_this<session> {
  public:
    session(stream_socket client, surroundings& around, event_loop& home);

    // At home. The life up to where bytes are only to be passed on, or to its end. Call once.
    asio::awaitable<void> run();
    bool may_ride() const { return may_ride_; }
    // Gives the session away; the loop takes it by ride().
    void leave_home(relay_loop& to);
    // Back from there: the rest of its life.
    asio::awaitable<void> take_leave();
    // Whether it has come home to go over to the other database, by go_over(). Then it may ride again, or takes
    // its leave.
    bool goes_over() const { return static_cast<bool>(changeover_); }
    bool client_waits() const { return !to_server_.holds_nothing(); }
    asio::awaitable<void> go_over();
    // How it ended; empty when the client only asked for a cancel.
    std::optional<session_end> end() const { return end_; }

    // The loop that moves its bytes; null while it is at home. Any thread: the owner alone changes it.
    relay_loop* rides_on() const { return rides_on_.load(std::memory_order_acquire); }
    // In that loop's thread.
    void ride(relay_loop& on);
    void on_ready(watched_socket::peer which, std::uint32_t events);
    // Moves what there is to move, and looks whether that was all.
    void carry();
    // What nobody waits for.
    void go_on_behind();
    // Ends or cancels what has taken longer than the settings allow; called four times a second at least.
    void look_at_clock(std::chrono::steady_clock::time_point now, const settings::proxy& limits);
    static void go_home(std::shared_ptr<session> one);

    // A cancel of our own, carried by a session made for it alone. `to`: as it is, to that side.
    static asio::awaitable<void> send_cancel(std::shared_ptr<session> courier, settings::snapshot in_force,
                                             pgwire::cancel_request request, std::optional<settings::side> to);

    // The following are for the thread that owns it; on a relay_loop carry() is to be called behind them.

    // The proxy is stopping: says goodbye as a database does as soon as the session is idle, at once if it is.
    void drain();
    // Ends the session where it stands, with a goodbye if no message is cut in two by it.
    void cut();
    // An operator ends the session, whatever it has under way.
    void kill();
    // The pauses in force have changed.
    void look_at_holds();
    // The authority may be another one.
    void look_at_authority();
    // Of a session that a pause holds: what its client asked is not going to be asked of the database. Others don't
    // mind.
    void cancel_held(const pgwire::cancel_request& by);
    // For the console, which lists those that have a place.
    bool listed() const { return static_cast<bool>(place_); }
    std::uint64_t id() const { return known_.id; }
    console::session_facts facts() const;

  private:
    // A goodbye, and what it waits for: that the session is idle; that what the client asked is answered; that no
    // message is cut in two.
    struct farewell {
        std::string message;
        session_end end;
        enum class moment { idle, answered, boundary } at;
    };
    // Who the client is, where the proxy has found it out itself: proxy.access with another method than relay.
    struct identity {
        bool proven = false;
        std::string acceptance;  // said to the client once the database has let us in
        auth::login_secret secret;
    };
    // What another database is told, and let in by; of sessions that may change hands.
    struct papers {
        std::string opening;                               // the client's own start-up message
        std::unique_ptr<const auth::login_secret> secret;  // null: the client has shown nothing to the proxy

        std::size_t bytes() const {
            return sizeof *this + opening.capacity() + (secret ? sizeof(auth::login_secret) : 0);
        }
    };
    static std::unique_ptr<papers> papers_of(const pgwire::startup_message& opening, const identity& who);
    struct server_inspector;
    struct client_inspector;

    // What operators are told, but for what can be derived.
    struct knowledge {
        std::uint64_t id = 0;
        std::string application_name;
        console::instant connected{};
        console::instant server_connected{};
        std::uint64_t bytes_from_client = 0;
        std::uint64_t bytes_to_client = 0;
    };

    asio::awaitable<void> open_console(pgwire::startup_message opening, std::string early);
    asio::awaitable<void> cancel_for(pgwire::cancel_request request);
    asio::awaitable<cancel_result> pass_on(pgwire::cancel_request request);
    // Whether it has arrived there; the database has closed its end, or has had the time to.
    asio::awaitable<bool> carry_cancel(settings::side to, std::string packet);
    asio::awaitable<void> serve(pgwire::startup_message opening, std::string early);
    // Whether the rules let the client come in, and who it is where the proxy decides that; otherwise it has been told.
    asio::awaitable<std::optional<identity>> admit(pgwire::startup_message& opening, message_reader& from);
    // Sends the opening, and logs in where the client has shown to the proxy who it is. False: it has been told why.
    asio::awaitable<bool> log_in(const route& going, identity as);
    // What of our own the database may have taken for the client's proof, for people; empty where there is nothing.
    std::string_view own_proof_to(const transport& server) const;
    // Under relay, where there is such a proof: whether the database asks the client for its own. False: it has been
    // told that it isn't let in.
    asio::awaitable<bool> is_asked(settings::side which, std::string_view proof, message_reader& from);
    auth::server_login login_to(settings::side which, const transport& server, auth::login_secret secret) const;
    asio::awaitable<void> refuse(session_end end, std::string_view code, std::string message);
    // Why there is no connection; empty when there is one.
    asio::awaitable<std::string> reach_server(settings::side which);
    // Writes the message, if there is one, and leaves the client the time to read it.
    asio::awaitable<void> say_goodbye(std::string message);

    // Where nothing is under way, and more of the client's isn't to go to this server.
    void leave_to_go_over();
    // Carries it out, for as long as that may take at most. False: its client has left meanwhile.
    asio::awaitable<bool> in_time(asio::awaitable<hindrance> journey, hindrance& why);
    asio::awaitable<hindrance> try_to_go_over();
    asio::awaitable<hindrance> enter(settings::side to, std::string opening);
    // Again and again while that may help and there is time.
    template <class Step>
    asio::awaitable<hindrance> insist_on(Step step);
    void arrive();
    std::string take_owed();
    void hear_owed();
    void stay_behind(const unable& why);
    void give_up_going_over();

    // Where table groups have several authorities (usher.hpp).
    struct detour {
        usher::step::action what;
        settings::side to;
        bool replaces_unnamed;
        bool uses_unnamed = false;
        bool reads = false;      // by strategy (guide.hpp)
        bool for_good = false;   // likewise, as the flags say otherwise now
        bool came_back = false;  // by a connection that was parked
    };
    void look_at_groups(relay_loop& by);
    void set_out(const usher::step& how);
    inspection refuse_by_groups(std::string_view chunk, const usher::step& how);
    asio::awaitable<void> make_detour();
    asio::awaitable<hindrance> try_detour();
    void remain(const unable& why);
    void lose_home(const unable& why);
    asio::awaitable<bool> come_back();
    void park_server();
    std::unique_ptr<parked_connection> take_parked();
    void drop_parked();

    // Where its reads go by strategy (guide.hpp).
    void look_at_reads(relay_loop& by);
    void count_read();
    // Its connections change places, as the session is the same on both.
    bool may_hop() const;
    void hop(relay_loop& by);
    // What is to be done with modern's answer instead of passing it on; nothing: it goes on.
    std::optional<inspection> weigh(std::string_view answer);
    std::optional<std::string> way_home(std::string_view unit) const;
    // Modern has left, or says what legacy may not. False: the session can't go on.
    bool recover(relay_loop& by);
    std::optional<inspection> swallow(std::string_view chunk);
    bool break_off();
    void say_again(relay_loop& by);
    bool is_away_too_long() const;
    bool goes_to_read() const { return detour_ && detour_->reads && detour_->to != guide::home; }
    const repeatable_start& begun() const { return guide_ ? guide_->start() : usher_->start(); }
    settings::side bound_for() const { return detour_ ? detour_->to : plan_.authority; }
    bool takes_transaction_along() const { return detour_ && detour_->what == usher::step::action::go_again; }

    void introduce(const pgwire::startup_message& opening);  // the client, to operators
    void know_server();
    bool is_held() const;
    // Asks to be told when the follower has what the authority has committed by now. False: it isn't waited for.
    bool wait_for_follower();
    bool may_answer_late(std::string_view answer);
    void stop_waiting(bool follower_has_it);
    void rows_are_there();
    // What the escort wants done.
    void run_errands(relay_loop& by);
    bool follower_is_away() const;
    void send_ahead(relay_loop& by);
    void take_back_rows();
    void write_to_follower(relay_loop& by);
    void go_on_without_link(relay_loop& by);
    void begin_wait();
    void end_wait();
    void give_up_follower();  // it hasn't answered in time
    bool take_follower(relay_loop& by, std::unique_ptr<mirror::follower_link> one);
    void commit_on_follower();
    void end_on_follower(bool well);
    void hear_follower();
    void on_follower(mirror::follower_link::state now);
    void leave_follower(bool well);
    void go_on_to_commit(std::optional<mirror::leave_reason> why);
    bool may_tell_client() const;  // something that doesn't come from the server
    inspection refuse_held(std::string_view chunk);
    void go_on();
    void carry_both();
    void listen(relay_loop& by);  // if the flags in force need it
    void mirror(relay_loop& by);  // likewise
    progress carry_to_server(relay_loop& by);
    progress carry_to_client(relay_loop& by);
    void on_lane_to_server_ended();
    void leave_loop(std::string goodbye);
    void fail(std::string_view why);
    void lost_count(std::string_view of);
    void enforce(std::chrono::steady_clock::time_point now, const settings::proxy& limits);
    void take_plan();
    // The first reason counts.
    void ends_by(session_end reason) {
        if (!end_) end_ = reason;
    }
    void bid_farewell(farewell goodbye);
    bool farewell_is_due() const;
    // Of what a session holds, what it is owed and what it is heard to say can grow; the rest is bounded by how lanes
    // work.
    std::size_t counted_memory() const;
    void count_memory();
    void client_misunderstood_binding();
    void client_violated(std::string_view what);
    void server_violated(std::string_view what);
    // False: there is no place for its user or database, and it is said goodbye to.
    bool logged_in();
    bool channel_binding_passes() const;
    // One at a time: the later one takes the place of the earlier one.
    void after(std::chrono::milliseconds time, void (session::*what)());
    void close_within(std::chrono::milliseconds time) { after(time, &session::close); }
    void on_login_timeout();
    void close();

    surroundings& around_;
    event_loop& home_;
    loop_stats* stats_;  // of the loop that owns it
    transport client_;
    transport server_;
    std::unique_ptr<asio::steady_timer> deadline_;  // at home
    bool may_ride_ = false;
    std::atomic<relay_loop*> rides_on_{nullptr};
    std::optional<asio::executor_work_guard<asio::any_io_executor>> awaited_at_home_;
    // The rest up to the plan is the relay loop's.
    lane to_server_{client_, server_};
    lane to_client_{server_, client_};
    watched_socket client_watch_;
    watched_socket server_watch_;
    watched_socket follower_watch_;
    std::chrono::steady_clock::time_point closes_at_ = std::chrono::steady_clock::time_point::max();
    bool over_ = false;
    std::string goodbye_;

    settings::snapshot in_force_;
    std::uint64_t generation_ = 0;
    strategy::session_facts facts_;
    strategy::plan plan_;
    std::unique_ptr<ear> ear_;           // where the session may change hands, while the relay loop has it
    std::unique_ptr<mirror_gate> gate_;  // where it may be mirrored, while the relay loop has it
    std::unique_ptr<escort> escort_;     // likewise, once it was
    // Where a transaction's rows are, from before they are written until it has ended there.
    std::unique_ptr<mirror::follower_link> follower_;
    bool follower_asked_ = false;  // something that it has not answered, and that is waited for
    bool follower_ahead_ = false;  // it has rows of a transaction that hasn't come to its end
    bool wants_follower_ = false;  // there was none for a transaction that has to have one
    std::chrono::steady_clock::time_point follower_due_ = std::chrono::steady_clock::time_point::max();
    std::chrono::steady_clock::time_point follower_asked_at_{};
    std::chrono::steady_clock::duration follower_waited_{};  // for it, by the transaction, up to then
    std::unique_ptr<usher> usher_;                           // where its tables have several authorities
    std::unique_ptr<detour> detour_;                         // as long as it makes it
    std::unique_ptr<parked_connection> parked_;
    std::unique_ptr<guide> guide_;  // where its reads go by strategy
    bool away_ = false;             // on modern, which is only read there
    bool asks_again_ = false;       // what modern has said is dropped, and legacy is asked
    bool renews_unnamed_ = false;   // and answers first what its client hasn't said
    settings::side server_side_ = settings::side::legacy;
    bool is_to_go_over_ = false;   // to the other side, when nothing is under way
    bool has_other_role_ = false;  // than it logged in by, perhaps: from the start, or by what it has said since
    std::unique_ptr<papers> papers_;
    std::unique_ptr<changeover> changeover_;                    // at home, while it goes over
    std::unique_ptr<std::map<std::string, std::string>> owed_;  // settings of which its client is to be told
    knowledge known_;
    bool waits_for_release_ = false;
    bool waits_for_follower_ = false;  // the rest of an answer, in to_client_
    bool waits_for_escort_ = false;    // what the client has sent, in to_server_
    bool waits_for_answers_ = false;   // likewise, as the usher wants it
    std::unique_ptr<refusal> refusing_;

    pgwire::session_tracker tracker_;
    pgwire::message_scanner from_client_;
    pgwire::message_scanner from_server_;
    // Since when it has been owed an answer, or has been quiet.
    std::chrono::steady_clock::time_point since_;
    std::chrono::steady_clock::time_point asked_;
    bool cancelled_ = false;                          // what is under way took too long
    std::shared_ptr<const encryption> certificates_;  // while the session opens
    std::string rewritten_;  // until the login is over: the database's offer without channel binding
    admission::place place_;
    memory_account::share memory_;
    cancel_registry::registration cancel_key_;
    std::unique_ptr<farewell> farewell_;
    std::optional<session_end> end_;
};

}  // namespace crossfade::proxy::frontend
