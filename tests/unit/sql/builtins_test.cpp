#include "lib/sql/builtins.hpp"

#include <gtest/gtest.h>

namespace crossfade::sql {
namespace {

// What would do harm if it were taken for calm.
TEST(builtins, that_act_are_volatile) {
    for (const char* name : {"nextval",
                             "setval",
                             "currval",
                             "lastval",
                             "set_config",
                             "random",
                             "setseed",
                             "clock_timestamp",
                             "timeofday",
                             "gen_random_uuid",
                             "pg_advisory_lock",
                             "pg_advisory_xact_lock",
                             "pg_try_advisory_lock_shared",
                             "pg_advisory_unlock_all",
                             "pg_notify",
                             "lo_create",
                             "lo_unlink",
                             "lo_import",
                             "lo_put",
                             "lowrite",
                             "lo_from_bytea",
                             "pg_terminate_backend",
                             "pg_cancel_backend",
                             "pg_reload_conf",
                             "pg_rotate_logfile",
                             "pg_sleep",
                             "txid_current",
                             "pg_current_xact_id",
                             "pg_create_logical_replication_slot",
                             "pg_drop_replication_slot",
                             "pg_replication_slot_advance",
                             "pg_logical_slot_get_changes",
                             "pg_logical_emit_message",
                             "pg_switch_wal",
                             "pg_create_restore_point",
                             "pg_promote",
                             "pg_wal_replay_pause",
                             "pg_export_snapshot",
                             "pg_stat_reset",
                             "pg_replication_origin_create",
                             "pg_replication_origin_session_setup",
                             "query_to_xml",
                             "table_to_xml",
                             "database_to_xml",
                             "cursor_to_xml",
                             "ts_stat",
                             "ts_rewrite",
                             "pg_read_file",
                             "gin_clean_pending_list",
                             "brin_summarize_new_values",
                             "pg_import_system_collations",
                             "pg_extension_config_dump"})
        EXPECT_EQ(function_volatility(name), volatility::volatile_) << name;
}

TEST(builtins, are_looked_up_by_their_exact_names) {
    EXPECT_EQ(function_volatility("lower"), volatility::immutable);
    EXPECT_EQ(function_volatility("count"), volatility::immutable);
    EXPECT_EQ(function_volatility("now"), volatility::stable);
    // One of its forms reads the time zone.
    EXPECT_EQ(function_volatility("generate_series"), volatility::stable);
    EXPECT_EQ(function_volatility("zeroblob"), volatility::unknown);
    EXPECT_EQ(function_volatility("Lower"), volatility::unknown);
    EXPECT_EQ(function_volatility(""), volatility::unknown);
    EXPECT_EQ(function_volatility("lowe"), volatility::unknown);
    EXPECT_EQ(function_volatility("lowerr"), volatility::unknown);
    // Takes `internal`.
    EXPECT_EQ(function_volatility("array_agg_finalfn"), volatility::unknown);
    EXPECT_EQ(operator_volatility("||"), volatility::stable);
    EXPECT_EQ(operator_volatility("~~*"), volatility::immutable);
    EXPECT_EQ(operator_volatility("<=>"), volatility::unknown);
    EXPECT_EQ(operator_volatility("lower"), volatility::unknown);
}

}  // namespace
}  // namespace crossfade::sql
