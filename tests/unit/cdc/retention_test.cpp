#include "cdc/follow/retention.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace crossfade::cdc::follow {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;
using testing::IsEmpty;

TEST(retention, limits_are_the_topics_settings) {
    EXPECT_EQ(limits_of({{"retention.ms", "604800000"}, {"retention.bytes", "-1"}}), (retention_limits{168h, {}}));
    EXPECT_EQ(limits_of({{"retention.ms", "-1"}, {"retention.bytes", "1000"}}), (retention_limits{{}, 1000}));
    EXPECT_EQ(limits_of({}), retention_limits{});
    EXPECT_EQ(limits_of({{"retention.ms", "soon"}}), retention_limits{});
}

struct outlook {
    const char* name;
    topic_place at;
    retention_limits limits;
    double used;
    const char* warning;  // part of it; empty: none
};
class retention_outlooks : public testing::TestWithParam<outlook> {};

TEST_P(retention_outlooks, are_judged) {
    const auto& expected = GetParam();
    const auto found = judge_retention(expected.at, expected.limits, "crossfade.app.changes");
    EXPECT_DOUBLE_EQ(found.used, expected.used);
    if (*expected.warning == '\0') {
        EXPECT_THAT(found.warning, IsEmpty());
        EXPECT_THAT(found.way_out, IsEmpty());
    } else {
        EXPECT_THAT(found.warning, HasSubstr(expected.warning));
        EXPECT_THAT(found.warning, HasSubstr("crossfade.app.changes"));
        EXPECT_FALSE(found.way_out.empty());
    }
}

const retention_limits week{168h, {}};
const retention_limits small{{}, 1 << 30};
INSTANTIATE_TEST_SUITE_P(
    all, retention_outlooks,
    testing::Values(
        outlook{"everything_applied", {0, 100, 100, {}}, week, 0, ""},
        outlook{"nothing_there", {50, 50, 50, {}}, week, 0, ""}, outlook{"young", {0, 100, 10, 42h}, week, 0.25, ""},
        outlook{"just_below_the_alarm", {0, 100, 10, 84h - 168s}, week, 0.5 - 168.0 / (168 * 3600), ""},
        outlook{"at_the_alarm", {0, 100, 10, 84h}, week, 0.5, "3 d 12 h old"},
        outlook{"beyond_it", {0, 100, 10, 336h}, week, 2, "keeps events for 7 d 0 h (retention.ms)"},
        outlook{"gone", {11, 100, 10, {}}, week, 1, "has deleted events that are not applied: it begins at offset 11"},
        outlook{"gone_and_empty", {100, 100, 10, {}}, week, 1, "has deleted"},
        outlook{"kept_for_ever", {0, 100, 0, 10000h}, {}, 0, ""},
        outlook{"of_unknown_age", {0, 100, 10, {}}, week, 0, ""},
        outlook{"written_by_a_clock_ahead", {0, 100, 10, -5s}, week, 0, ""},
        outlook{"kept_for_no_time", {0, 100, 10, 0s}, {0s, {}}, 1, "keeps events for 0 s"},
        outlook{"by_size_before_anything_was_deleted", {0, 100, 0, 1h}, small, 0, ""},
        outlook{"by_size", {100, 200, 120, 1h}, small, 0.8, "80% of what topic"},
        outlook{"by_size_far_from_it", {100, 200, 190, 1h}, small, 0.1, ""},
        outlook{"by_time_more_than_by_size", {100, 200, 140, 151h + 12min}, {168h, 1000}, 0.9, "6 d 7 h old"}),
    [](const auto& each) { return std::string{each.param.name}; });

}  // namespace
}  // namespace crossfade::cdc::follow
