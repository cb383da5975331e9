#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <csignal>

#include "lib/store/audit.hpp"
#include "lib/store/schema.hpp"
#include "tests/integration/apply/stream_script.hpp"
#include "tests/support/eventually.hpp"
#include "tests/support/http.hpp"
#include "tests/support/ports.hpp"

namespace crossfade::cdc {
namespace {

const auto journal = table("journal", {"who", "what"}, model::replica_identity::full);
const std::string journal_ddl = "CREATE TABLE public.journal (who int, what text)";
const auto places = table("places", {"id!", "tenant_id", "name"});
const std::string places_ddl = "CREATE TABLE public.places (id int PRIMARY KEY, tenant_id text, name text)";
const std::string counted = "SELECT count(*) || ' ' || count(DISTINCT who) FROM journal";

// An empty journal, followed; `from` publishes to it.
struct journal_stream : stream_fixture {
    explicit journal_stream(const std::string& more_yaml = {})
        : stream_fixture(journal_ddl, more_yaml), from(publish_as(1)) {
        cdc->start();
    }
    // A transaction for each of `who`.
    void write(std::initializer_list<int> who) {
        for (const int each : who) from.commit({insert(journal, {std::to_string(each), "a"})});
        from.flush();
    }
    publisher from;
};

// Killed at each of these and started again: each row once.
class killed_at : public testing::TestWithParam<const char*> {};

TEST_P(killed_at, applies_exactly_once) {
    stream_fixture at{journal_ddl, ", batch_bytes: 65536", {{"CROSSFADE_FAILPOINT", GetParam()}}};
    auto from = at.publish_as(1);
    for (int i = 0; i < 50; ++i) from.commit({insert(journal, {std::to_string(i), "x"})});
    std::vector<model::change_event> events;
    for (int i = 50; i < 2050; ++i) events.push_back(insert(journal, {std::to_string(i), std::string(50, 'x')}));
    from.commit(events);
    from.flush();
    const auto finish =
        at.one("SELECT '0/1000000'::pg_lsn + " + std::to_string(from.end() - stream_fixture::start_lsn));
    // Armed with the first pass, each start dies there; progress is made only where that is after a commit.
    int deaths = 0;
    for (; deaths < 3; ++deaths) {
        at.cdc->start();
        const auto there = [&] { return at.one("SELECT end_lsn >= '" + finish + "' FROM crossfade.progress") == "t"; };
        ASSERT_TRUE(support::eventually(std::chrono::seconds{20}, [&] { return !at.cdc->running() || there(); }));
        if (at.cdc->running()) break;
    }
    EXPECT_GT(deaths, 0) << "the failpoint was not passed";
    support::crossfade_program survivor{"crossfade-cdc", at.yaml(), at.cdc->admin_port()};
    at.cdc->kill9();
    survivor.start();
    ASSERT_TRUE(at.applied(from)) << survivor.log();
    EXPECT_EQ(at.one(counted), "2050 2050");
}

INSTANTIATE_TEST_SUITE_P(points, killed_at,
                         testing::Values("apply.begun", "apply.written", "apply.committed", "apply.part",
                                         "apply.begun:3", "consume.read:2"),
                         [](const auto& each) {
                             std::string name = each.param;
                             for (auto& c : name) c = c == '.' || c == ':' ? '_' : c;
                             return name;
                         });

TEST(stream, repeats_and_zombies_are_told_by_position) {
    journal_stream at;
    at.from.commit({insert(journal, {"1", "a"})});
    at.from.cut_off({insert(journal, {"2", "b"}), insert(journal, {"3", "c"})}, 1);
    at.from.flush();
    auto second = at.publish_as(2);
    second.commit({insert(journal, {"1", "a"})});
    second.commit({insert(journal, {"2", "b"}), insert(journal, {"3", "c"})});
    second.flush();
    auto zombie = at.publish_as(3);
    zombie.commit({insert(journal, {"1", "a"})});
    zombie.commit({insert(journal, {"2", "b"}), insert(journal, {"3", "c"})});
    zombie.commit({insert(journal, {"4", "d"})});
    zombie.flush();
    ASSERT_TRUE(at.applied(zombie)) << at.cdc->log();
    EXPECT_EQ(at.one(counted), "4 4");
}

// Anybody may emit one on legacy, and what an earlier publisher has passed on is in the topic.
TEST(stream, a_heartbeat_may_say_any_time) {
    using namespace std::chrono_literals;
    journal_stream at;
    for (const auto time : {std::chrono::microseconds::max(), std::chrono::microseconds::min()}) {
        for (int i = 0; i < 3000; ++i) at.from.heartbeat(model::source_time{time});
        at.from.flush();
        ASSERT_TRUE(at.applied(at.from)) << at.cdc->log();
        EXPECT_EQ(at.one("SELECT commit_time BETWEEN '1970-01-01 UTC' AND now() FROM crossfade.progress"), "t");
    }
    at.from.heartbeat(std::chrono::floor<std::chrono::microseconds>(std::chrono::system_clock::now() + 1h));
    at.from.flush();
    ASSERT_TRUE(at.applied(at.from)) << at.cdc->log();
    EXPECT_EQ(at.one("SELECT commit_time <= now() FROM crossfade.progress"), "t") << "receipts would be given up";
    at.write({1});
    ASSERT_TRUE(at.applied(at.from)) << at.cdc->log();
    EXPECT_EQ(at.one(counted), "1 1");
}

// Legacy was set back, and the copy is of an older place than what was applied.
TEST(stream, goes_on_from_progress_that_was_set_back) {
    journal_stream at;
    at.write({1, 2, 3});
    ASSERT_TRUE(at.applied(at.from)) << at.cdc->log();
    at.exec("UPDATE crossfade.progress SET commit_lsn = '0/1000000', end_lsn = '0/1000000', ordinal = 0");
    auto set_back = at.publish_as(2);
    set_back.commit({insert(journal, {"4", "a"})});
    set_back.flush();
    ASSERT_LT(set_back.end(), at.from.end());
    EXPECT_TRUE(support::eventually(std::chrono::seconds{20}, [&] { return at.one(counted) == "4 4"; }))
        << at.cdc->log();
    EXPECT_EQ(at.metric("crossfade_stream_stopped"), "0");
}

TEST(stream, a_gap_is_a_loud_stop) {
    journal_stream at;
    at.from.commit({insert(journal, {"1", "a"})});
    const auto good = at.from.end();
    at.from.move(good + 0x100, good + 0x100);
    at.from.commit({insert(journal, {"2", "b"})});
    at.from.flush();
    ASSERT_TRUE(at.in_state("stopped")) << at.status();
    EXPECT_EQ(at.metric("crossfade_stream_stopped"), "1");
    EXPECT_NE(at.status().find("backfill --resync"), std::string::npos);
    EXPECT_TRUE(at.applied(good));
    EXPECT_EQ(at.one(counted), "1 1");
    EXPECT_EQ(at.cdc->stop(), 0);
}

TEST(stream, another_cluster_is_a_loud_stop) {
    journal_stream at;
    at.from.system = 8;
    at.write({1});
    ASSERT_TRUE(at.in_state("stopped")) << at.status();
    EXPECT_EQ(at.one(counted), "0 0");
}

TEST(stream, an_offset_that_is_gone_is_a_loud_stop) {
    stream_fixture at{journal_ddl};
    at.exec("UPDATE crossfade.progress SET next_offset = 1000");
    at.cdc->start();
    ASSERT_TRUE(at.in_state("stopped")) << at.status();
}

TEST(stream, without_progress_it_waits_for_init) {
    stream_fixture at{journal_ddl};
    at.exec("DELETE FROM crossfade.progress");
    at.cdc->start();
    ASSERT_TRUE(support::eventually(std::chrono::seconds{20},
                                    [&] { return at.status().find("run crossfade init") != std::string::npos; }));
    EXPECT_TRUE(at.in_state("waiting"));
}

// With a file like that of the fixture's own.
support::crossfade_program another_cdc(const stream_fixture& beside) {
    auto yaml = beside.yaml();
    const auto port = std::to_string(beside.cdc->admin_port());
    const auto other_port = support::free_port();
    yaml.replace(yaml.find(":" + port), port.size() + 1, ":" + std::to_string(other_port));
    return {"crossfade-cdc", yaml, other_port};
}

TEST(stream, a_second_applier_stands_by_and_takes_over) {
    journal_stream at;
    ASSERT_TRUE(at.in_state("applying")) << at.cdc->log();
    auto other = another_cdc(at);
    other.start();
    ASSERT_TRUE(other.wait_ready()) << other.log();
    at.write({1});
    ASSERT_TRUE(at.applied(at.from));
    at.cdc->kill9();
    at.write({2});
    ASSERT_TRUE(at.applied(at.from)) << other.log();
    EXPECT_EQ(at.one(counted), "2 2");
}

// What it measured while it applied is another's to say now, and would be an alert without end.
TEST(stream, who_stands_by_is_not_behind) {
    journal_stream at;
    at.write({1});
    ASSERT_TRUE(at.applied(at.from)) << at.cdc->log();
    at.exec("INSERT INTO crossfade.backfills (stream, table_name, state) VALUES ('app', 'public.gone', 'asked')");
    const std::string lag = "crossfade_stream_lag_seconds{", bytes = "crossfade_stream_lag_bytes{";
    const std::string held = "crossfade_backfill_tables{state=\"held\"";
    EXPECT_TRUE(
        support::eventually(std::chrono::seconds{20},
                            [&] { return at.metric(lag) != "0" && at.metric(bytes) != "0" && at.metric(held) == "1"; }))
        << at.metric(lag) << ' ' << at.metric(bytes) << ' ' << at.metric(held) << at.cdc->log();

    auto other = another_cdc(at);
    other.start();
    ASSERT_TRUE(other.wait_ready()) << other.log();
    const auto says_other = [&](const std::string& what) {
        return support::http_get(other.admin_port(), "/metrics").body.find(what) != std::string::npos;
    };
    // Stopped meanwhile, it can't be the first to have the lock again.
    at.cdc->signal(SIGSTOP);
    ASSERT_TRUE(support::eventually(std::chrono::seconds{20}, [&] { return at.cdc->stopped(); }));
    at.exec(
        "SELECT pg_terminate_backend(pid) FROM pg_locks JOIN pg_database d ON d.oid = database"
        " WHERE locktype = 'advisory' AND datname = current_database()");
    ASSERT_TRUE(support::eventually(std::chrono::seconds{20}, [&] {
        return says_other("crossfade_applier_state{state=\"applying\",stream=\"app\"} 1");
    })) << other.log();
    at.cdc->signal(SIGCONT);
    ASSERT_TRUE(at.in_state("standby")) << at.status();
    EXPECT_TRUE(
        support::eventually(std::chrono::seconds{10},
                            [&] { return at.metric(lag) == "0" && at.metric(bytes) == "0" && at.metric(held) == "0"; }))
        << at.metric(lag) << ' ' << at.metric(bytes) << ' ' << at.metric(held);
    EXPECT_THAT(at.status(),
                testing::AllOf(testing::HasSubstr("\"lag_seconds\":null"), testing::HasSubstr("\"lag_bytes\":null")));
    EXPECT_TRUE(support::eventually(std::chrono::seconds{10}, [&] { return says_other(held + ",stream=\"app\"} 1"); }))
        << other.log();
}

TEST(stream, progress_moved_by_another_fences_the_batch) {
    journal_stream at;
    at.write({1});
    ASSERT_TRUE(at.applied(at.from)) << at.cdc->log();
    // As a resync would: what comes up to there is in the copy.
    at.exec("UPDATE crossfade.progress SET commit_lsn = end_lsn + 256, end_lsn = end_lsn + 256");
    at.write({2, 3});
    ASSERT_TRUE(at.applied(at.from)) << at.cdc->log();
    EXPECT_EQ(at.all("SELECT who FROM journal ORDER BY 1"), "1;3");
}

TEST(stream, the_follower_away_costs_nothing_but_time) {
    journal_stream at;
    for (int i = 0; i < 20; ++i) {
        at.write({i});
        if (i == 10) {
            at.exec(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE 'crossfade-cdc%'");
        }
        if (i == 15) at.modern().restart();
    }
    ASSERT_TRUE(at.applied(at.from)) << at.cdc->log();
    EXPECT_EQ(at.one(counted), "20 20");
}

TEST(stream, the_broker_away_costs_nothing_but_time) {
    journal_stream at;
    at.write({1});
    ASSERT_TRUE(at.applied(at.from)) << at.cdc->log();
    at.kafka->set_down(true);
    EXPECT_TRUE(at.in_state("waiting")) << at.status();
    at.kafka->set_down(false);
    at.write({2});
    ASSERT_TRUE(at.applied(at.from)) << at.cdc->log();
    EXPECT_TRUE(at.in_state("applying")) << at.status();
    EXPECT_EQ(at.one(counted), "2 2");
}

// Its locks, and its snapshot's, are not to last as long as the broker is away.
TEST(stream, the_broker_away_leaves_no_transaction_open_on_modern) {
    journal_stream at{", batch_bytes: 64KiB"};
    std::vector<model::change_event> rows;
    for (int id = 1; id <= 300; ++id) rows.push_back(insert(journal, {std::to_string(id), std::string(1000, 'x')}));
    at.from.cut_off(rows, 200);
    at.from.flush();
    const auto open = [&] {
        return at.one(
            "SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'crossfade-cdc%'"
            " AND datname = current_database() AND state = 'idle in transaction'");
    };
    ASSERT_TRUE(support::eventually(std::chrono::seconds{10}, [&] { return open() == "1"; })) << at.status();
    at.kafka->set_down(true);
    ASSERT_TRUE(at.in_state("waiting")) << at.status();
    EXPECT_EQ(open(), "1");
    EXPECT_TRUE(support::eventually(std::chrono::seconds{40}, [&] { return open() == "0"; })) << at.status();
    EXPECT_TRUE(at.in_state("waiting")) << at.status();

    at.kafka->set_down(false);
    auto second = at.publish_as(2);
    second.commit(rows);
    second.flush();
    ASSERT_TRUE(at.applied(second)) << at.cdc->log();
    EXPECT_EQ(at.one(counted), "300 300");
}

TEST(stream, flags_hold_and_release) {
    journal_stream at;
    ASSERT_TRUE(at.in_state("applying")) << at.cdc->log();
    at.cdc->configure(at.yaml("{ hybrid_mode_enabled: true, dual_write_strategy: legacy-only }"));
    ASSERT_TRUE(at.in_state("held")) << at.status();
    at.write({1});
    EXPECT_EQ(at.one(counted), "0 0");
    at.cdc->configure(at.yaml());
    at.cdc->signal(SIGHUP);
    ASSERT_TRUE(at.applied(at.from)) << at.cdc->log();
    EXPECT_EQ(at.one(counted), "1 1");
}

TEST(stream, tenants_left_out_make_the_table_stale) {
    stream_fixture at{places_ddl};
    auto yaml = at.yaml();
    yaml.replace(
        yaml.find("tenants: { column: tenant_id }"), std::string::npos,
        "tenants: { column: tenant_id, overrides: { acme: { flags: { dual_write_strategy: legacy-only } } } }\n");
    at.cdc->configure(yaml);
    at.cdc->start();
    auto from = at.publish_as(1);
    from.commit({insert(places, {"1", "acme", "x"}), insert(places, {"2", "other", "y"})});
    from.flush();
    ASSERT_TRUE(at.applied(from)) << at.cdc->log();
    EXPECT_EQ(at.all("SELECT id FROM places"), "2");
    EXPECT_EQ(at.all("SELECT table_name, state, stale_since FROM crossfade.tables"), "public.places|stale|0/1000000");
    EXPECT_TRUE(support::eventually(std::chrono::seconds{5}, [&] {
        return at.metric("crossfade_events_skipped_total{reason=\"legacy-only\"") == "1";
    }));
}

TEST(stream, its_reloads_are_in_the_audit_log) {
    stream_fixture at{journal_ddl};
    at.exec(std::string{store::audit_sql()});
    at.cdc->start();
    ASSERT_TRUE(at.in_state("applying")) << at.cdc->log();
    at.cdc->configure(at.yaml("{ dual_write_strategy: legacy-primary, migration_drift_tolerance: 0.25 }"));
    at.cdc->signal(SIGHUP);
    // Legacy is the authority, and has none.
    EXPECT_TRUE(support::eventually(std::chrono::seconds{20}, [&] {
        return at.all(
                   "SELECT split_part(program, ' ', 1), action, outcome, after #>> '{changes,0}'"
                   " FROM crossfade.audit") ==
               "crossfade-cdc|flags reload|applied|flags.migration_drift_tolerance: 0.0005 -> 0.25";
    })) << at.cdc->log();
}

TEST(stream, what_a_backfill_has_copied_is_left_out) {
    stream_fixture at{journal_ddl};
    at.exec(
        "INSERT INTO crossfade.tables (stream, table_name, state, copied_lsn) VALUES ('app', 'public.journal', "
        "'copying', NULL)");
    at.cdc->start();
    ASSERT_TRUE(at.in_state("held")) << at.status();
    EXPECT_NE(at.status().find("run crossfade backfill again"), std::string::npos);
    auto from = at.publish_as(1);
    from.commit({insert(journal, {"1", "a"})});
    from.commit({insert(journal, {"2", "a"})});
    from.flush();
    at.exec(
        "INSERT INTO journal VALUES (1, 'a'); UPDATE crossfade.tables SET state = 'live', copied_lsn = '0/1000100'");
    ASSERT_TRUE(at.applied(from)) << at.cdc->log();
    EXPECT_EQ(at.all("SELECT who FROM journal ORDER BY 1"), "1;2");
}

}  // namespace
}  // namespace crossfade::cdc
