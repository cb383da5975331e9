#include "proxy/frontend/unnamed_use.hpp"

#include <gtest/gtest.h>

#include "lib/pgwire/query_messages.hpp"

namespace crossfade::proxy::frontend {
namespace {

using namespace pgwire;

const std::string parse = build_parse("", "SELECT $1");
const std::string bind = build_bind("", "", {"value"});
const std::string other = build_parse("s", "SELECT 1") + build_bind("", "s", {});
const std::string rest = build_execute("", 0) + build_sync();

TEST(the_statement_without_a_name, is_replaced_by_what_comes_first) {
    for (const auto& each : {parse + bind + rest, build_query("SELECT 1"), parse}) {
        EXPECT_TRUE(replaces_unnamed(each));
        EXPECT_FALSE(uses_unnamed(each));
    }
    for (const auto& each : {bind + rest, other + parse, build_close(named::statement, "") + parse})
        EXPECT_FALSE(replaces_unnamed(each));
    EXPECT_FALSE(replaces_unnamed({}));
}

TEST(the_statement_without_a_name, is_used_by_who_names_none) {
    for (const auto& each : {bind, bind + parse, other + rest + bind, build_describe(named::statement, "") + bind})
        EXPECT_TRUE(uses_unnamed(each));
    for (const auto& each : {other + rest, other + parse + bind, build_close(named::statement, "") + bind,
                             build_describe(named::portal, "") + rest, build_describe(named::statement, "s")})
        EXPECT_FALSE(uses_unnamed(each));
}

TEST(the_statement_without_a_name, is_looked_for_as_far_as_the_messages_are_there) {
    for (std::size_t cut = 0; cut <= bind.size(); ++cut) EXPECT_EQ(uses_unnamed(bind.substr(0, cut)), cut >= 7) << cut;
    const auto before = other + bind;
    EXPECT_FALSE(uses_unnamed(before.substr(0, other.size() - 1)));
    EXPECT_FALSE(uses_unnamed(std::string{"B\0\0\0\0\0\0", 7})) << "no message";
}

}  // namespace
}  // namespace crossfade::proxy::frontend
