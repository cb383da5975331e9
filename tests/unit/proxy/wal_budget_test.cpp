#include "proxy/capture/wal_budget.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace crossfade::proxy::capture {
namespace {

constexpr std::uint64_t mib = std::uint64_t{1} << 20;

TEST(wal_budget, says_what_is_wrong_with_the_wal_that_is_kept) {
    settings::configuration config;
    config.stream.name = "app";
    config.stream.retained_wal_budget = 100 * mib;
    struct {
        kept_wal now;
        const char* reason;
        bool over_budget;
    } const cases[]{
        {{0, "reserved", {}, "", 0, 0}, "", false},
        {{100 * mib, "extended", 5 * mib, "", 0, 7}, "", false},
        {{101 * mib, "extended", 5 * mib, "", 0, 7}, "keeps 101 MiB of WAL on legacy", true},
        {{90 * mib, "unreserved", 0, "", 0, 7}, "about to lose WAL", false},
        {{101 * mib, "unreserved", 0, "", 0, 7}, "about to lose WAL", true},
        // Nothing is kept any more.
        {{0, "lost", {}, "idle_timeout", 0, 0}, "(idle_timeout)", false},
        {{999 * mib, "lost", {}, "", 0, 0}, "is lost", false},
    };
    for (const auto& one : cases) {
        const auto got = judge_wal(one.now, config);
        EXPECT_THAT(got.reason, testing::HasSubstr(one.reason));
        EXPECT_EQ(got.reason.empty(), std::string_view{one.reason}.empty());
        EXPECT_EQ(got.way_out.empty(), got.reason.empty());
        EXPECT_EQ(got.over_budget, one.over_budget) << one.reason;
    }
}

}  // namespace
}  // namespace crossfade::proxy::capture
