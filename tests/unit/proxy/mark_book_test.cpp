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
    EXPECT_EQ(book.fresh_to(), std::nullopt);
    book.made(at(2ms), 5);
    EXPECT_EQ(book.fresh_to(), std::nullopt);
    book.applied(4);
    EXPECT_EQ(book.fresh_to(), std::nullopt);
    book.applied(5);
    EXPECT_EQ(book.fresh_to(), at(2ms)) << "from when it was asked for, as what came later may be missing";
}

TEST(mark_book, takes_the_newest_of_several) {
    mark_book book;
    book.made(at(1ms), 1);
    book.made(at(2ms), 2);
    book.made(at(3ms), 3);
    book.applied(2);
    EXPECT_EQ(book.fresh_to(), at(2ms));
    EXPECT_EQ(book.waiting(), 1U);
}

// Of a stream that is still at what an old primary had.
TEST(mark_book, takes_no_older_mark_for_a_newer_one) {
    mark_book book;
    book.made(at(1ms), 1);
    book.made(at(2ms), 2);
    book.applied(1);
    EXPECT_EQ(book.fresh_to(), at(1ms));
    book.made(at(3ms), 3);
    book.applied(1);
    EXPECT_EQ(book.fresh_to(), at(1ms));
}

TEST(mark_book, takes_an_answer_that_is_quicker_than_the_question) {
    mark_book book;
    book.applied(2);
    book.made(at(1ms), 2);
    EXPECT_EQ(book.fresh_to(), at(1ms));
    EXPECT_EQ(book.waiting(), 0U);
}

TEST(mark_book, forgets_what_another_server_said) {
    mark_book book;
    book.made(at(1ms), 1);
    book.applied(1);
    book.made(at(2ms), 2);
    book.forget();
    EXPECT_EQ(book.fresh_to(), std::nullopt);
    EXPECT_EQ(book.waiting(), 0U);
    book.applied(2);
    EXPECT_EQ(book.fresh_to(), std::nullopt);
    book.forget();
    book.made(at(3ms), 2);
    EXPECT_EQ(book.fresh_to(), std::nullopt) << "another one has to say it, too";
}

TEST(mark_book, keeps_the_newest_where_nobody_answers) {
    mark_book book;
    for (std::uint64_t each = 1; each <= mark_book::most + 10; ++each)
        book.made(at(std::chrono::milliseconds{each}), each);
    EXPECT_EQ(book.waiting(), mark_book::most);
    book.applied(mark_book::most + 10);
    EXPECT_EQ(book.fresh_to(), at(std::chrono::milliseconds{mark_book::most + 10}));
}

}  // namespace
}  // namespace crossfade::proxy::reading
