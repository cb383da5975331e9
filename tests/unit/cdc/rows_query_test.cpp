#include "cdc/backfill/rows_query.hpp"

#include <gtest/gtest.h>

namespace crossfade::cdc::backfill {
namespace {

struct rows_of_a_table : testing::Test {
    apply::table_mapping mapping;
    source_table table;

    rows_of_a_table() {
        auto rel = std::make_shared<model::relation>();
        rel->table = mapping.target = {"public", "t"};
        rel->columns = {{"note", 25, -1, false}, {"b", 25, -1, true}, {"a", 20, -1, true}};
        table.rel = mapping.rel = rel;
        table.types = {"text", "text", "bigint"};
        table.key = {2, 1};
        const auto column = [](const char* name, const char* type) {
            apply::target_column made;
            made.name = name;
            made.type = type;
            return made;
        };
        mapping.columns = {{0, column("note", "text")}, {1, column("b", "text")}, {2, column("a", "numeric")}};
        mapping.key = {2, 1};
    }
};

TEST_F(rows_of_a_table, come_in_the_order_of_their_key) {
    EXPECT_EQ(chunk_key(mapping, table), "\"a\", \"b\"");
    const auto first = next_chunk(mapping, table, "", 10);
    EXPECT_EQ(first.rows, "SELECT \"note\", \"b\", \"a\" FROM ONLY \"public\".\"t\" ORDER BY \"a\", \"b\" LIMIT 10");
    EXPECT_EQ(first.setting, "");
    const auto next = next_chunk(mapping, table, "{7,x}", 10);
    EXPECT_NE(next.rows.find("WHERE (\"a\", \"b\") > ((current_setting('crossfade.after')::text[])[1]::bigint, "
                             "(current_setting('crossfade.after')::text[])[2]::text) ORDER"),
              std::string::npos)
        << next.rows;
    EXPECT_EQ(next.value, "{7,x}");
    EXPECT_EQ(key_of(next, "some note\tit\\ts b\t7\n"), "{7,\"it\ts b\"}");
}

TEST_F(rows_of_a_table, make_way_by_the_followers_types) {
    EXPECT_EQ(remove_sql(mapping, next_chunk(mapping, table, "", 10)),
              "DELETE FROM \"public\".\"t\" AS t USING json_array_elements($1::json) AS e"
              " WHERE t.\"a\" = (e->>0)::numeric AND t.\"b\" = (e->>1)::text");
}

TEST_F(rows_of_a_table, can_be_had_by_their_keys) {
    const auto some = by_keys(mapping, table, R"([["7","x"]])");
    EXPECT_NE(some.rows.find("WHERE (\"a\", \"b\") IN (SELECT (e->>0)::bigint, (e->>1)::text"), std::string::npos)
        << some.rows;
    EXPECT_EQ(some.value, R"([["7","x"]])");
    EXPECT_EQ(some.rows.find("x\""), std::string::npos) << "a value is in a text that servers log";
}

TEST_F(rows_of_a_table, are_copied_whole_where_either_side_has_no_key) {
    auto without = mapping;
    without.key.clear();
    EXPECT_EQ(chunk_key(without, table), "");
    // A generated column isn't written.
    without = mapping;
    without.columns.pop_back();
    EXPECT_EQ(chunk_key(without, table), "");
    table.key.clear();
    EXPECT_EQ(chunk_key(mapping, table), "");
    table.partitioned = true;
    EXPECT_EQ(whole_table(mapping, table).rows, "SELECT \"note\", \"b\", \"a\" FROM \"public\".\"t\"");
}

}  // namespace
}  // namespace crossfade::cdc::backfill
