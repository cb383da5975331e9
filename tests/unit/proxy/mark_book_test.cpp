#include "proxy/reading/mark_book.hpp"

#include <gtest/gtest.h>

namespace crossfade::proxy::reading {
namespace {

using namespace std::chrono_literals;
using instant = mark_book::instant;

constexpr instant at(std::chrono::milliseconds time) {
    return instant{} + time;
}

TEST(mark_book, knows_nothing_before_a_mark_is_applied) {
    mark_book book;
    book.applied({100}, at(1ms));
    EXPECT_EQ(book.fresh_to(), std::nullopt);
    book.made(at(2ms), {50});
    EXPECT_EQ(book.fresh_to(), std::nullopt) << "what was said before it was asked for is no answer";
    book.applied({49}, at(3ms));
    EXPECT_EQ(book.fresh_to(), std::nullopt);
    book.applied({50}, at(4ms));
    EXPECT_EQ(book.fresh_to(), at(2ms)) << "from when it was asked for, as what came later may be missing";
}

TEST(mark_book, takes_the_newest_of_several) {
    mark_book book;
    book.made(at(1ms), {10});
    book.made(at(2ms), {20});
    book.made(at(3ms), {30});
    book.applied({25}, at(4ms));
    EXPECT_EQ(book.fresh_to(), at(2ms));
    EXPECT_EQ(book.waiting(), 1U);
}

TEST(mark_book, takes_an_answer_that_is_quicker_than_the_question) {
    mark_book book;
    book.applied({20}, at(2ms));
    book.made(at(1ms), {20});
    EXPECT_EQ(book.fresh_to(), at(1ms));
    EXPECT_EQ(book.waiting(), 0U);
}

TEST(mark_book, forgets_what_another_server_said) {
    mark_book book;
    book.made(at(1ms), {1000});
    book.made(at(2ms), {10});
    book.applied({20}, at(3ms));
    EXPECT_EQ(book.fresh_to(), at(2ms));
    book.made(at(4ms), {30});
    book.forget();
    EXPECT_EQ(book.fresh_to(), std::nullopt);
    book.applied({40}, at(5ms));
    EXPECT_EQ(book.fresh_to(), std::nullopt);
}

TEST(mark_book, keeps_the_newest_where_nobody_answers) {
    mark_book book;
    for (std::uint64_t each = 1; each <= mark_book::most + 10; ++each)
        book.made(at(std::chrono::milliseconds{each}), {each});
    EXPECT_EQ(book.waiting(), mark_book::most);
    book.applied({mark_book::most + 10}, at(1h));
    EXPECT_EQ(book.fresh_to(), at(std::chrono::milliseconds{mark_book::most + 10}));
}

}  // namespace
}  // namespace crossfade::proxy::reading
