#include "cdc/follow/source_watch.hpp"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <optional>

#include "lib/pgclient/connection.hpp"
#include "lib/settings/directions.hpp"
#include "lib/store/authority.hpp"

namespace crossfade::cdc::follow {

source_watch::source_watch(settings::configuration config, status_board& board, metrics& measured)
    : config_(std::move(config)), board_(board), measured_(measured) {}

namespace {

// Of a way back that was given up (docs/adr/0032), when: what modern takes is none of its follower's any more.
std::string completed_at(pgclient::connection& source, const settings::configuration& config) {
    if (config.source == settings::side::legacy) return {};
    const auto known = store::load_authority(source, settings::forth_stream(config));
    return known && *known ? (*known)->completed_at : std::string{};
}

}  // namespace

void source_watch::start() {
    thread_ = std::jthread{[this](const std::stop_token& stopping) { run(stopping); }};
}

void source_watch::stop() {
    if (!thread_.joinable()) return;
    thread_.request_stop();
    thread_.join();
}

void source_watch::run(const std::stop_token& stopping) {
    constexpr std::chrono::milliseconds interval{1000};
    std::optional<pgclient::connection> legacy;
    std::string said;
    pgclient::open_options options;
    options.application_name = "crossfade-cdc lag";
    options.connect_timeout = std::chrono::seconds{2};
    // Its answer takes no time, and the lag stands still meanwhile.
    options.silence = std::min<std::chrono::milliseconds>(std::chrono::seconds{5}, config_.stream.silence_timeout);
    while (!stopping.stop_requested()) {
        // A stream that hears a heartbeat each second is not behind by that second: within two of them the delay of the
        // last one counts.
        board_.update([&](follower_status& status) {
            for (auto& [number, each] : status.partitions) {
                if (!each.applied_time) continue;
                const std::chrono::duration<double> age = std::chrono::system_clock::now() - *each.applied_time;
                const std::chrono::duration<double> fresh = 2 * config_.stream.heartbeat_interval + interval;
                if (age > fresh) each.lag_seconds = age.count();
            }
        });
        const auto now = board_.read();
        // Where it isn't known, as with who stands by, what was measured before is no news.
        measured_.lag_seconds.Set(now.lag_seconds.value_or(0));
        if (!now.completed_at.empty()) {
            measured_.lag_bytes.Set(0);
            // A follower that told its own meanwhile may not have known.
            measured_.state(now.now);
            wait_.wait(stopping, interval);
            continue;
        }

        if (!legacy) {
            auto opened = pgclient::connection::open(config_.legacy.dsn, options);
            if (opened) {
                legacy.emplace(std::move(*opened));
                said.clear();
            } else if (const auto why = pgclient::to_string(opened.error()); why != said) {
                spdlog::warn("lag in bytes is not known: {} database: {}", config_.source_name(), why);
                said = why;
            }
        }
        if (auto at = legacy ? completed_at(*legacy, config_) : std::string{}; !at.empty()) {
            spdlog::info("stream {}: the cutover was completed, nothing comes any more", config_.stream.name);
            board_.update([&](follower_status& status) { status.completed_at = std::move(at); });
            legacy.reset();
            continue;
        }
        std::optional<std::int64_t> lag;
        const bool stands_by = now.now == follower_state::standby;
        if (legacy && !stands_by && now.applied_lsn != model::lsn{}) {
            const auto applied = model::to_string(now.applied_lsn);
            const auto got = legacy->exec(
                "SELECT greatest(0, (CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() ELSE "
                "pg_current_wal_lsn()"
                " END - $1::pg_lsn))::bigint",
                {applied});
            if (got) {
                lag = got->integer(0, 0);
            } else {
                legacy.reset();
            }
        }
        board_.update([&](follower_status& status) { status.lag_bytes = lag; });
        if (lag || stands_by) measured_.lag_bytes.Set(static_cast<double>(lag.value_or(0)));
        wait_.wait(stopping, interval);
    }
}

}  // namespace crossfade::cdc::follow
