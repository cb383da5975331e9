#pragma once

#include <gmock/gmock.h>

#include <memory>
#include <string>
#include <vector>

#include "tests/chaos/client.hpp"
#include "tests/chaos/flipping.hpp"
#include "tests/chaos/landscape.hpp"
#include "tests/chaos/shop.hpp"
#include "tests/support/eventually.hpp"

// What a flip meets that it can't go through: each of these ends in a state that has a name (docs/operations.md,
// Flips), with nothing lost, and when the cause is gone the next flip is like any other.
namespace crossfade::chaos {

inline const std::string legacy_settled = "legacy 1 settled; legacy 1 settled";
inline const std::string modern_settled = "modern 2 settled; modern 2 settled";

// A command's whole answer, as a person at a terminal has it.
inline std::string told(const support::finished& by) {
    return std::to_string(by.exit_code) + '\n' + by.output + by.errors;
}

inline void drop_slot(const support::postgres_cluster& on, const std::string& name) {
    // Who reads it comes again at once.
    const auto gone = support::eventually(std::chrono::seconds{30}, [&] {
        try {
            on.exec("SELECT pg_terminate_backend(active_pid, 5000) FROM pg_replication_slots WHERE slot_name = '" +
                    name + "' AND active_pid IS NOT NULL; SELECT pg_drop_replication_slot('" + name + "')");
            return true;
        } catch (const std::exception&) {
            return false;
        }
    });
    ASSERT_TRUE(gone);
}

class flip_states : public testing::Test {
  protected:
    void SetUp() override {
        if (!support::kafka_broker::available()) GTEST_SKIP() << "no Kafka: set CROSSFADE_KAFKA_LIBS";
        world_ = std::make_unique<landscape>(options());
        load_ = std::make_unique<shop>(world().client_dsn(), 2, "load");
        ASSERT_EQ(in_the_way(world()), "") << world().logs();
        load_->start();
    }

    virtual landscape_options options() const {
        return {.schema = shop::schema(),
                .proxy_settings = ", connect_timeout: 30s",
                .legacy = {.extra_settings = {"max_prepared_transactions=10"}},
                .both_ways = true};
    }
    landscape& world() { return *world_; }
    support::finished flip(const std::string& to, const std::vector<std::string>& more = {}) {
        std::vector<std::string> arguments{"flip", "--to", to};
        arguments.insert(arguments.end(), more.begin(), more.end());
        return world().crossfade(arguments);
    }
    // Of crossfade.authority, on legacy and on modern.
    std::string rows() {
        std::string both;
        for (const auto* side : {&world().legacy, &world().modern})
            both += (both.empty() ? "" : "; ") +
                    side->value("SELECT authority || ' ' || epoch || ' ' || state FROM crossfade.authority");
        return both;
    }
    void expect_writes() {
        const auto before = load_->acknowledged();
        EXPECT_TRUE(support::eventually(std::chrono::seconds{30}, [&] { return load_->acknowledged() > before + 10; }))
            << world().logs();
    }
    // Undone, or never begun: legacy takes the application's writes as before.
    void expect_as_before() {
        EXPECT_EQ(rows(), legacy_settled);
        EXPECT_EQ(authority(world()), "legacy");
        expect_writes();
    }
    // The way there and back, as if nothing had been.
    void expect_flips() {
        for (const std::string to : {"modern", "legacy"}) {
            ASSERT_EQ(in_the_way(world(), to), "") << world().logs();
            const auto made = flip(to, {"--hold-max", "3000"});
            ASSERT_EQ(made.exit_code, 0) << told(made) << world().logs();
            EXPECT_EQ(authority(world()), to);
            expect_writes();
        }
    }
    void stop_load() { load_->stop(); }
    void expect_nothing_lost(const testing::Matcher<std::string>& complaints = testing::IsEmpty()) {
        load_->stop();
        EXPECT_EQ(load_->errors(), 0U) << load_->first_error();
        EXPECT_EQ(world().settle(std::chrono::seconds{30}), "") << world().logs();
        EXPECT_THAT(world().complaints(), complaints) << world().logs();
        for (const auto* side : {&world().legacy, &world().modern}) expect_kept(load_->ledger(), *side, order_tags);
    }
    void expect_status(const std::string& text) {
        std::string last;
        EXPECT_TRUE(support::eventually(std::chrono::seconds{30}, [&] {
            last = told(world().crossfade({"status"}));
            return last.find(text) != std::string::npos;
        })) << last;
    }
    void expect_both_have(const std::string& tag) {
        for (const auto* side : {&world().legacy, &world().modern})
            EXPECT_EQ(side->value("SELECT count(*) FROM orders WHERE tag = '" + tag + '\''), "1") << tag;
    }
    std::string attempts() {
        return world().legacy.value("SELECT attempts FROM crossfade.flips ORDER BY id DESC LIMIT 1");
    }

  private:
    std::unique_ptr<landscape> world_;
    std::unique_ptr<shop> load_;
};

}  // namespace crossfade::chaos
