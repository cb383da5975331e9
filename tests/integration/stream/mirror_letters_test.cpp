// Rows that the proxy writes to modern itself while an older change of theirs waits among the dead letters.
#include <gtest/gtest.h>

#include <string>

#include "tests/integration/stream/mirror_rows.hpp"

namespace crossfade {
namespace {

using namespace std::chrono_literals;

class mirror_letters : public mirror_rows, public testing::WithParamInterface<const char*> {
  protected:
    mirror_letters() { cdc_settings_ = std::string{", verify_mirrored_percent: "} + GetParam(); }
};

// What was asked for is older than what the application was told that modern has.
TEST_P(mirror_letters, that_are_replayed_are_not_the_last_word) {
    begin("10s");
    run("INSERT INTO accounts VALUES (1, 1, 'old'), (2, 1, 'old')");
    ASSERT_EQ(world_->settle(30s), "");
    // Not by the proxy, which would let the table rest.
    world_->modern.exec("ALTER TABLE accounts ADD CONSTRAINT few CHECK (balance < 100)");
    world_->legacy.exec("UPDATE accounts SET balance = 500 WHERE id < 10; INSERT INTO accounts VALUES (3, 500)");
    ASSERT_TRUE(support::eventually(30s, [&] {
        return world_->modern.value("SELECT count(*) FROM crossfade.dead_letters WHERE state = 'refused'") == "3";
    })) << world_->logs();
    world_->kill(chaos::victim::cdc);
    world_->modern.exec("ALTER TABLE accounts DROP CONSTRAINT few");
    world_->modern.exec("UPDATE crossfade.dead_letters SET state = 'replay'");
    const auto before = mirrored();
    run("UPDATE accounts SET balance = 7, note = 'new' WHERE id = 1");
    run("DELETE FROM accounts WHERE id = 2");
    run("INSERT INTO accounts VALUES (3, 7) ON CONFLICT (id) DO UPDATE SET balance = excluded.balance, note = 'new'");
    EXPECT_EQ(mirrored(), before + 3);
    EXPECT_EQ(world_->difference(), "");
    world_->revive(chaos::victim::cdc);
    EXPECT_TRUE(support::eventually(30s, [&] { return receipts() == "0"; })) << world_->logs();
    EXPECT_EQ(world_->settle(30s), "") << world_->complaints() << world_->logs();
    EXPECT_EQ(world_->modern.value("SELECT count(*) FROM crossfade.dead_letters"), "0");
    EXPECT_EQ(world_->modern.value("SELECT string_agg(DISTINCT kind || ' ' || state, ', ') FROM crossfade.drift"),
              "rejected repaired");
}

INSTANTIATE_TEST_SUITE_P(where, mirror_letters, testing::Values("100", "0"),
                         [](const auto& percent) { return std::string{percent.param} + "_percent_are_verified"; });

}  // namespace
}  // namespace crossfade
