#include "proxy/publish/topic_tail.hpp"

#include <gtest/gtest.h>

namespace crossfade::proxy::publish {
namespace {

// Promoted at 1600.
const slot_place slot{7, {3, {{1, model::lsn{400}}, {2, model::lsn{1600}}}}, model::lsn{1000}, model::lsn{9000}};

TEST(topic_tail_judgement, the_first_event_follows_on_the_tail) {
    for (const std::uint64_t end : {1000, 1500, 1600}) {
        EXPECT_EQ(*judge(topic_tail{7, 2, model::lsn{end}}, slot, "t"), model::lsn{end});  // promoted since
        EXPECT_EQ(*judge(topic_tail{7, 3, model::lsn{end}}, slot, "t"), model::lsn{end});
    }
    EXPECT_EQ(*judge(topic_tail{7, 3, model::lsn{9000}}, slot, "t"), model::lsn{9000});
    EXPECT_EQ(*judge(std::nullopt, slot, "t"), model::lsn{1000});
}

TEST(topic_tail_judgement, what_cannot_be_followed_on_says_why_and_what_to_do) {
    struct {
        topic_tail tail;
        tail_problem::kind expected;
    } const cases[]{
        {{7, 2, model::lsn{999}}, tail_problem::kind::lost},
        {{7, 2, model::lsn{}}, tail_problem::kind::lost},
        {{8, 2, model::lsn{5000}}, tail_problem::kind::foreign},
        {{7, 4, model::lsn{5000}}, tail_problem::kind::foreign},
        // Published by the old primary, and never by the one that was promoted.
        {{7, 2, model::lsn{1601}}, tail_problem::kind::diverged},
        {{7, 1, model::lsn{1200}}, tail_problem::kind::diverged},
        // The same timeline at an earlier time.
        {{7, 3, model::lsn{9001}}, tail_problem::kind::diverged},
    };
    for (const auto& one : cases) {
        const auto got = judge(one.tail, slot, "crossfade.app.changes");
        ASSERT_FALSE(got);
        EXPECT_EQ(got.error().what, one.expected);
        EXPECT_NE(got.error().reason.find("crossfade.app.changes"), std::string::npos);
        EXPECT_FALSE(got.error().way_out.empty());
    }
}

topic_tail ends_with(std::uint64_t commit, std::uint64_t end, std::uint32_t xid) {
    topic_tail tail{7, 3, model::lsn{end}};
    if (xid != 0) tail.last = last_published{model::lsn{commit}, {}, xid, {}};
    return tail;
}

TEST(topic_tail_judgement, of_many_partitions_the_newest_transaction_has_to_come_again) {
    const auto again = judge_by_key(
        {ends_with(1199, 1200, 0), ends_with(1700, 1700, 5), ends_with(1800, 1800, 6), std::nullopt}, slot, "t");
    ASSERT_TRUE(again);
    ASSERT_TRUE(*again);
    EXPECT_EQ((*again)->xid, 6U);
    // Nothing that the slot is past comes again.
    const auto past = judge_by_key({ends_with(990, 1010, 5), ends_with(1199, 1200, 0)}, slot, "t");
    ASSERT_TRUE(past);
    EXPECT_FALSE(*past);
}

TEST(topic_tail_judgement, one_partition_that_lost_its_end_is_enough) {
    const auto lost = judge_by_key({ends_with(1700, 1700, 5), ends_with(989, 990, 0)}, slot, "t");
    ASSERT_FALSE(lost);
    EXPECT_EQ(lost.error().what, tail_problem::kind::lost);
    EXPECT_NE(lost.error().reason.find("topic t/1 "), std::string::npos) << lost.error().reason;
}

}  // namespace
}  // namespace crossfade::proxy::publish
