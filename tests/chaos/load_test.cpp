// pgbench's TPC-B through the proxy, by each of PostgreSQL's protocols: no client error, both sides equal afterwards,
// no drift, and a lag that is told. CROSSFADE_LOAD_SECONDS is the time of each run.
#include <gmock/gmock.h>

#include <algorithm>
#include <cstdlib>
#include <iostream>

#include "tests/chaos/landscape.hpp"
#include "tests/support/configured.hpp"
#include "tests/support/eventually.hpp"
#include "tests/support/http.hpp"

namespace crossfade::chaos {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;
using testing::Not;

std::chrono::seconds duration() {
    return std::chrono::seconds{support::configured("CROSSFADE_LOAD_SECONDS", 8)};
}

std::string line_with(const std::string& text, std::string_view words) {
    const auto found = text.find(words);
    return found == std::string::npos ? std::string{} : text.substr(found, text.find('\n', found) - found);
}

// Over all samples of a metric with labels.
double sum_of(const std::string& exposition, const std::string& metric) {
    double sum = 0;
    for (auto at = exposition.find('\n' + metric + '{'); at != std::string::npos;
         at = exposition.find('\n' + metric + '{', at + 1)) {
        const auto line = exposition.substr(at + 1, exposition.find('\n', at + 1) - at - 1);
        sum += std::stod(line.substr(line.rfind(' ')));
    }
    return sum;
}

// Of crossfade-cdc while the load runs; at intervals, as asking costs the machine that is measured.
class lag_samples {
  public:
    void take(std::uint16_t admin_port) {
        if (std::chrono::steady_clock::now() < next_) return;
        next_ = std::chrono::steady_clock::now() + 100ms;
        const auto metrics = support::http_get(admin_port, "/metrics").body;
        seconds_.push_back(support::sample_value(metrics, "crossfade_stream_lag_seconds"));
        most_bytes_ = std::max(most_bytes_, support::sample_value(metrics, "crossfade_stream_lag_bytes"));
    }
    std::string summary() {
        std::sort(seconds_.begin(), seconds_.end());
        return "lag p50 " + std::to_string(seconds_[seconds_.size() / 2]) + " s, p99 " +
               std::to_string(seconds_[seconds_.size() * 99 / 100]) + " s, most " + std::to_string(seconds_.back()) +
               " s, " + std::to_string(static_cast<long>(most_bytes_)) + " bytes";
    }

  private:
    std::chrono::steady_clock::time_point next_;
    std::vector<double> seconds_;
    double most_bytes_ = 0;
};

TEST(load, of_each_protocol_leaves_both_sides_equal) {
    if (!support::kafka_broker::available()) GTEST_SKIP() << "no Kafka: set CROSSFADE_KAFKA_LIBS";
    landscape world{{.scale = 2}};
    const support::temp_dir dir;
    for (const std::string protocol : {"simple", "extended", "prepared"}) {
        SCOPED_TRACE(protocol);
        const auto log = dir.path() / (protocol + ".log");
        support::child_process pgbench{
            {.argv = {(world.legacy.bin_dir() / "pgbench").string(), "-n", "-c", "8", "-j", "2", "-M", protocol, "-T",
                      std::to_string(duration().count()), world.client_dsn()},
             .log = log}};
        lag_samples lag;
        ASSERT_TRUE(support::eventually(duration() + 60s, [&] {
            lag.take(world.cdc.admin_port());
            return !pgbench.running();
        }));
        const auto told = support::read_file(log);
        EXPECT_EQ(pgbench.wait_exit(1s), 0) << told;
        EXPECT_THAT(told, HasSubstr("number of failed transactions: 0 ")) << told;
        EXPECT_THAT(told, Not(HasSubstr("ERROR"))) << told;

        EXPECT_EQ(world.settle(120s), "") << world.logs();
        EXPECT_EQ(world.complaints(), "") << world.logs();
        EXPECT_EQ(sum_of(support::http_get(world.cdc.admin_port(), "/metrics").body, "crossfade_drift_rows"), 0);
        std::cout << protocol << ": " << line_with(told, "number of transactions actually processed") << ", "
                  << line_with(told, "tps = ") << "; " << lag.summary() << '\n';
    }
    // What the checks above would see: a row that is changed by hand, then by the application.
    world.modern.exec("UPDATE pgbench_branches SET bbalance = bbalance + 1 WHERE bid = 1");
    EXPECT_THAT(world.difference(), HasSubstr("pgbench_branches"));
    world.legacy.exec("ALTER TABLE pgbench_branches REPLICA IDENTITY FULL");
    world.legacy.exec("UPDATE pgbench_branches SET bbalance = bbalance + 10 WHERE bid = 1");
    EXPECT_EQ(world.settle(30s), "");
    EXPECT_THAT(world.complaints(), HasSubstr("update_origin_differs repaired: 1"));
    EXPECT_TRUE(support::eventually(30s, [&] {
        return sum_of(support::http_get(world.cdc.admin_port(), "/metrics").body, "crossfade_drift_rows") == 1;
    }));
}

}  // namespace
}  // namespace crossfade::chaos
