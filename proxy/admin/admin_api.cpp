#include "proxy/admin/admin_api.hpp"

#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>

#include "lib/settings/describe.hpp"
#include "lib/telemetry/metrics.hpp"
#include "lib/telemetry/version.hpp"

namespace crossfade::proxy::admin {
namespace {

namespace json = boost::json;
using telemetry::http_response;

http_response answer(unsigned status, const json::object& body) {
    return {.status = status, .content_type = "application/json", .body = json::serialize(body) + '\n'};
}

json::object stream_status(const settings::stream& configured, const capture::stream_publisher* publisher) {
    if (publisher == nullptr) {
        return {{"name", configured.name},
                {"state", "off"},
                {"reason", "this proxy does not publish (proxy.capture)"},
                {"way_out", ""}};
    }
    const auto now = publisher->status();
    return {{"name", configured.name},
            {"state", capture::to_string(now.state)},
            {"reason", now.reason},
            {"way_out", now.way_out},
            {"confirmed_lsn", model::to_string(now.confirmed_lsn)},
            {"published_lsn", model::to_string(now.published_lsn)},
            {"unacknowledged_events", now.unacknowledged_events},
            {"retained_wal_bytes", now.retained_wal_bytes}};
}

}  // namespace

admin_api::admin_api(prometheus::Registry& registry, configuration_reload& reload, frontend::front& front,
                     const capture::stream_publisher* publisher)
    : registry_(registry), reload_(reload), front_(front), publisher_(publisher) {}

void admin_api::add_routes(telemetry::http_server& to) {
    to.route("GET", "/metrics", [this] { return metrics(); });
    to.route("GET", "/healthz", [] { return http_response{.body = "ok\n"}; });
    to.route("GET", "/readyz", [this] { return ready(); });
    to.route("GET", "/api/v1/status", [this] { return status(); });
    to.route("POST", "/-/reload", [this] {
        const auto report = reload_.run("http");
        return answer(report.outcome == settings::reload_outcome::refused ? 422 : 200, settings::report_json(report));
    });
}

http_response admin_api::metrics() {
    front_.update_metrics();
    return {.content_type = std::string{telemetry::exposition_content_type}, .body = telemetry::exposition(registry_)};
}

// Ready means: takes sessions. A stream that stands still is told by its metrics, as clients are served all the same.
http_response admin_api::ready() const {
    if (front_.draining()) return {.status = 503, .body = "draining\n"};
    return {.body = "ready\n"};
}

http_response admin_api::status() const {
    const auto now = reload_.current();
    const auto uptime = std::chrono::steady_clock::now() - started_;
    return answer(200, {{"program", "crossfade-proxy"},
                        {"version", telemetry::version},
                        {"uptime_seconds", std::chrono::duration_cast<std::chrono::seconds>(uptime).count()},
                        {"ready", !front_.draining()},
                        {"flags", settings::flags_json(*now)},
                        {"stream", stream_status(now->config.stream, publisher_)},
                        {"sessions", {{"open", front_.sessions()}, {"limit", now->config.proxy.max_sessions}}}});
}

}  // namespace crossfade::proxy::admin
