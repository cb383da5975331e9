#include "cdc/admin/admin_answers.hpp"

#include <boost/json/array.hpp>

#include "lib/settings/directions.hpp"

namespace crossfade::cdc::admin {
namespace {

namespace json = boost::json;

json::object retention_status(const follow::retention_outlook& of) {
    json::object retention{{"used", of.used},
                           {"next_event_age_seconds", nullptr},
                           {"retention_seconds", nullptr},
                           {"warning", of.warning},
                           {"way_out", of.way_out}};
    if (of.age_seconds) retention["next_event_age_seconds"] = *of.age_seconds;
    if (of.retention_seconds) retention["retention_seconds"] = *of.retention_seconds;
    return retention;
}

json::array partitions_of(const follow::follower_status& now) {
    json::array all;
    for (const auto& [number, each] : now.partitions) {
        json::object one{{"partition", number},
                         {"state", follow::to_string(each.now)},
                         {"reason", each.reason},
                         {"way_out", each.way_out},
                         {"applied_lsn", model::to_string(each.applied_lsn)},
                         {"next_offset", each.next_offset},
                         {"lag_seconds", nullptr}};
        if (each.lag_seconds) one["lag_seconds"] = *each.lag_seconds;
        all.push_back(std::move(one));
    }
    return all;
}

json::object stream_status(const std::string& name, bool by_key, const follow::follower_status& now) {
    json::object stream{{"name", name},
                        {"state", follow::to_string(now.now)},
                        {"reason", now.reason},
                        {"way_out", now.way_out},
                        {"applied_lsn", model::to_string(now.applied_lsn)},
                        {"next_offset", now.next_offset},
                        {"lag_seconds", nullptr},
                        {"lag_bytes", nullptr},
                        {"retention", nullptr},
                        {"limits", json::array(now.limits.begin(), now.limits.end())}};
    if (now.lag_seconds) stream["lag_seconds"] = *now.lag_seconds;
    if (now.lag_bytes) stream["lag_bytes"] = *now.lag_bytes;
    if (now.retention) stream["retention"] = retention_status(*now.retention);
    if (by_key) stream["partitions"] = partitions_of(now);
    return stream;
}

json::array drift_of(const follow::follower_status& now) {
    json::array drift;
    for (const auto& each : now.drift) {
        drift.push_back(json::object{{"tenant", each.tenant},
                                     {"table", each.table},
                                     {"kind", each.kind},
                                     {"state", each.state},
                                     {"rows", each.rows}});
    }
    return drift;
}

json::object status_of(const std::string& name, const settings::stream& configured, const follow::status_board& board) {
    const auto now = board.read();
    return {{"stream", stream_status(name, configured.by_key(), now)},
            {"drift", drift_of(now)},
            {"dead_letters", now.dead_letters}};
}

program::readiness readiness_of(const follow::status_board& board) {
    const auto now = board.read();
    std::string text{follow::to_string(now.now)};
    if (!now.reason.empty()) text += ": " + now.reason;
    return {now.ready(), std::move(text)};
}

}  // namespace

program::admin_answers answers(const follow::status_board& board, const follow::status_board* back) {
    return {
        .ready =
            [&board, back] {
                auto now = readiness_of(board);
                if (!now.ready || back == nullptr) return now;
                auto of_back = readiness_of(*back);
                if (of_back.ready) return now;
                return program::readiness{false, "the way back: " + of_back.text};
            },
        .status =
            [&board, back](const settings::in_force& in_force) {
                const auto& config = in_force.config;
                auto answer = status_of(config.stream.name, config.stream, board);
                if (back != nullptr)
                    answer["back"] = status_of(settings::opposite_stream(config), config.stream, *back);
                return answer;
            },
    };
}

}  // namespace crossfade::cdc::admin
