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
        table.compared.resize(3);
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

TEST_F(rows_of_a_table, come_part_by_part_where_no_operator_is_of_all_columns_of_their_key) {
    table.compared[1] = {"OPERATOR(public.=)", "OPERATOR(public.>)"};
    const std::string all = "SELECT \"note\", \"b\", \"a\" FROM ONLY \"public\".\"t\" WHERE ";
    const std::string a = "(current_setting('crossfade.after')::text[])[1]::bigint";
    const std::string b = "(current_setting('crossfade.after')::text[])[2]::text";
    const std::string next = " ORDER BY \"a\", \"b\" LIMIT 10";
    EXPECT_EQ(next_chunk(mapping, table, "{7,x}", 10).rows,
              "SELECT * FROM ((" + all + "\"a\" = " + a + " AND \"b\" OPERATOR(public.>) " + b + next +
                  ") UNION ALL (" + all + "\"a\" > " + a + next + ")) AS parts" + next);
    table.compared[2] = table.compared[1];
    EXPECT_EQ(next_chunk(mapping, table, "{7,x}", 10).rows,
              all + "(\"a\", \"b\") OPERATOR(public.>) (" + a + ", " + b + ")" + next);
}

// Which keys of the source's are one for the follower's type is no matter.
TEST_F(rows_of_a_table, make_way_by_operator_and_text_where_that_is_not_pg_catalog_s) {
    mapping.columns[1].target.equals = "OPERATOR(public.=)";
    EXPECT_NE(remove_sql(mapping, next_chunk(mapping, table, "", 10))
                  .find("AND t.\"b\" OPERATOR(public.=) (e.value->>1)::text AND t.\"b\"::text = "
                        "((e.value->>1)::text)::text"),
              std::string::npos);
}

TEST_F(rows_of_a_table, are_refused_a_second_time_by_a_key_within_theirs) {
    auto rel = std::make_shared<model::relation>(*table.rel);
    rel->identity = model::replica_identity::primary_key;
    apply::target_table target;
    for (const auto& each : mapping.columns) target.columns.push_back(each.target);
    const auto keyed = [&] { return apply::map_table(rel, &target, "").keyed; };
    EXPECT_FALSE(keyed());
    target.keys = {{{"a", "note"}, true}};
    EXPECT_FALSE(keyed());
    target.keys.push_back({{"b"}, false});
    EXPECT_TRUE(keyed());
    target.keys = {{{"b", "a"}, true}};
    EXPECT_TRUE(keyed());
}

TEST_F(rows_of_a_table, make_way_by_the_followers_types) {
    EXPECT_EQ(remove_sql(mapping, next_chunk(mapping, table, "", 10)),
              "DELETE FROM \"public\".\"t\" AS t USING json_array_elements($1::json) AS e"
              " WHERE t.\"a\" = (e.value->>0)::numeric AND t.\"b\" = (e.value->>1)::text");
}

TEST_F(rows_of_a_table, can_be_had_by_their_keys) {
    const auto some = by_keys(mapping, table, R"([["7","x"]])");
    EXPECT_NE(some.rows.find("WHERE \"a\" = (e.value->>0)::bigint AND \"b\" = (e.value->>1)::text)"), std::string::npos)
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
