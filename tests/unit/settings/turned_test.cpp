#include "lib/settings/turned.hpp"

#include <gmock/gmock.h>

#include "lib/settings/directions.hpp"
#include "tests/unit/settings/sample.hpp"

namespace crossfade::settings {
namespace {

configuration of(const std::string& flags) {
    auto text = required;
    text.replace(text.find("] }"), 3, "], both_ways: true, ddl: refuse }");
    return parse(text + flags, "f.yaml", variables({})).value();
}

write_strategy strategy_of(const configuration& config, const char* group = "") {
    return effective_strategy(config.flags.resolve(group, ""));
}

TEST(turned, has_the_databases_changed_and_a_name_of_its_own) {
    const auto forth = of("");
    const auto back = turned(forth);
    EXPECT_EQ(back.legacy, forth.modern);
    EXPECT_EQ(back.modern, forth.legacy);
    EXPECT_EQ(back.stream.name, "app_back");
    EXPECT_EQ(back.stream.slot(), "crossfade_app_back");
    EXPECT_EQ(back.stream.topic(), "crossfade.app_back.changes");
    EXPECT_EQ(back.stream.ddl, ddl_policy::note);
    EXPECT_EQ(back.source_name(), "modern");
    EXPECT_EQ(back.follower_name(), "legacy");
    EXPECT_EQ(forth.source_name(), "legacy");
    EXPECT_EQ(source_dsn(back), "modern.dsn");
    EXPECT_EQ(follower_dsn(back), "legacy.dsn");
    EXPECT_EQ(back.stream.tables, forth.stream.tables);
    EXPECT_EQ(back.kafka, forth.kafka);
}

TEST(turned, applies_whatever_the_strategy_but_modern_only) {
    for (const auto* applied : {"legacy-only", "legacy-primary", "mirror"})
        EXPECT_EQ(strategy_of(turned(of("flags: { dual_write_strategy: " + std::string{applied} + " }\n"))),
                  write_strategy::legacy_primary)
            << applied;
    EXPECT_EQ(strategy_of(turned(of("flags: { dual_write_strategy: modern-only, hybrid_read_strategy: modern }\n"))),
              write_strategy::legacy_only);
    EXPECT_EQ(strategy_of(turned(of("flags: { hybrid_mode_enabled: false }\n"))), write_strategy::legacy_primary);
    const auto grouped = turned(of("groups:\n  g: { tables: [a.b], flags: { dual_write_strategy: mirror } }\n"));
    EXPECT_EQ(strategy_of(grouped, "g"), write_strategy::legacy_primary);
}

TEST(directions, know_each_other_by_name) {
    const auto forth = of("");
    const auto back = turned(forth);
    EXPECT_EQ(opposite_stream(forth), "app_back");
    EXPECT_EQ(opposite_stream(back), "app");
    EXPECT_EQ(forth_stream(forth), "app");
    EXPECT_EQ(forth_stream(back), "app");
}

TEST(directions, make_one_object_of_each_that_is_in_force) {
    auto live = std::make_shared<const in_force>(
        in_force{of("flags: { dual_write_strategy: modern-only, hybrid_read_strategy: modern }\n")});
    const auto forwards = forth([&] { return live; });
    const auto backwards = back([&] { return live; });
    const auto first = forwards();
    EXPECT_EQ(first, forwards());
    EXPECT_EQ(backwards(), backwards());
    // Whoever is the authority: what legacy has written is applied.
    EXPECT_EQ(strategy_of(first->config), write_strategy::legacy_primary);
    EXPECT_EQ(backwards()->config.stream.name, "app_back");
    live = std::make_shared<const in_force>(in_force{of("flags: { dual_write_strategy: mirror }\n"), 7});
    EXPECT_NE(first, forwards());
    EXPECT_EQ(forwards()->epoch, 7U);
    EXPECT_EQ(strategy_of(forwards()->config), write_strategy::mirror);
}

TEST(directions, leave_a_stream_of_one_way_as_it_is) {
    const auto config = parse(required + "flags: { dual_write_strategy: modern-only, hybrid_read_strategy: modern }\n",
                              "f.yaml", variables({}))
                            .value();
    const auto live = std::make_shared<const in_force>(in_force{config});
    EXPECT_EQ(forth([&] { return live; })()->config, config);
}

}  // namespace
}  // namespace crossfade::settings
