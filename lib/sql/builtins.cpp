#include "lib/sql/builtins.hpp"

#include <algorithm>
#include <span>

namespace crossfade::sql {
namespace {

struct entry {
    std::string_view name;
    volatility how;
};

// clang-format off
#define immutable(name) entry{name, volatility::immutable},
#define stable(name) entry{name, volatility::stable},
#define volatile_(name) entry{name, volatility::volatile_},
constexpr entry functions[] = {
#include "lib/sql/builtin_functions.inc"
};
constexpr entry operators[] = {
#include "lib/sql/builtin_operators.inc"
};
constexpr std::string_view relations[] = {
#include "lib/sql/builtin_relations.inc"
};
#undef immutable
#undef stable
#undef volatile_
// clang-format on

static_assert(std::ranges::is_sorted(functions, {}, &entry::name));
static_assert(std::ranges::is_sorted(operators, {}, &entry::name));
static_assert(std::ranges::is_sorted(relations));

// Sorted. A name that is missing costs those who ask a wait, or more; one too many would lose sight of a write.
constexpr std::string_view writing_no_rows[] = {
    "clock_timestamp",
    "currval",
    "gen_random_uuid",
    "lastval",
    "nextval",
    "pg_advisory_lock",
    "pg_advisory_lock_shared",
    "pg_advisory_unlock",
    "pg_advisory_unlock_all",
    "pg_advisory_unlock_shared",
    "pg_advisory_xact_lock",
    "pg_advisory_xact_lock_shared",
    "pg_cancel_backend",
    "pg_current_wal_flush_lsn",
    "pg_current_wal_insert_lsn",
    "pg_current_wal_lsn",
    "pg_current_xact_id",
    "pg_database_size",
    "pg_indexes_size",
    "pg_is_in_recovery",
    "pg_notify",
    "pg_relation_size",
    "pg_sequence_last_value",
    "pg_sleep",
    "pg_sleep_for",
    "pg_sleep_until",
    "pg_table_size",
    "pg_terminate_backend",
    "pg_total_relation_size",
    "pg_try_advisory_lock",
    "pg_try_advisory_lock_shared",
    "pg_try_advisory_xact_lock",
    "pg_try_advisory_xact_lock_shared",
    "pg_xact_status",
    "random",
    "set_config",
    "setseed",
    "setval",
    "timeofday",
    "txid_current",
    "txid_status",
};
static_assert(std::ranges::is_sorted(writing_no_rows));

constexpr std::string_view returning_values[] = {"clock_timestamp", "gen_random_uuid", "pg_sleep", "pg_sleep_for",
                                                 "pg_sleep_until",  "random",          "timeofday"};

// What begins with these, but for those that aren't so.
constexpr std::string_view about_the_server[] = {"pg_",      "txid_",  "inet_client_", "inet_server_", "has_",
                                                 "to_reg",   "reg",    "current_data", "version",      "obj_desc",
                                                 "col_desc", "shobj_", "format_type",  "mxid_age",     "row_security_"};
constexpr std::string_view about_values[] = {"pg_client_encoding", "pg_size_bytes", "pg_size_pretty", "regexp_",
                                             "regr_"};

volatility find(std::span<const entry> sorted, std::string_view name) {
    const auto found = std::ranges::lower_bound(sorted, name, {}, &entry::name);
    return found != sorted.end() && found->name == name ? found->how : volatility::unknown;
}

}  // namespace

volatility function_volatility(std::string_view name) {
    return find(functions, name);
}

volatility operator_volatility(std::string_view name) {
    return find(operators, name);
}

bool is_of_the_catalogs(std::string_view relation) {
    return std::ranges::binary_search(relations, relation);
}

bool tells_of_the_server(std::string_view name) {
    const auto begins = [name](std::string_view with) { return name.starts_with(with); };
    return std::ranges::any_of(about_the_server, begins) && std::ranges::none_of(about_values, begins);
}

bool only_returns(std::string_view name) {
    return std::ranges::find(returning_values, name) != std::end(returning_values);
}

bool writes_no_rows(std::string_view name) {
    return std::ranges::binary_search(writing_no_rows, name);
}

}  // namespace crossfade::sql
