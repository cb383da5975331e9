// What operators see of a session, and how they steer it.
#include "lib/pgwire/startup.hpp"
#include "proxy/frontend/console_door.hpp"
#include "proxy/frontend/peer.hpp"
#include "proxy/frontend/session.hpp"

namespace crossfade::proxy::frontend {
namespace {

console::instant wall_clock() {
    return std::chrono::floor<std::chrono::microseconds>(std::chrono::system_clock::now());
}

std::string version_of(const transport& of) {
    return of.tls() != nullptr ? std::string{of.tls()->version()} : std::string{};
}

console::instant on_the_wall(std::chrono::steady_clock::time_point at) {
    return wall_clock() - std::chrono::floor<std::chrono::microseconds>(std::chrono::steady_clock::now() - at);
}

}  // namespace

void session::introduce(const pgwire::startup_message& opening) {
    known_.id = around_.last_session_id.fetch_add(1, std::memory_order_relaxed) + 1;
    known_.application_name = opening.parameter("application_name");
    known_.connected = wall_clock();
}

void session::know_server() {
    known_.server_connected = wall_clock();
}

asio::awaitable<void> session::open_console(pgwire::startup_message opening, std::string early) {
    auto ended = co_await serve_console(client_, around_, in_force_, std::move(opening), std::move(early),
                                        [this] { deadline_.reset(); });
    ends_by(ended.end);
    co_await say_goodbye(std::move(ended.goodbye));
}

bool session::is_held() const {
    if (!tracker_.idle()) return false;
    if (facts_.moves && around_.authority_of(away_ ? guide::home : server_side_).keeps_waiting()) return true;
    if (!around_.any_holds.load(std::memory_order_acquire)) return false;
    const auto holds = std::atomic_load(&around_.holds);
    return holds->covering({place_.database(), facts_.tenant, {}}, wall_clock()) != nullptr;
}

void session::look_at_holds() {
    if (!waits_for_release_ || is_held()) return;
    since_ = std::chrono::steady_clock::now();
    // Who hung up meanwhile may have asked the same again elsewhere: what it left is not to be carried out now.
    if (has_hung_up(client_.descriptor())) {
        ends_by(session_end::client_left);
        close();
    } else {
        go_on();
    }
}

void session::go_on() {
    waits_for_release_ = false;
    to_server_.go_on();
}

void session::cancel_held(const pgwire::cancel_request& by) {
    if (!waits_for_release_ || refusing_ || !from_client_.at_boundary() || !cancel_key_) return;
    const auto own = cancel_key_.request();
    if (own.pid != by.pid || own.secret_key != by.secret_key) return;
    refusing_ = std::make_unique<refusal>();
    go_on();
}

bool session::may_tell_client() const {
    return from_server_.at_boundary() && to_client_.holds_nothing();
}

inspection session::refuse_held(std::string_view chunk) {
    // In the middle of something that came by itself; carry_to_client() goes on behind it.
    if (!may_tell_client()) return {.hold = true};
    const auto [dropped, told, over] = refusing_->drop(chunk);
    // A client that can't be told is found out where it is read.
    if (!told.empty()) static_cast<void>(client_.send(told));
    if (over) {
        refusing_.reset();
        if (dropped < chunk.size()) to_server_.go_on();
    }
    return {.forward = dropped, .drop = true};
}

void session::kill() {
    ends_by(session_end::killed);
    cut();
}

console::session_facts session::facts() const {
    using enum console::session_state;
    const auto near = peer_of(client_.descriptor());
    console::session_facts told{.id = known_.id,
                                .user = place_.user(),
                                .database = place_.database(),
                                .application_name = known_.application_name,
                                .tenant = facts_.tenant,
                                .at = near.remote,
                                .to = near.local,
                                .connected = known_.connected,
                                .asked = {},
                                .since = known_.connected,
                                .bytes_from_client = known_.bytes_from_client,
                                .bytes_to_client = known_.bytes_to_client,
                                .transactions = tracker_.transactions(),
                                .memory = counted_memory(),
                                .tls = version_of(client_),
                                .server = {}};
    if (known_.server_connected != console::instant{}) {
        const auto far = peer_of(server_.descriptor());
        const auto database = database_at(server_side_, in_force_->config, place_.database());
        told.server = console::server_facts{.side = server_side_,
                                            .database = std::string{database},
                                            .at = far.remote,
                                            .from = far.local,
                                            .pid = cancel_key_ ? cancel_key_.backend_pid() : 0,
                                            .connected = known_.server_connected,
                                            .tls = version_of(server_)};
    }
    if (changeover_) {
        told.asked = on_the_wall(asked_);
        told.since = on_the_wall(changeover_->began());
        // One whose transaction begins anew on the other side is in it all the while: a flip waits for it.
        told.state = takes_transaction_along() ? in_transaction : waiting;
    } else if (tracker_.started()) {
        told.asked = on_the_wall(asked_);
        told.since = on_the_wall(since_);
        told.state = waits_for_release_ ? paused : tracker_.idle() ? idle : tracker_.quiet() ? in_transaction : active;
    }
    return told;
}

}  // namespace crossfade::proxy::frontend
