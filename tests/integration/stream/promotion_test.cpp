// Legacy goes on as another server, or as an earlier one: what the stream can go on from it goes on from, exactly once;
// what it can't is said, and the way out is one.
#include <gmock/gmock.h>
#include <signal.h>

#include "tests/chaos/landscape.hpp"
#include "tests/integration/stream/standby.hpp"
#include "tests/integration/stream/status_of.hpp"
#include "tests/support/eventually.hpp"
#include "tests/support/ports.hpp"

namespace crossfade {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;

const std::string all_rows =
    "SELECT count(*) || ' ' || coalesce(sum(id), 0) || ' ' || coalesce(md5(string_agg(note, ',' "
    "ORDER BY id)), '') FROM public.stock";

std::string insert(int from, int to, const std::string& note) {
    return "INSERT INTO public.stock SELECT g, '" + note + "' || g FROM generate_series(" + std::to_string(from) +
           ", " + std::to_string(to) + ") g";
}

class promotion : public testing::Test {
  protected:
    void begin(const std::filesystem::path& bin_dir, bool durable = false, unsigned partitions = 0) {
        world_.emplace(chaos::landscape_options{.schema = "CREATE TABLE stock (id int PRIMARY KEY, note text);",
                                                .rows = insert(1, 50, "before "),
                                                .legacy = {.bin_dir = bin_dir, .durable = durable},
                                                .partitions = partitions});
    }
    // With a standby that has the slot, where the server knows how; `waited_for`: nothing is published before it has
    // it.
    void begin_with_standby(bool waited_for, const std::filesystem::path& bin_dir = support::postgres_18_bin_dir()) {
        begin(bin_dir);
        standby_.emplace(world_->legacy);
        if (waited_for) {
            world_->legacy.exec("ALTER SYSTEM SET synchronized_standby_slots = 'standby'");
            world_->legacy.exec("SELECT pg_reload_conf()");
        }
        if (bin_dir != support::postgres_18_bin_dir()) return;
        ASSERT_TRUE(support::eventually(90s, [&] { return standby_->has("crossfade_app"); })) << standby_->server.log();
    }

    bool in_state(const support::crossfade_program& program, const std::string& state) const {
        return support::eventually(60s, [&] { return status_of(program, "state") == state; });
    }
    bool equal(const support::postgres_cluster& legacy) const {
        return support::eventually(60s, [&] { return legacy.value(all_rows) == world_->modern.value(all_rows); });
    }
    std::string at(const support::postgres_cluster& legacy) const {
        auto text = world_->configuration();
        const auto old = world_->legacy.dsn();
        text.replace(text.find(old), old.size(), legacy.dsn());
        return text;
    }
    // The file says where legacy is now, and the programs are started again: nothing but the address is new.
    void point_at(const support::postgres_cluster& legacy) {
        for (auto* program : {&world_->proxy, &world_->cdc}) {
            program->stop();
            program->configure(at(legacy));
            program->start();
        }
        for (auto* program : {&world_->proxy, &world_->cdc}) ASSERT_TRUE(program->wait_healthy(30s)) << world_->logs();
    }
    // Nobody starts the programs again: the proxy has the application's sessions.
    void resync(const support::postgres_cluster& legacy, const std::vector<std::string>& more = {}) {
        std::vector<std::string> command{"backfill", "--resync"};
        command.insert(command.end(), more.begin(), more.end());
        const auto done = world_->crossfade(command);
        ASSERT_EQ(done.exit_code, 0) << done.output << done.errors << world_->logs();
        ASSERT_TRUE(in_state(world_->proxy, "publishing")) << world_->logs();
        ASSERT_TRUE(in_state(world_->cdc, "applying")) << world_->logs();
        EXPECT_TRUE(equal(legacy)) << world_->logs();
        legacy.exec(insert(5001, 5050, "resynced "));
        EXPECT_TRUE(equal(legacy)) << world_->logs();
        EXPECT_EQ(world_->complaints(), "");
        // Nor does the next start find anything wrong with what is in the topic.
        point_at(legacy);
        legacy.exec(insert(5051, 5100, "resynced "));
        EXPECT_TRUE(equal(legacy)) << world_->logs();
        EXPECT_EQ(world_->complaints(), "");
    }

