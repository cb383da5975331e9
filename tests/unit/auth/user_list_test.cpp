#include "lib/auth/user_list.hpp"

#include <gmock/gmock.h>

namespace crossfade::auth {
namespace {

using namespace std::string_literals;

const std::string verifier = build(make_scram_verifier("pencil", "salt", 1));

user_list taken(const std::string& text) {
    auto read = parse_user_list(text);
    EXPECT_TRUE(read) << read.error().line << ": " << read.error().what;
    return read ? *read : user_list{};
}
std::string line(const std::string& user, const std::string& secret) {
    return '"' + user + "\" \"" + secret + "\"\n";
}

TEST(user_lists, have_one_user_a_line) {
    const auto list = taken("; users\n\n" + line("ann", verifier) + "  \"bob\"\t\"pass \"\"word\"\"\" and more\r\n" +
                            line("eve \"\"x\"\"", "md5" + std::string(32, '0')) + line("joe", "") + "\"last\" \"x\"");
    EXPECT_EQ(list.size(), 5U);
    EXPECT_EQ(**list.find("ann"), stored_secret(make_scram_verifier("pencil", "salt", 1)));
    EXPECT_EQ(**list.find("bob"), stored_secret(clear_password{"pass \"word\""}));
    EXPECT_TRUE(std::holds_alternative<md5_hash>(**list.find("eve \"x\"")));
    EXPECT_EQ(*list.find("joe"), std::nullopt) << "no password is set";
    EXPECT_NE(list.find("last"), nullptr);
    EXPECT_EQ(list.find("Ann"), nullptr);
    EXPECT_EQ(list.find(""), nullptr);
    EXPECT_EQ(taken("").size(), 0U);
    EXPECT_EQ(user_list{}.find("ann"), nullptr);
}

TEST(user_lists, name_the_line_of_a_fault_and_nothing_of_it) {
    struct {
        std::string text;
        int line;
        const char* what;
    } table[] = {
        {"hunter2\n", 1, "no user name in double quotes"},
        {"; x\n\"hunter2\n", 2, "no user name in double quotes"},
        {"\"hunter2\"\n", 1, "no password or verifier in double quotes behind the user name"},
        {"\"a\" hunter2\n", 1, "no password or verifier in double quotes behind the user name"},
        {"\"a\" \"hunter2\n", 1, "no password or verifier in double quotes behind the user name"},
        {"\"a\" \"hunter2\"\"\n", 1, "no password or verifier in double quotes behind the user name"},
        {"\"a\" \"hun\"ter2\"\n", 1, "text right behind a closing quote: a quote within a password is written twice"},
        {"\"\" \"hunter2\"\n", 1, "an empty user name"},
        {line(std::string(64, 'a'), "hunter2"), 1, "a user name of more than 63 bytes"},
        {line("a", std::string(2049, 'x')), 1, "a password of more than 2048 bytes"},
        {line("a", "SCRAM-SHA-256$hunter2"), 1, "a damaged SCRAM verifier or md5 hash"},
        {line("a", "md5" + std::string(32, 'A')), 1, "a damaged SCRAM verifier or md5 hash"},
        {line("a", "x") + line("b", "x") + line("a", "y"), 3, "the same user a second time"},
        {"\"a\" \"hunter2\0\"\n"s, 1, "a zero byte"},
        {std::string(user_list::most_bytes + 1, '\n'), 1, "more than 4 MiB"},
    };
    for (const auto& each : table) {
        const auto read = parse_user_list(each.text);
        ASSERT_FALSE(read) << each.what;
        EXPECT_EQ(read.error().line, each.line) << each.what;
        EXPECT_EQ(read.error().what, each.what);
    }
}

TEST(user_lists, are_bounded) {
    std::string many;
    for (std::size_t i = 0; i < user_list::most_users; ++i) many += line("u" + std::to_string(i), "");
    EXPECT_TRUE(parse_user_list(many));
    EXPECT_EQ(parse_user_list(many + line("one more", "")).error().what, "more than 50000 users");
    std::string clear;
    for (std::size_t i = 0; i < user_list::most_clear_passwords; ++i) clear += line("u" + std::to_string(i), "x");
    EXPECT_TRUE(parse_user_list(clear + line("v", verifier)));
    EXPECT_THAT(parse_user_list(clear + line("v", "x")).error().what, testing::HasSubstr("more than 1000 passwords"));
}

TEST(user_lists, break_off_at_any_byte) {
    const auto whole = line("ann", verifier) + line("bob \"\"x", "pass");
    for (std::size_t length = 0; length < whole.size(); ++length) {
        const auto read = parse_user_list(whole.substr(0, length));
        if (!read) continue;
        // What is taken is what was whole.
        if (const auto* ann = read->find("ann")) {
            EXPECT_TRUE(std::holds_alternative<scram_verifier>(**ann)) << length;
        }
    }
}

TEST(user_lists, are_equal_by_what_is_in_them) {
    const auto one = taken(line("ann", "x") + line("bob", verifier));
    const auto same = taken("; another comment\n" + line("bob", verifier) + line("ann", "x"));
    const auto other = taken(line("ann", "y") + line("bob", verifier));
    EXPECT_EQ(one, same);
    EXPECT_NE(one, other);
    EXPECT_NE(one, user_list{});
    EXPECT_EQ(taken("; nobody\n"), user_list{});
    EXPECT_EQ(one.digest(), same.digest());
    EXPECT_NE(one.digest(), other.digest());
    EXPECT_NE(taken(line("a", "bc")).digest(), taken(line("ab", "c")).digest());
}

TEST(user_accounts, have_a_verifier_for_each_password) {
    const scram_mock mock(4096);
    const user_accounts accounts(taken(line("ann", "pencil") + line("bob", verifier) + line("joe", "") +
                                       line("old", "md5" + std::string(32, '0'))),
                                 mock);
    EXPECT_EQ(accounts.find("ann")->verifier, make_scram_verifier("pencil", mock.salt_for("ann"), 4096));
    EXPECT_EQ(accounts.find("bob")->verifier, make_scram_verifier("pencil", "salt", 1));
    EXPECT_EQ(judge(accounts.find("joe"), {}), verdict::no_password);
    EXPECT_EQ(judge(accounts.find("old"), {}), verdict::no_scram);
    EXPECT_EQ(accounts.find("eve"), nullptr);
    EXPECT_EQ(user_accounts{}.find("ann"), nullptr);
}

TEST(user_accounts, take_over_what_was_made_before) {
    const scram_mock mock(4096);
    const user_accounts before(taken(line("ann", "pencil") + line("bob", "pencil")), mock);
    const user_accounts after(taken(line("ann", "pencil") + line("bob", "crayon")), mock, &before);
    EXPECT_EQ(after.find("ann")->verifier, before.find("ann")->verifier);
    EXPECT_EQ(after.find("bob")->verifier, make_scram_verifier("crayon", mock.salt_for("bob"), 4096));
    const scram_mock more(5000);
    EXPECT_EQ(user_accounts(taken(line("ann", "pencil")), more, &before).find("ann")->verifier->iterations, 5000U);
}

}  // namespace
}  // namespace crossfade::auth
