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

    mirrored{world,
             "INSERT INTO public.items VALUES (1, 'right'), (2, 'good')",
             "INSERT INTO public.items VALUES (1, 'wrong'), (2, 'good')",
             {"1", "2"}}
        .commit();
    EXPECT_TRUE(support::eventually(30s, [&] { return metric(trusted) == 2; })) << world.logs();
    EXPECT_EQ(world.modern.value("SELECT count(*) FROM crossfade.receipts"), "0");
    EXPECT_EQ(note(1), "wrong");
    EXPECT_EQ(metric("crossfade_mirror_judged_total"), 1);
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
    EXPECT_EQ(metric(trusted), 2);
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
