#pragma once

#include <prometheus/registry.h>

#include <chrono>
#include <string>

#include "cdc/follow/status.hpp"
#include "lib/settings/reload.hpp"
#include "lib/telemetry/http_server.hpp"

namespace crossfade::cdc::admin {

// GET /metrics, /healthz, /readyz, /api/v1/status and POST /-/reload. Ready (200): the program does its job, or could
// the moment it is let: applying, standby, held. Not ready (503): waiting for a database, the broker or `crossfade
// init`; stopped. What is given is used as long as the server lives.
void add_routes(telemetry::http_server& server, const prometheus::Registry& registry, const follow::status_board& board,
                settings::reloader& configuration, std::chrono::steady_clock::time_point started);

std::string status_json(const follow::follower_status& status, const settings::in_force& configuration,
                        std::chrono::seconds uptime);
std::string reload_json(const settings::reload_report& report);

}  // namespace crossfade::cdc::admin
