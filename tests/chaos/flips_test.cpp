// The authority goes over to the other database and back, under load, by several proxies: no client may see an error,
// no row be lost or there twice, no sequence give a value out twice. CROSSFADE_CHAOS_FLIPS is how often.
#include <gmock/gmock.h>

#include <algorithm>
#include <array>
#include <boost/json.hpp>
#include <cmath>
#include <csignal>
#include <iostream>
#include <memory>
#include <optional>
#include <random>

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

constexpr unsigned proxies = 3;

std::string spread(std::vector<double> milliseconds) {
    std::sort(milliseconds.begin(), milliseconds.end());
    const auto at = [&](std::size_t percent) {
        return std::to_string(std::lround(milliseconds[(milliseconds.size() - 1) * percent / 100])) + " ms";
    };
    return "p50 " + at(50) + ", p99 " + at(99) + ", most " + at(100);
}

landscape_options options(const std::string& strategy) {
    // Each connection of a proxy that mirrors has a replication origin.
    const support::postgres_options server{.extra_settings = {"max_replication_slots=100"}};
    return {.scale = application::scale,
            .schema = std::string{workload::schema()} + ';' + shop::schema(),
            // A machine that is busy with other tests takes its time to let a session in.
            .proxy_settings = ", connect_timeout: 30s",
            .strategy = strategy,
            .legacy = server,
            .modern = server,
            .both_ways = true,
            .more_proxies = proxies - 1};
}

class flips : public testing::TestWithParam<std::string> {};

TEST_P(flips, under_load_lose_nothing_and_are_not_felt) {
    if (!support::kafka_broker::available()) GTEST_SKIP() << "no Kafka: set CROSSFADE_KAFKA_LIBS";
    const auto times = support::configured("CROSSFADE_CHAOS_FLIPS", 4);
    landscape world{options(GetParam())};
    ASSERT_EQ(in_the_way(world), "") << world.logs();
    application load{world, proxies, ""};
    load.start();
    std::vector<double> held;
    std::vector<double> waited;
    unsigned attempts = 0;
    for (long each = 0; each < times; ++each) {
        const auto before = load.acknowledged();
        ASSERT_TRUE(support::eventually(60s, [&] { return load.acknowledged() > before + 200; })) << world.logs();
        load.take_longest_ms();
        const std::string to = each % 2 == 0 ? "modern" : "legacy";
        const auto flipped =
            world.crossfade({"flip", "--to", to, "--json", "--reason", "test", "--hold-max", "3000", "--wait", "120"});
        ASSERT_EQ(flipped.exit_code, 0) << each << flipped.output << flipped.errors << world.logs();
        const auto told = boost::json::parse(flipped.output).as_object();
        held.push_back(told.at("held_ms").as_double());
        const auto after = load.acknowledged();
        ASSERT_TRUE(support::eventually(60s, [&] { return load.acknowledged() > after + 100; })) << world.logs();
        waited.push_back(load.take_longest_ms());
        std::cout << boost::json::serialize(told.at("steps_ms")) << '\n';
        attempts += static_cast<unsigned>(told.at("attempts").as_int64());
        ASSERT_EQ(load.errors(), 0U) << "after flip " << each << '\n' << load.first_error() << world.logs();
    }
    const auto before = load.acknowledged();
    EXPECT_TRUE(support::eventually(60s, [&] { return load.acknowledged() > before + 200; })) << world.logs();
    load.stop();
    EXPECT_EQ(load.errors(), 0U) << load.first_error() << world.logs();
    EXPECT_EQ(world.settle(60s), "") << world.logs();
    EXPECT_EQ(world.complaints(), "") << world.logs();
    for (const auto* side : {&world.legacy, &world.modern}) load.expect_kept_on(*side);

    std::cout << GetParam() << ": " << times << " flips in " << attempts << " attempts, " << load.acknowledged()
              << " transactions; writes held " << spread(held) << "; a client waited " << spread(waited) << '\n';
}

