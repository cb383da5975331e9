// The stream and its way back (stream.both_ways), both at work: each carries what clients have written on its side, and
// nothing of what the other one has brought.
#include <gmock/gmock.h>

#include <boost/json.hpp>
#include <future>
#include <map>

#include "lib/events/codec.hpp"
#include "lib/kafka/consumer.hpp"
#include "lib/pgclient/connection.hpp"
#include "tests/chaos/landscape.hpp"
#include "tests/integration/stream/status_of.hpp"
#include "tests/support/eventually.hpp"

namespace crossfade {
namespace {

using namespace std::chrono_literals;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Pair;

constexpr const char* tables = R"(
    CREATE TABLE stock (id int PRIMARY KEY, note text);
    CREATE TABLE log (what text, at int);
    CREATE TABLE parts (id int PRIMARY KEY, name text) PARTITION BY RANGE (id);
    CREATE TABLE parts_low PARTITION OF parts FOR VALUES FROM (0) TO (100);
    CREATE TABLE parts_high PARTITION OF parts FOR VALUES FROM (100) TO (10000);)";

using counts = std::map<std::string, int>;

class both_ways : public testing::Test {
  protected:
    void SetUp() override {
        if (!support::kafka_broker::available()) GTEST_SKIP() << "no Kafka: script/bootstrap --kafka";
    }

    void begin(const std::string& strategy = "legacy-primary", const std::string& proxy_settings = {}) {
        chaos::landscape_options options{.schema = tables, .proxy_settings = proxy_settings, .strategy = strategy};
        options.legacy.extra_settings = {"track_commit_timestamp=on"};
        options.modern.extra_settings = {"track_commit_timestamp=on", "max_replication_slots=30"};
        options.both_ways = true;
        world_.emplace(std::move(options));
        take_fence_away();
    }

    // As flips do, there and back, but for both sides at once: each has the other for the authority.
    void take_fence_away() const {
        world_->legacy.exec("UPDATE crossfade.authority SET authority = 'modern'");
        // Of its own role, so that it is no DDL to be noted.
        for (const auto& row : world_->modern.exec(
                 "SELECT tgrelid::regclass FROM pg_trigger WHERE tgname = 'crossfade_fence' AND tgenabled <> 'D'"))
            world_->modern.exec("SELECT set_config('crossfade.fencing', 'on', true); ALTER TABLE ONLY " + row.front() +
                                " DISABLE TRIGGER crossfade_fence");
    }

    // Until what the one side has by now is on the other.
    static bool passed(const support::postgres_cluster& source, const support::postgres_cluster& follower,
                       const std::string& stream) {
        const auto at = source.value("SELECT pg_current_wal_lsn()");
        return support::eventually(60s, [&] {
            return follower.value("SELECT count(*) FROM crossfade.progress WHERE stream = '" + stream +
                                  "' AND end_lsn >= '" + at + "'") == "1";
        });
    }
    // Twice round: what came to a side by one stream the other has looked at, and the first one at that.
    void go_round() const {
        for (int i = 0; i < 2; ++i) {
            ASSERT_TRUE(passed(world_->legacy, world_->modern, "app")) << world_->logs();
            ASSERT_TRUE(passed(world_->modern, world_->legacy, "app_back")) << world_->logs();
        }
    }

    // What was published of rows, by kind.
    counts published(const std::string& stream) const {
        auto reader =
            kafka::partition_reader::open(world_->broker.config(), "crossfade." + stream + ".changes", 0, "test")
                .value();
        const auto end = reader.query_watermarks(10s).value().high;
        counts made;
        if (end == 0) return made;
        reader.seek(0, 10s).value();
        events::relation_decoder relations;
        for (std::int64_t next = 0; next < end;) {
            for (const auto& message : reader.read(1000, 5s).value()) {
                next = message.offset() + 1;
                const auto event = events::decode(message.payload(), relations);
                if (!event) {
                    ADD_FAILURE() << "no event at " << message.offset();
                } else if (const auto* row = std::get_if<model::row_change>(&event->body)) {
                    const std::string kinds[]{"insert ", "update ", "delete "};
                    ++made[kinds[static_cast<int>(row->operation)] + row->rel->table.name];
                } else if (std::holds_alternative<model::truncate>(event->body)) {
                    ++made["truncate"];
                }
            }
        }
        return made;
    }

