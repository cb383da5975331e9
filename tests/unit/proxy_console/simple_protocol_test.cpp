#include <gmock/gmock.h>

#include "lib/pgwire/bytes.hpp"
#include "lib/pgwire/query_messages.hpp"
#include "tests/unit/proxy_console/conversation.hpp"

namespace crossfade::proxy::console::test {
namespace {

using pgwire::build_query;

struct exchange {
    std::string_view sql;
    std::string_view said;
};

const std::string see_help = " | SHOW HELP lists what the console knows.";

TEST(simple_protocol, answers_each_statement) {
    const std::pair<std::string, std::string> table[] = {
        {"", "I Z(I)"},
        {" ; -- nothing", "I Z(I)"},
        {"SHOW VERSION", "T(version:25) D(Crossfade 1.2.3) C(SHOW) Z(I)"},
        {"SHOW server_version", "T(server_version:25) D(15.0 (Crossfade 1.2.3)) C(SHOW) Z(I)"},
        {"SHOW TIME ZONE; SELECT 1", "T(timezone:25) D(UTC) C(SHOW) T(?column?:20) D(1) C(SELECT 1) Z(I)"},
        {"SELECT version(), current_user AS me, pg_is_in_recovery()",
         "T(version:25,me:25,pg_is_in_recovery:16) D(PostgreSQL 15.0 (Crossfade 1.2.3),ann,f) C(SELECT 1) Z(I)"},
        {"SET a = 1; BEGIN", "C(SET) C(BEGIN) Z(T)"},
        {"BEGIN; COMMIT; ROLLBACK", "C(BEGIN) C(COMMIT) C(ROLLBACK) Z(I)"},
        {"DISCARD ALL", "C(DISCARD ALL) Z(I)"},
        {"nonsense", "E(42601 syntax error at or near \"nonsense\" @1" + see_help + ") Z(I)"},
        // Nothing of a text with a fault in it is carried out.
        {"SHOW VERSION; /*\xC3\xA4*/ nonsense",
         "E(42601 syntax error at or near \"nonsense\" @21" + see_help + ") Z(I)"},
        {"SHOW FOO", "E(42601 the console has no \"foo\" to show" + see_help + ") Z(I)"},
        {"SHOW VERSION; SHOW FOO; SHOW VERSION",
         "T(version:25) D(Crossfade 1.2.3) C(SHOW) E(42601 the console has no \"foo\" to show" + see_help + ") Z(I)"},
    };
    for (const auto& [sql, said] : table) {
        conversation with;
        EXPECT_EQ(with.hold(build_query(sql)), said) << sql;
        EXPECT_TRUE(with.asked.empty()) << sql;
    }
}

TEST(simple_protocol, asks_the_proxy) {
    const std::pair<std::string, std::string> table[] = {
        {"RELOAD", "RELOAD by ann"},
        {"PAUSE", "PAUSE by ann"},
        {"PAUSE GROUP orders TENANT \"A\"", "PAUSE GROUP orders TENANT \"A\" by ann"},
        {"RESUME app", "RESUME DATABASE app by ann"},
        {"KILL 42", "KILL 42 by ann"},
        {"SHUTDOWN WAIT", "SHUTDOWN 1 by ann"},
    };
    for (const auto& [sql, asked] : table) {
        conversation with{.proxy = [](const request&) { return done{{"as you like"}}; }};
        const auto tag = sql.substr(0, sql.find(' '));
        EXPECT_EQ(with.hold(build_query(sql)), "N(as you like) C(" + tag + ") Z(I)");
        EXPECT_THAT(with.asked, testing::ElementsAre(asked));
    }
}

TEST(simple_protocol, lets_a_viewer_look_only) {
    conversation with{.as = role::viewer, .proxy = [](const request&) { return sample_facts(); }};
    EXPECT_EQ(with.hold(build_query("SHOW STATS_TOTALS; BEGIN; KILL 1; SHOW VERSION")),
              "T(database:25,xact_count:20,query_count:20,bytes_received:20,bytes_sent:20,xact_time:20,query_time:20,"
              "wait_time:20) D(*,1000,3000,50000,70000,~,9000000,60000) "
              "C(SHOW) C(BEGIN) E(42501 permission denied: only users in proxy.console.admins may KILL) Z(T)");
    EXPECT_THAT(with.asked, testing::ElementsAre("SHOW STATS_TOTALS by ann"));
}

TEST(simple_protocol, passes_on_why_something_failed) {
    conversation with{.proxy = [](const request&) {
        return failure{"55006", "not everything is paused", "in the way: 7, 9", "KILL them"};
    }};
    EXPECT_EQ(with.hold(build_query("PAUSE; RESUME")),
              "E(55006 not everything is paused (in the way: 7, 9) | KILL them) Z(I)");
    EXPECT_THAT(with.asked, testing::ElementsAre("PAUSE by ann"));
}

TEST(simple_protocol, leaves_rows_out_beyond_the_bound) {
    conversation with{.max_rows = 2, .proxy = [](const request&) { return sample_facts(); }};
    EXPECT_THAT(with.hold(build_query("SHOW LISTS")),
                "T(list:25,items:20) D(databases,1) D(users,2) "
                "N(7 more rows are left out: proxy.console.max_rows is 2) C(SHOW) Z(I)");
}

TEST(simple_protocol, gives_long_answers_piece_by_piece) {
    conversation with{.max_rows = 100000, .proxy = [](const request&) {
                          auto many = sample_facts();
                          many.limits.assign(5000, {std::string(200, 'x'), "bytes", 1, 2, 3, ""});
                          return many;
                      }};
    const auto said = with.said_to(build_query("SHOW LIMITS") + build_query("SHOW VERSION"));
    std::size_t rows = 0;
    for (auto at = said.find("D(xxx"); at != std::string::npos; at = said.find("D(xxx", at + 1)) ++rows;
    EXPECT_EQ(rows, 5000U);
    EXPECT_THAT(said, testing::EndsWith(") C(SHOW) Z(I) T(version:25) D(Crossfade 1.2.3) C(SHOW) Z(I)"));
}

TEST(simple_protocol, ends_where_it_must) {
    const std::string version = "T(version:25) D(Crossfade 1.2.3) C(SHOW) Z(I)";
    const auto show = build_query("SHOW VERSION");
    const std::pair<std::string, std::string> table[] = {
        {show + pgwire::build_terminate() + show, version},
        {show + pgwire::framed('p', "secret") + show, version + " E(FATAL 08P01 invalid frontend message type)"},
        {std::string("Q\0\0\0\3", 5), "E(FATAL 08P01 invalid message length)"},
        {std::string("Q\x7f\xff\xff\xff", 5), "E(FATAL 08P01 the console takes messages of up to 64 KiB)"},
        {build_query(std::string(console_session::longest_message, 'x')),
         "E(FATAL 08P01 the console takes messages of up to 64 KiB)"},
    };
    for (const auto& [bytes, said] : table) {
        conversation with;
        EXPECT_EQ(with.hold(bytes), said);
        EXPECT_TRUE(with.closed);
    }
}

TEST(simple_protocol, goes_on_after_what_is_only_wrong) {
    const std::pair<std::string, std::string> table[] = {
        {pgwire::framed('Q', "no end"), "E(08P01 invalid message format) Z(I)"},
        {pgwire::framed('Q', std::string_view{"a\0b\0", 4}), "E(08P01 invalid message format) Z(I)"},
        {pgwire::framed('F', ""), "E(0A000 the console has no functions) Z(I)"},
        {pgwire::build_copy_done() + pgwire::build_copy_data("x") + pgwire::build_copy_fail("y"), ""},
        {build_query(std::string(console_session::longest_message - 1, ' ')), "I Z(I)"},
    };
    for (const auto& [bytes, said] : table) {
        conversation with;
        EXPECT_EQ(with.hold(bytes), said);
        EXPECT_FALSE(with.closed);
    }
}

TEST(simple_protocol, greets_as_a_database_does) {
    console_session session{ann(), role::admin, 10, pgwire::backend_key_data{77, "abcd"}};
    EXPECT_EQ(session.next(), console_session::step::write);
    const std::string greeting{session.output()};
    EXPECT_EQ(transcript(greeting),
              "S(22) S(21) S(19) S(34) S(19) S(21) S(23) S(17) S(21) S(38) S(26) S(31) "
              "S(13) K(8) Z(I)");
    EXPECT_NE(greeting.find(std::string{"server_version\0"
                                        "15.0 (Crossfade 1.2.3)\0",
                                        38}),
              std::string::npos);
    session.sent(greeting.size());
    EXPECT_EQ(session.next(), console_session::step::read);
    session.feed(build_query("SELECT pg_backend_pid()"));
    EXPECT_EQ(transcript(session.output()), "T(pg_backend_pid:20) D(77) C(SELECT 1) Z(I)");
}

TEST(simple_protocol, stops_what_is_sent_ahead_without_end) {
    console_session session{ann(), role::admin, 10};
    session.sent(session.output().size());
    session.feed(build_query("RELOAD"));
    ASSERT_EQ(session.next(), console_session::step::ask);
    // Who feeds a console that waits does what it was not asked for.
    for (int times = 0; times < 3; ++times) session.feed(std::string(60000, 'x'));
    EXPECT_EQ(transcript(session.output()), "E(FATAL 54000 too much was sent ahead)");
}

}  // namespace
}  // namespace crossfade::proxy::console::test