INSTANTIATE_TEST_SUITE_P(by, flips, testing::Values("legacy-primary", "mirror"),
                         [](const auto& named) { return named.param == "mirror" ? "mirror" : "stream"; });

// It holds nothing, and hears of the flip when it is over: what its clients have sent meanwhile goes to the new side.
TEST(flip, that_a_proxy_slept_through_is_not_felt) {
    if (!support::kafka_broker::available()) GTEST_SKIP() << "no Kafka: set CROSSFADE_KAFKA_LIBS";
    auto with = options("legacy-primary");
    with.more_publishers = false;  // no flip begins while the stream stands still
    landscape world{with};
    ASSERT_EQ(in_the_way(world), "") << world.logs();
    application load{world, proxies - 1, ""};
    shop asleep{world.dsn_of_proxy(proxies - 1), 4, "asleep", true};
    load.start();
    asleep.start();
    for (const std::string to : {"modern", "legacy", "modern"}) {
        const auto before = asleep.acknowledged();
        ASSERT_TRUE(support::eventually(60s, [&] { return asleep.acknowledged() > before + 20; })) << world.logs();
        world.proxy_at(proxies - 1).signal(SIGSTOP);
        const auto flipped = world.crossfade({"flip", "--to", to, "--hold-max", "5000", "--wait", "120"});
        world.proxy_at(proxies - 1).signal(SIGCONT);
        ASSERT_EQ(flipped.exit_code, 0) << flipped.output << flipped.errors << world.logs();
    }
    const auto before = asleep.acknowledged();
    EXPECT_TRUE(support::eventually(60s, [&] { return asleep.acknowledged() > before + 20; })) << world.logs();
    const auto shown = world.crossfade({"flags", "show"});
    EXPECT_EQ(shown.exit_code, 0) << "the file says nothing of these flips: " << shown.output << shown.errors;
    EXPECT_THAT(shown.output, testing::HasSubstr("the databases have in charge: modern"));
    load.stop();
    asleep.stop();
    EXPECT_EQ(load.errors(), 0U) << load.first_error() << world.logs();
    EXPECT_EQ(asleep.errors(), 0U) << asleep.first_error() << world.logs();
    EXPECT_EQ(world.settle(60s), "") << world.logs();
    for (const auto* side : {&world.legacy, &world.modern}) {
        load.expect_kept_on(*side);
        expect_kept(asleep.ledger(), *side, order_tags);
    }
}

// A database that hangs keeps nobody from hearing what the other one says.
TEST(flip, that_can_not_be_as_modern_hangs_is_not_felt) {
    if (!support::kafka_broker::available()) GTEST_SKIP() << "no Kafka: set CROSSFADE_KAFKA_LIBS";
    landscape world{options("legacy-primary")};
    ASSERT_EQ(in_the_way(world), "") << world.logs();
    application load{world, proxies, ""};
    load.start();
    const auto stale = [&] {
        double sum = 0;
        for (unsigned each = 0; each < proxies; ++each)
            sum += support::sample_value(support::http_get(world.proxy_at(each).admin_port(), "/metrics").body,
                                         "crossfade_authority_stale_total{stream=\"app\"}");
        return sum;
    };
    const auto before = stale();
    world.signal(victim::modern, SIGSTOP);
    const auto began = std::chrono::steady_clock::now();
    // Longer than it takes to give it up, to be left waiting by it anew, and to take what is known for old.
    while (std::chrono::steady_clock::now() - began < 10s) {
        const auto acknowledged = load.acknowledged();
        ASSERT_TRUE(support::eventually(60s, [&] { return load.acknowledged() > acknowledged + 50; })) << world.logs();
    }
    EXPECT_EQ(stale(), before) << world.logs();
    world.signal(victim::modern, SIGCONT);
    ASSERT_EQ(in_the_way(world), "") << world.logs();
    load.stop();
    EXPECT_EQ(load.errors(), 0U) << load.first_error() << world.logs();
    EXPECT_EQ(world.settle(60s), "") << world.logs();
}

