#include "lib/auth/access.hpp"

#include <gmock/gmock.h>

namespace crossfade::auth {
namespace {

origins within(std::initializer_list<const char*> ranges, bool local = false) {
    origins made{.all = false, .local = local, .ranges = {}};
    for (const char* each : ranges) made.ranges.push_back(parse_address_range(each).value());
    return made;
}
names only(std::initializer_list<std::string> exact) {
    return {.all = false, .exact = exact};
}
connection_facts facts(const char* address, const char* user, const char* database, bool tls = false) {
    connection_facts made{.address = {}, .tls = tls, .certificate_name = {}, .user = user, .database = database};
    if (*address != '\0') made.address = parse_ip_address(address).value();
    return made;
}

// As "scram", or the reason of the refusal.
std::string decision(const access_rules& rules, const connection_facts& of) {
    const auto decided = decide(rules, of);
    if (const auto* allowed = std::get_if<access_allowed>(&decided)) return std::string(to_string(allowed->method));
    return std::get<access_refused>(decided).reason;
}

const access_rules some{
    {.from = within({}, true), .users = {}, .databases = {}, .method = access_method::relay},
    {.from = within({"10.9.0.0/16"}), .users = {}, .databases = {}, .method = access_method::reject},
    {.from = within({"10.0.0.0/8", "fd00::/8"}),
     .users = only({"app", "report"}),
     .databases = only({"shop"}),
     .tls = tls_demand::required,
     .method = access_method::scram},
    {.from = {}, .users = only({"old"}), .databases = {}, .tls = tls_demand::forbidden, .method = access_method::relay},
    {.from = {},
     .users = only({"deploy"}),
     .databases = {},
     .tls = tls_demand::required,
     .method = access_method::cert},
};

TEST(access, is_decided_by_the_first_rule_that_fits) {
    struct {
        connection_facts of;
        const char* expected;
    } table[] = {
        {facts("", "anybody", "x"), "relay"},
        {facts("10.9.1.1", "app", "shop", true), "access rule 2 rejects it"},
        {facts("10.1.1.1", "app", "shop", true), "scram"},
        {facts("::ffff:10.1.1.1", "app", "shop", true), "scram"},
        {facts("::ffff:10.9.1.1", "app", "shop", true), "access rule 2 rejects it"},
        {facts("fd12::1", "report", "shop", true), "scram"},
        {facts("10.1.1.1", "app", "shop", false), "no access rule fits"},
        {facts("10.1.1.1", "app", "other", true), "no access rule fits"},
        {facts("10.1.1.1", "App", "shop", true), "no access rule fits"},
        {facts("192.0.2.1", "app", "shop", true), "no access rule fits"},
        {facts("192.0.2.1", "old", "x", false), "relay"},
        {facts("192.0.2.1", "old", "x", true), "no access rule fits"},
        {facts("192.0.2.1", "deploy", "x", true), "access rule 5 wants a client certificate"},
    };
    for (const auto& [of, expected] : table)
        EXPECT_EQ(decision(some, of), expected) << of.user << ' ' << (of.address ? to_string(*of.address) : "local");
}

TEST(access, is_refused_where_there_is_no_rule) {
    EXPECT_EQ(decision({}, facts("10.1.1.1", "app", "shop")), "no access rule fits");
    EXPECT_EQ(decision({access_rule{}}, facts("10.1.1.1", "app", "shop")), "relay")
        << "what a file without rules means";
    EXPECT_EQ(decision({access_rule{}}, facts("", "app", "shop")), "relay");
}

TEST(access, by_certificate_is_for_the_user_it_names) {
    auto of = facts("192.0.2.1", "deploy", "x", true);
    of.certificate_name = "deploy";
    EXPECT_EQ(decision(some, of), "cert");
    for (const char* name : {"", "Deploy", "deploy2", "app"}) {
        of.certificate_name = name;
        EXPECT_EQ(decision(some, of), "access rule 5: the client certificate is for another user") << name;
    }
}

// PostgreSQL would cut the name behind us, and let in who was refused.
TEST(access, looks_at_as_much_of_a_name_as_the_database_does) {
    const std::string refused(longest_name, 'x');
    const access_rules rules{{.from = {}, .users = only({refused}), .databases = {}, .method = access_method::reject},
                             access_rule{}};
    EXPECT_EQ(decision(rules, facts("10.1.1.1", refused.c_str(), "d")), "access rule 1 rejects it");
    EXPECT_EQ(decision(rules, facts("10.1.1.1", (refused + "y").c_str(), "d")), "access rule 1 rejects it");
    EXPECT_EQ(decision(rules, facts("10.1.1.1", refused.substr(1).c_str(), "d")), "relay");
}

TEST(access, tells_the_client_what_it_was_seen_as) {
    const auto message = [](const access_rules& rules, const connection_facts& of) {
        return std::get<access_refused>(decide(rules, of)).message;
    };
    EXPECT_EQ(message({}, facts("10.1.1.1", "app", "shop")),
              "no access rule for host \"10.1.1.1\", user \"app\", database \"shop\", no encryption");
    EXPECT_EQ(message({}, facts("", "app", "shop")),
              "no access rule for host \"[local]\", user \"app\", database \"shop\", no encryption");
    EXPECT_EQ(message(some, facts("10.9.0.1", "app", "shop", true)),
              "access is rejected for host \"10.9.0.1\", user \"app\", database \"shop\", TLS");
    EXPECT_EQ(message(some, facts("10.1.1.1", "deploy", "shop", true)),
              "connection requires a valid client certificate");
}

}  // namespace
}  // namespace crossfade::auth
