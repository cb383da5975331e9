#include <gtest/gtest.h>

#include "lib/sql/understand.hpp"

namespace crossfade::sql {
namespace {

bool is_bound(const std::string& text) {
    const auto known = understand(text);
    return known && known->size() == 1 && known->front().place_bound;
}

TEST(a_statement, is_bound_to_a_place_by_what_another_database_has_otherwise) {
    for (const auto* text :
         {"SELECT xmin FROM t", "SELECT t.ctid FROM t", "SELECT * FROM t WHERE tableoid = 1", "SELECT 't'::regclass",
          "SELECT CAST(x AS oid) FROM t", "SELECT current_database()", "SELECT current_catalog", "SELECT version()",
          "SELECT pg_backend_pid()", "SELECT pg_catalog.pg_get_viewdef(1)", "SELECT to_regclass('t')",
          "SELECT has_table_privilege('t', 'SELECT')", "SELECT inet_server_addr()", "SELECT txid_current_snapshot()",
          "EXPLAIN SELECT * FROM t", "SELECT * FROM t WHERE EXISTS (SELECT FROM u WHERE u.cmin = '1')"})
        EXPECT_TRUE(is_bound(text)) << text;
    for (const auto* text : {"SELECT * FROM t", "SELECT version, age(at) FROM t", "SELECT pg_size_pretty(x) FROM t",
                             "SELECT regexp_replace(x, 'a', 'b') FROM t", "SELECT now(), current_user FROM t",
                             "SELECT x::text FROM t WHERE own(x) AND y = TRUE"})
        EXPECT_FALSE(is_bound(text)) << text;
}

TEST(a_statement, has_side_effects_by_what_others_feel) {
    const auto has = [](const std::string& text) { return understand(text)->front().has_side_effects; };
    EXPECT_TRUE(has("SELECT pg_notify('c', 'x')"));
    EXPECT_TRUE(has("SELECT pg_try_advisory_xact_lock(1)"));
    EXPECT_TRUE(has("SELECT nextval('s')"));
    EXPECT_FALSE(has("SELECT random(), clock_timestamp(), lower('X') FROM t TABLESAMPLE system (1)"));
    EXPECT_FALSE(has("SELECT own()"));
}

TEST(a_copy, goes_to_the_client_or_elsewhere) {
    const auto goes = [](const std::string& text) { return understand(text)->front().copies_to_client; };
    EXPECT_TRUE(goes("COPY t TO STDOUT"));
    EXPECT_TRUE(goes("COPY (SELECT * FROM t WHERE x = 1) TO STDOUT"));
    EXPECT_FALSE(goes("COPY (SELECT own(x) FROM t) TO STDOUT"));
    EXPECT_FALSE(goes("COPY (DELETE FROM t RETURNING *) TO STDOUT"));
    EXPECT_FALSE(goes("COPY (SELECT * FROM t FOR UPDATE) TO STDOUT"));
    EXPECT_FALSE(goes("COPY t TO '/x'"));
    EXPECT_FALSE(goes("COPY t TO PROGRAM 'x'"));
    EXPECT_FALSE(goes("COPY t FROM STDIN"));
}

}  // namespace
}  // namespace crossfade::sql
