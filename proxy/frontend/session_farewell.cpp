// How a session comes to its end on its relay_loop.
#include <spdlog/spdlog.h>

#include "lib/pgwire/diagnostics.hpp"
#include "proxy/frontend/session.hpp"

namespace crossfade::proxy::frontend {
namespace {

namespace sqlstate = pgwire::sqlstate;

}  // namespace

void session::on_lane_to_server_ended() {
    switch (*to_server_.ended()) {
        case lane_end::from_closed:
            // As with a database: what was asked is still answered, if somebody reads it.
            server_.shut_down();
            ends_by(session_end::client_left);
            break;
        case lane_end::from_failed:
            ends_by(session_end::client_left);
            close();
            break;
        case lane_end::kept_too_much:
            lost_count("its client");
            close();
            break;
        case lane_end::stopped:
        case lane_end::to_failed:  // the other lane reads the server's last words
            break;
    }
}

// Of what somebody sends more is kept back than ever has to be.
void session::lost_count(std::string_view of) {
    spdlog::error("session {} failed: more than {} bytes of what {} has sent would have to be looked at together",
                  known_.id, lane::most_kept, of);
    ends_by(session_end::failed);
}

void session::client_violated(std::string_view what) {
    spdlog::warn("ended a session: the client violated the protocol: {}", what);
    // Before login there is no answer to wait for, and a database that waits for the client to authenticate.
    const auto at = tracker_.started() ? farewell::moment::answered : farewell::moment::boundary;
    bid_farewell({pgwire::build_fatal(sqlstate::protocol_violation, what), session_end::protocol_violation, at});
}

void session::server_violated(std::string_view what) {
    spdlog::error("ended a session: the {} database violated the protocol: {}", settings::to_string(server_side_),
                  what);
    bid_farewell(
        {pgwire::build_fatal(sqlstate::protocol_violation, "the database violated the protocol: " + std::string{what}),
         session_end::protocol_violation, farewell::moment::boundary});
}

bool session::farewell_is_due() const {
    if (!farewell_ || !from_server_.at_boundary()) return false;
    switch (farewell_->at) {
        case farewell::moment::idle:
            return tracker_.idle();
        case farewell::moment::answered:
            return !tracker_.ready_is_due();
        case farewell::moment::boundary:
            return true;
    }
    return true;
}

void session::bid_farewell(farewell goodbye) {
    farewell_ = std::make_unique<farewell>(std::move(goodbye));
    if (farewell_->at != farewell::moment::idle) {
        ends_by(farewell_->end);
        closes_at_ = std::chrono::steady_clock::now() + in_force_->config.proxy.drain_timeout;
    }
}

}  // namespace crossfade::proxy::frontend
