// Each part killed with SIGKILL in turn, under load, and started again. At the end nothing that a client was told may
// be missing, on either side, nothing may be there twice, and no row may differ.
#include <gtest/gtest.h>

#include <cstdlib>
#include <iostream>
#include <unordered_map>

#include "tests/chaos/landscape.hpp"
#include "tests/chaos/workload.hpp"
#include "tests/support/configured.hpp"
#include "tests/support/eventually.hpp"

namespace crossfade::chaos {
namespace {

using namespace std::chrono_literals;
using support::eventually;

unsigned rounds() {
    return static_cast<unsigned>(support::configured("CROSSFADE_CHAOS_ROUNDS", 1));
}

class kill_9 : public testing::Test {
  protected:
    static constexpr unsigned scale = 2;
    static constexpr unsigned clients = 8;

    void SetUp() override {
        if (!support::kafka_broker::available()) GTEST_SKIP() << "no Kafka: set CROSSFADE_KAFKA_LIBS";
        world_ = std::make_unique<landscape>(scale, workload::schema());
        load_ = std::make_unique<workload>(world_->client_dsn(), clients, scale);
    }
    void TearDown() override {
        load_.reset();
        if (HasFailure() && world_) std::cerr << world_->logs();
        world_.reset();
    }

    // Waits until the application has done this many more transactions.
    [[nodiscard]] bool goes_on(std::uint64_t more) const {
        const auto target = load_->acknowledged() + more;
        return eventually(60s, [&] { return load_->acknowledged() >= target; });
    }

    void strike(victim which) {
        SCOPED_TRACE(to_string(which));
        ASSERT_TRUE(goes_on(100)) << "the load stands still before the kill; last error: " << load_->last_error();
        const auto errors = load_->errors();
        world_->kill(which);
        if (!serves_clients(which)) {
            ASSERT_TRUE(goes_on(300)) << "the application stands still while the part is away";
            EXPECT_EQ(load_->errors(), errors) << "the application felt it: " << load_->last_error();
        }
        world_->revive(which);
        ASSERT_TRUE(goes_on(100)) << "the load stands still after the restart; last error: " << load_->last_error();
    }

    // Every tag's fate on one side against what its client knows.
    void check_ledger(const support::postgres_cluster& side) const {
        std::unordered_map<std::string, unsigned> there;
        for (const auto& row : side.exec("SELECT rtrim(filler), count(*) FROM pgbench_history GROUP BY 1"))
            there[row[0]] = static_cast<unsigned>(std::stoul(row[1]));
        unsigned lost = 0;
        unsigned twice = 0;
        unsigned ghosts = 0;
        for (const auto& [tag, result] : load_->ledger()) {
            const auto found = there.find(tag);
            const unsigned copies = found == there.end() ? 0 : found->second;
            if (result == outcome::acknowledged && copies == 0) ++lost;
            if (result == outcome::aborted && copies != 0) ++ghosts;
            if (copies > 1) ++twice;
        }
        EXPECT_EQ(lost, 0U) << "acknowledged and missing";
        EXPECT_EQ(twice, 0U) << "applied more than once";
        EXPECT_EQ(ghosts, 0U) << "never committed and there";
    }

    std::unique_ptr<landscape> world_;
    std::unique_ptr<workload> load_;
};

TEST_F(kill_9, of_each_part_in_turn_loses_and_doubles_nothing) {
    load_->start();
    for (unsigned round = 1; round <= rounds(); ++round)
        for (const auto which : all_victims) {
            SCOPED_TRACE("round " + std::to_string(round));
            strike(which);
            if (HasFatalFailure()) return;
        }
    load_->stop();
    EXPECT_EQ(load_->hung(), 0U) << "sessions without an answer";

    EXPECT_EQ(world_->settle(120s), "");
    EXPECT_EQ(world_->complaints(), "");
    {
        SCOPED_TRACE("legacy");
        check_ledger(world_->legacy);
    }
    {
        SCOPED_TRACE("modern");
        check_ledger(world_->modern);
    }
    std::cout << load_->acknowledged() << " transactions acknowledged, " << load_->errors() << " client errors\n";
}

}  // namespace
}  // namespace crossfade::chaos
