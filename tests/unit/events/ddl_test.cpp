#include "lib/events/ddl.hpp"

#include <gtest/gtest.h>

namespace crossfade::events {
namespace {

const std::string document =
    R"json({"version": 1, "stream": "app", "event": "ddl_command_end", "tag": "ALTER TABLE", "xid": "4294967295",)json"
    R"json( "policy": "pass", "tables": [{"schema": "public", "name": "o.rders", "object": "public.\"o.rders\"",)json"
    R"json( "what": "altered", "columns": [["id", "integer"], ["a\nb", "numeric(10,2)"]]},)json"
    R"json( {"schema": "s", "name": "t", "object": "s.t_1", "what": "partition dropped"}], "rewritten": false,)json"
    R"json( "direct": true, "whole": true, "statement": "ALTER TABLE\n\"o.rders\" ADD a int",)json"
    R"json( "search_path": ["public", "Odd, one"], "role": "app"})json";
const std::string seal(64, 'a');

std::optional<ddl_notice> read(const std::string& text) {
    return read_ddl({std::string{ddl_prefix}, text});
}
std::string with(std::string from, std::string_view what, std::string_view instead) {
    return from.replace(from.find(what), what.size(), instead) + '\n' + seal;
}

TEST(ddl, says_what_the_document_says) {
    const model::logical_message message{std::string{ddl_prefix}, document + '\n' + seal};
    const auto seen = read_ddl(message);
    ASSERT_TRUE(seen);
    EXPECT_EQ(seen->stream, "app");
    EXPECT_EQ(seen->tag, "ALTER TABLE");
    EXPECT_EQ(seen->xid, 4294967295U);
    EXPECT_EQ(seen->policy, ddl_policy::pass);
    ASSERT_EQ(seen->tables.size(), 2U);
    EXPECT_EQ(seen->tables[0].name, (model::table_name{"public", "o.rders"}));
    EXPECT_EQ(seen->tables[0].effect, ddl_effect::altered);
    EXPECT_EQ(seen->tables[0].columns[1], (std::pair<std::string, std::string>{"a\nb", "numeric(10,2)"}));
    EXPECT_EQ(seen->tables[1].effect, ddl_effect::partition_dropped);
    EXPECT_TRUE(seen->tables[1].columns.empty());
    EXPECT_FALSE(seen->rewritten);
    EXPECT_TRUE(seen->direct);
    EXPECT_TRUE(seen->whole);
    EXPECT_EQ(seen->statement, "ALTER TABLE\n\"o.rders\" ADD a int");
    EXPECT_EQ(seen->search_path, (std::vector<std::string>{"public", "Odd, one"}));
    EXPECT_EQ(seen->role, "app");
    EXPECT_EQ(seen->document, document);
    EXPECT_EQ(seen->seal, seal);
}

TEST(ddl, says_which_rows_of_a_partition_are_gone) {
    const auto emptied =
        with(document, R"json("what": "altered")json", R"json("what": "partition emptied", "rows": "(id = 1)")json");
    const auto seen = read(emptied);
    ASSERT_TRUE(seen);
    EXPECT_EQ(seen->tables[0].effect, ddl_effect::partition_emptied);
    EXPECT_EQ(seen->tables[0].rows, "(id = 1)");
    EXPECT_FALSE(read(with(document, R"json("what": "altered")json", R"json("what": "partition emptied")json")));
}

TEST(ddl, is_not_guessed_at) {
    EXPECT_FALSE(read(document)) << "without a seal";
    EXPECT_FALSE(read(""));
    EXPECT_FALSE(read("\n"));
    EXPECT_FALSE(read("[]\n" + seal));
    EXPECT_FALSE(read("{\n" + seal));
    EXPECT_FALSE(read(std::string(100000, '[') + '\n' + seal));
    for (const auto& [what, instead] :
         std::initializer_list<std::pair<const char*, const char*>>{{"\"version\": 1", "\"version\": 2"},
                                                                    {"\"policy\": \"pass\"", "\"policy\": \"guess\""},
                                                                    {"4294967295", "4294967296"},
                                                                    {"\"altered\"", "\"exploded\""},
                                                                    {"\"direct\": true", "\"direct\": 1"},
                                                                    {"\"role\"", "\"roll\""},
                                                                    {"[\"id\", \"integer\"]", "[\"id\"]"},
                                                                    {"[\"public\", \"Odd, one\"]", "[7]"}})
        EXPECT_FALSE(read(with(document, what, instead))) << what;
    EXPECT_TRUE(read(with(document, "\"version\": 1", "\"version\": 1, \"later\": {}"))) << "more than is known";
    // Cut anywhere.
    for (std::size_t size = 0; size < document.size(); ++size)
        EXPECT_FALSE(read(document.substr(0, size) + '\n' + seal));
}

}  // namespace
}  // namespace crossfade::events
