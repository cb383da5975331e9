#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <map>

#include "ctl/check/judge.hpp"
#include "lib/store/ddl_watch.hpp"
#include "lib/store/schema.hpp"

namespace crossfade::ctl::check {
namespace {

catalog::table table_of(const std::string& name) {
    catalog::table made;
    made.name = {"public", name};
    made.owned = made.readable = made.writable = true;
    made.columns = {{.name = "id", .type = "integer", .type_oid = 23, .not_null = true}};
    made.key = made.identity_columns = {"id"};
    made.ties = {{name + "_pkey", {"id"}}};
    return made;
}

catalog::database healthy(const std::string& system_identifier) {
    catalog::database made;
    made.version = 150018;
    made.version_text = "15.18";
    made.system_identifier = system_identifier;
    made.database_oid = 5;
    made.name = "app";
    made.settings = {{"wal_level", "logical"},        {"max_replication_slots", "10"},
                     {"max_wal_senders", "10"},       {"max_slot_wal_keep_size", "100"},
                     {"wal_sender_timeout", "60000"}, {"track_commit_timestamp", "on"}};
    made.encoding = "UTF8";
    made.collation = "C.UTF-8";
    made.time_zone = "UTC";
    made.role = {.name = "crossfade",
                 .superuser = false,
                 .replication = true,
                 .bypass_row_security = false,
                 .create_in_database = true,
                 .replica_role = true,
                 .origins = true};
    made.tables = {table_of("items"), table_of("orders")};
    return made;
}

evidence healthy_pair() {
    evidence made;
    made.stream = {.name = "app", .tables = {"public.*"}};
    made.legacy = healthy("1");
    made.legacy->slot =
        catalog::slot{.plugin = "pgoutput", .database = "app", .wal_status = "reserved", .confirmed = model::lsn{7}};
    made.legacy->publication = catalog::publication{
        .via_root = true, .every_operation = true, .tables = {{"public", "items"}, {"public", "orders"}}};
    made.legacy->ddl = {.watches = store::ddl_watches, .policy = "note"};
    made.modern = healthy("2");
    made.modern->store.present = made.modern->store.usable = true;
    made.modern->store.version = store::schema_version;
    made.modern->store.progress = catalog::progress{.system_identifier = "1", .partitions = {{}}};
    made.kafka.broker_count = 1;
    made.kafka.largest_message = 64 << 20;
    made.kafka.changes = {
        .partitions = 1,
        .settings = std::map<std::string, std::string>{
            {"cleanup.policy", "delete"}, {"retention.ms", "604800000"}, {"max.message.bytes", "68157440"}}};
    made.kafka.dead_letters = made.kafka.changes;
    return made;
}

TEST(check, a_healthy_pair_has_nothing_to_mend) {
    const auto judged = judge(healthy_pair());
    for (const auto& each : judged.all()) EXPECT_EQ(each.outcome, verdict::ok) << each.id << ": " << each.found;
}

TEST(check, says_who_sets_sequences_ahead) {
    auto of = healthy_pair();
    of.legacy->sequences = {{"public.orders_seq", 7}};
    of.modern->sequences = {{"public.orders_seq", std::nullopt}};
    const auto found = [&] {
        const auto judged = judge(of);
        const auto at = std::ranges::find(judged.all(), "sequences", &finding::id);
        return at == judged.all().end() ? std::string{} : at->found;
    };
    EXPECT_EQ(found(), "1 on legacy, 1 behind on modern; without stream.both_ways nobody sets them ahead for you");
    of.stream.both_ways = true;
    EXPECT_EQ(found(),
              "1 on legacy, 1 behind on modern; a flip sets ahead those that the stream's tables draw from, and those"
              " that no table owns");
}

TEST(check, topics_that_take_what_is_sent_are_enough) {
    auto of = healthy_pair();
    of.kafka.largest_message = 1'000'000;  // message.max.bytes in kafka.properties
    (*of.kafka.changes.settings)["max.message.bytes"] = "1048588";
    EXPECT_EQ(judge(of).count(verdict::warn), 0);
}

// A standby that was promoted, a copy of the disk.
TEST(check, a_copy_of_legacys_files_is_another_database) {
    auto of = healthy_pair();
    of.modern->system_identifier = of.legacy->system_identifier;
    of.modern->encoding = "LATIN1";
    const auto judged = judge(of);
    EXPECT_EQ(judged.count(verdict::fail), 1);
    for (const auto& each : judged.all())
        EXPECT_EQ(each.outcome, each.id == "encoding" ? verdict::fail : verdict::ok) << each.id << ": " << each.found;
}

// Of four partitions.
void by_key(evidence& of) {
    of.stream.ordering = settings::event_ordering::key;
    of.stream.partitions = 4;
    of.modern->store.progress->partitions = {{.partition = 0}, {.partition = 1}, {.partition = 2}, {.partition = 3}};
    of.modern->origins = {"crossfade_app_1000", "crossfade_other_0"};
    of.kafka.changes.partitions = 4;
}

TEST(check, a_healthy_pair_that_is_ordered_by_key_has_nothing_to_mend) {
    auto of = healthy_pair();
    by_key(of);
    const auto judged = judge(of);
    for (const auto& each : judged.all()) EXPECT_EQ(each.outcome, verdict::ok) << each.id << ": " << each.found;
}

TEST(check, what_is_tied_matters_to_a_stream_of_several_partitions_that_divides_the_table) {
    auto of = healthy_pair();
    of.legacy->tables[0].ties.push_back({"items_code_key", {"code"}});
    EXPECT_EQ(judge(of).count(verdict::fail), 0);
    by_key(of);
    EXPECT_EQ(judge(of).count(verdict::fail), 1);
    of.legacy->tables[0].identity = catalog::replica_identity::full;
    of.legacy->tables[0].identity_columns = {};
    EXPECT_EQ(judge(of).count(verdict::fail), 0);
}

struct fault {
    const char* id;
    verdict outcome;
    std::function<void(evidence&)> cause;
    const char* mend;  // a part of it
};

class check_faults : public testing::TestWithParam<fault> {};

TEST_P(check_faults, is_named_alone_and_with_its_mend) {
    auto of = healthy_pair();
    GetParam().cause(of);
    const auto found = judge(of);
    bool named = false;
    for (const auto& each : found.all()) {
        if (each.outcome == verdict::ok) continue;
        EXPECT_EQ(each.id, GetParam().id) << each.found;
        EXPECT_EQ(each.outcome, GetParam().outcome) << each.found;
        EXPECT_NE(each.mend.find(GetParam().mend), std::string::npos) << each.mend;
        named = true;
    }
    EXPECT_TRUE(named);
}

using enum verdict;
INSTANTIATE_TEST_SUITE_P(
    all, check_faults,
    testing::Values(
        fault{"legacy.version", fail, [](auto& of) { of.legacy->version = 130022; }, "PostgreSQL 14"},
        fault{"modern.version", fail, [](auto& of) { of.modern->version = 130022; }, "PostgreSQL 14"},
        fault{"legacy.primary", fail, [](auto& of) { of.legacy->in_recovery = true; }, "primary"},
        fault{"legacy.wal_level", fail, [](auto& of) { of.legacy->settings["wal_level"] = "replica"; },
              "ALTER SYSTEM SET wal_level = 'logical'"},
        fault{"legacy.replication_slots", warn, [](auto& of) { of.legacy->slots_used = 10; },
              "max_replication_slots = 15"},
        fault{"legacy.wal_senders", warn, [](auto& of) { of.legacy->senders_used = 10; }, "max_wal_senders"},
        fault{"legacy.wal_budget", warn, [](auto& of) { of.legacy->settings["max_slot_wal_keep_size"] = "-1"; },
              "max_slot_wal_keep_size"},
        fault{"legacy.slot_timeout", warn,
              [](auto& of) { of.legacy->settings["idle_replication_slot_timeout"] = "3600"; }, "SELECT pg_reload_conf()"},
        fault{"legacy.failover", warn, [](auto& of) { of.legacy->standbys_without_slot = 1; }, "PostgreSQL 17"},
        fault{"legacy.failover", warn, [](auto& of) { of.legacy->standby_slots = {{"a", true}}; }, "PostgreSQL 17"},
        fault{"legacy.failover", warn,
              [](auto& of) {
                  of.legacy->version = 180001;
                  of.legacy->slot->failover = false;
                  of.legacy->standby_slots = {{"a", true}};
              },
              "crossfade init"},
        fault{"legacy.failover", warn,
              [](auto& of) {
                  of.legacy->version = 180001;
                  of.legacy->slot->failover = true;
                  of.legacy->standbys_without_slot = 1;
              },
              "primary_slot_name"},
        fault{"legacy.failover", warn,
              [](auto& of) {
                  of.legacy->version = 180001;
                  of.legacy->slot->failover = true;
                  of.legacy->settings["synchronized_standby_slots"] = R"(a, "b")";
                  of.legacy->standby_slots = {{"a", true}, {"b", true}, {"c", true}};
              },
              "SET synchronized_standby_slots = 'a, b, c'"},
        fault{"legacy.failover", fail,
              [](auto& of) {
                  of.legacy->version = 180001;
                  of.legacy->slot->failover = true;
                  of.legacy->settings["synchronized_standby_slots"] = "a,b";
                  of.legacy->standby_slots = {{"a", true}, {"b", false}};
              },
              "take the slots out"},
        fault{"legacy.wal_sender_timeout", warn, [](auto& of) { of.legacy->settings["wal_sender_timeout"] = "900"; },
              "60s"},
        fault{"legacy.replication_privilege", fail, [](auto& of) { of.legacy->role.replication = false; },
              R"(ALTER ROLE "crossfade" REPLICATION;)"},
        fault{"legacy.publication_privilege", fail, [](auto& of) { of.legacy->tables[0].owned = false; },
              "GRANT <owner>"},
        fault{"legacy.select_privilege", fail, [](auto& of) { of.legacy->tables[0].readable = false; },
              "GRANT SELECT ON public.items"},
        fault{"legacy.replica_identity", fail,
              [](auto& of) {
                  of.legacy->tables[0].key = of.modern->tables[0].key = {};
                  of.legacy->tables[0].identity_columns = {};
              },
              "ALTER TABLE public.items REPLICA IDENTITY FULL"},
        fault{"legacy.replica_identity", fail, [](auto& of) { of.legacy->tables[0].identity_columns = {}; },
              "not DEFERRABLE"},
        fault{"legacy.replica_identity", warn,
              [](auto& of) {
                  of.legacy->tables[0].key = of.modern->tables[0].key = {};
                  of.legacy->tables[0].identity = catalog::replica_identity::full;
                  of.legacy->tables[0].identity_columns = {};
              },
              "PRIMARY KEY"},
        fault{"legacy.partition_identity", fail,
              [](auto& of) {
                  of.legacy->tables[0].identity = catalog::replica_identity::full;
                  of.legacy->tables[0].identity_columns = {};
                  of.legacy->tables[0].unlike_parts = {{"public", "items_1"}};
              },
              "ALTER TABLE public.items_1 REPLICA IDENTITY FULL"},
        fault{"legacy.unlogged", fail, [](auto& of) { of.legacy->tables[0].unlogged = true; }, "SET LOGGED"},
        fault{"legacy.large_objects", warn, [](auto& of) { of.legacy->large_objects = 3; }, "bytea"},
        fault{"legacy.row_security", fail, [](auto& of) { of.legacy->tables[0].row_security = true; }, "BYPASSRLS"},
        fault{"legacy.foreign_keys", warn,
              [](auto& of) {
                  of.legacy->foreign_keys = {{"k", {"public", "orders"}, {"sales", "customers"}}};
              },
              "stream.tables"},
        fault{"legacy.publication", fail, [](auto& of) { of.legacy->publication->tables.pop_back(); },
              "crossfade init"},
        fault{"legacy.publication", fail, [](auto& of) { of.legacy->publication->filtered = true; },
              "DROP PUBLICATION"},
        fault{"legacy.publication", fail, [](auto& of) { of.legacy->publication->via_root = false; },
              "ALTER PUBLICATION"},
        fault{"legacy.slot", fail, [](auto& of) { of.legacy->slot->wal_status = "lost"; }, "--resync"},
        fault{"legacy.slot", fail, [](auto& of) { of.legacy->slot->plugin = "test_decoding"; }, "stream.name"},
        fault{"legacy.ddl", warn, [](auto& of) { of.legacy->ddl.watches = 2; }, "with a superuser"},
        fault{"legacy.ddl", warn, [](auto& of) { of.legacy->ddl.unwatched = {"items_1"}; }, "crossfade init"},
        fault{"legacy.ddl", warn, [](auto& of) { of.stream.ddl = settings::ddl_policy::pause; }, "crossfade init"},
        fault{"modern.write_privilege", fail, [](auto& of) { of.modern->tables[0].writable = false; },
              "GRANT SELECT, INSERT, UPDATE, DELETE, TRUNCATE ON public.items"},
        fault{"modern.replica_role", warn, [](auto& of) { of.modern->role.replica_role = false; },
              "GRANT SET ON PARAMETER session_replication_role"},
        fault{"modern.replica_role", fail,
              [](auto& of) {
                  of.modern->role.replica_role = false;
                  of.modern->tables[0].ordinary_triggers = {"audit"};
              },
              "GRANT SET ON PARAMETER"},
        fault{"modern.replica_role", fail,
              [](auto& of) {
                  by_key(of);
                  of.modern->role.replica_role = false;
              },
              "GRANT SET ON PARAMETER"},
        fault{"modern.triggers", fail, [](auto& of) { of.modern->tables[0].firing_triggers = {"audit"}; },
              "DISABLE TRIGGER"},
        fault{"modern.origins", warn, [](auto& of) { of.modern->role.origins = false; }, "GRANT EXECUTE"},
        fault{"modern.origins", warn,
              [](auto& of) {
                  by_key(of);
                  of.modern->settings["max_replication_slots"] = "6";  // and four partitions, two copies, another's
              },
              "SET max_replication_slots = 11"},
        fault{"modern.origins", warn,
              [](auto& of) {
                  by_key(of);
                  of.modern->settings["max_active_replication_origins"] = "6";
              },
              "SET max_active_replication_origins = 11"},
        fault{"modern.track_commit_timestamp", warn,
              [](auto& of) { of.modern->settings["track_commit_timestamp"] = "off"; }, "track_commit_timestamp = on"},
        fault{"modern.store", fail, [](auto& of) { of.modern->store.version = store::schema_version + 1; }, "version"},
        fault{"modern.store", fail,
              [](auto& of) {
                  by_key(of);
                  of.modern->store.progress->partitions.pop_back();
              },
              "--resync"},
        fault{"modern.tables", fail, [](auto& of) { of.modern->store.table_states["public.items"] = "copying"; },
              "crossfade backfill"},
        fault{"modern.tables", warn, [](auto& of) { of.modern->store.table_states["public.items"] = "backfilling"; },
              "crossfade status"},
        fault{"modern.tables", warn,
              [](auto& of) {
                  of.modern->store.table_states = {{"public.items", "backfilling"}, {"public.orders", "new"}};
              },
              "crossfade backfill --tables for these; crossfade status"},
        fault{"same_database", fail,
              [](auto& of) {
                  of.modern->system_identifier = "1";
                  of.one_server = true;
              },
              "dsn"},
        fault{"stream_source", fail, [](auto& of) { of.modern->store.progress->system_identifier = "9"; }, "--resync"},
        fault{"encoding", fail, [](auto& of) { of.modern->encoding = "LATIN1"; }, "ENCODING 'UTF8'"},
        fault{"collation", warn, [](auto& of) { of.modern->collation = "de_DE"; }, "ORDER BY"},
        fault{"time_zone", warn, [](auto& of) { of.modern->time_zone = "Europe/Berlin"; }, "ALTER DATABASE"},
        fault{"schema.tables", fail, [](auto& of) { of.modern->tables.pop_back(); }, "pg_dump"},
        fault{"schema.columns", fail, [](auto& of) { of.modern->tables[0].columns[0].name = "ident"; }, "ALTER TABLE"},
        fault{"schema.columns", warn, [](auto& of) { of.modern->tables[0].columns[0].type = "bigint"; },
              "dead letters"},
        fault{"schema.columns", fail, [](auto& of) { of.modern->tables[0].columns[0].generated = true; },
              "ALTER TABLE"},
        fault{"schema.rights", warn,
              [](auto& of) {
                  of.legacy->rights = {{"public.items", "a"}};
                  of.modern->rights = {{"public.items", "b"}};
              },
              "GRANT"},
        fault{"schema.keys", fail, [](auto& of) { of.modern->tables[0].key = {}; }, "ADD PRIMARY KEY"},
        fault{"tables.ties", fail,
              [](auto& of) {
                  by_key(of);
                  of.legacy->tables[0].ties.push_back({"items_code_key", {"code"}});
              },
              "ALTER TABLE public.items REPLICA IDENTITY FULL"},
        fault{"tables.ties", fail,
              [](auto& of) {
                  by_key(of);
                  of.modern->tables[1].ties.push_back({"orders_during_excl", {""}});
              },
              "crossfade init --replica-identity-full"},
        fault{"kafka.reachable", fail, [](auto& of) { of.kafka.problem = "refused"; }, "kafka.brokers"},
        fault{"kafka.topic", fail, [](auto& of) { of.kafka.changes.partitions = 4; }, "one"},
        fault{"kafka.topic", fail,
              [](auto& of) {
                  by_key(of);
                  of.kafka.changes.partitions = 1;
              },
              "stream.partitions says 4: set it to 1"},
        fault{"kafka.json_topic", fail,
              [](auto& of) {
                  of.stream.json_events = true;
                  of.kafka.json.partitions = 3;
              },
              "delete the topic"},
        fault{"kafka.json_topic", warn, [](auto& of) { of.stream.json_events = true; }, "init"},
        fault{"kafka.json_topic_settings", fail,
              [](auto& of) {
                  of.stream.json_events = true;
                  of.stream.json_cleanup = settings::cleanup_policy::compact;
                  of.kafka.json = of.kafka.changes;
              },
              "cleanup.policy=compact"},
        fault{"kafka.json_topic_settings", fail,
              [](auto& of) {
                  of.stream.json_events = true;
                  of.kafka.json = of.kafka.changes;
                  (*of.kafka.json.settings)["cleanup.policy"] = "compact";
              },
              "cleanup.policy=delete"},
        fault{"kafka.topic_settings", warn, [](auto& of) { of.kafka.changes.settings.reset(); }, "by hand"},
        fault{"kafka.topic_settings", fail,
              [](auto& of) { (*of.kafka.changes.settings)["cleanup.policy"] = "compact"; }, "cleanup.policy=delete"},
        fault{"kafka.topic_settings", warn, [](auto& of) { (*of.kafka.changes.settings)["retention.ms"] = "1000"; },
              "retention.ms"},
        fault{"kafka.topic_settings", warn,
              [](auto& of) { (*of.kafka.changes.settings)["retention.bytes"] = "1073741824"; }, "retention.bytes=-1"},
        fault{"kafka.topic_settings", warn,
              [](auto& of) { (*of.kafka.changes.settings)["unclean.leader.election.enable"] = "true"; },
              "enable=false"},
        fault{"kafka.topic_settings", warn,
              [](auto& of) { (*of.kafka.changes.settings)["max.message.bytes"] = "1048588"; },
              "max.message.bytes=68157440"},
        fault{"kafka.json_topic_settings", warn,
              [](auto& of) {
                  of.stream.json_events = true;
                  of.kafka.json = of.kafka.changes;
                  (*of.kafka.json.settings)["max.message.bytes"] = "1048588";
              },
              "--entity-name crossfade.app.json"},
        fault{"kafka.dead_letter_topic_settings", warn,
              [](auto& of) { (*of.kafka.dead_letters.settings)["max.message.bytes"] = "1048588"; },
              "max.message.bytes=68157440"},
        fault{"kafka.dead_letter_topic_settings", warn,
              [](auto& of) { (*of.kafka.dead_letters.settings)["cleanup.policy"] = "compact"; },
              "cleanup.policy=delete"},
        fault{"kafka.dead_letter_topic", warn, [](auto& of) { of.kafka.dead_letters.partitions = 0; }, "init"}));

// The same questions the other way round, under names of their own.
TEST(the_way_back, is_looked_at_by_its_own_sides) {
    evidence back = healthy_pair();
    back.stream.both_ways = true;
    std::swap(back.legacy, back.modern);
    back.source = "modern";
    back.follower = "legacy";
    back.legacy->settings["wal_level"] = "replica";
    back.legacy->tables.push_back(table_of("only_on_modern"));
    back.modern->role.origins = back.modern->role.replica_role = false;
    findings found;
    judge_back(back, found);
    std::map<std::string, finding> by_id;
    for (const auto& each : found.all()) {
        EXPECT_TRUE(each.id.starts_with("back.")) << each.id;
        by_id[each.id] = each;
    }
    EXPECT_EQ(by_id["back.modern.wal_level"].outcome, verdict::fail);
    EXPECT_EQ(by_id["back.legacy.origins"].outcome, verdict::fail);
    EXPECT_EQ(by_id["back.legacy.replica_role"].outcome, verdict::fail);
    EXPECT_EQ(by_id["back.modern.publication"].found.find("only_on_modern"), std::string::npos);
    EXPECT_TRUE(by_id.contains("back.kafka.topic"));
}

}  // namespace
}  // namespace crossfade::ctl::check
