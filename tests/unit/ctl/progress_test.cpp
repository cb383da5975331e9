#include <gtest/gtest.h>

#include "ctl/catalog/progress.hpp"
#include "ctl/stream/progress.hpp"

namespace crossfade::ctl {
namespace {

catalog::progress three() {
    return {.system_identifier = "1",
            .partitions = {{0, 5, 2, model::lsn{40}, model::lsn{50}, 0.5},
                           {1, 0, 2, model::lsn{10}, model::lsn{60}, 7},
                           {2, 9, 1, model::lsn{70}, model::lsn{30}, 0}}};
}

TEST(progress, is_that_of_the_partition_furthest_behind) {
    const auto whole = three();
    EXPECT_EQ(whole.timeline(), 1U);
    EXPECT_EQ(whole.commit_lsn(), model::lsn{10});
    EXPECT_EQ(whole.end_lsn(), model::lsn{30});
    EXPECT_DOUBLE_EQ(whole.age_seconds(), 7);
}

TEST(progress, is_of_all_partitions_or_of_others) {
    auto there = three();
    EXPECT_TRUE(there.covers(3));
    EXPECT_FALSE(there.covers(2));
    EXPECT_FALSE(there.covers(4));
    there.partitions.pop_back();
    there.partitions.push_back({.partition = 3});
    EXPECT_FALSE(there.covers(3)) << "2 is missing";
}

TEST(progress, is_objected_to_only_where_the_file_says_other_partitions) {
    settings::stream stream{.name = "app", .tables = {}};
    catalog::progress one{.system_identifier = "1", .partitions = {{}}};
    EXPECT_FALSE(stream::object_to_partitions(stream, one));
    EXPECT_TRUE(stream::object_to_partitions(stream, three()));
    stream.ordering = settings::event_ordering::key;
    stream.partitions = 3;
    EXPECT_FALSE(stream::object_to_partitions(stream, three()));
    EXPECT_TRUE(stream::object_to_partitions(stream, one));
}

}  // namespace
}  // namespace crossfade::ctl
