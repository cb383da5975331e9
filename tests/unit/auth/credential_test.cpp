#include "lib/auth/credential.hpp"

#include <gmock/gmock.h>

namespace crossfade::auth {
namespace {

using namespace std::chrono_literals;
using namespace std::chrono;

wall_time at(std::string_view text) {
    return parse_timestamp(text).value();
}
const scram_verifier verifier = make_scram_verifier("pencil", "salt", 1);
const std::string verifier_text = build(verifier);

TEST(timestamps, are_read_as_postgresql_writes_them) {
    const wall_time day = sys_days{2026y / November / 20};
    const std::pair<const char*, wall_time> table[] = {
        {"2026-11-20 00:00:00+00", day},
        {"2026-11-20 13:14:15.5+00", day + 13h + 14min + 15500ms},
        {"2026-11-20 00:00:00.000001+00", day + 1us},
        {"2026-11-20 05:30:00+05:30", day},
        {"2026-11-19 20:30:00-03:30", day},
        {"2026-11-20 00:53:28+00:53:28", day},
        {"2026-11-20 24:00:00+00", day + 24h},
        {"2024-02-29 00:00:00+00", sys_days{2024y / February / 29}},
        {"9999-12-31 23:59:59+00", sys_days{9999y / December / 31} + 24h - 1s},
        {"10000-01-01 00:00:00+00", wall_time::max()},
        {"294276-12-31 23:59:59.999999+00", wall_time::max()},
        {"0044-03-15 00:00:00+00 BC", wall_time::min()},
        {"infinity", wall_time::max()},
        {"-infinity", wall_time::min()},
    };
    for (const auto& [text, expected] : table) EXPECT_EQ(parse_timestamp(text), expected) << text;
}

TEST(timestamps, of_any_other_form_are_none) {
    for (const char* text : {"",
                             "2026-11-20",
                             "2026-11-20 00:00:00",
                             "2026-11-20T00:00:00+00",
                             "20-11-2026 00:00:00+00",
                             "Fri Nov 20 00:00:00 2026 UTC",
                             "2026-13-01 00:00:00+00",
                             "2026-02-30 00:00:00+00",
                             "2026-11-20 25:00:00+00",
                             "2026-11-20 00:60:00+00",
                             "2026-11-20 00:00:00.+00",
                             "2026-11-20 00:00:00.1234567+00",
                             "2026-11-20 00:00:00+0",
                             "2026-11-20 00:00:00+16",
                             "2026-11-20 00:00:00+00 AD",
                             "2026-11-20 00:00:00+00 ",
                             " 2026-11-20 00:00:00+00",
                             "1234567-01-01 00:00:00+00",
                             "Infinity",
                             "0000-01-01"})
        EXPECT_FALSE(parse_timestamp(text)) << text;
    const std::string whole = "2026-11-20 13:14:15.5+05:30";
    for (std::size_t length = 0; length < whole.size() - 3; ++length)
        EXPECT_FALSE(parse_timestamp(whole.substr(0, length))) << length;
}

TEST(credentials, are_judged) {
    const auto now = at("2026-11-20 12:00:00+00");
    struct {
        const char* what;
        credential known;
        verdict expected;
    } table[] = {
        {"for ever", {verifier, verifier, {}}, verdict::usable},
        {"infinity", {verifier, verifier, at("infinity")}, verdict::usable},
        {"still", {verifier, verifier, now + 1us}, verdict::usable},
        {"up to its last moment", {verifier, verifier, now}, verdict::usable},
        {"no more", {verifier, verifier, now - 1us}, verdict::expired},
        {"since ever", {verifier, verifier, at("-infinity")}, verdict::expired},
        {"no password", {{}, {}, {}}, verdict::no_password},
        {"an md5 hash", {md5_hash{"md5x"}, {}, {}}, verdict::no_scram},
        {"an old md5 hash", {md5_hash{"md5x"}, {}, now - 1us}, verdict::expired},
    };
    const scram_mock mock;
    for (const auto& [what, known, expected] : table) {
        EXPECT_EQ(judge(&known, now), expected) << what;
        EXPECT_EQ(subject_for(&known, "ann", now, mock).genuine, expected == verdict::usable) << what;
    }
    EXPECT_EQ(judge(nullptr, now), verdict::unknown_user);
    EXPECT_FALSE(subject_for(nullptr, "ann", now, mock).genuine);
}

TEST(credentials, that_are_none_look_like_others) {
    const auto now = at("2026-11-20 12:00:00+00");
    const scram_mock mock;
    const credential expired{verifier, verifier, now - 1s};
    const credential without{{}, {}, {}};
    EXPECT_EQ(subject_for(&expired, "ann", now, mock).verifier, verifier) << "the salt that it had a moment ago";
    EXPECT_EQ(subject_for(nullptr, "ann", now, mock).verifier, mock.verifier_for("ann"));
    EXPECT_EQ(subject_for(&without, "ann", now, mock).verifier, mock.verifier_for("ann"));
}

TEST(query_answers, are_taken_by_their_three_columns) {
    using rows = std::vector<credential_row>;
    const auto known = [](const rows& of) { return read_credential(of, "ann").value(); };
    EXPECT_EQ(known({}), std::nullopt);
    EXPECT_EQ(known({{"ann", verifier_text, std::nullopt}}), (credential{verifier, verifier, {}}));
    EXPECT_EQ(known({{"ann", verifier_text, "2026-11-20 12:00:00+00"}}),
              (credential{verifier, verifier, at("2026-11-20 12:00:00+00")}));
    EXPECT_EQ(known({{"ann", std::nullopt, std::nullopt}}), credential{});
    const std::string hash = "md5" + md5_hex("pencilann");
    EXPECT_EQ(known({{"ann", hash, std::nullopt}}), (credential{md5_hash{hash}, {}, {}}));
}

TEST(query_answers, of_another_form_let_nobody_in) {
    using enum credential_fault;
    struct {
        const char* what;
        std::vector<credential_row> rows;
        credential_fault fault;
    } table[] = {
        {"two rows", {{"ann", verifier_text, std::nullopt}, {"ann", verifier_text, std::nullopt}}, several_rows},
        {"no column", {credential_row{}}, wrong_columns},
        {"no VALID UNTIL, as in queries for PgBouncer", {{"ann", verifier_text}}, wrong_columns},
        {"a column too many", {{"ann", verifier_text, std::nullopt, "x"}}, wrong_columns},
        {"somebody else", {{"bob", verifier_text, std::nullopt}}, another_user},
        {"no name", {{std::nullopt, verifier_text, std::nullopt}}, another_user},
        {"a password in clear", {{"ann", "pencil", std::nullopt}}, unknown_secret},
        {"a damaged verifier", {{"ann", verifier_text.substr(1), std::nullopt}}, unknown_secret},
        {"a cut one", {{"ann", verifier_text.substr(0, 40), std::nullopt}}, unknown_secret},
        {"an empty password", {{"ann", "", std::nullopt}}, unknown_secret},
        {"another DateStyle", {{"ann", verifier_text, "Fri 20 Nov 12:00:00 2026 UTC"}}, unreadable_time},
        {"an empty time", {{"ann", verifier_text, ""}}, unreadable_time},
    };
    for (const auto& [what, rows, fault] : table) {
        const auto read = read_credential(rows, "ann");
        ASSERT_FALSE(read) << what;
        EXPECT_EQ(read.error(), fault) << what;
    }
}

TEST(stored_secrets, are_told_apart) {
    const std::string hash = "md5" + std::string(32, 'a');
    EXPECT_EQ(parse_stored_secret(verifier_text), stored_secret(verifier));
    EXPECT_EQ(parse_stored_secret(hash), stored_secret(md5_hash{hash}));
    EXPECT_EQ(parse_stored_secret("md5"), stored_secret(clear_password{"md5"}));
    EXPECT_EQ(parse_stored_secret(hash + "a"), stored_secret(clear_password{hash + "a"}));
    EXPECT_EQ(parse_stored_secret("p\xc3\xa4ss"), stored_secret(clear_password{"p\xc3\xa4ss"}));
    for (const std::string& text : {std::string(), std::string("a\0b", 3), std::string(2049, 'x'), verifier_text + "=",
                                    "md5" + std::string(32, 'A'), std::string("SCRAM-SHA-256$")})
        EXPECT_FALSE(parse_stored_secret(text)) << text;
}

}  // namespace
}  // namespace crossfade::auth