// What is committed on the one side and not on the other when the fence is up.
TEST(flip, is_undone_where_the_stream_stands_still) {
    if (!support::kafka_broker::available()) GTEST_SKIP() << "no Kafka: set CROSSFADE_KAFKA_LIBS";
    landscape world{options("legacy-primary")};
    ASSERT_EQ(in_the_way(world), "") << world.logs();
    armed_flip flip{world, "modern", "flip.held:1:stop", {"--wait", "0"}};
    ASSERT_TRUE(flip.arrives() && flip.running()) << flip.told();
    world.cdc.signal(SIGSTOP);
    world.legacy.exec("INSERT INTO orders (tag) VALUES ('late')");
    flip.go_on();
    const auto ended = flip.wait_exit(60s);
    world.cdc.signal(SIGCONT);
    EXPECT_EQ(ended, 1) << flip.told();
    EXPECT_THAT(flip.told(), testing::HasSubstr("not done, and undone"));
    EXPECT_EQ(authority(world), "legacy");
    EXPECT_EQ(world.settle(60s), "") << world.logs();
    // And the next one is like any other.
    ASSERT_EQ(in_the_way(world), "") << world.logs();
    EXPECT_EQ(world.crossfade({"flip", "--to", "modern", "--hold-max", "3000"}).exit_code, 0) << world.logs();
    EXPECT_EQ(authority(world), "modern");
}

struct strike {
    std::string_view place;
    std::optional<victim> other;  // none: whoever makes the flip
};

constexpr std::array places{"flip.begun",   "flip.holding",   "flip.held",    "flip.fenced",
                            "flip.drained", "flip.sequences", "flip.decided", "flip.opened"};

// Whoever makes a flip, or another program or server, is killed at each step of it.
class flip_strikes : public testing::Test {
  protected:
    void carry_out(const strike& one, const application& load) {
        SCOPED_TRACE(std::string{one.place} + (one.other ? ", " + std::string{to_string(*one.other)} : ""));
        auto before = load.acknowledged();
        ASSERT_TRUE(support::eventually(60s, [&] { return load.acknowledged() > before + 50; })) << world().logs();
        const auto from = authority(world());
        ASSERT_NE(from, "");
        const std::string to = from == "legacy" ? "modern" : "legacy";
        const auto begun = begin(to, std::string{one.place} + (one.other ? ":1:stop" : ":1"));
        ASSERT_TRUE(begun);
        auto& flip = *begun;
        if (one.other) {
            ASSERT_TRUE(flip.running()) << "it ended instead of standing still: " << flip.told() << world().logs();
            world().kill(*one.other);
            flip.go_on();
            world().revive(*one.other);
            ASSERT_TRUE(flip.wait_exit(120s)) << flip.told();
        } else {
            ASSERT_EQ(flip.wait_exit(1s), 128 + SIGKILL) << flip.told();
        }
        std::string now;
        ASSERT_TRUE(support::eventually(60s, [&] { return !(now = authority(world())).empty(); }))
            << flip.told() << world().logs();
        const bool decided =
            one.place == std::string_view{"flip.decided"} || one.place == std::string_view{"flip.opened"};
        if (!one.other) {
            EXPECT_EQ(now, decided ? to : from) << flip.told();
        }
        before = load.acknowledged();
        ASSERT_TRUE(support::eventually(60s, [&] { return load.acknowledged() > before + 50; })) << world().logs();
        std::cout << one.place << ' ' << (one.other ? to_string(*one.other) : "") << ": " << now << '\n' << std::flush;
    }

