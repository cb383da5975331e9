#include "lib/handover/division.hpp"

#include <gtest/gtest.h>

#include <limits>
#include <set>

namespace crossfade::handover {
namespace {

sequence with(std::optional<std::int64_t> last, std::int64_t increment = 1) {
    return {.column = "public.orders.id",
            .name = "public.orders_id_seq",
            .increment = increment,
            .least = increment > 0 ? 1 : -1000,
            .greatest = increment > 0 ? std::numeric_limits<std::int64_t>::max() : -1,
            .start = increment > 0 ? 1 : -1,
            .last = last};
}

// What both draw from there on, each by steps twice as long.
void expect_apart(std::int64_t anchor, std::int64_t step, const sequence& joining) {
    const auto planned = plan_division(anchor, step, joining);
    ASSERT_EQ(planned.objection, "");
    ASSERT_TRUE(planned.to);
    std::set<std::int64_t> drawn;
    for (std::int64_t i = 1; i <= 1000; ++i) {
        EXPECT_TRUE(drawn.insert(anchor + 2 * step * i).second);
        const auto other = *planned.to + 2 * step * i;
        EXPECT_TRUE(drawn.insert(other).second);
        const auto most = joining.last.value_or(anchor);
        EXPECT_TRUE(step > 0 ? other > anchor && other > most : other < anchor && other < most);
    }
}

TEST(division, keeps_two_sides_apart) {
    for (const std::int64_t step : {1, 2, 7, 50}) {
        expect_apart(100, step, with(std::nullopt, step));
        expect_apart(100, step, with(40, step));
        expect_apart(100, step, with(101, step));
        expect_apart(100, step, with(987, step));
        // Nothing was drawn: what comes first is a double step from the anchor.
        expect_apart(1 - 2 * step, step, with(std::nullopt, step));
    }
    expect_apart(-10, -1, with(-33, -1));
}

TEST(division, ends_where_the_sequence_ends) {
    auto small = with(std::nullopt);
    small.greatest = 32767;
    EXPECT_EQ(plan_division(100, 1, small).objection, "");
    EXPECT_NE(plan_division(32766, 1, small).objection, "");
    EXPECT_NE(plan_division(std::numeric_limits<std::int64_t>::max() - 1, 1, with(1)).objection, "");
    EXPECT_NE(plan_division(1, std::numeric_limits<std::int64_t>::max(), with(1)).objection, "");
}

// A flip that isn't decided may set one ahead whose tenants then stay on both sides.
TEST(division, outlives_a_move) {
    auto half = with(101, 2);
    const auto moved = plan_move(with(500, 2), half).to;
    ASSERT_TRUE(moved);
    EXPECT_EQ((*moved - 101) % 2, 0);
    EXPECT_GT(*moved, 500);
}

}  // namespace
}  // namespace crossfade::handover
