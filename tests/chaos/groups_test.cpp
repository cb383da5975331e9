// A group of tables goes over to the other database and back by itself, under load: no client may see an error, and no
// row be lost or there twice. Clients write to both groups, each transaction to one. CROSSFADE_CHAOS_FLIPS is how
// often.
#include <gmock/gmock.h>

#include <boost/json.hpp>
#include <iostream>
#include <memory>

#include "tests/chaos/client.hpp"
#include "tests/chaos/flipping.hpp"
#include "tests/chaos/landscape.hpp"
#include "tests/chaos/shop.hpp"
#include "tests/chaos/workload.hpp"
#include "tests/support/configured.hpp"
#include "tests/support/eventually.hpp"
#include "tests/support/http.hpp"

namespace crossfade::chaos {
namespace {

using namespace std::chrono_literals;

constexpr unsigned proxies = 2;

// Writes an order, then a note of another group, again and again by one connection.
class wanderer : public crowd {
  public:
    wanderer(std::string dsn, std::string name) : crowd(std::move(dsn), 2, std::move(name)) {}
    ~wanderer() override { stop(); }

  private:
    void run(unsigned client) override {
        connection to;
        for (std::uint64_t sequence = 0; !stopping(); ++sequence) {
            if (!to) to = connect(dsn());
            const auto tag = this->tag(client, sequence);
            const bool order = sequence % 2 == 0;
            const auto [last, result] =
                to ? transact(to.get(), {order ? "INSERT INTO orders (tag) VALUES ('" + tag + "')"
                                               : "INSERT INTO notes VALUES ('" + tag + "')"})
                   : transaction_end{answer::refused, outcome::aborted};
            if (last == answer::done) {
                ++acknowledged_;
            } else {
                failed(tag, to.get());
            }
            knows(client, tag, result);
            pause_after_failure();
            if (last != answer::done) to.reset();
        }
    }
};

landscape_options options(const std::string& strategy) {
    // Each connection of a proxy that mirrors has a replication origin.
    const support::postgres_options server{.extra_settings = {"max_replication_slots=100"}};
    return {.scale = application::scale,
            .schema =
                std::string{workload::schema()} + ';' + shop::schema() + "; CREATE TABLE notes (tag text PRIMARY KEY)",
            .proxy_settings = ", connect_timeout: 30s",
            .strategy = strategy,
            .scopes = "groups: { shop: { tables: [public.orders, public.lines] } }\n",
            .legacy = server,
            .modern = server,
            .both_ways = true,
            .more_proxies = proxies - 1};
}

class groups : public testing::TestWithParam<std::string> {};

TEST_P(groups, change_hands_by_themselves_and_do_not_feel_it) {
    if (!support::kafka_broker::available()) GTEST_SKIP() << "no Kafka: set CROSSFADE_KAFKA_LIBS";
    const auto times = support::configured("CROSSFADE_CHAOS_FLIPS", 4);
    landscape world{options(GetParam())};
    ASSERT_EQ(in_the_way(world, "modern", {"--group", "shop"}), "") << world.logs();
    application load{world, proxies, ""};
    wanderer both{world.dsn_of_proxy(1), "both"};
    load.start();
    both.start();
    const auto more = [&] {
        const auto before = std::pair{load.acknowledged(), both.acknowledged()};
        ASSERT_TRUE(support::eventually(60s, [&] {
            return load.acknowledged() > before.first + 100 && both.acknowledged() > before.second + 10;
        })) << world.logs();
    };
    // By the proxy itself, and by the stream, for which the client waits: orders have a second unique key.
    const auto mirrored = [&] {
        double sum = 0;
        for (unsigned each = 0; each < proxies; ++each) {
            const auto metrics = support::http_get(world.proxy_at(each).admin_port(), "/metrics").body;
            for (const auto* one :
                 {"crossfade_mirror_mirrored_total", "crossfade_mirror_waits_total{result=\"applied\"}"})
                sum += support::sample_value(metrics, one);
        }
        return sum;
    };
    for (long each = 0; each < times && !testing::Test::HasFatalFailure(); ++each) {
        more();
        // The group away, the rest after it, the group back, the rest back.
        const std::vector<std::string> scope =
            each % 2 == 0 ? std::vector<std::string>{"--group", "shop"} : std::vector<std::string>{};
        std::vector<std::string> arguments{
            "flip", "--to", (each / 2) % 2 == 0 ? "modern" : "legacy", "--json", "--hold-max", "3000", "--wait", "120"};
        arguments.insert(arguments.end(), scope.begin(), scope.end());
        const auto flipped = world.crossfade(arguments);
        ASSERT_EQ(flipped.exit_code, 0) << flipped.output << flipped.errors << world.logs();
        std::cout << boost::json::serialize(boost::json::parse(flipped.output).as_object().at("steps_ms")) << '\n';
        if (scope.empty() || GetParam() != "mirror") continue;
        const auto before = mirrored();
        more();
        EXPECT_GT(mirrored(), before) << "nobody waited for modern while they were apart";
    }
    more();
    load.stop();
    both.stop();
    EXPECT_EQ(load.errors(), 0U) << load.first_error() << world.logs();
    EXPECT_EQ(both.errors(), 0U) << both.first_error() << world.logs();
    EXPECT_EQ(world.settle(60s), "") << world.logs();
    EXPECT_EQ(world.complaints(), "") << world.logs();
    for (const auto* side : {&world.legacy, &world.modern}) {
        load.expect_kept_on(*side);
        expect_kept(both.ledger(), *side,
                    "SELECT tag, count(*) FROM (SELECT tag FROM orders UNION ALL SELECT tag FROM notes) t GROUP BY 1");
    }
    std::cout << load.acknowledged() << " transactions, " << both.acknowledged() << " by who writes to both groups\n";
}

INSTANTIATE_TEST_SUITE_P(by, groups, testing::Values("legacy-primary", "mirror"),
                         [](const auto& named) { return named.param == "mirror" ? "mirror" : "stream"; });

}  // namespace
}  // namespace crossfade::chaos
