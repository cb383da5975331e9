// What a session may take of time and memory.
#include <spdlog/spdlog.h>

#include "lib/pgwire/diagnostics.hpp"
#include "proxy/frontend/event_loop.hpp"
#include "proxy/frontend/session.hpp"

namespace crossfade::proxy::frontend {
namespace {

namespace sqlstate = pgwire::sqlstate;

}  // namespace

void session::look_at_clock(std::chrono::steady_clock::time_point now, const settings::proxy& limits) {
    // What a peer doesn't read stays as much as long as it doesn't: no message comes by which to count it.
    if (tracker_.started() && client_.is_open()) count_memory();
    if (now < closes_at_) {
        enforce(now, limits);
    } else if (!farewell_) {
        on_login_timeout();
    } else {
        close();
    }
    if (farewell_ || !client_.is_open()) carry();
}

void session::enforce(std::chrono::steady_clock::time_point now, const settings::proxy& limits) {
    if (wants_follower_) write_to_follower(*rides_on());
    if (now >= follower_due_ && follower_) follower_ahead_ ? take_back_rows() : give_up_follower();
    if (!tracker_.started() || farewell_ || !server_.is_open() || waits_for_release_ || waits_for_follower_) return;
    const auto waited = now - since_;
    const auto over = [&](std::chrono::milliseconds limit) { return limit.count() > 0 && waited >= limit; };
    if (!tracker_.quiet()) {
        if (!over(limits.query_timeout)) return;
        if (!cancelled_ && cancel_key_) {
            // The database ends it with its own error, and the session goes on.
            cancelled_ = true;
            since_ = now;
            return home_.send_cancel(in_force_, cancel_key_.request());
        }
        return bid_farewell({pgwire::build_fatal(sqlstate::query_canceled,
                                                 "terminating connection due to proxy.query_timeout: the statement "
                                                 "did not end when it was cancelled"),
                             session_end::query_timeout, farewell::moment::boundary});
    }
    if (tracker_.idle()) {
        if (over(limits.idle_timeout))
            bid_farewell({pgwire::build_fatal(sqlstate::idle_session_timeout,
                                              "terminating connection due to proxy.idle_timeout"),
                          session_end::idle_timeout, farewell::moment::idle});
    } else if (over(limits.idle_in_transaction_timeout)) {
        bid_farewell({pgwire::build_fatal(sqlstate::idle_in_transaction_timeout,
                                          "terminating connection due to proxy.idle_in_transaction_timeout"),
                      session_end::idle_timeout, farewell::moment::answered});
    }
}

std::size_t session::counted_memory() const {
    // An idle session (as idle_memory in tests/integration/proxy measures it), and what OpenSSL has for a connection.
    constexpr std::size_t itself = 1536;
    constexpr std::size_t tls = std::size_t{14} << 10;
    return itself + (client_.tls() != nullptr ? tls : 0) + (server_.tls() != nullptr ? tls : 0) + tracker_.allocated() +
           client_.waiting() + server_.waiting() + to_client_.memory() + to_server_.memory() +
           (ear_ ? sizeof *ear_ + ear_->kept_bytes() : 0) + (gate_ ? sizeof *gate_ + gate_->kept_bytes() : 0) +
           (escort_ ? sizeof *escort_ + escort_->kept_bytes() : 0) + (papers_ ? papers_->bytes() : 0) +
           (usher_ ? sizeof *usher_ + usher_->kept_bytes() : 0) + (guide_ ? sizeof *guide_ + guide_->kept_bytes() : 0) +
           (parked_ ? sizeof *parked_ + parked_->bytes + (parked_->connection.tls() != nullptr ? tls : 0) : 0);
}

void session::count_memory() {
    const auto now = counted_memory();
    const auto before = memory_.bytes();
    if (now == before) return;
    memory_.set(now);
    if (now < before || farewell_) return;
    const auto& limits = in_force_->config.proxy;
    const bool alone = now > limits.max_session_memory;
    if (!alone && around_.memory.held() <= limits.max_memory) return;
    const auto* const reached = alone ? "proxy.max_session_memory" : "proxy.max_memory";
    spdlog::warn("ended a session: {} is reached; it holds {} bytes", reached, now);
    bid_farewell({pgwire::build_fatal(sqlstate::out_of_memory,
                                      "out of memory: too many messages without reading their answers, and " +
                                          std::string{reached} + " is reached"),
                  session_end::out_of_memory, farewell::moment::boundary});
}

}  // namespace crossfade::proxy::frontend
