#include "cdc/admin/routes.hpp"

#include <boost/json.hpp>

#include "lib/telemetry/metrics.hpp"
#include "lib/telemetry/version.hpp"

namespace crossfade::cdc::admin {

namespace json = boost::json;

namespace {

json::object flags_of(const settings::flags& of) {
    return {{"hybrid_mode_enabled", of.hybrid_mode_enabled},
            {"dual_write_strategy", settings::to_string(of.dual_write_strategy)},
            {"hybrid_read_strategy", settings::to_string(of.hybrid_read_strategy)},
            {"migration_drift_tolerance", of.migration_drift_tolerance},
            {"cutover_completed", of.cutover_completed},
            {"cutover_guardrail_enabled", of.cutover_guardrail_enabled},
            {"canary_percent", of.canary_percent}};
}

json::array scopes_of(const settings::flag_set& set) {
    json::array scopes;
    for (const auto& scope : set.scopes()) {
        const auto flags = set.resolve(scope.group, scope.tenant);
        scopes.push_back(json::object{{"group", scope.group},
                                      {"tenant", scope.tenant},
                                      {"authority", settings::to_string(settings::authority(flags))},
                                      {"flags", flags_of(flags)}});
    }
    return scopes;
}

json::array strings(const std::vector<std::string>& of) {
    return json::array(of.begin(), of.end());
}

telemetry::http_response as_json(unsigned status, std::string body) {
    return {status, "application/json; charset=utf-8", std::move(body)};
}

}  // namespace

std::string status_json(const follow::follower_status& status, const settings::in_force& configuration,
                        std::chrono::seconds uptime) {
    json::object stream{{"name", configuration.config.stream.name},
                        {"state", follow::to_string(status.now)},
                        {"reason", status.reason},
                        {"way_out", status.way_out},
                        {"applied_lsn", model::to_string(status.applied_lsn)},
                        {"next_offset", status.next_offset},
                        {"lag_seconds", nullptr},
                        {"lag_bytes", nullptr},
                        {"limits", strings(status.limits)}};
    if (status.lag_seconds) stream["lag_seconds"] = *status.lag_seconds;
    if (status.lag_bytes) stream["lag_bytes"] = *status.lag_bytes;
    json::array drift;
    for (const auto& each : status.drift) {
        drift.push_back(json::object{{"tenant", each.tenant},
                                     {"table", each.table},
                                     {"kind", each.kind},
                                     {"state", each.state},
                                     {"rows", each.rows}});
    }
    return json::serialize(json::object{
        {"program", "crossfade-cdc"},
        {"version", telemetry::version},
        {"uptime_seconds", uptime.count()},
        {"ready", status.ready()},
        {"flags", json::object{{"epoch", configuration.epoch}, {"scopes", scopes_of(configuration.config.flags)}}},
        {"stream", std::move(stream)},
        {"drift", std::move(drift)},
        {"dead_letters", status.dead_letters}});
}

std::string reload_json(const settings::reload_report& report) {
    return json::serialize(json::object{{"outcome", settings::to_string(report.outcome)},
                                        {"epoch", report.epoch},
                                        {"changes", strings(report.changes)},
                                        {"problems", strings(report.problems)},
                                        {"restart", strings(report.restart)}});
}

void add_routes(telemetry::http_server& server, const prometheus::Registry& registry, const follow::status_board& board,
                settings::reloader& configuration, std::chrono::steady_clock::time_point started) {
    server.route("GET", "/metrics", [&registry] {
        return telemetry::http_response{200, std::string{telemetry::exposition_content_type},
                                        telemetry::exposition(registry)};
    });
    server.route("GET", "/healthz", [] { return telemetry::http_response{200, "text/plain; charset=utf-8", "ok\n"}; });
    server.route("GET", "/readyz", [&board] {
        const auto status = board.read();
        std::string body{follow::to_string(status.now)};
        if (!status.reason.empty()) body += ": " + status.reason;
        return telemetry::http_response{status.ready() ? 200U : 503U, "text/plain; charset=utf-8", body + '\n'};
    });
    server.route("GET", "/api/v1/status", [&board, &configuration, started] {
        const auto uptime =
            std::chrono::duration_cast<std::chrono::seconds>(std::chrono::steady_clock::now() - started);
        return as_json(200, status_json(board.read(), *configuration.current(), uptime) + '\n');
    });
    server.route("POST", "/-/reload", [&configuration] {
        const auto report = configuration.reload("http");
        return as_json(report.outcome == settings::reload_outcome::refused ? 422 : 200, reload_json(report) + '\n');
    });
}

}  // namespace crossfade::cdc::admin
