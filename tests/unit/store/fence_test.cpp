#include "lib/store/fence.hpp"

#include <gmock/gmock.h>

namespace crossfade::store {
namespace {

using settings::side;
using testing::HasSubstr;
using testing::Not;

TEST(fence, refuses_what_is_at_home_elsewhere) {
    const settings::assignment all{side::legacy, {}};
    EXPECT_EQ(fence_of(all, side::legacy, "orders", true), (fence{false, {}}));
    EXPECT_EQ(fence_of(all, side::modern, "orders", true), (fence{true, {}}));

    const auto group = all.with({"orders", ""}, side::modern);
    EXPECT_EQ(fence_of(group, side::legacy, "orders", true), (fence{true, {}}));
    EXPECT_EQ(fence_of(group, side::legacy, "rest", true), (fence{false, {}}));
    EXPECT_EQ(fence_of(group, side::modern, "orders", true), (fence{false, {}}));

    const auto tenants = all.with({"", "zeta"}, side::modern).with({"", "acme"}, side::modern);
    EXPECT_EQ(fence_of(tenants, side::legacy, "orders", true), (fence{false, {"acme", "zeta"}}));
    EXPECT_EQ(fence_of(tenants, side::modern, "orders", true), (fence{true, {"acme", "zeta"}}));
    // Whose rows have no tenant are at home where the group is.
    EXPECT_EQ(fence_of(tenants, side::legacy, "orders", false), (fence{false, {}}));
    EXPECT_EQ(fence_of(tenants, side::modern, "orders", false), (fence{true, {}}));

    // The group has gone where the tenants are, but for one that stayed.
    const auto kept = tenants.with({"orders", ""}, side::modern).with({"orders", "acme"}, side::legacy);
    EXPECT_EQ(fence_of(kept, side::legacy, "orders", true), (fence{true, {"acme"}}));
    EXPECT_EQ(fence_of(kept, side::modern, "orders", true), (fence{false, {"acme"}}));
}

TEST(fence, is_set_by_rows_only_where_tenants_are_apart) {
    fenced_table table{.oid = "1", .name = "public.orders", .stream = {"public", "orders"}, .by_tenant = true};
    EXPECT_EQ(set_fence_sql(table, {true, {}}, "tenant"),
              "ALTER TABLE ONLY public.orders ENABLE TRIGGER crossfade_fence;");
    EXPECT_EQ(set_fence_sql(table, {false, {}}, "tenant"),
              "ALTER TABLE ONLY public.orders DISABLE TRIGGER crossfade_fence;");

    const auto some = set_fence_sql(table, {false, {"acme", "o'neil, \"inc\""}}, "Ten\"ant");
    EXPECT_THAT(some, HasSubstr("AFTER INSERT OR UPDATE ON public.orders"));
    EXPECT_THAT(some, HasSubstr("AFTER UPDATE OR DELETE ON public.orders"));
    EXPECT_THAT(some, HasSubstr(R"((NEW."Ten""ant"::text = ANY ('{"acme","o''neil, \"inc\""}'::text[])) IS TRUE)"));
    EXPECT_THAT(some, HasSubstr("ENABLE TRIGGER crossfade_fence_truncate"));
    EXPECT_THAT(set_fence_sql(table, {true, {"acme"}}, "tenant"), HasSubstr("IS NOT TRUE"));

    // From there back: what there is refuses nothing any more.
    table.now = {false, {"acme"}};
    const auto none = set_fence_sql(table, {true, {}}, "tenant");
    EXPECT_THAT(none, HasSubstr("WHEN (false)"));
    EXPECT_THAT(none, HasSubstr("DISABLE TRIGGER crossfade_fence_truncate"));
    EXPECT_THAT(none, HasSubstr("ENABLE TRIGGER crossfade_fence;"));

    // A part has its rows looked at by the whole's.
    table.is_part = true;
    EXPECT_THAT(set_fence_sql(table, {false, {"acme"}}, "tenant"), Not(HasSubstr("FOR EACH ROW")));
}

}  // namespace
}  // namespace crossfade::store
