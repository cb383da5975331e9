#include "cdc/apply/scope.hpp"

#include <gtest/gtest.h>

namespace crossfade::cdc::apply {
namespace {

using settings::side;

TEST(scope_filter, knows_where_a_row_is_at_home) {
    settings::configuration config;
    config.flags = settings::flag_set({}, {{"orders", {{"public.orders"}, {}}}}, {});
    scope_filter scopes{std::make_shared<const settings::in_force>(settings::in_force{config})};
    const model::table_name orders{"public", "orders"};
    const model::table_name rest{"public", "rest"};

    const settings::assignment all{side::modern, {}};
    EXPECT_TRUE(scopes.is_home(side::modern, all, orders, "acme"));
    EXPECT_FALSE(scopes.is_home(side::legacy, all, orders, ""));

    const auto group = settings::assignment{}.with({"orders", ""}, side::modern);
    EXPECT_TRUE(scopes.is_home(side::modern, group, orders, ""));
    EXPECT_FALSE(scopes.is_home(side::modern, group, rest, ""));
    EXPECT_TRUE(scopes.is_home(side::legacy, group, rest, "acme"));

    // Of a row that doesn't say its tenant nobody knows.
    const auto tenant = settings::assignment{}.with({"", "acme"}, side::modern);
    EXPECT_TRUE(scopes.is_home(side::modern, tenant, rest, "acme"));
    EXPECT_TRUE(scopes.is_home(side::legacy, tenant, rest, "zeta"));
    EXPECT_FALSE(scopes.is_home(side::legacy, tenant, rest, ""));
    EXPECT_FALSE(scopes.is_home(side::modern, tenant, rest, ""));
}

}  // namespace
}  // namespace crossfade::cdc::apply