    std::optional<chaos::landscape> world_;
    std::optional<standby> standby_;
};

TEST_F(promotion, is_prepared_for_by_init) {
    if (!support::kafka_broker::available()) GTEST_SKIP() << "no Kafka: script/bootstrap --kafka";
    if (!support::postgres_cluster::available(support::postgres_18_bin_dir())) GTEST_SKIP() << "no PostgreSQL 18";
    begin(support::postgres_18_bin_dir());
    const std::string failover = "SELECT failover FROM pg_replication_slots WHERE slot_name = 'crossfade_app'";
    EXPECT_EQ(world_->legacy.value(failover), "t");
    // One from before.
    world_->proxy.stop();
    world_->legacy.exec(
        "SELECT pg_drop_replication_slot('crossfade_app'); SELECT pg_create_logical_replication_slot('crossfade_app', "
        "'pgoutput')");
    ASSERT_EQ(world_->legacy.value(failover), "f");
    EXPECT_THAT(world_->crossfade({"init"}).output, HasSubstr("standbys take it over from now on"));
    EXPECT_EQ(world_->legacy.value(failover), "t");
}

TEST_F(promotion, of_a_standby_that_has_what_was_published_goes_on_exactly_once) {
    if (!support::kafka_broker::available()) GTEST_SKIP() << "no Kafka: script/bootstrap --kafka";
    if (!support::postgres_cluster::available(support::postgres_18_bin_dir())) GTEST_SKIP() << "no PostgreSQL 18";
    begin_with_standby(true);
    EXPECT_THAT(world_->crossfade({"check"}).output, HasSubstr("published is what these have: standby"));
    // Killed in the middle of it.
    for (int id = 51; id <= 400; ++id) world_->legacy.exec(insert(id, id, "old "));
    world_->legacy.kill9();
    standby_->promote();
    const auto& promoted = standby_->server;
    // What the application writes before anybody has noticed.
    promoted.exec(insert(1001, 1100, "new "));
    point_at(promoted);
    ASSERT_TRUE(in_state(world_->proxy, "publishing")) << world_->logs();
    EXPECT_TRUE(equal(promoted)) << world_->logs();
    promoted.exec(insert(1101, 1200, "newer "));
    promoted.exec(
        "UPDATE public.stock SET note = note || '!' WHERE id % 7 = 0; DELETE FROM public.stock WHERE id % 11 = 0");
    EXPECT_TRUE(equal(promoted)) << world_->logs();
    EXPECT_EQ(world_->complaints(), "");
    EXPECT_EQ(world_->modern.value("SELECT timeline FROM crossfade.progress"), "2");
    EXPECT_EQ(world_->crossfade({"status"}).exit_code, 0) << world_->crossfade({"status"}).output;
    // And by the next publisher, too, whose topic holds both timelines.
    point_at(promoted);
    promoted.exec(insert(1201, 1300, "newest "));
    EXPECT_TRUE(equal(promoted)) << world_->logs();
    EXPECT_EQ(world_->complaints(), "");
}

TEST_F(promotion, of_a_standby_that_lacks_what_was_published_is_a_loud_stop_with_a_way_out) {
    if (!support::kafka_broker::available()) GTEST_SKIP() << "no Kafka: script/bootstrap --kafka";
    if (!support::postgres_cluster::available(support::postgres_18_bin_dir())) GTEST_SKIP() << "no PostgreSQL 18";
    begin_with_standby(false);
    EXPECT_THAT(world_->crossfade({"check"}).output, HasSubstr("synchronized_standby_slots leaves out standby"));
    standby_->server.stop();
    world_->legacy.exec(insert(51, 100, "lost "));
    ASSERT_TRUE(equal(world_->legacy)) << world_->logs();
    world_->legacy.kill9();
    standby_->server.start();
    standby_->promote();
    const auto& promoted = standby_->server;
    // More than what was lost: the same LSNs, and the same keys.
    for (int i = 0; i < 20; ++i) promoted.exec(insert(51 + i * 50, 100 + i * 50, "found "));
    point_at(promoted);
    ASSERT_TRUE(in_state(world_->proxy, "stopped")) << world_->logs();
    EXPECT_THAT(status_of(world_->proxy, "reason"), HasSubstr("legacy left timeline 1 at"));
    EXPECT_THAT(status_of(world_->proxy, "way_out"), HasSubstr("crossfade backfill --resync"));
    const auto status = world_->crossfade({"status"});
    EXPECT_EQ(status.exit_code, 1);
    EXPECT_THAT(status.output, HasSubstr("crossfade backfill --resync"));
    EXPECT_EQ(world_->modern.value("SELECT count(*) FROM stock WHERE note LIKE 'found%'"), "0");
    resync(promoted, {"--live"});
}

TEST_F(promotion, without_the_slot_waits_and_says_so) {
    if (!support::kafka_broker::available()) GTEST_SKIP() << "no Kafka: script/bootstrap --kafka";
    begin_with_standby(false, "/usr/lib/postgresql/15/bin");
    EXPECT_THAT(world_->crossfade({"check"}).output, HasSubstr("PostgreSQL 15 gives the slot to no standby"));
    world_->legacy.exec(insert(51, 100, "old "));
    ASSERT_TRUE(equal(world_->legacy)) << world_->logs();
    // As long as it is a standby nothing is read from it.
    point_at(standby_->server);
    ASSERT_TRUE(support::eventually(60s, [&] {
        return status_of(world_->proxy, "reason") == "legacy.dsn leads to a standby";
    })) << world_->logs();
    world_->legacy.kill9();
    standby_->promote();
    ASSERT_TRUE(support::eventually(60s, [&] {
        return status_of(world_->proxy, "reason") == "legacy has no replication slot crossfade_app";
    })) << world_->logs();
    standby_->server.exec(insert(1001, 1100, "unseen "));
    const auto refused = world_->crossfade({"init"});
    EXPECT_EQ(refused.exit_code, 1);
    EXPECT_THAT(refused.output + refused.errors, HasSubstr("crossfade backfill --resync"));
    resync(standby_->server);
}

// Nobody has stopped the old primary, and both are to be published.
class split_brain : public promotion {
  protected:
    void part() {
        begin_with_standby(false);
        world_->legacy.exec(insert(51, 100, "both "));
        ASSERT_TRUE(equal(world_->legacy)) << world_->logs();
        const auto admin = support::free_port();
        auto text = at(standby_->server);
        const auto replace = [&](std::uint16_t old, std::uint16_t by) {
            const auto port = ':' + std::to_string(old);
            text.replace(text.find(port), port.size(), ':' + std::to_string(by));
        };
        replace(world_->client_port(), support::free_port());
        replace(world_->proxy.admin_port(), admin);
        other_.emplace("crossfade-proxy", text, admin);
    }
    void write(const support::postgres_cluster& to, const std::string& note) {
        to.exec("INSERT INTO public.stock SELECT coalesce(max(id), 0) + 1, '" + note + "' FROM public.stock");
    }
    void end() {
        // Not a mixture of both.
        EXPECT_LE(
            std::stoi(world_->modern.value("SELECT count(DISTINCT note) FROM stock WHERE note IN ('old', 'new')")), 1);
        world_->proxy.stop();
        world_->legacy.kill9();
        other_->stop();
        point_at(standby_->server);
        resync(standby_->server);
    }

