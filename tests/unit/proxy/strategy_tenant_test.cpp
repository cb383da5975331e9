#include <gtest/gtest.h>

#include "proxy/strategy/tenant.hpp"

namespace crossfade::proxy::strategy {
namespace {

using settings::tenancy;
using settings::tenant_source;

const tenancy by_none{tenant_source::none, "", ""};
const tenancy by_user{tenant_source::user, "", ""};
const tenancy by_database{tenant_source::database, "", ""};
const tenancy by_parameter{tenant_source::parameter, "app.tenant", ""};

struct start {
    tenancy by;
    std::vector<std::pair<std::string, std::string>> parameters;
    std::string expected;
};

TEST(tenant_of, reads_the_start_up_parameters) {
    const start cases[] = {
        {by_none, {{"user", "u"}, {"app.tenant", "t"}}, ""},
        {by_user, {{"user", "u"}, {"database", "d"}}, "u"},
        {by_user, {}, ""},
        {by_database, {{"user", "u"}, {"database", "d"}}, "d"},
        {by_database, {{"user", "u"}}, "u"},
        {by_database, {{"user", "u"}, {"database", ""}}, "u"},
        {by_parameter, {{"user", "u"}, {"app.tenant", "t"}}, "t"},
        {by_parameter, {{"user", "u"}, {"App.Tenant", "T"}}, "T"},
        {by_parameter, {{"app.tenant", "first"}, {"app.tenant", "last"}}, "last"},
        {by_parameter, {{"user", "u"}}, ""},
        {by_parameter, {{"app.tenants", "t"}}, ""},
        // A parameter of its own wins over one in the options.
        {by_parameter, {{"app.tenant", "t"}, {"options", "-c app.tenant=o"}}, "t"},
        {by_parameter, {{"app.tenant", ""}, {"options", "-c app.tenant=o"}}, ""},
        // The user's and the database's names are not parameters of a setting's kind: case counts.
        {by_user, {{"USER", "u"}}, ""},
    };
    for (const auto& each : cases)
        EXPECT_EQ(tenant_of(each.by, each.parameters), each.expected)
            << (each.parameters.empty() ? "" : each.parameters.back().first + '=' + each.parameters.back().second);
}

TEST(set_at_start, tells_what_was_given_from_what_was_not) {
    using list = std::vector<std::pair<std::string, std::string>>;
    EXPECT_EQ(set_at_start("role", list{{"user", "u"}, {"options", "-c work_mem=1MB"}}), std::nullopt);
    EXPECT_EQ(set_at_start("role", list{{"user", "u"}, {"Role", "writer"}}), "writer");
    EXPECT_EQ(set_at_start("role", list{{"user", "u"}, {"options", R"(--role=my\ writer)"}}), "my writer");
    EXPECT_EQ(set_at_start("role", list{{"user", "u"}, {"options", "-c role="}}), "");
}

TEST(tenant_of, reads_options_as_the_server_does) {
    const std::pair<const char*, const char*> cases[] = {
        {"-c app.tenant=x", "x"},
        {"-capp.tenant=x", "x"},
        {"--app.tenant=x", "x"},
        {"--App.Tenant=x", "x"},
        {"  -c  geqo=off\t-c\napp.tenant=x  ", "x"},
        {"-c app.tenant=x -c app.tenant=y", "y"},
        {R"(-c app.tenant=a\ b)", "a b"},
        {R"(-c app.tenant=a\\b)", R"(a\b)"},
        {"-c app.tenant=", ""},
        {"-c app.tenant=a=b", "a=b"},
        {"-c app.tenant", ""},
        {"app.tenant=x", ""},
        {"-d 3 app.tenant=x", ""},
        {"-c", ""},
        {"--", ""},
        {"\\", ""},
        {"", ""},
    };
    for (const auto& [options, expected] : cases) {
        const std::vector<std::pair<std::string, std::string>> parameters{{"user", "u"}, {"options", options}};
        EXPECT_EQ(tenant_of(by_parameter, parameters), expected) << options;
    }
    // A dash in a name stands for an underscore.
    const std::vector<std::pair<std::string, std::string>> dashed{{"options", "--app.tenant-id=x"}};
    EXPECT_EQ(tenant_of({tenant_source::parameter, "app.tenant_id", ""}, dashed), "x");
}

}  // namespace
}  // namespace crossfade::proxy::strategy
