#pragma once

#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "lib/pgwire/message_scanner.hpp"
#include "lib/pgwire/session_status.hpp"
#include "lib/pgwire/session_tracker.hpp"
#include "proxy/console/provider.hpp"
#include "proxy/frontend/cancel_registry.hpp"
#include "proxy/frontend/front_metrics.hpp"
#include "proxy/frontend/greeting.hpp"
#include "proxy/frontend/login.hpp"
#include "proxy/frontend/relay.hpp"
#include "proxy/frontend/route.hpp"
#include "proxy/frontend/surroundings.hpp"
#include "proxy/strategy/plan.hpp"

namespace crossfade::proxy::frontend {

// One client and its one server, from the first byte to the last. Everything happens on the event loop that the
// client's socket belongs to.
class session : public std::enable_shared_from_this<session> {
  public:
    session(stream_socket client, surroundings& around, loop_stats& stats, scratch_space& scratch);

    // The whole life; empty when the client only asked for a cancel. Call once.
    asio::awaitable<std::optional<session_end>> run();

    // The proxy is stopping: says goodbye as a database does as soon as the session is idle, at once if it is.
    void drain();
    // Ends the session where it stands, with a goodbye if no message is cut in two by it.
    void cut();
    // An operator ends the session, whatever it has under way.
    void kill();
    // The pauses in force have changed.
    void look_at_holds() { released_.cancel(); }
    // For the console, which lists those that have a place.
    bool listed() const { return static_cast<bool>(place_); }
    std::uint64_t id() const { return known_.id; }
    console::session_facts facts() const;
    // Ends or cancels what has taken longer than the settings allow; called every second or so.
    void look_at_clock(std::chrono::steady_clock::time_point now, const settings::proxy& limits);

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
    struct server_inspector;
    struct client_inspector;

    bool wants_console() const;
    asio::awaitable<void> open_console(pgwire::startup_message opening, std::string early);
    asio::awaitable<void> cancel_for(pgwire::cancel_request request);
    asio::awaitable<cancel_result> pass_on(pgwire::cancel_request request);
    static asio::awaitable<void> cancel_query(std::shared_ptr<session> of, pgwire::cancel_request request);
    asio::awaitable<void> serve(pgwire::startup_message opening, std::string early);
    // Whether the rules let the client come in, and who it is where the proxy decides that; otherwise it has been told.
    asio::awaitable<std::optional<identity>> admit(pgwire::startup_message& opening, message_reader& from);
    // Sends the opening, and logs in where the client has shown to the proxy who it is. False: it has been told why.
    asio::awaitable<bool> log_in(const route& going, identity as);
    asio::awaitable<void> client_to_server();
    asio::awaitable<void> server_to_client();
    asio::awaitable<void> refuse(session_end end, std::string_view code, std::string message);
    asio::awaitable<std::string> reach_server(const settings::database& to);
    // Writes the message, if there is one, and leaves the client the time to read it.
    asio::awaitable<void> say_goodbye(std::string message);

    void introduce(const pgwire::startup_message& opening);  // the client, to operators
    void know_server(const route& taken);
    bool is_held() const;
    asio::awaitable<void> wait_for_release();
    void take_plan();
    void bid_farewell(farewell goodbye);
    bool farewell_is_due() const;
    void client_misunderstood_binding();
    void client_violated(std::string_view what);
    void server_violated(std::string_view what);
    void logged_in();
    bool channel_binding_passes() const;
    void close_within(std::chrono::milliseconds time);
    void on_login_timeout();
    void close();

    surroundings& around_;
    loop_stats& stats_;
    scratch_space& scratch_;
    transport client_;
    transport server_;
    asio::steady_timer deadline_;
    asio::steady_timer released_;  // waits while the session is held

    settings::snapshot in_force_;
    std::uint64_t generation_ = 0;
    strategy::session_facts facts_;
    strategy::plan plan_;
    settings::endpoint server_at_;
    std::optional<pgwire::backend_key_data> backend_;
    console::session_facts known_;  // what facts() tells, but for what can be derived
    bool waits_for_release_ = false;

    pgwire::session_tracker tracker_;
    pgwire::message_scanner from_client_;
    pgwire::message_scanner from_server_;
    std::string held_from_client_;
    std::string held_from_server_;
    // Since when it has been owed an answer, or has been quiet.
    std::chrono::steady_clock::time_point since_;
    std::chrono::steady_clock::time_point asked_;
    bool cancelled_ = false;  // what is under way took too long
    std::shared_ptr<const encryption> certificates_;
    std::string rewritten_;  // until the login is over: the database's offer without channel binding
    admission::place place_;
    cancel_registry::registration cancel_key_;
    std::optional<farewell> farewell_;
    std::optional<session_end> end_;
};

}  // namespace crossfade::proxy::frontend