    std::optional<support::crossfade_program> other_;
};

TEST_F(split_brain, the_promoted_one_is_not_published_behind_the_old_one) {
    if (!support::kafka_broker::available()) GTEST_SKIP() << "no Kafka: script/bootstrap --kafka";
    if (!support::postgres_cluster::available(support::postgres_18_bin_dir())) GTEST_SKIP() << "no PostgreSQL 18";
    part();
    standby_->promote();
    write(world_->legacy, "old");
    ASSERT_TRUE(equal(world_->legacy)) << world_->logs();
    write(standby_->server, "new");
    other_->start();
    ASSERT_TRUE(in_state(*other_, "stopped")) << world_->logs() << other_->log();
    EXPECT_THAT(status_of(*other_, "reason"), HasSubstr("legacy left timeline 1 at"));
    end();
}

TEST_F(split_brain, the_old_one_is_not_applied_behind_the_promoted_one) {
    if (!support::kafka_broker::available()) GTEST_SKIP() << "no Kafka: script/bootstrap --kafka";
    if (!support::postgres_cluster::available(support::postgres_18_bin_dir())) GTEST_SKIP() << "no PostgreSQL 18";
    part();
    world_->proxy.signal(SIGSTOP);
    standby_->promote();
    other_->start();
    write(standby_->server, "new");
    // What the old one writes next has LSNs that the follower has passed on the new timeline.
    standby_->server.exec("SELECT pg_switch_wal()");
    write(standby_->server, "newer");
    ASSERT_TRUE(equal(standby_->server)) << world_->logs() << other_->log();
    world_->cdc.stop();
    world_->cdc.start();
    write(world_->legacy, "old");
    world_->proxy.signal(SIGCONT);
    ASSERT_TRUE(in_state(world_->cdc, "stopped")) << world_->logs() << other_->log();
    EXPECT_THAT(status_of(world_->cdc, "reason"), HasSubstr("is of timeline 1, the follower is on 2"));
    EXPECT_THAT(status_of(world_->cdc, "way_out"), HasSubstr("crossfade backfill --resync"));
    end();
}

// Of legacy itself, from a copy of its files that is older than what was published.
class restored : public promotion {
  protected:
    bool all_end_with_a_heartbeat() {
        const auto now = world_->legacy.value("SELECT pg_current_wal_lsn()");
        return support::eventually(30s, [&] {
            return world_->modern.value("SELECT bool_and(end_lsn >= '" + now + "') FROM crossfade.progress") == "t";
        });
    }
    void restore(int written_since, bool new_timeline, unsigned partitions = 0) {
        begin(support::postgres_bin_dir(), true, partitions);
        world_->legacy.exec(insert(51, 100, "kept "));
        ASSERT_TRUE(equal(world_->legacy)) << world_->logs();
        world_->legacy.stop();
        const support::temp_dir backup;
        copy_files(world_->legacy.data_dir(), backup.path() / "data");
        world_->legacy.start();
        world_->legacy.exec(insert(101, 150, "lost "));
        ASSERT_TRUE(equal(world_->legacy)) << world_->logs();
        if (partitions != 0) {
            ASSERT_TRUE(all_end_with_a_heartbeat()) << world_->logs();
        }
        world_->legacy.stop();
        copy_files(backup.path() / "data", world_->legacy.data_dir());
        if (new_timeline) {
            write_as_postgres(world_->legacy.data_dir() / "postgresql.auto.conf", "restore_command = 'false'\n");
            write_as_postgres(world_->legacy.data_dir() / "recovery.signal", "");
        }
        world_->proxy.stop();
        world_->legacy.start();
        ASSERT_TRUE(
            support::eventually(30s, [&] { return world_->legacy.value("SELECT pg_is_in_recovery()") == "f"; }));
        for (int i = 0; i < written_since; ++i) world_->legacy.exec(insert(101 + i * 50, 150 + i * 50, "other "));
        world_->proxy.start();
        ASSERT_TRUE(in_state(world_->proxy, "stopped")) << world_->logs();
        EXPECT_EQ(world_->modern.value("SELECT count(*) FROM stock WHERE note LIKE 'other%'"), "0");
    }
};

TEST_F(restored, to_an_earlier_point_in_time_is_a_loud_stop) {
    if (!support::kafka_broker::available()) GTEST_SKIP() << "no Kafka: script/bootstrap --kafka";
    restore(20, true);
    EXPECT_THAT(status_of(world_->proxy, "reason"), HasSubstr("legacy left timeline 1 at"));
    resync(world_->legacy);
}

// On the same timeline there is nothing to tell it by but the WAL itself.
TEST_F(restored, from_a_copy_of_its_disk_is_a_loud_stop) {
    if (!support::kafka_broker::available()) GTEST_SKIP() << "no Kafka: script/bootstrap --kafka";
    restore(0, false);
    EXPECT_THAT(status_of(world_->proxy, "reason"), HasSubstr("legacy's WAL ends at"));
    resync(world_->legacy);
}

TEST_F(restored, from_a_copy_of_its_disk_and_busy_since_is_a_loud_stop) {
    if (!support::kafka_broker::available()) GTEST_SKIP() << "no Kafka: script/bootstrap --kafka";
    restore(20, false);
    // It looks a second time at once, and is publishing until it has come to what the topic ends with.
    std::string reason;
    EXPECT_TRUE(support::eventually(30s, [&] { return !(reason = status_of(world_->proxy, "reason")).empty(); }));
    EXPECT_THAT(reason, HasSubstr("than what topic crossfade.app.changes ends with"));
    resync(world_->legacy);
}

TEST_F(restored, from_a_copy_of_its_disk_is_a_loud_stop_where_the_stream_is_ordered_by_key) {
    if (!support::kafka_broker::available()) GTEST_SKIP() << "no Kafka: script/bootstrap --kafka";
    restore(20, false, 4);
    std::string reason;
    EXPECT_TRUE(support::eventually(30s, [&] { return !(reason = status_of(world_->proxy, "reason")).empty(); }));
    EXPECT_THAT(reason, HasSubstr("than what topic crossfade.app.changes ends with"));
}

}  // namespace
}  // namespace crossfade
