#include <algorithm>
#include <array>

#include "proxy/console/views.hpp"

namespace crossfade::proxy::console {
namespace {

using enum type;

constexpr std::array help_columns{column{"command"}, column{"meaning"}};
constexpr std::array version_columns{column{"version"}};

constexpr std::array session_columns{
    column{"id", int8},
    column{"user"},
    column{"database"},
    column{"application_name"},
    column{"tenant"},
    column{"addr"},
    column{"port", int8},
    column{"authority"},
    column{"state"},
    column{"state_since", timestamptz},
    column{"connect_time", timestamptz},
    column{"request_time", timestamptz},
    column{"bytes_from_client", int8},
    column{"bytes_to_client", int8},
    column{"transactions", int8},
    column{"memory", int8},
    column{"tls"},
    column{"server_addr"},
    column{"server_port", int8},
    column{"server_pid", int8},
};

// PgBouncer's, in its order, and ours behind them.
constexpr std::array client_columns{
    column{"type"},
    column{"user"},
    column{"database"},
    column{"state"},
    column{"addr"},
    column{"port", int8},
    column{"local_addr"},
    column{"local_port", int8},
    column{"connect_time", timestamptz},
    column{"request_time", timestamptz},
    column{"wait", int8},
    column{"wait_us", int8},
    column{"close_needed", int8},
    column{"ptr"},
    column{"link"},
    column{"remote_pid", int8},
    column{"tls"},
    column{"application_name"},
    column{"id", int8},
};
constexpr auto server_columns = [] {
    std::array<column, client_columns.size() + 1> columns{};
    std::ranges::copy(client_columns, columns.begin());
    columns.back() = {"side"};
    return columns;
}();
constexpr std::array pool_columns{
    column{"database"},
    column{"user"},
    column{"cl_active", int8},
    column{"cl_waiting", int8},
    column{"cl_active_cancel_req", int8},
    column{"cl_waiting_cancel_req", int8},
    column{"sv_active", int8},
    column{"sv_active_cancel", int8},
    column{"sv_being_canceled", int8},
    column{"sv_idle", int8},
    column{"sv_used", int8},
    column{"sv_tested", int8},
    column{"sv_login", int8},
    column{"maxwait", int8},
    column{"maxwait_us", int8},
    column{"pool_mode"},
};
constexpr std::array database_columns{
    column{"name"},
    column{"host"},
    column{"port", int8},
    column{"database"},
    column{"force_user"},
    column{"pool_size", int8},
    column{"min_pool_size", int8},
    column{"reserve_pool", int8},
    column{"pool_mode"},
    column{"max_connections", int8},
    column{"current_connections", int8},
    column{"paused", int8},
    column{"disabled", int8},
    column{"authority", boolean},
};
constexpr std::array user_columns{
    column{"name"},
    column{"pool_mode"},
    column{"max_user_connections", int8},
    column{"current_connections", int8},
};
constexpr std::array mem_columns{
    column{"name"}, column{"size", int8}, column{"used", int8}, column{"free", int8}, column{"memtotal", int8},
};
constexpr std::array list_columns{column{"list"}, column{"items", int8}};

constexpr std::array stats_columns{
    column{"database"},
    column{"total_xact_count", int8},
    column{"total_query_count", int8},
    column{"total_received", int8},
    column{"total_sent", int8},
    column{"total_xact_time", int8},
    column{"total_query_time", int8},
    column{"total_wait_time", int8},
    column{"avg_xact_count", int8},
    column{"avg_query_count", int8},
    column{"avg_recv", int8},
    column{"avg_sent", int8},
    column{"avg_xact_time", int8},
    column{"avg_query_time", int8},
    column{"avg_wait_time", int8},
};
// PgBouncer has the same names for both halves.
constexpr std::array half_stats_columns{
    column{"database"},         column{"xact_count", int8}, column{"query_count", int8}, column{"bytes_received", int8},
    column{"bytes_sent", int8}, column{"xact_time", int8},  column{"query_time", int8},  column{"wait_time", int8},
};

constexpr std::array flag_columns{
    column{"epoch", int8},
    column{"group"},
    column{"tenant"},
    column{"authority"},
    column{"effective_strategy"},
    column{"hybrid_mode_enabled", boolean},
    column{"dual_write_strategy"},
    column{"hybrid_read_strategy"},
    column{"migration_drift_tolerance", float8},
    column{"cutover_completed", boolean},
    column{"cutover_guardrail_enabled", boolean},
    column{"canary_percent", int8},
    column{"on_mirror_failure"},
};
constexpr std::array stream_columns{
    column{"stream"},
    column{"state"},
    column{"reason"},
    column{"way_out"},
    column{"confirmed_lsn"},
    column{"published_lsn"},
    column{"unacknowledged_events", int8},
    column{"retained_wal_bytes", int8},
};
constexpr std::array drift_columns{
    column{"tenant"},
    column{"table"},
    column{"kind"},
    column{"state"},
    column{"rows", int8},
    column{"first_seen", timestamptz},
    column{"last_seen", timestamptz},
};
constexpr std::array config_columns{column{"key"}, column{"value"}, column{"default"}, column{"changeable"}};
constexpr std::array limit_columns{
    column{"limit"},           column{"unit"},       column{"used", int8},
    column{"most_used", int8}, column{"most", int8}, column{"setting"},
};
constexpr std::array pause_columns{
    column{"scope"}, column{"since", timestamptz}, column{"until", timestamptz},
    column{"by"},    column{"sessions", int8},     column{"waiting", int8},
};

}  // namespace

std::span<const column> columns_of(subject what) {
    switch (what) {
        case subject::help:
            return help_columns;
        case subject::version:
            return version_columns;
        case subject::sessions:
            return session_columns;
        case subject::clients:
            return client_columns;
        case subject::servers:
            return server_columns;
        case subject::pools:
            return pool_columns;
        case subject::databases:
            return database_columns;
        case subject::lists:
            return list_columns;
        case subject::stats:
            return stats_columns;
        case subject::stats_totals:
        case subject::stats_averages:
            return half_stats_columns;
        case subject::flags:
            return flag_columns;
        case subject::stream:
            return stream_columns;
        case subject::drift:
            return drift_columns;
        case subject::config:
            return config_columns;
        case subject::limits:
            return limit_columns;
        case subject::pauses:
            return pause_columns;
        case subject::users:
            return user_columns;
        case subject::mem:
            return mem_columns;
    }
    return {};
}

}  // namespace crossfade::proxy::console
