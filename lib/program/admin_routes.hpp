#pragma once

#include <prometheus/registry.h>

#include <boost/json/object.hpp>
#include <functional>
#include <string>

#include "lib/program/configuration_reload.hpp"
#include "lib/telemetry/http_server.hpp"

namespace crossfade::program {

struct readiness {
    bool ready = false;
    std::string text;  // of the answer: a state, with its reason
};

// What a program answers on its admin address besides what all do. Called in the server's thread.
struct admin_answers {
    std::function<readiness()> ready;
    // What /api/v1/status has beyond program, version, uptime_seconds, ready and flags.
    std::function<boost::json::object(const settings::in_force&)> status;
    std::function<void()> before_metrics = [] {};  // brings gauges up to date that nobody keeps so
};

// GET /metrics, /healthz, /readyz, /api/v1/status and POST /-/reload. What is given is used as long as the server
// lives; `name` must be a literal.
void add_admin_routes(telemetry::http_server& to, std::string_view name, const prometheus::Registry& registry,
                      configuration_reload& reload, admin_answers answers);

}  // namespace crossfade::program
