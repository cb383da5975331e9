#include <gtest/gtest.h>

#include "ctl/verify/digest.hpp"

namespace crossfade::ctl::verify {
namespace {

merger merge(const std::vector<digest>& legacy, const std::vector<digest>& modern, std::size_t keep = 10) {
    merger made(keep);
    std::size_t l = 0;
    std::size_t m = 0;
    while (l < legacy.size() || m < modern.size()) {
        const auto move = made.step(l < legacy.size() ? &legacy[l] : nullptr, m < modern.size() ? &modern[m] : nullptr);
        if (move != merger::advance::modern) ++l;
        if (move != merger::advance::legacy) ++m;
    }
    return made;
}

TEST(verify_merger, tells_missing_extra_and_different) {
    const auto made = merge({{"a", "1"}, {"b", "1"}, {"d", "1"}}, {{"b", "2"}, {"c", "1"}, {"d", "1"}, {"e", "1"}});
    EXPECT_EQ(made.count(difference_kind::missing), 1);
    EXPECT_EQ(made.count(difference_kind::extra), 2);
    EXPECT_EQ(made.count(difference_kind::different), 1);
    ASSERT_EQ(made.kept().size(), 4U);
    EXPECT_EQ(made.kept()[1].key, "b");
}

TEST(verify_merger, counts_duplicates) {
    const auto made = merge({{"a", "a", 3}, {"b", "b", 1}}, {{"a", "a", 1}, {"b", "b", 4}});
    EXPECT_EQ(made.count(difference_kind::missing), 2);
    EXPECT_EQ(made.count(difference_kind::extra), 3);
    EXPECT_EQ(made.count(difference_kind::different), 0);
}

TEST(verify_merger, keeps_no_more_than_asked_for_but_counts_all) {
    const auto made = merge({{"a", "1"}, {"b", "1"}, {"c", "1"}}, {}, 1);
    EXPECT_EQ(made.kept().size(), 1U);
    EXPECT_EQ(made.count(difference_kind::missing), 3);
}

TEST(verify_merger, orders_bytes_unsigned_as_collation_c_does) {
    const auto made = merge({{"z", "1"}, {"\xC3\xA4", "1"}}, {{"z", "1"}, {"\xC3\xA4", "1"}});
    EXPECT_TRUE(made.kept().empty());
}

TEST(verify_sql, quotes_whatever_the_names_are) {
    comparison of;
    of.table = {"My", "t\"x"};
    of.columns = of.key = {"it's"};
    of.modern_kind = catalog::table_kind::partitioned;
    EXPECT_EQ(digests_sql(of, settings::side::legacy),
              "SELECT (jsonb_build_object('it''s', \"it's\"::text)::text) COLLATE \"C\" AS k, "
              "md5((ROW(\"it's\")::text) COLLATE \"C\"), 1 FROM ONLY \"My\".\"t\"\"x\" ORDER BY k");
    EXPECT_TRUE(aggregate_sql(of, settings::side::legacy).ends_with(" FROM ONLY \"My\".\"t\"\"x\""));
    EXPECT_TRUE(aggregate_sql(of, settings::side::modern).ends_with(" FROM \"My\".\"t\"\"x\""));
}

TEST(verify_sql, goes_by_utf8_where_a_side_has_other_bytes) {
    comparison of;
    of.table = {"public", "t"};
    of.columns = of.key = {"id", "ü"};
    of.legacy_bytes = bytes_of("LATIN1");
    of.modern_bytes = bytes_of("UTF8");
    const std::string key =
        "('{' || to_json('id'::text)::text || ': ' || to_json(\"id\"::text)::text || ', ' || "
        "to_json('ü'::text)::text || ': ' || to_json(\"ü\"::text)::text || '}') COLLATE \"C\"";
    const std::string row = "(ROW(\"id\", \"ü\")::text) COLLATE \"C\"";
    EXPECT_EQ(digests_sql(of, settings::side::legacy), "SELECT " + key + " AS k, md5(convert_to(" + row +
                                                           ", 'UTF8')), 1 FROM ONLY \"public\".\"t\""
                                                           " ORDER BY convert_to(" +
                                                           key + ", 'UTF8')");
    EXPECT_EQ(digests_sql(of, settings::side::modern),
              "SELECT " + key + " AS k, md5(" + row + "), 1 FROM ONLY \"public\".\"t\" ORDER BY k");
    EXPECT_NE(aggregate_sql(of, settings::side::modern).find("left(md5("), std::string::npos);
    EXPECT_NE(aggregate_sql(of, settings::side::legacy).find("left(md5(convert_to("), std::string::npos);
}

}  // namespace
}  // namespace crossfade::ctl::verify
