// The database's answer, true and otherwise.
#include <gmock/gmock.h>

#include "lib/pgwire/bytes.hpp"
#include "lib/pgwire/diagnostics.hpp"
#include "lib/pgwire/message_types.hpp"
#include "lib/pgwire/rows.hpp"
#include "proxy/portrait/question.hpp"
#include "proxy/portrait/recreate.hpp"

namespace crossfade::proxy::portrait {
namespace {

using namespace std::string_literals;
using pgwire::framed;
using testing::ElementsAre;
using testing::IsEmpty;

using columns = std::vector<std::optional<std::string>>;

std::string row(const columns& of) {
    return pgwire::build_data_row(of);
}
std::string error(const char* sqlstate) {
    return pgwire::build_error_response({{{'S', "ERROR"}, {'C', sqlstate}}});
}
std::string ready(char status = 'I') {
    return framed('Z', std::string(1, status));
}
std::string facts() {
    std::string rows;
    for (const auto& [name, value] :
         {std::pair{"user", "ann"}, {"role", "none"}, {"encoding", "UTF8"}, {"functions", ""}})
        rows += row({"session", name, value, std::nullopt, std::nullopt});
    for (const auto* name : {"held cursors", "advisory locks", "temporary objects", "temporary slots"})
        rows += row({"count", name, "0", std::nullopt, std::nullopt});
    return rows;
}
const std::string first = framed('1', {}) + framed('2', {}) + row({"setting", "statement_timeout", "1s", {}, "0"}) +
                          framed('C', "SELECT 1\0"s) + framed('3', {});
std::string second(const std::string& rows) {
    return framed('1', {}) + framed('2', {}) + rows + framed('C', "SELECT 8\0"s) + framed('3', {});
}

// What the messages come to; the last one of them alone may say it.
answer::outcome read(std::string_view messages, const question& asked = {.own_settings = {}, .about_unnamed = false},
                     std::size_t most_bytes = 100'000) {
    answer reading(asked, most_bytes);
    std::optional<answer::outcome> outcome;
    while (!messages.empty()) {
        EXPECT_FALSE(outcome) << "it ended before the messages";
        const auto length = pgwire::byte_reader{messages.substr(1)}.u32();
        outcome = reading.take(messages[0], messages.substr(5, length - 4));
        messages.remove_prefix(1 + length);
    }
    return outcome.value_or(misbehaved{});
}
std::string sqlstate(const answer::outcome& of) {
    const auto* no = std::get_if<refused>(&of);
    return no == nullptr ? "not refused" : no->sqlstate;
}

TEST(answer_to_the_question, is_a_portrait) {
    const auto outcome = read(
        first + framed('N', "Cx\0\0"s) + framed('S', "a\0b\0"s) +
        second(facts() + row({"own setting", "App.Tenant", "acme", {}, {}}) +
               row({"own setting", "App.Region", "north", "given", {}}) +
               row({"setting", "lc_time", "C", "given", {}}) + row({"lifted", "transaction_timeout", "0", {}, {}}) +
               row({"parameter", "p", "pg_catalog.int4", "23", "2"}) + row({"prepared", "p", "SELECT $2", {}, {}}) +
               row({"prepared", "q", "SELECT 1; PREPARE q AS SELECT 2 ; SELECT 3", "sql", {}}) +
               row({"channel", "c", "", {}, {}}) + row({"of a later version", "c", "", {}, {}})) +
        ready());
    ASSERT_TRUE(std::holds_alternative<session_portrait>(outcome));
    const auto& found = std::get<session_portrait>(outcome);
    EXPECT_EQ(found.user, "ann");
    EXPECT_THAT(found.settings, ElementsAre(testing::Pair("lc_time", "C"), testing::Pair("statement_timeout", "1s")));
    EXPECT_THAT(found.own_settings,
                ElementsAre(testing::Pair("app.region", "north"), testing::Pair("app.tenant", "acme")));
    EXPECT_THAT(found.given, ElementsAre("app.region", "lc_time"));
    EXPECT_THAT(found.prepared.at("p").parameters,
                ElementsAre(parameter_type{}, parameter_type{23, "pg_catalog.int4"}));
    EXPECT_EQ(found.prepared.at("q").text, " PREPARE q AS SELECT 2 ");
    EXPECT_THAT(found.channels, ElementsAre("c"));
    EXPECT_FALSE(found.cut_short);
}

TEST(answer_to_the_question, tells_whether_there_is_an_unnamed_statement) {
    const question asked{.own_settings = {}, .about_unnamed = true};
    const auto there = read(first + second(facts()) + framed('t', "\0\0"s) + framed('n', {}) + ready(), asked);
    EXPECT_TRUE(std::get<session_portrait>(there).unnamed_there);
    const auto not_there = read(first + second(facts()) + error("26000") + ready(), asked);
    EXPECT_FALSE(std::get<session_portrait>(not_there).unnamed_there);
    EXPECT_EQ(sqlstate(read(first + second(facts()) + error("57014") + ready(), asked)), "57014");
    EXPECT_EQ(sqlstate(read(first + second(facts()) + error("26000") + ready())), "26000") << "that wasn't asked";
}

TEST(answer_to_the_question, says_what_to_clean_up_when_it_is_an_error) {
    const auto closes = [](const std::string& name) { return framed('C', "S" + name + '\0') + framed('S', {}); };
    struct sample {
        const char* when;
        std::string messages;
        std::string cleanup;
    };
    for (const auto& each :
         {sample{"first parse", error("42P05"), ""},
          sample{"first execute", framed('1', {}) + framed('2', {}) + error("57014"), closes("crossfade 1")},
          sample{"second parse", first + error("42P05"), ""},
          sample{"second bind", first + framed('1', {}) + error("42501"), closes("crossfade 2")}}) {
        const auto outcome = read(each.messages + ready());
        ASSERT_TRUE(std::holds_alternative<refused>(outcome)) << each.when;
        EXPECT_EQ(std::get<refused>(outcome).cleanup, each.cleanup) << each.when;
    }
}

TEST(answer_to_the_question, that_is_none_is_not_believed) {
    for (const auto& each :
         {ready(), first + ready(), first + second("") + ready(), first + second(facts()) + ready('T'),
          first + second(facts() + row({"setting"})) + ready(),
          first + second(facts() + row({std::nullopt, "a", "b", {}, {}})) + ready(),
          first + second(facts() + framed('D', "\0\5x"s)) + ready(), first + second(facts() + facts()) + ready(),
          first + second(facts() + row({"parameter", "p", "t", "23", "4294967296"})) + ready(),
          first + second(facts() + row({"parameter", "p", "t", "23", "0"})) + ready(),
          first + second(facts() + row({"parameter", "p", "t", "-1", "1"})) + ready()})
        EXPECT_TRUE(std::holds_alternative<misbehaved>(read(each)));
    EXPECT_EQ(sqlstate(read(first + framed('E', "nonsense") + ready())), "?????");
}

TEST(answer_to_the_question, is_cut_short_at_its_bound) {
    std::string rows;
    for (int each = 0; each < 1000; ++each) rows += row({"channel", std::to_string(each), "", {}, {}});
    const auto outcome =
        read(first + second(facts() + rows) + ready(), {.own_settings = {}, .about_unnamed = false}, 20'000);
    ASSERT_TRUE(std::holds_alternative<session_portrait>(outcome));
    const auto& found = std::get<session_portrait>(outcome);
    EXPECT_LT(found.channels.size(), 200U);
    EXPECT_TRUE(found.cut_short);
    std::string types;
    for (int each = 0; each < 100; ++each) types += row({"parameter", std::to_string(each), "t", "23", "65535"});
    const auto many = read(first + second(facts() + types) + ready(), {.own_settings = {}, .about_unnamed = false},
                           std::size_t{4} << 20);
    EXPECT_TRUE(std::get<session_portrait>(many).cut_short);
    const auto too_long = read(first + second(facts() + row({"prepared", "p", std::nullopt, {}, {}})) + ready());
    EXPECT_TRUE(std::get<session_portrait>(too_long).cut_short);
}

TEST(a_recreation, is_done_or_refused_or_no_answer) {
    const auto ended = [](const std::vector<std::pair<char, std::string>>& messages) -> std::string {
        recreation reading;
        std::optional<recreation::outcome> outcome;
        for (const auto& [type, body] : messages) outcome = reading.take(type, body);
        if (!outcome) return "not yet";
        if (const auto* no = std::get_if<recreation::refused>(&*outcome)) return no->sqlstate;
        if (std::holds_alternative<recreation::misbehaved>(*outcome)) return "misbehaved";
        return "done, reports " + std::to_string(std::get<recreation::done>(*outcome).reported.size());
    };
    const std::string failed = error("42501").substr(5);
    EXPECT_EQ(ended({{'1', ""}, {'2', ""}, {'D', "x"}, {'C', "SELECT 1"}}), "not yet");
    EXPECT_EQ(ended({{'1', ""}, {'S', "a"}, {'S', "b"}, {'Z', "I"}}), "done, reports 2");
    EXPECT_EQ(ended({{'S', "a"}, {'E', failed}, {'Z', "I"}}), "42501");
    EXPECT_EQ(ended({{'E', "nonsense"}, {'Z', "I"}}), "?????");
    EXPECT_EQ(ended({{'Z', "T"}}), "misbehaved");
    EXPECT_EQ(ended({{'S', std::string(100'000, 'x')}, {'Z', "I"}}), "misbehaved");
}

}  // namespace
}  // namespace crossfade::proxy::portrait
