#include "proxy/admin/admin_answers.hpp"

#include "lib/settings/directions.hpp"

namespace crossfade::proxy::admin {
namespace {

namespace json = boost::json;

json::object stream_status(const std::string& name, const capture::stream_publisher* publisher) {
    if (publisher == nullptr) {
        return {{"name", name},
                {"state", "off"},
                {"reason", "this proxy does not publish (proxy.capture)"},
                {"way_out", ""}};
    }
    const auto now = publisher->status();
    return {{"name", name},
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
                               const capture::stream_publisher* back, const mirror::follower_watch& follower) {
    return {
        .ready =
            [&front] {
                const bool draining = front.draining();
                return program::readiness{!draining, draining ? "draining" : "ready"};
            },
        .status =
            [&front, publisher, back, &follower](const settings::in_force& now) {
                auto stream = stream_status(now.config.stream.name, publisher);
                stream["mirror"] = mirror_status(follower);
                json::object answer{
                    {"stream", std::move(stream)},
                    {"sessions", {{"open", front.sessions()}, {"limit", now.config.proxy.max_sessions}}}};
                if (now.config.stream.both_ways)
                    answer["back"] = {{"stream", stream_status(settings::opposite_stream(now.config), back)}};
                return answer;
            },
        .before_metrics = [&front] { front.update_metrics(); },
    };
}

}  // namespace crossfade::proxy::admin
