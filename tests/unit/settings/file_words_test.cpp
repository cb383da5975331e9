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

TEST(file_words, outlive_a_newer_file) {
    const flag_set none(by(forth), {}, {});
    const flag_set acme(by(forth), {}, {{"acme", {with(back), {}}}});
    const flag_set both(by(forth), {}, {{"acme", {with(back), {}}}, {"bravo", {with(back), {}}}});
    const auto undone = changed_words(none, acme);
    const auto newer = joined(undone, changed_words(acme, both), both);
    const auto moved = asked_for({}, newer, side::modern);
    EXPECT_EQ(moved.of("", "acme"), side::modern);
    EXPECT_EQ(moved.of("", "bravo"), side::modern);
    EXPECT_EQ(moved.of("", ""), side::legacy);
    // What the newer one says counts, and what neither has changed is no wish.
    EXPECT_THAT(
        joined(undone, changed_words(acme, none), none),
        testing::ElementsAre(file_word{{"", ""}, side::legacy, false}, file_word{{"", "acme"}, side::legacy, true}));
    EXPECT_EQ(joined({}, changed_words(acme, both), both), changed_words(acme, both));
}

TEST(file_words, outlive_a_newer_file_that_does_not_name_them) {
    const std::map<std::string, table_group, std::less<>> groups{{"pinned", {{"public.pinned"}, with(back)}}};
    const tenant_overrides kept{{}, {{"pinned", with(forth)}}};
    const tenant_overrides moved{with(back), {}};
    const flag_set first(by(forth), groups, {{"acme", kept}});
    const flag_set second(by(forth), groups, {});
    const flag_set last(by(forth), groups, {{"zeta", moved}});
    // Its share of the group is to go where the group is.
    const auto words = joined(changed_words(first, second), changed_words(second, last), last);
    EXPECT_THAT(words, testing::Contains(file_word{{"pinned", "acme"}, side::modern, true}));
    EXPECT_THAT(words, testing::Contains(file_word{{"", "zeta"}, side::modern, true}));
}

TEST(file_words, are_heeded_once) {
    const flag_scope acme{"", "acme"};
    const std::vector<file_word> words{{{"", ""}, side::legacy, false}, {acme, side::modern, true}};
    const auto left = [&](const heeded_word& by, std::uint64_t read_at) {
        return unheeded(words, {by}, read_at).back().changed;
    };
    // Another proxy has read the same file before, and what it says was decided since this one read its old one.
    EXPECT_FALSE(left({acme, side::modern, 3}, 3));
    EXPECT_FALSE(left({acme, side::modern, 4}, 3));
    // Of a file that came before the one that this proxy knows.
    EXPECT_TRUE(left({acme, side::modern, 2}, 3));
    // A newer word than that which was heeded, or another's.
    EXPECT_TRUE(left({acme, side::legacy, 4}, 3));
    EXPECT_TRUE(left({{"", "zeta"}, side::modern, 4}, 3));
    EXPECT_EQ(unheeded(words, {}, 3), words);
}

}  // namespace
}  // namespace crossfade::settings
