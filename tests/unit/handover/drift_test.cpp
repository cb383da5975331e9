#include "lib/handover/drift.hpp"

#include <gmock/gmock.h>

namespace crossfade::handover {
namespace {

using preflight::verdict;
using settings::flag_overrides;
using settings::flag_scope;
using settings::flag_set;
using settings::side;
using testing::HasSubstr;

flag_overrides tolerating(double share) {
    flag_overrides made;
    made.migration_drift_tolerance = share;
    return made;
}

store::fenced_table table(const std::string& name, bool by_tenant = false) {
    return {.oid = name, .name = name, .stream = {"public", name}, .is_part = false, .by_tenant = by_tenant};
}

const std::vector<store::fenced_table> tables{table("orders"), table("bills", true), table("large")};
const std::map<std::string, std::int64_t> rows{
    {"public.orders", 1000}, {"public.bills", 10000}, {"public.large", 10'000'000}};

const flag_set flags({},
                     {{"orders", {{"public.orders"}, tolerating(0)}}, {"bills", {{"public.bills"}, tolerating(0.001)}}},
                     {{"acme", {tolerating(0), {}}}, {"bravo", {{}, {{"bills", tolerating(0.001)}}}}});

intent moving(const flag_scope& scope) {
    return {side::modern, settings::assignment{}, settings::assignment{}.with(scope, side::modern)};
}

preflight::finding judged(const std::vector<recorded_drift>& drift, const flag_scope& scope = {}) {
    return judge(drift, rows, tables, flags, moving(scope));
}

recorded_drift confirmed(const std::string& name, std::int64_t count, const std::string& tenant = {}) {
    return {"public." + name, tenant, 0, count};
}

TEST(drift, is_held_to_the_tables_own_tolerance_and_rows) {
    EXPECT_EQ(judged({}).found, "none");
    EXPECT_EQ(judged({confirmed("large", 5000)}).found, "5000 rows, which is tolerated");
    EXPECT_EQ(judged({confirmed("large", 5001)}).found,
              "5001 of about 10000000 rows of public.large differ, and its migration_drift_tolerance is 0.0005");
    const auto strict = judged({confirmed("orders", 1), confirmed("large", 9)});
    EXPECT_EQ(strict.outcome, verdict::warn);
    EXPECT_EQ(strict.found, "1 of about 1000 rows of public.orders differ, and its migration_drift_tolerance is 0");
    EXPECT_THAT(strict.mend, HasSubstr("--tables public.orders"));
    // The worst by its share of rows is named.
    EXPECT_EQ(judged({confirmed("orders", 100), confirmed("large", 6000)}).found,
              "100 of about 1000 rows of public.orders differ, and its migration_drift_tolerance is 0; too many of 1"
              " more tables, too");
}

TEST(drift, of_what_stays_is_in_nobodys_way) {
    EXPECT_EQ(judged({confirmed("large", 10'000'000), {"public.bills", "", 7, 0}}, {"orders", ""}).found, "none");
    EXPECT_EQ(judged({confirmed("orders", 1)}, {"orders", ""}).outcome, verdict::warn);
    // Of a table that the stream has no more.
    EXPECT_EQ(judged({confirmed("gone", 1)}).found, "none");
}

TEST(drift, is_held_to_the_tenants_tolerance) {
    EXPECT_EQ(judged({confirmed("bills", 10, "zeta")}).outcome, verdict::ok);
    EXPECT_EQ(judged({confirmed("bills", 1, "acme")}).outcome, verdict::warn);
    // A word of one's own that is no other buys nothing.
    EXPECT_EQ(judged({confirmed("bills", 10, "zeta"), confirmed("bills", 1, "bravo")}).outcome, verdict::warn);
    // A tenant by itself: its own rows, and those of which nobody knows.
    const flag_scope zeta{"", "zeta"};
    EXPECT_EQ(judged({confirmed("bills", 11, "bravo"), confirmed("orders", 1)}, zeta).found, "none");
    EXPECT_EQ(judged({confirmed("bills", 11, "zeta")}, zeta).outcome, verdict::warn);
    EXPECT_EQ(judged({confirmed("bills", 11)}, zeta).outcome, verdict::warn);
}

TEST(drift, that_is_suspected_is_not_tolerated) {
    EXPECT_EQ(judged({{"public.large", "", 1, 1}, {"public.bills", "", 2, 0}}).found,
              "rows are suspected to differ: 2 of public.bills, 1 of public.large");
}

TEST(drift, of_a_table_that_nobody_has_counted_is_too_much) {
    const auto found = judge({confirmed("large", 1)}, {}, tables, flags, moving({}));
    EXPECT_EQ(found.outcome, verdict::warn);
    EXPECT_THAT(found.mend, HasSubstr("ANALYZE public.large"));
}

TEST(intent, names_every_scope_that_moves) {
    using testing::ElementsAre;
    const auto scopes = [](const flag_scope& of) { return scopes_that_move(moving(of), flags); };
    EXPECT_THAT(scopes({"orders", ""}),
                ElementsAre(flag_scope{"orders", ""}, flag_scope{"orders", "acme"}, flag_scope{"orders", "bravo"}));
    // Of whom the file says nothing.
    EXPECT_THAT(scopes({"", "zeta"}),
                ElementsAre(flag_scope{"", "zeta"}, flag_scope{"bills", "zeta"}, flag_scope{"orders", "zeta"}));
    EXPECT_EQ(scopes({}).size(), 9U);
}

}  // namespace
}  // namespace crossfade::handover
