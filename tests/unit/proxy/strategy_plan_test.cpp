#include <gtest/gtest.h>

#include "proxy/strategy/plan.hpp"

namespace crossfade::proxy::strategy {
namespace {

using settings::flag_overrides;
using settings::flag_set;
using settings::flags;
using settings::side;
using settings::write_strategy;
using enum settings::write_strategy;

flag_overrides strategy_of(write_strategy strategy) {
    flag_overrides made;
    made.dual_write_strategy = strategy;
    return made;
}
flag_overrides switched(bool on) {
    flag_overrides made;
    made.hybrid_mode_enabled = on;
    return made;
}

settings::in_force in_force(flag_set of) {
    settings::in_force made;
    made.config.flags = std::move(of);
    made.epoch = 42;
    return made;
}

struct by_strategy {
    write_strategy strategy;
    bool hybrid_mode;
    plan expected;
};

TEST(decide, follows_strategy_and_master_switch) {
    const plan plain{side::legacy, legacy_only, 42, follower_path::none};
    const by_strategy cases[] = {
        {legacy_only, true, plain},
        {legacy_primary, true, {side::legacy, legacy_primary, 42, follower_path::stream}},
        {mirror, true, {side::legacy, mirror, 42, follower_path::mirror}},
        {prefer_modern, true, {side::modern, prefer_modern, 42, follower_path::reverse_stream}},
        {modern_only, true, {side::modern, modern_only, 42, follower_path::none}},
        {legacy_only, false, plain},
        {legacy_primary, false, plain},
        {mirror, false, plain},
        {prefer_modern, false, plain},
        {modern_only, false, plain},
    };
    for (const auto& each : cases) {
        auto defaults = apply(strategy_of(each.strategy), flags{});
        defaults.hybrid_mode_enabled = each.hybrid_mode;
        EXPECT_EQ(decide(in_force(flag_set(defaults, {}, {})), {}, {}), each.expected)
            << to_string(each.strategy) << ' ' << each.hybrid_mode;
    }
}

TEST(decide, leaves_other_databases_to_legacy) {
    const session_facts elsewhere{.tenant = "acme", .moves = false};
    for (const auto each : {legacy_primary, mirror, prefer_modern, modern_only}) {
        const auto now = in_force(flag_set(apply(strategy_of(each), flags{}), {}, {{"acme", {strategy_of(each), {}}}}));
        EXPECT_EQ(decide(now, elsewhere, {}), (plan{side::legacy, legacy_only, 42, follower_path::none}));
        EXPECT_EQ(authority_of(now, elsewhere), side::legacy);
        EXPECT_EQ(authority_of(now, {"acme"}), decide(now, {"acme"}, {}).authority);
        EXPECT_FALSE(may_change_hands(now, elsewhere));
        EXPECT_FALSE(may_be_mirrored(now, elsewhere));
    }
}

struct by_scope {
    const char* tenant;
    std::vector<model::table_name> tables;
    write_strategy strategy;
    follower_path follower;
};

TEST(decide, follows_the_most_specific_scope) {
    const model::table_name orders{"public", "orders"};
    const model::table_name audit{"public", "audit"};
    const model::table_name users{"public", "users"};
    const auto now = in_force(flag_set(
        flags{},
        {{"audit", {{"public.audit"}, strategy_of(legacy_only)}}, {"orders", {{"public.orders"}, strategy_of(mirror)}}},
        {{"acme", {strategy_of(legacy_only), {{"audit", strategy_of(legacy_primary)}}}},
         {"off", {switched(false), {}}}}));

    const by_scope cases[] = {
        {"", {}, legacy_primary, follower_path::stream},
        {"", {users}, legacy_primary, follower_path::stream},
        {"", {orders}, mirror, follower_path::mirror},
        {"", {audit}, legacy_only, follower_path::none},
        {"nobody", {audit}, legacy_only, follower_path::none},
        {"acme", {}, legacy_only, follower_path::none},
        {"acme", {users}, legacy_only, follower_path::none},
        {"acme", {orders}, legacy_only, follower_path::none},  // the tenant's word is more specific than the group's
        {"acme", {audit}, legacy_primary, follower_path::stream},
        {"off", {orders}, legacy_only, follower_path::none},
        // Several groups in one statement: the one that owes the follower most.
        {"", {audit, users}, legacy_primary, follower_path::stream},
        {"", {users, audit}, legacy_primary, follower_path::stream},
        {"", {audit, orders, users}, mirror, follower_path::mirror},
        {"acme", {orders, audit}, legacy_primary, follower_path::stream},
    };
    for (const auto& each : cases) {
        const auto plan = decide(now, {each.tenant}, {each.tables});
        EXPECT_EQ(plan.strategy, each.strategy) << each.tenant << ' ' << each.tables.size();
        EXPECT_EQ(plan.follower, each.follower) << each.tenant << ' ' << each.tables.size();
        EXPECT_EQ(plan.authority, side::legacy);
        EXPECT_EQ(plan.epoch, 42U);
    }
}

TEST(decide, keeps_modern_for_statements_on_known_tables) {
    const model::table_name orders{"public", "orders"};
    const auto now =
        in_force(flag_set(apply(strategy_of(modern_only), flags{}), {{"orders", {{"public.orders"}, {}}}}, {}));
    EXPECT_EQ(decide(now, {}, {{&orders, 1}}), (plan{side::modern, modern_only, 42, follower_path::none}));
}

TEST(may_change_hands, where_any_scope_of_the_session_keeps_the_other_side_up_to_date) {
    struct sample {
        write_strategy strategy;
        bool hybrid_mode;
        bool may;
    };
    for (const auto& [strategy, hybrid_mode, may] :
         {sample{legacy_only, true, false}, sample{legacy_primary, true, true}, sample{mirror, true, true},
          sample{prefer_modern, true, true}, sample{modern_only, true, false}, sample{legacy_primary, false, false}}) {
        flags made;
        made.dual_write_strategy = strategy;
        made.hybrid_mode_enabled = hybrid_mode;
        EXPECT_EQ(may_change_hands(in_force(flag_set{made, {}, {}}), {}), may) << to_string(strategy);
    }
    flags plain;
    plain.dual_write_strategy = legacy_only;
    const settings::table_group moving{{"public.orders"}, strategy_of(legacy_primary)};
    EXPECT_TRUE(may_change_hands(in_force(flag_set{plain, {{"orders", moving}}, {}}), {}));
    const auto of_acme = in_force(flag_set{plain, {}, {{"acme", {strategy_of(legacy_primary), {}}}}});
    EXPECT_TRUE(may_change_hands(of_acme, {"acme"}));
    EXPECT_FALSE(may_change_hands(of_acme, {"other"}));
    EXPECT_FALSE(may_change_hands(of_acme, {}));
}

}  // namespace
}  // namespace crossfade::proxy::strategy
