#include "lib/settings/keys.hpp"

#include <algorithm>

namespace crossfade::settings {
namespace {

using enum takes_effect;

constexpr key every_key[] = {
    {"legacy.dsn", at_start, shown::never},
    {"legacy.dsn_file", at_start},
    {"modern.dsn", at_start, shown::never},
    {"modern.dsn_file", at_start},

    {"kafka.brokers", at_start},
    {"kafka.properties.<property>", at_start, shown::never},
    {"kafka.properties_files.<property>", at_start},

    {"stream.name", at_start},
    {"stream.tables", at_start},
    {"stream.heartbeat_interval", at_start},
    {"stream.ordering", at_start},
    {"stream.partitions", at_start},
    {"stream.both_ways", at_start},
    {"stream.json_events", at_start},
    {"stream.json_cleanup", at_start},
    {"stream.ddl", at_start},
    {"stream.silence_timeout", at_start},
    {"stream.retained_wal_budget", at_start},
    {"stream.retained_wal_action", at_start},

    {"proxy.listen", at_start},
    {"proxy.admin", at_start},
    {"proxy.tls.mode", on_reload},
    {"proxy.tls.cert_file", on_reload},
    {"proxy.tls.key_file", on_reload},
    {"proxy.tls.ca_file", on_reload},
    {"proxy.tls.crl_file", on_reload},
    {"proxy.tls.min_version", on_reload},
    {"proxy.tls.ciphers", on_reload},
    {"proxy.tls.hosts.<host>.names", on_reload},
    {"proxy.tls.hosts.<host>.cert_file", on_reload},
    {"proxy.tls.hosts.<host>.key_file", on_reload},
    {"proxy.threads", at_start},
    {"proxy.max_sessions", on_reload},
    {"proxy.max_sessions_per_user", on_reload},
    {"proxy.max_sessions_per_database", on_reload},
    {"proxy.reserved_sessions", on_reload},
    {"proxy.reserved_users", on_reload},
    {"proxy.max_message_bytes", at_start},
    {"proxy.max_session_memory", on_reload},
    {"proxy.max_memory", on_reload},
    {"proxy.connect_timeout", at_start},
    {"proxy.login_timeout", at_start},
    {"proxy.drain_timeout", at_start},
    {"proxy.idle_timeout", on_reload},
    {"proxy.idle_in_transaction_timeout", on_reload},
    {"proxy.query_timeout", on_reload},
    {"proxy.tcp_keepalive_idle", on_reload},
    {"proxy.tcp_keepalive_interval", on_reload},
    {"proxy.tcp_keepalive_count", on_reload},
    {"proxy.tcp_user_timeout", on_reload},
    {"proxy.reuse_port", at_start},
    {"proxy.io_uring", at_start},
    {"proxy.busy_poll_us", on_reload},
    {"proxy.replication_sessions", on_reload},
    {"proxy.pause_max", on_reload},
    {"proxy.console.database", on_reload},
    {"proxy.console.admins", on_reload},
    {"proxy.console.viewers", on_reload},
    {"proxy.console.trust_local", on_reload},
    {"proxy.console.max_sessions", on_reload},
    {"proxy.console.max_rows", on_reload},
    {"proxy.console.pause_wait", on_reload},
    {"proxy.console.query_timeout", on_reload},
    {"proxy.statement_cache_entries", at_start},
    {"proxy.statement_cache_bytes", at_start},
    {"proxy.mirror_timeout", on_reload},
    {"proxy.mirror_connections", on_reload},
    {"proxy.mirror_ahead", on_reload},
    {"proxy.max_read_lag", on_reload},
    {"proxy.capture", at_start},
    {"proxy.max_unacknowledged_events", at_start},
    {"proxy.auth.mode", on_reload},
    {"proxy.auth.users_file", on_reload, shown::never},
    {"proxy.auth.query", on_reload, shown::never},
    {"proxy.auth.scram_iterations", on_reload},
    {"proxy.auth.max_attempts", on_reload},
    {"proxy.auth.attempt_window", on_reload},
    {"proxy.access.<rule>.from", on_reload},
    {"proxy.access.<rule>.users", on_reload},
    {"proxy.access.<rule>.databases", on_reload},
    {"proxy.access.<rule>.tls", on_reload},
    {"proxy.access.<rule>.method", on_reload},

    {"cdc.admin", at_start},
    {"cdc.apply_connections", at_start},
    {"cdc.batch_rows", at_start},
    {"cdc.batch_bytes", at_start},
    {"cdc.ddl_waiting_changes", at_start},
    {"cdc.verify_mirrored_percent", on_reload},
    {"cdc.retry_max", at_start},

    {"log.format", at_start},
    {"log.level", on_reload},

    {"flags.hybrid_mode_enabled", on_reload},
    {"flags.dual_write_strategy", on_reload},
    {"flags.hybrid_read_strategy", on_reload},
    {"flags.migration_drift_tolerance", on_reload},
    {"flags.cutover_completed", on_reload},
    {"flags.cutover_guardrail_enabled", on_reload},
    {"flags.canary_percent", on_reload},
    {"flags.on_mirror_failure", on_reload},

    {"groups.<group>.tables", on_reload},
    {"groups.<group>.flags", on_reload},

    {"tenants.session", on_reload},
    {"tenants.column", on_reload},
    {"tenants.overrides.<tenant>.flags", on_reload},
    {"tenants.overrides.<tenant>.groups.<group>.flags", on_reload},
};

}  // namespace

std::span<const key> keys() {
    return every_key;
}

std::vector<std::string_view> keys_below(std::string_view pattern) {
    // The flags of every scope are those of the top.
    if (pattern.ends_with(".flags")) pattern = "flags";

    std::vector<std::string_view> below;
    for (const auto& each : every_key) {
        std::string_view rest = each.name;
        if (!pattern.empty()) {
            if (!rest.starts_with(pattern)) continue;
            rest.remove_prefix(pattern.size());
            if (!rest.starts_with('.')) continue;
            rest.remove_prefix(1);
        }
        const auto part = rest.substr(0, rest.find('.'));
        if (std::find(below.begin(), below.end(), part) == below.end()) below.push_back(part);
    }
    return below;
}

const key* find_key(std::string_view pattern) {
    const auto found =
        std::find_if(std::begin(every_key), std::end(every_key), [&](const key& each) { return each.name == pattern; });
    return found == std::end(every_key) ? nullptr : found;
}

}  // namespace crossfade::settings