    static std::string drift(const support::postgres_cluster& at) {
        std::string found;
        for (const auto& row : at.exec("SELECT stream, table_name, kind FROM crossfade.drift ORDER BY 1, 2, 3"))
            found += row[0] + ' ' + row[1] + ' ' + row[2] + '\n';
        return found;
    }
    static void now_follows(const support::postgres_cluster& side) {
        side.exec(
            "INSERT INTO crossfade.authority (stream, epoch, authority, follower_since)"
            " VALUES ('app', 1, 'legacy', clock_timestamp()) ON CONFLICT (stream) DO UPDATE"
            " SET follower_since = clock_timestamp()");
    }
    std::string back(const support::crossfade_program& program, const char* what) const {
        const auto said = boost::json::parse(support::http_get(program.admin_port(), "/api/v1/status").body);
        return std::string{said.at("back").at("stream").at(what).as_string()};
    }

    std::optional<chaos::landscape> world_;
};

TEST_F(both_ways, each_side_s_writes_arrive_on_the_other_once) {
    begin();
    world_->legacy.exec(
        "INSERT INTO stock SELECT g, 'from legacy' FROM generate_series(1, 50) g;"
        "INSERT INTO log SELECT 'from legacy', g % 3 FROM generate_series(1, 20) g;"
        "INSERT INTO parts SELECT g, 'from legacy' FROM generate_series(91, 110) g");
    ASSERT_EQ(world_->settle(60s), "") << world_->logs();
    go_round();
    EXPECT_EQ(published("app"), (counts{{"insert stock", 50}, {"insert log", 20}, {"insert parts", 20}}));
    EXPECT_THAT(published("app_back"), IsEmpty());

    now_follows(world_->legacy);
    world_->modern.exec(
        "INSERT INTO stock SELECT g, 'from modern' FROM generate_series(51, 80) g;"
        "UPDATE stock SET note = 'changed on modern' WHERE id <= 10; DELETE FROM stock WHERE id IN (20, 60);"
        "INSERT INTO log VALUES ('from modern', 1), ('from modern', 1);"
        "DELETE FROM log WHERE ctid = (SELECT min(ctid) FROM log WHERE at = 2);"
        "UPDATE parts SET name = 'changed on modern' WHERE id = 105");
    ASSERT_EQ(world_->settle(60s), "") << world_->logs();
    go_round();
    EXPECT_EQ(world_->difference(), "");
    EXPECT_EQ(published("app"), (counts{{"insert stock", 50}, {"insert log", 20}, {"insert parts", 20}}));
    EXPECT_EQ(published("app_back"), (counts{{"insert stock", 30},
                                             {"update stock", 10},
                                             {"delete stock", 2},
                                             {"insert log", 2},
                                             {"delete log", 1},
                                             {"update parts", 1}}));

    world_->modern.exec("TRUNCATE stock, log");
    ASSERT_EQ(world_->settle(60s), "") << world_->logs();
    go_round();
    EXPECT_EQ(published("app_back")["truncate"], 1);
    EXPECT_EQ(published("app")["truncate"], 0);
    now_follows(world_->modern);
    world_->legacy.exec("INSERT INTO stock VALUES (1, 'again'); TRUNCATE parts");
    ASSERT_EQ(world_->settle(60s), "") << world_->logs();
    go_round();
    EXPECT_EQ(published("app")["truncate"], 1);
    EXPECT_EQ(published("app_back")["truncate"], 1);
    EXPECT_EQ(world_->legacy.value("SELECT count(*) FROM stock"), "1");
    EXPECT_EQ(world_->complaints(), "");
    EXPECT_EQ(drift(world_->legacy), "");
    EXPECT_EQ(drift(world_->modern), "");
    EXPECT_EQ(back(world_->proxy, "state"), "publishing");
    EXPECT_EQ(back(world_->cdc, "state"), "applying");
    EXPECT_EQ(back(world_->cdc, "name"), "app_back");
}

// Killed between what they do and what they note of it, as ever.
TEST_F(both_ways, go_on_where_they_were) {
    begin();
    for (int round = 0; round < 3; ++round) {
        const auto from = std::to_string(round * 1000 + 1);
        const auto to = std::to_string(round * 1000 + 300);
        world_->legacy.exec("INSERT INTO stock SELECT g, 'l' FROM generate_series(" + from + ", " + to + ") g");
        world_->modern.exec("INSERT INTO parts SELECT g, 'm' FROM generate_series(" + from + ", " + to + ") g");
        world_->kill(round == 1 ? chaos::victim::cdc : chaos::victim::proxy);
        world_->legacy.exec("INSERT INTO log VALUES ('l', " + from + ")");
        world_->modern.exec("INSERT INTO log VALUES ('m', " + from + ")");
        world_->revive(round == 1 ? chaos::victim::cdc : chaos::victim::proxy);
    }
    ASSERT_EQ(world_->settle(60s), "") << world_->logs();
    go_round();
    EXPECT_EQ(world_->difference(), "");
    EXPECT_EQ(world_->legacy.value("SELECT count(*) FROM stock"), "900");
    EXPECT_EQ(world_->legacy.value("SELECT count(*) FROM parts"), "900");
    EXPECT_EQ(world_->legacy.value("SELECT count(*) FROM log"), "6");
    EXPECT_EQ(world_->complaints(), "");
    EXPECT_EQ(drift(world_->legacy), "");
}

TEST_F(both_ways, rows_that_the_proxy_mirrors_do_not_come_back) {
    begin("mirror", ", mirror_timeout: 5s, mirror_connections: 4");
    auto client = pgclient::connection::open(world_->client_dsn(), {});
    ASSERT_TRUE(client) << world_->logs();
    const auto mirrored = [&] {
        return support::sample_value(support::http_get(world_->proxy.admin_port(), "/metrics").body,
                                     "crossfade_mirror_mirrored_total");
    };
    int rows = 0;
    ASSERT_TRUE(support::eventually(60s, [&] {
        const auto done =
            client->exec("INSERT INTO public.stock VALUES (" + std::to_string(++rows) + ", 'by the proxy')");
        EXPECT_TRUE(done) << (done ? "" : pgclient::to_string(done.error()));
        return mirrored() >= 20;
    })) << world_->logs();
    ASSERT_TRUE(client->exec("UPDATE public.stock SET note = 'again' WHERE id <= 5"));
    ASSERT_EQ(world_->settle(60s), "") << world_->logs();
    go_round();
    EXPECT_THAT(published("app_back"), IsEmpty());
    EXPECT_THAT(published("app"), ElementsAre(Pair("insert stock", rows), Pair("update stock", 5)));
    EXPECT_EQ(world_->complaints(), "");
}

// Modern is not the authority, and somebody has got round the fence: legacy's rows are the right ones.
TEST_F(both_ways, what_is_written_round_the_fence_is_known_and_not_applied) {
    begin();
    world_->legacy.exec("INSERT INTO stock VALUES (1, 'right'), (2, 'right')");
    ASSERT_EQ(world_->settle(60s), "") << world_->logs();
    world_->legacy.exec("UPDATE crossfade.authority SET authority = 'legacy'");
    world_->modern.exec("UPDATE stock SET note = 'wrong' WHERE id = 1; INSERT INTO stock VALUES (3, 'wrong')");
    ASSERT_TRUE(passed(world_->modern, world_->legacy, "app_back")) << world_->logs();
    EXPECT_EQ(world_->legacy.value("SELECT string_agg(id || ' ' || note, ', ' ORDER BY id) FROM stock"),
              "1 right, 2 right");
    EXPECT_EQ(world_->legacy.value("SELECT string_agg(operation || ' ' || sqlstate, ', ' ORDER BY ordinal) FROM"
                                   " crossfade.dead_letters WHERE stream = 'app_back'"),
              "update XF006, insert XF006");
    EXPECT_EQ(drift(world_->legacy), "app_back public.stock rejected\napp_back public.stock rejected\n");
    // Behind DDL, which has the tables looked at anew, as well.
    world_->modern.exec("BEGIN; CREATE INDEX ON stock (note); UPDATE stock SET note = 'wrong' WHERE id = 2; COMMIT");
    ASSERT_TRUE(passed(world_->modern, world_->legacy, "app_back")) << world_->logs();
    EXPECT_EQ(world_->legacy.value("SELECT note FROM stock WHERE id = 2"), "right");
    world_->legacy.exec("DELETE FROM crossfade.dead_letters; DELETE FROM crossfade.drift");
    // And modern's own are carried again as soon as it is the authority.
    world_->legacy.exec("UPDATE crossfade.authority SET authority = 'modern'");
    world_->modern.exec("UPDATE stock SET note = 'changed' WHERE id = 2");
    ASSERT_TRUE(passed(world_->modern, world_->legacy, "app_back")) << world_->logs();
    EXPECT_EQ(world_->legacy.value("SELECT note FROM stock WHERE id = 2"), "changed");
}

// Whoever writes on a side while it is the follower is found out; whoever did while it was the authority is not.
TEST_F(both_ways, rows_from_the_time_as_the_authority_are_nobody_else_s) {
    begin();
    world_->legacy.exec("INSERT INTO stock SELECT g, 'by legacy s clients' FROM generate_series(1, 10) g");
    ASSERT_EQ(world_->settle(60s), "") << world_->logs();
    now_follows(world_->legacy);
    world_->modern.exec("UPDATE stock SET note = 'by modern s clients' WHERE id <= 5");
    ASSERT_EQ(world_->settle(60s), "") << world_->logs();
    EXPECT_EQ(drift(world_->legacy), "");

    world_->legacy.exec("SET session_replication_role = replica; UPDATE stock SET note = 'by hand' WHERE id = 7");
    ASSERT_EQ(world_->settle(60s), "") << world_->logs();
    world_->modern.exec("UPDATE stock SET note = 'once more' WHERE id = 7");
    ASSERT_EQ(world_->settle(60s), "") << world_->logs();
    ASSERT_TRUE(passed(world_->modern, world_->legacy, "app_back"));
    EXPECT_EQ(drift(world_->legacy), "app_back public.stock update_origin_differs\n");
}

TEST_F(both_ways, nothing_is_applied_that_could_not_be_told_from_others) {
    begin();
    if (std::stoi(world_->modern.value("SHOW server_version_num")) >= 160000)
        GTEST_SKIP() << "whoever made the cluster is a superuser for good";
    world_->modern.exec("CREATE ROLE admin SUPERUSER LOGIN");
    const auto as_admin = [&](const std::string& sql) {
        auto db = pgclient::connection::open(world_->modern.dsn("app", "admin"), {});
        ASSERT_TRUE(db);
        const auto done = db->exec(sql);
        ASSERT_TRUE(done) << pgclient::to_string(done.error());
    };
    as_admin(
        "ALTER ROLE crossfade NOSUPERUSER; GRANT SET ON PARAMETER session_replication_role TO crossfade;"
        "REVOKE EXECUTE ON FUNCTION pg_replication_origin_session_setup(text) FROM crossfade");
    world_->cdc.kill9();
    world_->cdc.start();
    const auto reason = [&] { return status_of(world_->cdc, "reason"); };
    ASSERT_TRUE(support::eventually(
        30s, [&] { return reason().find("no replication origin can be used") != std::string::npos; }))
        << reason() << world_->logs();
    EXPECT_EQ(status_of(world_->cdc, "state"), "waiting");
    EXPECT_THAT(status_of(world_->cdc, "way_out"), HasSubstr("crossfade check"));
    world_->legacy.exec("INSERT INTO stock VALUES (1, 'waits')");
    EXPECT_EQ(world_->modern.value("SELECT count(*) FROM stock"), "0");
    as_admin("ALTER ROLE crossfade SUPERUSER");
    EXPECT_EQ(world_->settle(60s), "") << world_->logs();
    EXPECT_EQ(status_of(world_->cdc, "state"), "applying");
}

// Rows on their way to legacy are as little a difference as those on their way to modern.
TEST_F(both_ways, verify_waits_for_both) {
    begin();
    ASSERT_EQ(world_->settle(60s), "") << world_->logs();
    go_round();
    auto holder = pgclient::connection::open(world_->legacy.dsn(), {}).value();
    ASSERT_TRUE(holder.exec("BEGIN; LOCK TABLE public.stock IN EXCLUSIVE MODE"));
    world_->modern.exec("INSERT INTO stock VALUES (1, 'on its way')");
    auto verifying = std::async(std::launch::async, [this] { return world_->crossfade({"verify", "--wait", "60"}); });
    // Legacy is asked nothing more than once but how far the way back is.
    EXPECT_TRUE(support::eventually(30s, [&] {
        return verifying.wait_for(0s) == std::future_status::ready ||
               world_->legacy.value(
                   "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'crossfade-ctl'"
                   " AND query LIKE '%crossfade.progress%'") == "1";
    })) << world_->logs();
    ASSERT_TRUE(holder.exec("COMMIT"));
    const auto equal = verifying.get();
    EXPECT_EQ(equal.exit_code, 0) << equal.output << equal.errors;

    ASSERT_TRUE(holder.exec("BEGIN; LOCK TABLE public.stock IN EXCLUSIVE MODE"));
    world_->modern.exec("INSERT INTO stock VALUES (2, 'on its way')");
    const auto waited = world_->crossfade({"verify", "--wait", "10"});
    EXPECT_EQ(waited.exit_code, 1);
    EXPECT_THAT(waited.errors, HasSubstr("the way back is at"));
    // There is no such way any more.
    world_->modern.exec("UPDATE crossfade.authority SET completed_at = now()");
    EXPECT_THAT(world_->crossfade({"verify", "--wait", "60"}).output, HasSubstr("DIFFERENT: 1 of 3 tables"));
    ASSERT_TRUE(holder.exec("COMMIT"));
}

TEST_F(both_ways, init_finds_all_there_the_second_time) {
    begin();
    world_->legacy.exec("INSERT INTO stock VALUES (1, 'x')");
    world_->modern.exec("INSERT INTO stock VALUES (2, 'y'); CREATE TABLE public.newer (id int PRIMARY KEY)");
    ASSERT_EQ(world_->settle(60s), "") << world_->logs();
    const auto positions = [&] {
        return world_->legacy.value("SELECT count(*) || created_at::text FROM crossfade.progress GROUP BY created_at") +
               world_->modern.value("SELECT count(*) || created_at::text FROM crossfade.progress GROUP BY created_at");
    };
    const auto before = positions();
    const auto again = world_->crossfade({"init"});
    EXPECT_EQ(again.exit_code, 0) << again.output << again.errors;
    EXPECT_THAT(again.output, HasSubstr("progress of stream app_back"));
    EXPECT_THAT(again.output, HasSubstr("schema crossfade on legacy"));
    EXPECT_THAT(again.output, HasSubstr("without public.newer: legacy has no such table"));
    EXPECT_EQ(positions(), before);
    // Each way's entry is on its follower, and that of the fences on modern.
    const std::string audited =
        "SELECT string_agg(stream || ' ' || scope, ', ' ORDER BY id) FROM crossfade.audit WHERE action = 'init'";
    const std::string on_modern = "app legacy to modern, app the authority, and both sides' fences";
    EXPECT_EQ(world_->modern.value(audited), on_modern + ", " + on_modern);
    EXPECT_EQ(world_->legacy.value(audited), "app_back modern to legacy, app_back modern to legacy");
    EXPECT_EQ(world_->crossfade({"audit", "verify"}).exit_code, 0);
    const auto status = world_->crossfade({"status"});
    EXPECT_THAT(status.output, HasSubstr("app_back"));
    EXPECT_EQ(status.exit_code, 0) << status.output;
    take_fence_away();
    world_->modern.exec("INSERT INTO public.newer VALUES (1); INSERT INTO stock VALUES (3, 'z')");
    EXPECT_EQ(world_->settle(60s), "") << world_->logs();
    EXPECT_EQ(world_->legacy.value("SELECT count(*) FROM crossfade.dead_letters"), "0");
}

}  // namespace
}  // namespace crossfade
