#include "proxy/console/holds.hpp"

#include <gtest/gtest.h>

namespace crossfade::proxy::console {
namespace {

using namespace std::chrono_literals;

const instant noon{std::chrono::sys_days{std::chrono::year{2026} / 11 / 20} + 12h};

scope group(const std::string& name) {
    return {.group = name, .tenant = {}, .database = {}};
}
scope tenant(const std::string& name) {
    return {.group = {}, .tenant = name, .database = {}};
}
scope database(const std::string& name) {
    return {.group = {}, .tenant = {}, .database = name};
}

TEST(scope, covers_what_all_of_its_names_name) {
    const std::vector<std::string> orders_and_stock{"orders", "stock"};
    const std::vector<std::string> no_groups;
    const held_party unknown{"app", "acme", {}};
    const held_party known{"app", "acme", orders_and_stock};
    const held_party reader{"app", "", no_groups};
    struct {
        scope held;
        const held_party& party;
        bool covered;
    } const table[] = {
        {{}, unknown, true},
        {{}, reader, true},
        {database("app"), unknown, true},
        {database("App"), unknown, false},
        {tenant("acme"), unknown, true},
        {tenant("acme"), reader, false},
        {tenant("zenith"), unknown, false},
        {group("stock"), known, true},
        {group("users"), known, false},
        {group("users"), unknown, true},
        {group("users"), reader, false},
        {{"stock", "acme", "app"}, known, true},
        {{"stock", "zenith", "app"}, known, false},
        {{"stock", "acme", "other"}, known, false},
        {{"users", "zenith", {}}, unknown, false},
    };
    for (const auto& each : table)
        EXPECT_EQ(covers(each.held, each.party), each.covered) << to_string(each.held) << " / " << each.party.tenant;
}

TEST(holds, are_looked_up_by_exactly_their_scope) {
    hold_set holds;
    EXPECT_TRUE(holds.empty());
    EXPECT_EQ(holds.next_end(), instant::max());
    holds.add({group("orders"), noon, noon + 5min, "ann"});
    holds.add({tenant("acme"), noon + 1s, noon + 2min, "bob"});
    EXPECT_EQ(holds.next_end(), noon + 2min);
    EXPECT_EQ(holds.find(group("orders"))->by, "ann");
    EXPECT_EQ(holds.find({}), nullptr);
    EXPECT_FALSE(holds.remove({.group = "orders", .tenant = "acme", .database = {}}));
    EXPECT_TRUE(holds.remove(group("orders")));
    EXPECT_FALSE(holds.remove(group("orders")));
    EXPECT_EQ(holds.all().size(), 1U);
}

TEST(holds, are_prolonged_by_another_pause) {
    hold_set holds;
    holds.add({group("orders"), noon, noon + 5min, "ann"});
    holds.add({group("orders"), noon + 1min, noon + 6min, "bob"});
    ASSERT_EQ(holds.all().size(), 1U);
    EXPECT_EQ(holds.all()[0].since, noon);
    EXPECT_EQ(holds.all()[0].until, noon + 6min);
    EXPECT_EQ(holds.all()[0].by, "bob");
}

TEST(holds, let_go_by_themselves) {
    hold_set holds;
    holds.add({{}, noon, noon + 2min, "ann"});
    holds.add({database("app"), noon, noon + 5min, "ann"});
    const held_party party{"shop", "", {}};
    EXPECT_NE(holds.covering(party, noon + 2min - 1us), nullptr);
    // Whoever is late in taking it out holds nobody any longer.
    EXPECT_EQ(holds.covering(party, noon + 2min), nullptr);
    EXPECT_TRUE(holds.expire(noon + 2min - 1us).empty());
    const auto over = holds.expire(noon + 2min);
    ASSERT_EQ(over.size(), 1U);
    EXPECT_EQ(over[0].what, scope{});
    EXPECT_EQ(holds.all().size(), 1U);
}

TEST(holds, are_bounded) {
    hold_set holds;
    for (std::size_t each = 0; each < hold_set::most; ++each)
        holds.add({tenant(std::to_string(each)), noon, noon + 5min, "ann"});
    EXPECT_TRUE(holds.full());
    holds.add({tenant("one more"), noon, noon + 5min, "ann"});
    EXPECT_EQ(holds.find(tenant("one more")), nullptr);
    holds.add({tenant("0"), noon, noon + 6min, "bob"});
    EXPECT_EQ(holds.find(tenant("0"))->by, "bob");
    // A flip is none of them.
    const auto with_flip = holds.beside({tenant("0"), noon, instant::max(), "a flip"});
    EXPECT_EQ(with_flip.all().size(), hold_set::most + 1);
    EXPECT_NE(with_flip.covering({"app", "0", {}}, noon + 10min), nullptr);
    EXPECT_EQ(holds.covering({"app", "0", {}}, noon + 10min), nullptr);
}

}  // namespace
}  // namespace crossfade::proxy::console
