#include "lib/model/timeline.hpp"

#include <gtest/gtest.h>

#include <string>

namespace crossfade::model {
namespace {

// Promoted at 1000, recovered to 1500 (timeline 3 was another attempt, which led nowhere), promoted at 2000.
const timeline_history source{5, {{1, lsn{1000}}, {2, lsn{1500}}, {4, lsn{2000}}}};

TEST(timeline, a_record_is_on_the_one_on_which_it_was_written) {
    struct {
        std::uint64_t at;
        std::uint32_t expected;
    } const cases[]{{1, 1}, {999, 1}, {1000, 2}, {1499, 2}, {1500, 4}, {1999, 4}, {2000, 5}, {1'000'000, 5}};
    for (const auto& one : cases) EXPECT_EQ(source.timeline_at(lsn{one.at}), one.expected) << one.at;
    EXPECT_EQ((timeline_history{1, {}}.timeline_at(lsn{7})), 1U);
}

TEST(timeline, what_was_written_behind_its_end_is_no_part_of_the_history) {
    struct {
        std::uint32_t timeline;
        std::uint64_t end;
        bool expected;
    } const cases[]{{1, 1, true},     {1, 1000, true},  {1, 1001, false}, {2, 1500, true},
                    {2, 1501, false}, {3, 1200, false}, {4, 2000, true},  {4, 2001, false},
                    {5, 1, true},     {5, 9999, true},  {6, 1, false},    {7, 9999, false}};
    for (const auto& one : cases)
        EXPECT_EQ(source.holds(one.timeline, lsn{one.end}), one.expected) << one.timeline << ' ' << one.end;
}

TEST(timeline, each_knows_what_led_to_it) {
    EXPECT_TRUE(source.before(1).empty());
    EXPECT_EQ(source.before(4), (std::vector<timeline_end>{{1, lsn{1000}}, {2, lsn{1500}}}));
    EXPECT_EQ(source.before(5).size(), 3U);
    EXPECT_EQ(source.left_at(4), lsn{2000});
    EXPECT_FALSE(source.left_at(5));
}

TEST(timeline, a_history_file_is_read) {
    const auto read = parse_timeline_history(
        "# a comment\n1\t0/3000060\tno recovery target specified\n\n  2 16/B374D848 before 2026-11-21 18:00:00+00\n"
        "4\t16/B374D848\n");
    ASSERT_TRUE(read);
    EXPECT_EQ(*read, (std::vector<timeline_end>{{1, lsn{0x3000060}}, {2, lsn{0x16B374D848}}, {4, lsn{0x16B374D848}}}));
    EXPECT_TRUE(parse_timeline_history("")->empty());
    for (const auto* bad : {"x", "1", "1 ", "10/3000060", "0\t0/1", "-1\t0/1", "1\tyesterday\t", "2\t0/2\n1\t0/3\n",
                            "1\t0/3\n2\t0/2\n", "99999999999\t0/1"})
        EXPECT_FALSE(parse_timeline_history(bad)) << bad;
}

}  // namespace
}  // namespace crossfade::model
