// A hundred reloads under pgbench's load, every second one of a file that is wrong: the application notices none, and
// the metrics count each.
#include <gmock/gmock.h>

#include <iostream>

#include "tests/chaos/landscape.hpp"
#include "tests/support/eventually.hpp"
#include "tests/support/http.hpp"

namespace crossfade::chaos {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;

constexpr int reloads = 100;

std::string good(int number) {
    return "  dual_write_strategy: legacy-primary\n  migration_drift_tolerance: 0.0" + std::to_string(1000 + number) +
           '\n';
}

std::string bad(int number) {
    switch (number % 3) {
        case 0:
            return "  dual_write_strategy: legacy-secondary\n";
        case 1:
            return "  migration_drift_tolerance: [\n";
        default:
            return "  dual_write_strategy: modern-only\n  hybrid_read_strategy: modern\n";  // another authority
    }
}

TEST(reload, a_hundred_times_under_load_is_not_felt) {
    if (!support::kafka_broker::available()) GTEST_SKIP() << "no Kafka: set CROSSFADE_KAFKA_LIBS";
    landscape world{{.scale = 2}};
    const support::temp_dir dir;
    support::child_process pgbench{{.argv = {(world.legacy.bin_dir() / "pgbench").string(), "-n", "-c", "8", "-j", "2",
                                             "-M", "prepared", "-T", "45", "-P", "1", world.client_dsn()},
                                    .log = dir.path() / "pgbench.log"}};
    const auto port = world.proxy.admin_port();
    const auto counted = [&](const std::string& result) {
        return support::sample_value(support::http_get(port, "/metrics").body,
                                     "crossfade_config_reloads_total{result=\"" + result + "\"}");
    };
    ASSERT_TRUE(support::eventually(20s, [&] {
        return support::sample_value(support::http_get(port, "/metrics").body,
                                     "crossfade_transactions_total{strategy=\"legacy-primary\"}") > 100;
    })) << support::read_file(dir.path() / "pgbench.log");

    for (int number = 0; number < reloads; ++number) {
        const bool is_bad = number % 2 == 1;
        world.proxy.configure(world.configuration(is_bad ? bad(number) : good(number)));
        // The proxy watches the file as well; who is first makes the other find nothing changed.
        const double applied = counted("applied");
        const auto reply = support::http_post(port, "/-/reload");
        EXPECT_EQ(reply.status, is_bad ? 422U : 200U) << number << ": " << reply.body;
        EXPECT_LE(counted("applied"), applied + 1);
        ASSERT_TRUE(pgbench.running()) << support::read_file(dir.path() / "pgbench.log") << world.logs();
    }
    // Each good file once; a bad one twice where the watch saw it too.
    EXPECT_EQ(counted("applied"), reloads / 2);
    EXPECT_GE(counted("refused"), reloads / 2);
    EXPECT_EQ(support::sample_value(support::http_get(port, "/metrics").body, "crossfade_flags_epoch"),
              1 + reloads / 2);
    EXPECT_THAT(world.proxy.log(), HasSubstr("refused"));

    EXPECT_EQ(pgbench.wait_exit(90s), 0);
    const auto told = support::read_file(dir.path() / "pgbench.log");
    EXPECT_THAT(told, HasSubstr("number of failed transactions: 0 ")) << told;
    EXPECT_THAT(told, testing::Not(HasSubstr("ERROR"))) << told;
    EXPECT_EQ(world.settle(120s), "") << world.logs();
    EXPECT_EQ(world.complaints(), "") << world.logs();
}

}  // namespace
}  // namespace crossfade::chaos
