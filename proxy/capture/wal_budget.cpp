#include "proxy/capture/wal_budget.hpp"

#include <algorithm>
#include <cstdlib>

#include "lib/settings/directions.hpp"

namespace crossfade::proxy::capture {

namespace {

std::string mib(std::uint64_t bytes) {
    return std::to_string(bytes >> 20U) + " MiB";
}

std::string kept(const kept_wal& of, const settings::configuration& config) {
    return "slot " + config.stream.slot() + " keeps " + mib(of.bytes) + " of WAL on " +
           std::string{config.source_name()} + ", and stream.retained_wal_budget is " +
           mib(config.stream.retained_wal_budget);
}

}  // namespace

std::string kept_wal_query(const settings::stream& stream) {
    // to_jsonb: columns that not every version has.
    return "SELECT coalesce(greatest(pg_wal_lsn_diff(pg_current_wal_lsn(), restart_lsn), 0), 0)::bigint,"
           " coalesce(wal_status, ''), safe_wal_size, coalesce(to_jsonb(s) ->> 'invalidation_reason', ''),"
           " coalesce(extract(epoch FROM now() - (to_jsonb(s) ->> 'inactive_since')::timestamptz), 0)::float8,"
           " coalesce(active_pid, 0) FROM pg_replication_slots s WHERE NOT pg_is_in_recovery() AND slot_name = " +
           pgclient::quote_literal(stream.slot());
}

std::optional<kept_wal> read_kept_wal(const pgclient::rows& answer) {
    if (answer.size() != 1) return std::nullopt;
    const auto bytes = [&](int column) {
        return static_cast<std::uint64_t>(std::max(answer.integer(0, column).value_or(0), std::int64_t{0}));
    };
    kept_wal found;
    found.bytes = bytes(0);
    found.status = answer.text(0, 1);
    if (!answer.null(0, 2)) found.left = bytes(2);
    found.invalidation = answer.text(0, 3);
    found.idle_seconds = std::strtod(std::string{answer.text(0, 4)}.c_str(), nullptr);
    found.reader = static_cast<int>(answer.integer(0, 5).value_or(0));
    return found;
}

wal_warning judge_wal(const kept_wal& of, const settings::configuration& config) {
    const auto& stream = config.stream;
    const std::string source{config.source_name()};
    if (of.status == "lost")
        return {"slot " + stream.slot() + " is lost: " + source + " has removed WAL that was not published yet" +
                    (of.invalidation.empty() ? "" : " (" + of.invalidation + ")"),
                "run `crossfade status`", false};
    if (of.status == "unreserved")
        return {"slot " + stream.slot() + " is about to lose WAL that was not published (wal_status unreserved)",
                "raise max_slot_wal_keep_size on " + source + ", and see that a publisher runs and Kafka answers",
                of.bytes > stream.retained_wal_budget};
    if (of.bytes > stream.retained_wal_budget)
        return {
            kept(of, config),
            "see that a publisher runs, that Kafka answers, and that no transaction on " + source + " is open for long",
            true};
    return {};
}

setback dropped(const kept_wal& of, const settings::configuration& config) {
    const bool back = config.source != settings::side::legacy;
    return {publisher_state::stopped, kept(of, config) + ": it was dropped (stream.retained_wal_action: drop-slot)",
            "mend what held the stream up, then " +
                (back ? settings::begin_back_anew(config) : "run `crossfade backfill --resync`")};
}

}  // namespace crossfade::proxy::capture
