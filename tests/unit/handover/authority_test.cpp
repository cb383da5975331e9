#include "lib/store/authority.hpp"

#include <gtest/gtest.h>

namespace crossfade::store {
namespace {

TEST(authority, is_what_the_newer_row_says) {
    const std::optional<authority_row> none;
    std::optional<authority_row> first{std::in_place};
    first->epoch = 1;
    std::optional<authority_row> second{std::in_place};
    second->epoch = 2;
    EXPECT_EQ(newer(none, none), nullptr);
    EXPECT_EQ(newer(first, none), &*first);
    EXPECT_EQ(newer(none, second), &*second);
    EXPECT_EQ(newer(first, second), &*second);
    EXPECT_EQ(newer(second, first), &*second);
    // The cutover's end raises no epoch, and is decided on one side.
    auto completed = second;
    completed->completed_at = "2026-01-02 03:04:05 UTC";
    EXPECT_EQ(newer(second, completed), &*completed);
    EXPECT_EQ(newer(completed, second), &*completed);
}

}  // namespace
}  // namespace crossfade::store
