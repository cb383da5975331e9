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

console::instant on_the_wall(std::chrono::steady_clock::time_point at) {
    return wall_clock() - std::chrono::floor<std::chrono::microseconds>(std::chrono::steady_clock::now() - at);
}

}  // namespace

void session::introduce(const pgwire::startup_message& opening) {
    known_.id = around_.last_session_id.fetch_add(1, std::memory_order_relaxed) + 1;
    known_.user = opening.parameter("user");
    known_.database = opening.database();
    known_.application_name = opening.parameter("application_name");
    known_.connected = known_.since = wall_clock();
    auto ends = peer_of(client_.socket());
    known_.at = std::move(ends.remote);
    known_.to = std::move(ends.local);
}

void session::know_server(const route& taken) {
    auto ends = peer_of(server_.socket());
    known_.server = console::server_facts{.side = taken.authority,
                                          .database = std::string{taken.opening.database()},
                                          .at = std::move(ends.remote),
                                          .from = std::move(ends.local),
                                          .connected = wall_clock(),
                                          .tls = {}};
}

bool session::wants_console() const {
    return console::is_console(in_force_->config.proxy.console, known_.database);
}

asio::awaitable<void> session::open_console(pgwire::startup_message opening, std::string early) {
    auto ended = co_await serve_console(client_, around_, in_force_, std::move(opening), std::move(early),
                                        [this] { deadline_.cancel(); });
    ends_by(ended.end);
    co_await say_goodbye(std::move(ended.goodbye));
}

bool session::is_held() const {
    if (!around_.any_holds.load(std::memory_order_acquire) || !tracker_.idle()) return false;
    const auto holds = std::atomic_load(&around_.holds);
    return holds->covering({known_.database, facts_.tenant, {}}, wall_clock()) != nullptr;
}

void session::kill() {
    ends_by(session_end::killed);
    cut();
}

console::session_facts session::facts() const {
    using enum console::session_state;
    auto told = known_;
    told.tenant = facts_.tenant;
    told.transactions = tracker_.transactions();
    told.memory = sizeof *this + to_server_.memory() + to_client_.memory() + client_.waiting() + server_.waiting();
    if (client_.tls() != nullptr) told.tls = client_.tls()->version();
    if (told.server && backend_) told.server->pid = backend_->pid;
    if (told.server && server_.tls() != nullptr) told.server->tls = server_.tls()->version();
    if (tracker_.started()) {
        told.asked = on_the_wall(asked_);
        told.since = on_the_wall(since_);
        told.state = waits_for_release_ ? paused : tracker_.idle() ? idle : tracker_.quiet() ? in_transaction : active;
    }
    return told;
}

}  // namespace crossfade::proxy::frontend