    // Until its failpoint. A row that takes more than 5 s to go round, right after a server was killed and on a machine
    // that has too much to do, is what a gate is there to refuse; then it is begun anew. Null: it came to nothing.
    std::unique_ptr<armed_flip> begin(const std::string& to, const std::string& armed) {
        for (int attempt = 1;; ++attempt) {
            const auto objection = in_the_way(world(), to);
            EXPECT_EQ(objection, "") << world().logs();
            auto made = std::make_unique<armed_flip>(world(), to, armed);
            if (!objection.empty() || !made->arrives()) return nullptr;
            const bool refused =
                !made->running() && made->told().find("refused; nothing has changed") != std::string::npos;
            if (!refused || attempt == 3) return made;
            std::cout << "refused by a gate, " << authority(world()) << '\n' << made->told() << std::flush;
        }
    }

    void carry_out_all(const std::vector<strike>& all) {
        application load{world(), proxies, std::string(1, static_cast<char>('A' + loads_++))};
        bypass past_legacy{world().legacy.dsn(), "L" + std::to_string(loads_)};
        bypass past_modern{world().modern.dsn(), "M" + std::to_string(loads_)};
        load.start();
        past_legacy.start();
        past_modern.start();
        for (const auto& each : all) {
            carry_out(each, load);
            if (HasFatalFailure()) break;
        }
        load.stop();
        past_legacy.stop();
        past_modern.stop();
        const bool felt = std::ranges::any_of(all, [](const strike& one) {
            return one.other == victim::proxy || one.other == victim::legacy || one.other == victim::modern;
        });
        if (!felt) {
            EXPECT_EQ(load.errors(), 0U) << load.first_error() << world().logs();
        }
        EXPECT_GT(past_legacy.refused() + past_modern.refused(), 0U);
        EXPECT_EQ(world().settle(120s), "") << world().logs();
        EXPECT_EQ(world().complaints(), "") << world().logs();
        for (const auto* side : {&world().legacy, &world().modern}) {
            load.expect_kept_on(*side);
            expect_kept(past_legacy.ledger(), *side, order_tags);
            expect_kept(past_modern.ledger(), *side, order_tags);
        }
        EXPECT_EQ(taken_on_the_wrong_side(world(), "orders"), "");
    }

    void SetUp() override {
        if (!support::kafka_broker::available()) GTEST_SKIP() << "no Kafka: set CROSSFADE_KAFKA_LIBS";
        world_ = std::make_unique<landscape>(options("legacy-primary"));
        ASSERT_EQ(in_the_way(*world_), "") << world_->logs();
    }
    landscape& world() { return *world_; }

  private:
    std::unique_ptr<landscape> world_;
    unsigned loads_ = 0;
};

TEST_F(flip_strikes, on_who_makes_the_flip_are_not_felt) {
    std::vector<strike> all;
    // Two that are undone and two that are finished; all of them where there is time.
    const bool whole = support::configured("CROSSFADE_CHAOS_FLIP_STRIKES", 0) > 0;
    for (const std::string_view place : places)
        if (whole || place == "flip.held" || place == "flip.drained" || place == "flip.decided" ||
            place == "flip.opened")
            all.push_back({place, {}});
    carry_out_all(all);
}

// CROSSFADE_CHAOS_FLIP_STRIKES: so many at random. CROSSFADE_CHAOS_SEED repeats a run's choice.
TEST_F(flip_strikes, on_any_of_them_lose_nothing) {
    const auto wanted = support::configured("CROSSFADE_CHAOS_FLIP_STRIKES", 3);
    const auto seed = support::configured("CROSSFADE_CHAOS_SEED", std::random_device{}());
    std::cout << "CROSSFADE_CHAOS_SEED=" << seed << '\n';
    std::mt19937 random{static_cast<std::mt19937::result_type>(seed)};
    for (long done = 0; done < wanted && !HasFailure();) {
        std::vector<strike> all;
        for (; all.size() < 25 && done < wanted; ++done)
            all.push_back(
                {places[random() % places.size()], all_victims[static_cast<std::size_t>(done) % all_victims.size()]});
        carry_out_all(all);
    }
}

}  // namespace
}  // namespace crossfade::chaos
