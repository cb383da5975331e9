#include "lib/store/audit.hpp"

#include <gtest/gtest.h>

#include "lib/store/audit_text.hpp"

namespace crossfade::store {
namespace {

TEST(audit_sql, is_one_statement_whatever_is_in_the_entry) {
    const auto sql = append_audit_sql({.stream = "app",
                                       .by_whom = "O'Brien",
                                       .program = "crossfade",
                                       .action = "flip",
                                       .scope = R"(back\'); DROP TABLE x; --)",
                                       .reason = "",
                                       .before_json = R"({"a": "it's \"so\""})",
                                       .after_json = "",
                                       .outcome = "done"});
    EXPECT_EQ(sql,
              "SELECT pg_catalog.encode(crossfade.audit_append(E'app'::text, E'O''Brien'::text, E'crossfade'::text, "
              R"(E'flip'::text, E'back\\''); DROP TABLE x; --'::text, E''::text, )"
              R"(E'{"a": "it''s \\"so\\""}'::jsonb, NULL::jsonb, E'done'::text), 'hex'))");
}

struct said {
    const char* name;
    std::string_view what;
    std::string_view kept;
};
class audit_texts : public testing::TestWithParam<said> {};

TEST_P(audit_texts, keep_no_secret) {
    EXPECT_EQ(audit_text(GetParam().what, 200), GetParam().kept);
}

INSTANTIATE_TEST_SUITE_P(
    all, audit_texts,
    testing::Values(said{"plain", "cutover, as agreed", "cutover, as agreed"},
                    said{"conninfo", "host=a password=s3cret user=b", "host=a password=… user=b"},
                    said{"in_quotes", "host=a password = 's3 cret' user=b", "host=a password = '…' user=b"},
                    said{"ssl", "sslpassword=x sslkey=k", "sslpassword=… sslkey=k"},
                    said{"address", "postgres://me:s3:cr@et@db:5432/app?password=x&a=b",
                         "postgres://me:…@db:5432/app?password=…&a=b"},
                    said{"no_user_in_address", "http://db:5432/a@b", "http://db:5432/a@b"},
                    said{"sql", "ALTER ROLE a PASSWORD 'x'; and on", "ALTER ROLE a PASSWORD '…'; and on"},
                    said{"json", R"({"password": "x", "b": 1})", R"({"password": "…", "b": 1})"},
                    said{"within_json", R"({"dsn": "password=\"x y\" user=b"})", R"({"dsn": "password=\"…\" user=b"})"},
                    said{"at_the_end", R"({"dsn": "host=a password=x"})", R"({"dsn": "host=a password=…"})"},
                    said{"yaml", "password: x", "password: …"},
                    said{"no_secret", "password authentication failed for user \"a\"",
                         "password authentication failed for user \"a\""},
                    said{"the_word_alone", "the password", "the password"},
                    said{"nothing_behind_it", "password=", "password="}),
    [](const auto& of) { return std::string{of.param.name}; });

TEST(audit_text, is_utf8_and_has_an_end) {
    EXPECT_EQ(audit_text("a\xFF"
                         "b\0c",
                         100),
              "a\xEF\xBF\xBD"
              "b");
    EXPECT_EQ(audit_text(std::string_view{"b\0c", 3}, 100),
              "b\xEF\xBF\xBD"
              "c");
    EXPECT_EQ(audit_text("üüü", 5), "üü…") << "not within a character";
    EXPECT_EQ(audit_text("üü", 4), "üü");
}

}  // namespace
}  // namespace crossfade::store
