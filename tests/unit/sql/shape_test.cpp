#include "lib/sql/shape.hpp"

#include <gtest/gtest.h>

#include "lib/sql/statement_cache.hpp"
#include "tests/unit/sql/allocations.hpp"

namespace crossfade::sql {
namespace {

std::string shape(std::string_view text) {
    std::string scratch;
    return std::string{shape_of(text, scratch)};
}

TEST(shape_of, is_the_text_without_its_numbers) {
    EXPECT_EQ(shape("SELECT 1"), "SELECT 0");
    EXPECT_EQ(shape(" \n update t1 SET a2=12.50e7, \"b3\" = -4 WHERE c = '55''6' AND d=0x1F OR e = $17;  "),
              " \n update t1 SET a2=00.00e7, \"b3\" = -0 WHERE c = '55''6' AND d=0x1F OR e = $17;  ");
    EXPECT_EQ(shape("DELETE FROM t WHERE a IN (1,22,333)"), "DELETE FROM t WHERE a IN (0,00,000)");
    EXPECT_EQ(shape("INSERT INTO t VALUES(9),(10)"), "INSERT INTO t VALUES(0),(00)");
    EXPECT_EQ(shape("SELECT \xc3\xbc"
                    "1, 2"),
              "SELECT \xc3\xbc"
              "1, 0");
}

TEST(shape_of, is_the_text_itself_where_more_may_be_in_it) {
    for (const auto* text :
         {"", "SELECT", "SELECT5", "SET work_mem = 5", "FETCH 5 FROM c", "WITH a AS (SELECT 1) SELECT 2", "selected 5",
          "SELECT 1; SET x = 5", "SELECT 1 -- 2", "SELECT 1 /* 2 */", "SELECT $$1$$, 2", "SELECT $a$1$a$, 2",
          "SELECT E'1', 2", "SELECT U&'1', 2", "SELECT '1\\', 2", "SELECT 'never ended, 2", "SELECT \"never ended, 2",
          "SELECT a FROM b WHERE c = 'd'"})
        EXPECT_EQ(shape(text), text);
}

TEST(a_statement_cache, has_one_entry_for_all_texts_of_a_shape) {
    statement_cache cache({});
    const auto first = cache.understand("UPDATE a SET b = 123 WHERE c = 45");
    EXPECT_EQ(cache.entries(), 1U);
    cache.understand("UPDATE a SET b = 1 WHERE c = 45");
    EXPECT_EQ(cache.entries(), 2U) << "what follows stands elsewhere";
    const std::string other = "UPDATE a SET b = 678 WHERE c = 90";
    const auto before = allocations();
    const auto second = cache.understand(other);
    EXPECT_EQ(allocations(), before);
    EXPECT_EQ(second.get(), first.get());
    EXPECT_EQ((*second)->at(0).rows->returning_at, other.size());
}

}  // namespace
}  // namespace crossfade::sql
