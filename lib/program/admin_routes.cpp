#include "lib/program/admin_routes.hpp"

#include <boost/json/serialize.hpp>
#include <chrono>

#include "lib/settings/describe.hpp"
#include "lib/telemetry/metrics.hpp"
#include "lib/telemetry/version.hpp"

namespace crossfade::program {
namespace {

namespace json = boost::json;
using telemetry::http_response;
using clock = std::chrono::steady_clock;

http_response as_json(unsigned status, const json::object& body) {
    return {.status = status, .content_type = "application/json", .body = json::serialize(body) + '\n'};
}

json::object common_status(std::string_view name, clock::time_point started, bool ready,
                           const settings::in_force& now) {
    const auto uptime = std::chrono::duration_cast<std::chrono::seconds>(clock::now() - started);
    return {{"program", name},
            {"version", telemetry::version},
            {"uptime_seconds", uptime.count()},
            {"ready", ready},
            {"flags", settings::flags_json(now)}};
}

}  // namespace

void add_admin_routes(telemetry::http_server& to, std::string_view name, const prometheus::Registry& registry,
                      configuration_reload& reload, admin_answers answers) {
    to.route("GET", "/healthz", [] { return http_response{.body = "ok\n"}; });
    to.route("GET", "/metrics", [&registry, update = std::move(answers.before_metrics)] {
        update();
        return http_response{.content_type = std::string{telemetry::exposition_content_type},
                             .body = telemetry::exposition(registry)};
    });
    to.route("GET", "/readyz", [ready = answers.ready] {
        const auto now = ready();
        return http_response{.status = now.ready ? 200U : 503U, .body = now.text + '\n'};
    });
    to.route("GET", "/api/v1/status",
             [name, &reload, started = clock::now(), ready = answers.ready, own = std::move(answers.status)] {
                 const auto now = reload.current();
                 auto body = common_status(name, started, ready().ready, *now);
                 for (auto& [key, value] : own(*now)) body[key] = std::move(value);
                 return as_json(200, body);
             });
    to.route("POST", "/-/reload", [&reload] {
        const auto report = reload.run("http");
        return as_json(report.outcome == settings::reload_outcome::refused ? 422 : 200, settings::report_json(report));
    });
}

}  // namespace crossfade::program
