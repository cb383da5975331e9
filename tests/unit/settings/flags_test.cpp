#include "lib/settings/flags.hpp"

#include <gmock/gmock.h>

#include "lib/settings/flag_text.hpp"

namespace crossfade::settings {
namespace {

flag_overrides percent(int value) {
    flag_overrides made;
    made.canary_percent = value;
    return made;
}

const flag_set nested(flags{}, {{"orders", {{"public.orders", "public.order_*"}, percent(1)}}, {"rest", {{"*.*"}, {}}}},
                      {{"acme", {percent(2), {{"orders", percent(3)}}}}, {"zeta", {{}, {{"orders", percent(4)}}}}});

TEST(flag_set, resolves_the_most_specific) {
    const std::tuple<const char*, const char*, int> cases[] = {
        {"", "", 100},     {"orders", "", 1},     {"rest", "", 100},     {"unknown", "", 100},
        {"", "acme", 2},   {"orders", "acme", 3}, {"rest", "acme", 2},   {"", "nobody", 100},
        {"", "zeta", 100}, {"orders", "zeta", 4}, {"rest", "zeta", 100}, {"orders", "nobody", 1}};
    for (const auto& [group, tenant, expected] : cases)
        EXPECT_EQ(nested.resolve(group, tenant).canary_percent, expected) << group << '/' << tenant;
}

TEST(flag_set, finds_the_group_of_a_table) {
    EXPECT_EQ(nested.group_of({"public", "orders"}), "orders");
    EXPECT_EQ(nested.group_of({"public", "order_items"}), "orders");  // "rest" matches too; the first name wins
    EXPECT_EQ(nested.group_of({"public", "users"}), "rest");
    EXPECT_EQ(flag_set().group_of({"public", "users"}), "");
}

TEST(flag_set, lists_what_is_written_down) {
    using scope = flag_set::scope;
    EXPECT_THAT(nested.scopes(),
                testing::ElementsAre(scope{"", ""}, scope{"", "acme"}, scope{"", "zeta"}, scope{"orders", ""},
                                     scope{"orders", "acme"}, scope{"orders", "zeta"}, scope{"rest", ""}));
}

TEST(flag_set, has_one_side_in_charge_of_every_scope) {
    using enum write_strategy;
    const auto with = [](write_strategy strategy) {
        flag_overrides made;
        made.dual_write_strategy = strategy;
        return made;
    };
    flags off;
    off.hybrid_mode_enabled = false;
    off.dual_write_strategy = mirror;
    const flag_set mixed(off, {{"orders", {{"public.orders"}, with(modern_only)}}},
                         {{"acme", {with(legacy_only), {{"orders", with(prefer_modern)}}}}});
    struct expected {
        const char* group;
        const char* tenant;
        write_strategy under_legacy;
        write_strategy under_modern;
    };
    for (const auto& each :
         {expected{"", "", legacy_only, prefer_modern},  // the master switch is off
          expected{"orders", "", legacy_only, modern_only}, expected{"", "acme", legacy_only, prefer_modern},
          expected{"orders", "acme", legacy_only, prefer_modern}}) {
        SCOPED_TRACE(std::string{each.group} + '/' + each.tenant);
        const auto resolved = [&](side which) { return mixed.under(which).resolve(each.group, each.tenant); };
        EXPECT_EQ(effective_strategy(resolved(side::legacy)), each.under_legacy);
        EXPECT_EQ(effective_strategy(resolved(side::modern)), each.under_modern);
        EXPECT_EQ(authority(resolved(side::legacy)), side::legacy);
        EXPECT_EQ(authority(resolved(side::modern)), side::modern);
        EXPECT_EQ(resolved(side::modern).hybrid_read_strategy, read_strategy::modern);
        EXPECT_EQ(resolved(side::legacy).hybrid_read_strategy, read_strategy::legacy);
    }
    // Reads from a follower are a word of their own, which who is in charge as written keeps.
    for (const auto reads : {read_strategy::prefer_modern, read_strategy::modern}) {
        flags asked;
        asked.hybrid_read_strategy = reads;
        const flag_set reading(asked, {}, {});
        EXPECT_EQ(reading.under(side::legacy), reading);
        EXPECT_EQ(reading.under(side::modern).defaults().hybrid_read_strategy, reads);
        asked.dual_write_strategy = prefer_modern;
        EXPECT_EQ(flag_set(asked, {}, {}).under(side::legacy).defaults().hybrid_read_strategy, read_strategy::legacy);
    }
    // One that is in charge as it is stays as it is.
    const flag_set plain(flags{}, {}, {});
    EXPECT_EQ(plain.under(side::legacy), plain);
}

TEST(flag_set, has_each_side_in_charge_of_what_is_its_own) {
    using enum write_strategy;
    flag_overrides mirrored;
    mirrored.dual_write_strategy = mirror;
    const flag_set written(flags{}, {{"orders", {{"public.orders"}, {}}}, {"rest", {{"public.*"}, {}}}},
                           {{"acme", {mirrored, {}}}});
    const assignment split{
        side::legacy, {{{"orders", ""}, side::modern}, {{"", "zeta"}, side::modern}, {{"rest", "zeta"}, side::legacy}}};
    const auto made = written.under(split);
    struct expected {
        const char* group;
        const char* tenant;
        write_strategy strategy;
    };
    for (const auto& each :
         {expected{"", "", legacy_primary}, expected{"orders", "", prefer_modern}, expected{"rest", "", legacy_primary},
          expected{"", "acme", mirror}, expected{"rest", "acme", mirror},
          expected{"orders", "acme", prefer_modern},  // acme has no authority of its own, but flags
          expected{"", "zeta", prefer_modern}, expected{"orders", "zeta", prefer_modern},
          expected{"rest", "zeta", legacy_primary}, expected{"orders", "whoever", prefer_modern}}) {
        SCOPED_TRACE(std::string{each.group} + '/' + each.tenant);
        EXPECT_EQ(effective_strategy(made.resolve(each.group, each.tenant)), each.strategy);
        EXPECT_EQ(split.of(each.group, each.tenant), authority(made.resolve(each.group, each.tenant)));
    }
    EXPECT_EQ(made.assigned().of("orders", "acme"), side::modern);
    EXPECT_EQ(made.under(split), made);
}

// A tenant may be named for something else than who has what.
TEST(flag_set, assigns_what_its_flags_resolve_to) {
    flag_overrides modern;
    modern.dual_write_strategy = write_strategy::prefer_modern;
    flag_overrides strict;
    strict.migration_drift_tolerance = 0;
    flag_overrides legacy;
    legacy.dual_write_strategy = write_strategy::legacy_primary;
    const flag_set written(flags{}, {{"orders", {{"public.orders"}, modern}}, {"rest", {{"public.*"}, {}}}},
                           {{"acme", {strict, {}}}, {"zeta", {legacy, {}}}, {"yours", {{}, {{"orders", legacy}}}}});
    const auto made = written.assigned();
    for (const auto* group : {"", "orders", "rest"})
        for (const auto* tenant : {"", "acme", "zeta", "yours", "whoever"})
            EXPECT_EQ(made.of(group, tenant), authority(written.resolve(group, tenant))) << group << '/' << tenant;
}

TEST(assignment, moves_a_scope_with_all_that_is_in_it) {
    const assignment legacy{};
    const auto acme = legacy.with({"", "acme"}, side::modern);
    EXPECT_TRUE(acme.has(side::legacy) && acme.has(side::modern));
    EXPECT_FALSE(legacy.has(side::modern));
    EXPECT_EQ(acme.of("orders", "acme"), side::modern);
    EXPECT_EQ(acme.of("orders", ""), side::legacy);
    const auto both = acme.with({"orders", ""}, side::modern);
    EXPECT_EQ(both.of("orders", "zeta"), side::modern);
    EXPECT_EQ(both.of("", "acme"), side::modern);
    // A tenant's word counts before a group's.
    const auto kept = both.with({"", "acme"}, side::legacy);
    EXPECT_EQ(kept.of("orders", "acme"), side::legacy);
    EXPECT_EQ(kept.of("orders", ""), side::modern);
    // A part of a tenant goes where the tenant goes.
    const auto part = acme.with({"orders", "acme"}, side::legacy);
    EXPECT_EQ(part.of("orders", "acme"), side::legacy);
    EXPECT_EQ(part.with({"", "acme"}, side::modern), acme);
    // Everything is everything, and what makes no difference isn't kept.
    EXPECT_EQ(kept.with({}, side::modern), (assignment{side::modern, {}}));
    EXPECT_EQ(acme.with({"", "acme"}, side::legacy), legacy);
    EXPECT_EQ(to_string(flag_scope{"orders", "acme"}), "group orders of tenant acme");
}

TEST(flags, authority_follows_strategy_and_master_switch) {
    using enum write_strategy;
    const std::pair<write_strategy, side> cases[] = {{legacy_only, side::legacy},
                                                     {legacy_primary, side::legacy},
                                                     {mirror, side::legacy},
                                                     {prefer_modern, side::modern},
                                                     {modern_only, side::modern}};
    for (const auto& [strategy, expected] : cases) {
        flags on;
        on.dual_write_strategy = strategy;
        EXPECT_EQ(authority(on), expected) << to_string(strategy);
        EXPECT_EQ(effective_strategy(on), strategy);
        flags off = on;
        off.hybrid_mode_enabled = false;
        EXPECT_EQ(authority(off), side::legacy) << to_string(strategy);
        EXPECT_EQ(effective_strategy(off), legacy_only);
    }
}

TEST(flags, texts_go_both_ways) {
    const flags changed{false, write_strategy::modern_only, read_strategy::modern, 0.125, true, false, 100};
    flag_overrides read;
    for (const auto name : flag_names)
        EXPECT_FALSE(set_flag(read, name, *flag_text(as_overrides(changed), name))) << name;
    EXPECT_EQ(apply(read, flags{}), changed);
    for (const auto name : flag_names) EXPECT_FALSE(flag_text(flag_overrides{}, name)) << name;
}

}  // namespace
}  // namespace crossfade::settings
