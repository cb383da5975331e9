#include <gtest/gtest.h>

#include "lib/store/schema.hpp"

namespace crossfade::store {
namespace {

// "app" and its way back, "app_back", have each their own, and neither takes the other's for it.
TEST(origins, are_one_stream_s_alone) {
    for (const int writer : {0, 1, first_lane, first_partition, first_mirror}) {
        EXPECT_TRUE(is_origin_of("app", origin_name("app", writer)));
        EXPECT_TRUE(is_origin_of("app_back", origin_name("app_back", writer)));
        EXPECT_FALSE(is_origin_of("app", origin_name("app_back", writer)));
        EXPECT_FALSE(is_origin_of("app_back", origin_name("app", writer)));
        EXPECT_FALSE(is_origin_of("ap", origin_name("app", writer)));
    }
    for (const auto* other : {"", "crossfade_app", "crossfade_app_", "crossfade_app_1x", "crossfade_app_-1",
                              "crossfade_app_back_1", "crossfade_app_1_", "pg_16403", "app_1"})
        EXPECT_FALSE(is_origin_of("app", other)) << other;
}

}  // namespace
}  // namespace crossfade::store
