#include "proxy/mirror/row_text.hpp"

#include <gtest/gtest.h>

namespace crossfade::proxy::mirror {
namespace {

using values = std::vector<std::optional<std::string>>;
constexpr const char* settings = "UTF8/1/postgres/ISO, MDY/hex/on/UTC";

std::string text_of(const std::string& fields, const std::string& with = settings) {
    return "(744,16385,\"" + with + "\"" + (fields.empty() ? "" : "," + fields) + ')';
}

TEST(a_row_s_text, gives_its_values) {
    const std::pair<std::string, values> all[] = {
        {"1", {"1"}},
        {"", {}},
        {"1,,", {"1", std::nullopt, std::nullopt}},
        {",a", {std::nullopt, "a"}},
        {R"("")", {""}},
        {R"("a ""quoted"" one")", {R"(a "quoted" one)"}},
        {R"_("a \\ b","x, y","(z)")_", {R"(a \ b)", "x, y", "(z)"}},
        {R"("""",""",")", {"\"", "\","}},
        {"{1;2},größer", {"{1;2}", "größer"}},
        {"\"two\nlines\"", {"two\nlines"}},
    };
    for (const auto& [text, expected] : all) {
        const auto row = read_row(text_of(text));
        ASSERT_TRUE(row) << text;
        EXPECT_EQ(row->values, expected) << text;
        EXPECT_EQ(row->transaction, 744U);
        EXPECT_EQ(row->table, 16385U);
        EXPECT_TRUE(row->faithful);
    }
}

TEST(a_row_s_text, names_its_transaction_without_the_epoch) {
    EXPECT_EQ(read_row("(4294967301,1,\"UTF8/1/postgres/ISO, MDY\")")->transaction, 5U);
}

TEST(a_row_s_text, is_faithful_by_the_session_s_settings_alone) {
    for (const auto* with : {"UTF8/3/postgres/ISO, DMY", "UTF8/1/postgres/ISO, YMD"})
        EXPECT_TRUE(read_row(text_of("1", with))->faithful) << with;
    for (const auto* with : {"LATIN1/1/postgres/ISO, MDY", "UTF8/0/postgres/ISO, MDY", "UTF8/-15/postgres/ISO, MDY",
                             "UTF8/1/iso_8601/ISO, MDY", "UTF8/1/postgres/German", "UTF8/1/postgres", "", "UTF8"})
        EXPECT_FALSE(read_row(text_of("1", with))->faithful) << with;
    EXPECT_TRUE(read_row(text_of("1", "UTF8/0/iso_8601/German"))->utf8) << "which is enough for most types";
    EXPECT_FALSE(read_row(text_of("1", "LATIN1/1/postgres/ISO, MDY"))->utf8);
}

TEST(a_row_s_text, says_whether_it_is_the_stream_s_by_further_settings) {
    const std::string front = "UTF8/1/postgres/ISO, MDY/";
    for (const auto* with : {"hex/on/UTC", "hex/off/Etc/UTC", "hex/on/GMT"}) {
        EXPECT_FALSE(read_row(text_of("1", front + with))->zoned) << with;
        EXPECT_FALSE(read_row(text_of("1", front + with))->escaped) << with;
    }
    for (const auto* with : {"hex/on/Asia/Tokyo", "hex/on/<+09>-09", "hex/on/", "hex/on", ""})
        EXPECT_TRUE(read_row(text_of("1", front + with))->zoned) << with;
    for (const auto* with : {"escape/on/UTC", ""}) EXPECT_TRUE(read_row(text_of("1", front + with))->escaped) << with;
    EXPECT_TRUE(read_row(text_of("1", front + "escape/on/Asia/Tokyo"))->faithful) << "but for a key it is as good";
}

TEST(a_row_s_text, says_whether_its_transaction_will_be_on_disk_when_it_is_answered) {
    const std::string front = "UTF8/1/postgres/ISO, MDY/hex/";
    for (const auto* with : {"on", "local", "remote_write", "remote_apply"})
        EXPECT_TRUE(read_row(text_of("1", front + with + "/UTC"))->flushes) << with;
    for (const auto* with : {"off/UTC", ""}) EXPECT_FALSE(read_row(text_of("1", front + with))->flushes) << with;
}

TEST(a_row_s_text, is_nothing_else) {
    for (const auto* text : {"", "(", ")", "()", "1", "(1,2)", "(1,2,)", "(x,2,\"s\")", "(1,-2,\"s\")", "(1,2,\"s)",
                             "(1,2,\"s\"x)", R"((1,2,"\s"))", "(1,2,\"s\"", "(,2,\"s\")"})
        EXPECT_FALSE(read_row(text)) << text;
}

}  // namespace
}  // namespace crossfade::proxy::mirror
