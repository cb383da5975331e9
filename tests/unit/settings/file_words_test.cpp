#include "lib/settings/file_words.hpp"

#include <gmock/gmock.h>

namespace crossfade::settings {
namespace {

using testing::IsEmpty;

flag_overrides with(write_strategy strategy) {
    flag_overrides made;
    made.dual_write_strategy = strategy;
    return made;
}

flags by(write_strategy strategy) {
    flags made;
    made.dual_write_strategy = strategy;
    return made;
}

constexpr auto forth = write_strategy::legacy_primary;
constexpr auto back = write_strategy::prefer_modern;
const table_group orders{{"public.orders"}, {}};
const table_group pinned{{"public.pinned"}, with(forth)};

TEST(file_words, are_wishes_where_they_change) {
    const flag_set before(by(forth), {{"orders", orders}}, {});
    EXPECT_THAT(changed_words(before, before), IsEmpty());
    // Another way to follow is no other authority.
    EXPECT_THAT(changed_words(before, flag_set(by(write_strategy::mirror), {{"orders", orders}}, {})), IsEmpty());
    const flag_set after(by(forth), {{"orders", orders}}, {{"acme", {with(back), {}}}});
    EXPECT_THAT(changed_words(before, after), testing::ElementsAre(file_word{{"", ""}, side::legacy, false},
                                                                   file_word{{"", "acme"}, side::modern, true},
                                                                   file_word{{"orders", ""}, side::legacy, false}));
    // Whoever is taken out of the file goes home.
    EXPECT_THAT(changed_words(after, before), testing::Contains(file_word{{"", "acme"}, side::legacy, true}));
}

TEST(file_words, move_what_has_changed_alone) {
    const flag_set before(by(forth), {{"orders", orders}, {"pinned", pinned}}, {});
    const flag_set after(by(back), {{"orders", orders}, {"pinned", pinned}}, {});
    const auto words = changed_words(before, after);
    const auto moved = asked_for({}, words, side::modern);
    EXPECT_EQ(moved.of("", ""), side::modern);
    EXPECT_EQ(moved.of("orders", ""), side::modern);
    EXPECT_EQ(moved.of("pinned", ""), side::legacy);
    EXPECT_EQ(asked_for(moved, words, side::modern), moved);
    EXPECT_EQ(asked_for(moved, words, side::legacy), moved);

    // What was moved by command, and isn't in the file, stays.
    const auto commanded = assignment{}.with({"", "zeta"}, side::modern);
    const flag_set acme(by(forth), {}, {{"acme", {with(back), {}}}});
    const auto one = asked_for(commanded, changed_words(flag_set(by(forth), {}, {}), acme), side::modern);
    EXPECT_EQ(one.of("", "zeta"), side::modern);
    EXPECT_EQ(one.of("", "acme"), side::modern);
    EXPECT_EQ(one.of("", ""), side::legacy);
}

TEST(file_words, go_one_way_at_a_time) {
    const flag_set before(by(forth), {}, {{"acme", {with(back), {}}}, {"zeta", {with(forth), {}}}});
    const flag_set after(by(forth), {}, {{"acme", {with(forth), {}}}, {"zeta", {with(back), {}}}});
    const auto now = assignment{}.with({"", "acme"}, side::modern);
    const auto words = changed_words(before, after);
    const auto both = asked_for(now, words, side::modern);
    EXPECT_EQ(both.of("", "acme"), side::modern);
    EXPECT_EQ(both.of("", "zeta"), side::modern);
    const auto done = asked_for(both, words, side::legacy);
    EXPECT_EQ(done.of("", "acme"), side::legacy);
    EXPECT_EQ(done.of("", "zeta"), side::modern);
}

}  // namespace
}  // namespace crossfade::settings
