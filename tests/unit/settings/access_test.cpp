#include <gmock/gmock.h>

#include "tests/unit/settings/sample.hpp"

#include "lib/settings/entries.hpp"
#include "lib/settings/reload.hpp"

namespace crossfade::settings {
namespace {

using auth::access_method;
using auth::tls_demand;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

configuration taken(const std::string& text) {
    EXPECT_THAT(messages(text), IsEmpty());
    return parse(text, "f.yaml", variables({})).value();
}
std::string proxy_with(const std::string& text) {
    return required + "proxy:\n" + text;
}

TEST(access, lets_everybody_in_by_the_mode_s_method) {
    EXPECT_EQ(taken(required).proxy.access, access_rules{auth::access_rule{}});
    const auto read = taken(proxy_with("  auth: { mode: terminate }\n")).proxy;
    ASSERT_EQ(read.access.size(), 1U);
    EXPECT_EQ(read.access[0].method, access_method::scram);
    EXPECT_TRUE(read.access[0].from.all && read.access[0].users.all && read.access[0].databases.all);
    EXPECT_EQ(read.auth.query, auth::default_credential_query);
    EXPECT_EQ(taken(proxy_with("  auth: { query: none }\n")).proxy.auth.query, "");
}

TEST(access, has_rules_in_order) {
    const auto rules =
        taken(proxy_with("  tls: { mode: prefer, cert_file: c, key_file: k, ca_file: a }\n"
                         "  auth: { mode: terminate }\n"
                         "  access:\n"
                         "    - { from: local, method: relay }\n"
                         "    - { from: [10.0.0.0/8, \"fd00::/8\", local], users: [app, b], databases: shop,"
                         " tls: required }\n"
                         "    - { from: all, users: all, tls: required, method: cert }\n"
                         "    - { tls: forbidden, method: reject }\n"))
            .proxy.access;
    ASSERT_EQ(rules.size(), 4U);
    EXPECT_TRUE(rules[0].from.local && rules[0].from.ranges.empty() && !rules[0].from.all);
    EXPECT_EQ(rules[0].method, access_method::relay);
    EXPECT_EQ(rules[1].from.ranges.size(), 2U);
    EXPECT_TRUE(rules[1].from.local);
    EXPECT_THAT(rules[1].users.exact, ElementsAre("app", "b"));
    EXPECT_THAT(rules[1].databases.exact, ElementsAre("shop"));
    EXPECT_EQ(rules[1].tls, tls_demand::required);
    EXPECT_EQ(rules[1].method, access_method::scram);
    EXPECT_TRUE(rules[2].from.all && rules[2].users.all);
    EXPECT_EQ(rules[3].method, access_method::reject);
}

struct bad {
    const char* text;
    std::vector<std::string> expected;
};

TEST(access, is_refused_with_file_line_and_key) {
    const std::string names =
        "exact names of 1 to 63 bytes, or all (no +group, /pattern, sameuser, samerole, replication)";
    const std::string origins =
        "an address, a range such as 10.0.0.0/8 or fd00::/8 without bits behind the prefix, local for Unix sockets, or "
        "all";
    const std::string query =
        "found a query (not shown); allowed: up to 8 KiB of SQL with $1 for the user's name, that gives name, password "
        "and "
        "VALID UNTIL; or none";
    const bad table[] = {
        {"  access: {}\n", {"f.yaml:6: proxy.access: found a mapping; allowed: a list"}},
        {"  access: []\n",
         {"f.yaml:6: proxy.access: found 0 rules; allowed: 1 to 1000; without any everybody may come in"}},
        {"  access:\n    - app\n",
         {"f.yaml:7: proxy.access.1: found a text; allowed: a mapping of from, users, databases, tls, method"}},
        {"  access:\n    - { method: reject }\n    - { user: app }\n",
         {"f.yaml:8: proxy.access.2.user: found an unknown key; allowed: did you mean users? Known here: from, users, "
          "databases, tls, method"}},
        {"  access: [{ from: [10.0.0.1/8, 10.0.0.0/33, example.org] }]\n",
         {"f.yaml:6: proxy.access.1.from: found '10.0.0.1/8'; allowed: " + origins,
          "f.yaml:6: proxy.access.1.from: found '10.0.0.0/33'; allowed: " + origins,
          "f.yaml:6: proxy.access.1.from: found 'example.org'; allowed: " + origins}},
        {"  access: [{ users: [+ops, ''], databases: [sameuser, replication, /x] }]\n",
         {"f.yaml:6: proxy.access.1.users: found '+ops'; allowed: " + names,
          "f.yaml:6: proxy.access.1.users: found ''; allowed: " + names,
          "f.yaml:6: proxy.access.1.databases: found 'sameuser'; allowed: " + names,
          "f.yaml:6: proxy.access.1.databases: found 'replication'; allowed: " + names,
          "f.yaml:6: proxy.access.1.databases: found '/x'; allowed: " + names}},
        {"  access: [{ users: [app, all], databases: [] }]\n",
         {"f.yaml:6: proxy.access.1.users: found all among others; allowed: all alone",
          "f.yaml:6: proxy.access.1.databases: found an empty list; allowed: at least one, or all"}},
        {"  access: [{ tls: maybe, method: trust }]\n",
         {"f.yaml:6: proxy.access.1.tls: found 'maybe'; allowed: any, required, forbidden",
          "f.yaml:6: proxy.access.1.method: found 'trust'; allowed: relay, scram, cert, reject"}},
        {"  access: [{ method: scram }, { tls: required, method: cert }]\n",
         {"f.yaml:6: proxy.access.1.method: found 'scram'; allowed: relay or reject while proxy.auth.mode is relay",
          "f.yaml:6: proxy.access.2.method: found 'cert'; allowed: relay or reject while proxy.auth.mode is relay"}},
        {"  auth: { mode: terminate }\n  access: [{ method: cert }]\n",
         {"f.yaml:7: proxy.access.1.method: found 'cert' where TLS isn't required; allowed: tls: required beside it",
          "f.yaml:7: proxy.access.1.method: found 'cert' where no client certificate is believed; allowed: "
          "proxy.tls.ca_file with it"}},
        {"  access: [{ tls: forbidden }, { tls: required, method: reject }]\n",
         {"f.yaml:6: proxy.access.2.tls: found 'required'; allowed: what fits a connection while proxy.tls.mode is "
          "disable"}},
        {"  tls: { mode: require, cert_file: c, key_file: k }\n  access: [{ tls: required }, { tls: forbidden }]\n",
         {"f.yaml:7: proxy.access.2.tls: found 'forbidden'; allowed: what fits a connection while proxy.tls.mode is "
          "require"}},
        {"  auth: { mode: on }\n", {"f.yaml:6: proxy.auth.mode: found 'on'; allowed: relay, terminate"}},
        {"  auth: { mode: terminate, query: none }\n",
         {"f.yaml:6: proxy.auth.mode: found 'terminate' where no users are known; allowed: users_file or a query "
          "beside it"}},
        {"  auth: { query: SELECT 'hunter2' }\n", {"f.yaml:6: proxy.auth.query: " + query}},
        {"  auth: { query: '' }\n", {"f.yaml:6: proxy.auth.query: " + query}},
        {"  auth: { scram_iterations: 1, max_attempts: 1001, attempt_window: 2h }\n",
         {"f.yaml:6: proxy.auth.scram_iterations: found '1'; allowed: 4096 to 100000",
          "f.yaml:6: proxy.auth.max_attempts: found '1001'; allowed: 0 to 1000",
          "f.yaml:6: proxy.auth.attempt_window: found '2h'; allowed: 1s to 1h"}},
        {"  auth: { users_file: /nowhere/users }\n",
         {"f.yaml:6: proxy.auth.users_file: found '/nowhere/users'; allowed: a file that can be read: No such file or "
          "directory"}},
    };
    for (const auto& [text, expected] : table)
        EXPECT_THAT(messages(proxy_with(text)), testing::ElementsAreArray(expected)) << text;
}

TEST(access, is_bounded_whatever_aliases_make_of_it) {
    std::string text = "  access:\n    - { users: &many [";
    for (int i = 0; i < 3000; ++i) text += "u" + std::to_string(i) + ", ";
    text += "x] }\n";
    for (int i = 0; i < 900; ++i) text += "    - { users: *many }\n";
    EXPECT_THAT(
        messages(proxy_with(text)),
        ElementsAre("f.yaml:10: proxy.access.4: found too many names and addresses; allowed: at most 10000 in all"));
}

class users_files : public testing::Test {
  protected:
    std::string yaml() const { return required + "proxy: { auth: { mode: terminate, users_file: users.txt } }\n"; }
    scratch_folder folder_;
};

TEST_F(users_files, are_part_of_the_configuration) {
    folder_.write("users.txt", "\"app\" \"hunter2\"\n");
    const auto read = load(folder_.write("f.yaml", yaml()), variables({}));
    ASSERT_TRUE(read);
    EXPECT_NE(read->proxy.auth.users.find("app"), nullptr);
    for (const auto& [key, entry] : entries_of(*read))
        EXPECT_THAT(entry.text, testing::Not(HasSubstr("hunter2"))) << key;
}

TEST_F(users_files, are_refused_by_their_own_name_and_line) {
    const auto users = folder_.write("users.txt", "\"app\" \"x\"\n\"other\" \"SCRAM-SHA-256$hunter2\"\n");
    const auto read = load(folder_.write("f.yaml", yaml()), variables({}));
    ASSERT_FALSE(read);
    ASSERT_EQ(read.error().problems.size(), 1U);
    EXPECT_EQ(
        to_string(read.error().problems[0]),
        users +
            ":2: found a damaged SCRAM verifier or md5 hash; allowed: \"user\" \"password or verifier\", one user a "
            "line");
}

TEST_F(users_files, are_taken_by_a_reload_that_shows_nothing_of_them) {
    folder_.write("users.txt", "\"app\" \"hunter2\"\n");
    const auto path = folder_.write("f.yaml", yaml());
    reloader of(path, variables({}), load(path, variables({})).value());
    EXPECT_EQ(of.reload("test").outcome, reload_outcome::unchanged);

    folder_.write("users.txt", "\"app\" \"hunter2\"\n\"new\" \"hunter3\"\n");
    auto report = of.reload("test");
    EXPECT_EQ(report.outcome, reload_outcome::applied);
    EXPECT_THAT(report.changes, ElementsAre("proxy.auth.users_file: changed"));
    EXPECT_THAT(report.restart, IsEmpty());
    EXPECT_NE(of.current()->config.proxy.auth.users.find("new"), nullptr);

    folder_.write("users.txt", "\"app\" hunter2\n");
    report = of.reload("test");
    EXPECT_EQ(report.outcome, reload_outcome::refused);
    EXPECT_THAT(report.problems,
                ElementsAre(testing::AllOf(HasSubstr("users.txt:1: "), testing::Not(HasSubstr("hunter")))));
    EXPECT_NE(of.current()->config.proxy.auth.users.find("new"), nullptr);
}

TEST(access, is_taken_by_a_reload) {
    const scratch_folder folder;
    const auto path = folder.write("f.yaml", required);
    reloader of(path, variables({}), load(path, variables({})).value());
    folder.write("f.yaml", proxy_with("  auth: { max_attempts: 3, query: none }\n"
                                      "  access: [{ from: [10.0.0.0/8, local], users: app, method: reject }]\n"));
    const auto report = of.reload("test");
    EXPECT_THAT(report.changes,
                ElementsAre("proxy.access.1.from: all -> [10.0.0.0/8, local]", "proxy.access.1.method: relay -> reject",
                            "proxy.access.1.users: all -> [app]", "proxy.auth.max_attempts: 10 -> 3",
                            "proxy.auth.query: changed"));
    EXPECT_THAT(report.restart, IsEmpty());
    EXPECT_EQ(of.current()->config.proxy.access[0].method, access_method::reject);
    EXPECT_EQ(of.current()->config.proxy.auth.attempts.most, 3U);
}

}  // namespace
}  // namespace crossfade::settings
