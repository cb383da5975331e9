#include "lib/store/applied.hpp"

#include <gtest/gtest.h>

namespace crossfade::store {
namespace {

TEST(applied, is_told_of_a_mark_by_its_asker_and_number) {
    marker asks;
    const auto first = asks.next();
    const auto second = asks.next();
    EXPECT_LT(first.number, second.number);
    EXPECT_EQ(parse_mark(to_string(second)), second);
    const auto told = read_applied(applied_payload("app", second), "app");
    EXPECT_EQ(told, second);
    EXPECT_TRUE(asks.has_made(*told));
    EXPECT_FALSE(marker{}.has_made(*told)) << "of another one";
    EXPECT_EQ(read_applied(applied_payload("app_back", second), "app"), std::nullopt) << "of another stream";
}

TEST(applied, takes_nothing_else_for_a_mark) {
    for (const char* text :
         {"", " ", "1", "1 ", " 1", "1 2 ", "1 2 3", "1  2", "-1 2", "a 2", "1 b", "0x1 2", "18446744073709551616 1"})
        EXPECT_EQ(parse_mark(text), std::nullopt) << text;
    const auto old = applied_payload("app", model::lsn{100});
    EXPECT_EQ(old, "0/64 app") << "what older proxies understand";
    for (const auto& payload : {old, amiss_payload("app"), std::string{"mark app"}, std::string{"mark 1 app"}})
        EXPECT_EQ(read_applied(payload, "app"), std::nullopt) << payload;
}

}  // namespace
}  // namespace crossfade::store
