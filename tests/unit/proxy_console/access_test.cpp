#include "proxy/console/access.hpp"

#include <gtest/gtest.h>

namespace crossfade::proxy::console {
namespace {

using enum admission::outcome;

struct arrival {
    std::string_view user;
    bool trust_local;
    origin from;
    admission::outcome outcome;
    role as = role::viewer;
};

TEST(access, is_for_those_who_are_named) {
    const arrival table[] = {
        {"root", true, origin::local, granted, role::admin},
        {"root", true, origin::elsewhere, password_needed, role::admin},
        {"root", false, origin::local, password_needed, role::admin},
        {"nagios", true, origin::local, granted},
        {"nagios", false, origin::elsewhere, password_needed},
        {"Root", true, origin::local, refused},
        {"", true, origin::local, refused},
    };
    for (const auto& each : table) {
        settings::console config;
        config.admins = {"root"};
        config.viewers = {"nagios"};
        config.trust_local = each.trust_local;
        const auto got = admit(config, each.user, each.from);
        EXPECT_EQ(got.what, each.outcome) << each.user << each.trust_local;
        EXPECT_EQ(got.as, each.as) << each.user;
    }
}

TEST(access, has_no_console_without_users) {
    settings::console config;
    EXPECT_FALSE(is_console(config, "crossfade"));
    config.viewers = {"nagios"};
    EXPECT_TRUE(is_console(config, "crossfade"));
    EXPECT_FALSE(is_console(config, "app"));
    config.database = "admin";
    EXPECT_FALSE(is_console(config, "crossfade"));
}

}  // namespace
}  // namespace crossfade::proxy::console
