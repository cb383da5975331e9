#include "proxy/admin/admin_answers.hpp"

namespace crossfade::proxy::admin {
namespace {

namespace json = boost::json;

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
            {"retained_wal_bytes", now.retained_wal_bytes},
            {"retained_wal", {{"warning", now.wal_warning}, {"way_out", now.wal_way_out}}}};
}

json::object mirror_status(const mirror::follower_watch& follower) {
    const auto now = follower.now();
    return {{"degraded", now.degraded},
            {"waiting", now.waiting},
            {"warning", now.degraded ? "clients are answered before modern has what they committed" : ""},
            {"way_out", now.degraded ? "mend the stream; it tries by itself and goes on" : ""}};
}

}  // namespace

program::admin_answers answers(frontend::front& front, const capture::stream_publisher* publisher,
                               const mirror::follower_watch& follower) {
    return {
        .ready =
            [&front] {
                const bool draining = front.draining();
                return program::readiness{!draining, draining ? "draining" : "ready"};
            },
        .status =
            [&front, publisher, &follower](const settings::in_force& now) {
                auto stream = stream_status(now.config.stream, publisher);
                stream["mirror"] = mirror_status(follower);
                return json::object{
                    {"stream", std::move(stream)},
                    {"sessions", {{"open", front.sessions()}, {"limit", now.config.proxy.max_sessions}}}};
            },
        .before_metrics = [&front] { front.update_metrics(); },
    };
}

}  // namespace crossfade::proxy::admin
