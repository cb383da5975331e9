// Rows that a proxy has written and nobody compares: cdc.verify_mirrored_percent.
#include <gtest/gtest.h>

#include <cmath>
#include <csignal>

#include "tests/integration/stream/by_hand.hpp"
#include "tests/support/http.hpp"
#include "tests/support/programs.hpp"

namespace crossfade {
namespace {

using namespace std::chrono_literals;

// Mirrors until it is believed, which it isn't for some seconds after crossfade-cdc has met the table: how many
// transactions that took, or none if it never was.
int until_believed(const chaos::landscape& world) {
    const auto metric = [&](const char* name) {
        return support::sample_value(support::http_get(world.cdc.admin_port(), "/metrics").body, name);
    };
    int count = 0;
    const bool believed = support::eventually(60s, [&] {
        const auto id = std::to_string(1000 + ++count);
        const auto mirror = "INSERT INTO public.items (id) VALUES (" + id + ")";
        mirrored{world, mirror, mirror, {id}}.commit();
        return metric("crossfade_events_skipped_total{reason=\"mirrored-trusted\"") > 0;
    });
    return believed ? count : 0;
}

bool are_all_taken(const chaos::landscape& world) {
    return support::eventually(30s,
                               [&] { return world.modern.value("SELECT count(*) FROM crossfade.receipts") == "0"; });
}

TEST(receipts_that_are_believed, are_looked_at_from_the_next_reload_on) {
    if (!support::kafka_broker::available()) GTEST_SKIP() << "no Kafka: script/bootstrap --kafka";
    const chaos::landscape world{{.schema = "CREATE TABLE items (id int PRIMARY KEY, note text);",
                                  .cdc_settings = ", verify_mirrored_percent: 0",
                                  .strategy = "mirror"}};
    const auto metric = [&](const std::string& name) {
        const auto value = support::sample_value(support::http_get(world.cdc.admin_port(), "/metrics").body, name);
        return std::isnan(value) ? 0 : value;
    };
    const auto note = [&](int id) {
        return world.modern.value("SELECT note FROM public.items WHERE id = " + std::to_string(id));
    };
    constexpr const char* trusted = "crossfade_events_skipped_total{reason=\"mirrored-trusted\"";
    constexpr const char* healed = "crossfade_mirror_healed_rows_total";

    const int judged = until_believed(world);
    ASSERT_GT(judged, 0) << world.logs();
    EXPECT_TRUE(support::eventually(30s, [&] { return metric("crossfade_mirror_judged_total") == judged; }));
    const auto before = metric(trusted);
    mirrored{world,
             "INSERT INTO public.items VALUES (1, 'right'), (2, 'good')",
             "INSERT INTO public.items VALUES (1, 'wrong'), (2, 'good')",
             {"1", "2"}}
        .commit();
    EXPECT_TRUE(support::eventually(30s, [&] { return metric(trusted) == before + 2; })) << world.logs();
    EXPECT_EQ(world.modern.value("SELECT count(*) FROM crossfade.receipts"), "0");
    EXPECT_EQ(note(1), "wrong");
    EXPECT_EQ(metric("crossfade_mirror_judged_total"), judged + 1);
    // What comes by the stream behind them finds the rows as it should.
    world.legacy.exec("UPDATE public.items SET note = 'streamed' WHERE id = 2");
    EXPECT_TRUE(support::eventually(30s, [&] { return note(2) == "streamed"; })) << world.logs();
    EXPECT_EQ(metric(healed), 0);
    EXPECT_EQ(world.complaints(), "");

    auto text = world.configuration();
    const std::string none = "verify_mirrored_percent: 0";
    world.cdc.configure(text.replace(text.find(none), none.size(), "verify_mirrored_percent: 100"));
    ASSERT_TRUE(
        support::eventually(30s, [&] { return metric("crossfade_config_reloads_total{result=\"applied\"}") == 1; }));
    mirrored{world,
             "UPDATE public.items SET note = 'changed' WHERE id IN (1, 2)",
             "UPDATE public.items SET note = 'changed' WHERE id = 2",
             {"1", "2"}}
        .commit();
    EXPECT_EQ(world.settle(30s), "") << world.logs();
    EXPECT_TRUE(support::eventually(5s, [&] { return metric(healed) == 1; }));
    EXPECT_EQ(metric(trusted), before + 2);
}

// A proxy that hasn't heard of the DDL takes the values for those of the columns that it knows.
TEST(receipts_that_are_believed, are_not_of_rows_in_columns_that_have_changed) {
    if (!support::kafka_broker::available()) GTEST_SKIP() << "no Kafka: script/bootstrap --kafka";
    const chaos::landscape world{{.schema = "CREATE TABLE items (id int PRIMARY KEY, a text, b text);",
                                  .cdc_settings = ", verify_mirrored_percent: 0",
                                  .strategy = "mirror"}};
    const auto b = [&](int id) {
        return world.modern.value("SELECT b FROM public.items WHERE id = " + std::to_string(id));
    };
    world.modern.exec("ALTER TABLE public.items ADD COLUMN c text");
    world.legacy.exec("INSERT INTO public.items VALUES (1, 'a', 'b'), (2, 'a', 'b')");
    ASSERT_GT(until_believed(world), 0) << world.logs();
    const auto mirror = [&](int id) {
        const auto where = " WHERE id = " + std::to_string(id);
        mirrored{world,
                 "UPDATE public.items SET b = 'x'" + where,
                 "UPDATE public.items SET a = 'x', b = NULL" + where,
                 {std::to_string(id)}}
            .commit();
        EXPECT_TRUE(are_all_taken(world)) << world.logs();
    };
    mirror(1);
    EXPECT_EQ(b(1), "") << "as long as nothing has changed";
    world.legacy.exec("ALTER TABLE public.items DROP COLUMN a, ADD COLUMN c text");
    EXPECT_TRUE(support::eventually(30s, [&] {
        return world.modern.value("SELECT count(*) FROM crossfade.ddl") == "1";
    })) << "in a batch of its own";
    mirror(2);
    EXPECT_EQ(b(2), "x") << world.logs();
}

TEST(receipts_that_are_believed, are_not_those_of_others) {
    if (!support::kafka_broker::available()) GTEST_SKIP() << "no Kafka: script/bootstrap --kafka";
    const chaos::landscape world{{.schema = "CREATE TABLE items (id int PRIMARY KEY, note text);",
                                  .cdc_settings = ", verify_mirrored_percent: 0",
                                  .strategy = "mirror"}};
    world.legacy.exec("INSERT INTO public.items VALUES (1, 'old'), (2, 'old')");
    ASSERT_GT(until_believed(world), 0) << world.logs();
    mirrored{world,
             "UPDATE public.items SET note = 'kept' WHERE id = 1",
             "UPDATE public.items SET note = 'lost' WHERE id = 1",
             {"1", "2"}}
        .commit();
    EXPECT_TRUE(support::eventually(10s, [&] {
        return world.modern.value("SELECT note FROM public.items WHERE id = 1") == "kept";
    })) << world.logs();
}

// The stream takes away the row of the one key, and leaves out that it comes again by the other.
TEST(receipts_that_are_believed, are_not_of_keys_that_equal_others) {
    if (!support::kafka_broker::available()) GTEST_SKIP() << "no Kafka: script/bootstrap --kafka";
    chaos::landscape world{
        {.schema = "CREATE TABLE prices (id numeric PRIMARY KEY, note text); CREATE TABLE items (id int PRIMARY KEY);",
         .cdc_settings = ", verify_mirrored_percent: 0",
         .strategy = "mirror"}};
    const std::string first = "INSERT INTO public.prices VALUES (1.0, 'a')";
    mirrored{world, first, first, {"1.0"}, "prices"}.commit();
    ASSERT_GT(until_believed(world), 0) << world.logs();
    world.cdc.signal(SIGSTOP);
    world.legacy.exec("UPDATE public.prices SET id = 1.00 WHERE id = 1");
    const std::string update = "UPDATE public.prices SET note = 'b' WHERE id = 1.00";
    mirrored{world, update, update, {"1.00"}, "prices"}.commit();
    world.cdc.signal(SIGCONT);
    EXPECT_EQ(world.settle(30s), "") << world.logs();
    EXPECT_TRUE(are_all_taken(world));
    EXPECT_EQ(world.settle(30s), "");
}

bool stands_still(pid_t process) {
    const auto status = support::read_file("/proc/" + std::to_string(process) + "/stat");
    const auto name_ends = status.rfind(") ");
    return name_ends != std::string::npos && status.at(name_ends + 2) == 'T';
}

// Proxies know of a copy two seconds after it has begun.
TEST(receipts_that_are_believed, are_not_of_rows_that_a_copy_has_cleared) {
    if (!support::kafka_broker::available()) GTEST_SKIP() << "no Kafka: script/bootstrap --kafka";
    chaos::landscape world{{.schema = "CREATE TABLE items (id int PRIMARY KEY, note text);",
                            .rows = "INSERT INTO items VALUES (0, 'copied')",
                            .cdc_settings = ", verify_mirrored_percent: 0",
                            .strategy = "mirror"}};
    support::child_process copying{{.argv = {support::program_path("crossfade").string(), "--config",
                                             world.proxy.config_path().string(), "backfill"},
                                    .environment = {{"CROSSFADE_FAILPOINT", "backfill.snapshot:1:stop"}}}};
    ASSERT_TRUE(support::eventually(30s, [&] { return stands_still(copying.pid()); }));
    const std::string mirror = "INSERT INTO public.items VALUES (1, 'mirrored')";
    mirrored{world, mirror, mirror, {"1"}}.commit();
    copying.signal(SIGCONT);
    EXPECT_EQ(copying.wait_exit(60s), 0);
    EXPECT_EQ(world.settle(30s), "") << world.logs();
    EXPECT_EQ(world.complaints(), "");

    ASSERT_GT(until_believed(world), 0) << world.logs();
    mirrored{
        world, "INSERT INTO public.items VALUES (2, 'right')", "INSERT INTO public.items VALUES (2, 'wrong')", {"2"}}
        .commit();
    EXPECT_TRUE(
        support::eventually(30s, [&] { return world.modern.value("SELECT count(*) FROM crossfade.receipts") == "0"; }));
    EXPECT_EQ(world.modern.value("SELECT note FROM public.items WHERE id = 2"), "wrong") << "others are believed";

    // The programs of now beside a schema that `crossfade init` hasn't brought up to them.
    world.modern.exec("ALTER TABLE crossfade.tables DROP COLUMN filled_lsn");
    const auto refused = world.crossfade({"backfill"});
    EXPECT_EQ(refused.exit_code, 1);
    EXPECT_NE(refused.errors.find("crossfade init"), std::string::npos) << refused.output << refused.errors;
    world.cdc.kill9();
    world.cdc.start();
    world.legacy.exec("INSERT INTO items VALUES (3, 'streamed')");
    EXPECT_TRUE(support::eventually(30s, [&] {
        return world.modern.value("SELECT count(*) FROM public.items WHERE id = 3") == "1";
    })) << world.logs();
    EXPECT_EQ(world.crossfade({"init"}).exit_code, 0);
    EXPECT_EQ(world.crossfade({"backfill"}).exit_code, 0);
    EXPECT_EQ(world.settle(30s), "") << world.logs();
}

}  // namespace
}  // namespace crossfade
