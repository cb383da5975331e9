#include "proxy/frontend/known_statements.hpp"

#include <gtest/gtest.h>

#include "lib/sql/statement_cache.hpp"
#include "lib/sql/understand.hpp"

namespace crossfade::proxy::frontend {
namespace {

known_statements::statement of_tables(int count) {
    std::string text = "SELECT 1 FROM t0";
    for (int i = 1; i < count; ++i) text += ", t" + std::to_string(i);
    return known_statements::only(std::make_shared<const sql::understanding>(sql::understand(text)));
}

TEST(known_statements, are_counted_with_all_that_is_known_of_them) {
    known_statements all{known_statements::acquaintance::from_the_start};
    const auto large = of_tables(1000);
    all.remember("a", large);
    const auto one = all.kept_bytes();
    EXPECT_GE(one, sql::size_of(*large));
    all.remember("b", of_tables(1000));
    EXPECT_EQ(all.kept_bytes(), 2 * one);
    all.remember("b", of_tables(1));
    EXPECT_LT(all.kept_bytes(), one + 1000);
    all.remember("c", nullptr);
    EXPECT_TRUE(all.find("a"));
}

TEST(known_statements, that_are_too_much_are_forgotten_and_asked_for) {
    known_statements all{known_statements::acquaintance::from_the_start};
    const auto large = of_tables(1000);
    for (int i = 0; i < 500; ++i) {
        all.remember(std::to_string(i), large);
        ASSERT_LE(all.kept_bytes(), known_statements::most_bytes);
    }
    EXPECT_TRUE(all.wants_to_learn());
    EXPECT_FALSE(all.find("0"));
    EXPECT_TRUE(all.find("499"));
}

}  // namespace
}  // namespace crossfade::proxy::frontend
