// Tables that join the stream while modern is the authority: the way back has none of their rows from before.
#include "tests/chaos/flip_states.hpp"

namespace crossfade::chaos {
namespace {

using testing::AllOf;
using testing::HasSubstr;

class flip_joining : public flip_states {};

TEST_F(flip_joining, a_table_that_came_on_modern) {
    ASSERT_EQ(flip("modern", {"--hold-max", "3000"}).exit_code, 0);
    world().modern.exec("CREATE TABLE public.later (id int PRIMARY KEY); INSERT INTO public.later VALUES (1), (2)");
    // New on modern alone it may stay there.
    ASSERT_EQ(in_the_way(world(), "legacy"), "") << world().logs();
    world().legacy.exec("CREATE TABLE public.later (id int PRIMARY KEY)");
    auto made = flip("legacy");
    EXPECT_EQ(made.exit_code, 1);
    EXPECT_THAT(made.output, AllOf(HasSubstr("not in the stream: public.later"), HasSubstr("crossfade init"),
                                   HasSubstr("refused; nothing has changed")));
    EXPECT_EQ(rows(), modern_settled);

    made = world().crossfade({"init"});
    EXPECT_EQ(made.exit_code, 0) << told(made);
    world().modern.exec("INSERT INTO public.later VALUES (3)");
    made = flip("legacy");
    EXPECT_EQ(made.exit_code, 1);
    EXPECT_THAT(made.output,
                AllOf(HasSubstr("legacy lacks rows of public.later"), HasSubstr("crossfade --back backfill")));
    EXPECT_EQ(rows(), modern_settled);
    expect_writes();

    made = world().crossfade({"--back", "backfill"});
    EXPECT_EQ(made.exit_code, 0) << told(made);
    world().modern.exec("INSERT INTO public.later VALUES (4); DELETE FROM public.later WHERE id = 1");
    ASSERT_EQ(in_the_way(world(), "legacy"), "") << world().logs();
    made = flip("legacy", {"--hold-max", "3000"});
    ASSERT_EQ(made.exit_code, 0) << told(made) << world().logs();
    EXPECT_EQ(world().legacy.value("SELECT string_agg(id::text, ' ' ORDER BY id) FROM public.later"), "2 3 4");
    world().legacy.exec("INSERT INTO public.later VALUES (5)");
    // Modern has had all of them all the time.
    ASSERT_EQ(in_the_way(world()), "") << world().logs();
    made = flip("modern", {"--hold-max", "3000"});
    EXPECT_EQ(made.exit_code, 0) << told(made);
    EXPECT_EQ(world().modern.value("SELECT string_agg(id::text, ' ' ORDER BY id) FROM public.later"), "2 3 4 5");
    world().watch("later");
    expect_nothing_lost();
}

}  // namespace
}  // namespace crossfade::chaos
