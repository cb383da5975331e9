#include "lib/model/lsn.hpp"

#include <gtest/gtest.h>

#include "lib/model/position.hpp"

namespace crossfade::model {
namespace {

TEST(lsn, reads_and_prints_as_pg_lsn_does) {
    for (const char* text : {"0/0", "16/B374D848", "F/10", "10/F", "0/1000000", "FFFFFFFF/FFFFFFFF"}) {
        const auto parsed = parse_lsn(text);
        ASSERT_TRUE(parsed) << text;
        EXPECT_EQ(to_string(*parsed), text);
    }
    EXPECT_EQ(parse_lsn("16/b374d848")->value, 0x16'B374'D848U);
}

TEST(lsn, refuses_what_pg_lsn_refuses) {
    for (const char* text : {"", "/", "1", "1/", "/1", "g/0", "0/0 ", " 0/0", "123456789/0", "0/0/0", "-1/0", "0x1/0"})
        EXPECT_FALSE(parse_lsn(text)) << text;
}

TEST(position, is_ordered_by_cluster_timeline_commit_and_ordinal) {
    const position base{7, 1, lsn{100}, 2};
    EXPECT_LT(base, (position{7, 1, lsn{100}, 3}));
    EXPECT_LT(base, (position{7, 1, lsn{101}, 1}));
    EXPECT_LT(base, (position{7, 2, lsn{50}, 1}));
    EXPECT_LT(base, (position{8, 0, lsn{0}, 0}));
    EXPECT_EQ(to_string(base), "7/1/0/64/2");
}

}  // namespace
}  // namespace crossfade::model
