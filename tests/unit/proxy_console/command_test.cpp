#include "proxy/console/command.hpp"

#include <gtest/gtest.h>

#include <variant>

namespace crossfade::proxy::console {
namespace {

// A command as one line, so that tables can be written.
std::string described(const command& what) {
    struct {
        std::string operator()(const commands::show& of) const { return "show " + std::string{to_string(of.what)}; }
        std::string operator()(const commands::show_parameter& of) const { return "parameter " + of.name; }
        std::string operator()(const commands::select& of) const {
            std::string all = "select";
            for (const auto& each : of.values)
                all += ' ' + each.column + '=' + std::to_string(static_cast<int>(each.what)) + each.literal;
            return all;
        }
        std::string operator()(const commands::accepted& of) const {
            return "accepted " + std::string{of.tag} + std::to_string(static_cast<int>(of.transaction));
        }
        std::string operator()(const commands::forget& of) const {
            return "forget " + of.statement.value_or("everything");
        }
        std::string operator()(const commands::reload&) const { return "reload"; }
        std::string operator()(const commands::pause& of) const { return "pause [" + to_string(of.what) + "]"; }
        std::string operator()(const commands::resume& of) const { return "resume [" + to_string(of.what) + "]"; }
        std::string operator()(const commands::kill& of) const { return "kill " + std::to_string(of.session); }
        std::string operator()(const commands::shutdown& of) const {
            return "shutdown " + std::to_string(static_cast<int>(of.what));
        }
    } line;
    return std::visit(line, what);
}

// All commands of a text, or its fault as "@position message".
std::string read(std::string_view sql) {
    const auto parsed = parse(sql);
    if (!parsed) return '@' + std::to_string(parsed.error().position) + ' ' + parsed.error().message;
    std::string all;
    for (const auto& each : *parsed) all += (all.empty() ? "" : "; ") + described(each);
    return all;
}

struct reading {
    std::string_view sql;
    std::string_view expected;
};

TEST(command, is_read) {
    const reading table[] = {
        {"", ""},
        {" ;; -- nothing\n ; /* nor /* here */ */ ", ""},
        {"SHOW HELP", "show HELP"},
        {"show\tclients ;", "show CLIENTS"},
        {"sHoW stats_totals; SHOW POOLS", "show STATS_TOTALS; show POOLS"},
        {"/* pool */SHOW/**/DRIFT--x", "show DRIFT"},
        {"SHOW server_version", "parameter server_version"},
        {"SHOW TimeZone", "parameter timezone"},
        {"SHOW TIME ZONE", "parameter timezone"},
        {"show transaction isolation level", "parameter transaction_isolation"},
        {"SHOW app.tenant", "parameter app.tenant"},
        {"SHOW \"clients\"", "parameter clients"},
        {"RELOAD;", "reload"},
        {"PAUSE", "pause []"},
        {"PAUSE app", "pause [DATABASE app]"},
        {"PAUSE \"My App\"", "pause [DATABASE \"My App\"]"},
        {"PAUSE Orders", "pause [DATABASE orders]"},
        {"PAUSE GROUP orders", "pause [GROUP orders]"},
        {"pause tenant \"a\"\"b\" group orders", "pause [GROUP orders TENANT \"a\"\"b\"]"},
        {"PAUSE DATABASE group", "pause [DATABASE group]"},
        {"PAUSE \"group\"", "pause [DATABASE group]"},
        {"RESUME DATABASE app TENANT t", "resume [TENANT t DATABASE app]"},
        {"RESUME", "resume []"},
        {"KILL 18446744073709551615", "kill 18446744073709551615"},
        {"SHUTDOWN", "shutdown 0"},
        {"SHUTDOWN WAIT", "shutdown 1"},
        {"SHUTDOWN WAIT_FOR_CLIENTS", "shutdown 1"},
        {"SHUTDOWN WAIT_FOR_SERVERS", "shutdown 0"},
        {"SHUTDOWN IMMEDIATE", "shutdown 2"},
        {"SELECT 1", "select ?column?=01"},
        {"select 'keep''alive' AS x, 2", "select x=1keep'alive ?column?=02"},
        {"SELECT version()", "select version=2"},
        {"select pg_catalog.version() as v", "select v=2"},
        {"SELECT current_user, current_schema()", "select current_user=5 current_schema=4"},
        {"SET extra_float_digits = 3", "accepted SET0"},
        {"SET application_name TO 'x;y'; BEGIN", "accepted SET0; accepted BEGIN1"},
        {"begin isolation level serializable", "accepted BEGIN1"},
        {"COMMIT AND NO CHAIN", "accepted COMMIT2"},
        {"ROLLBACK", "accepted ROLLBACK2"},
        {"DISCARD ALL", "forget everything"},
        {"DEALLOCATE ALL", "forget everything"},
        {"DEALLOCATE PREPARE \"S 1\"", "forget S 1"},
        {"SELECT pg_advisory_unlock_all(); CLOSE ALL; UNLISTEN *; RESET ALL;",
         "select pg_advisory_unlock_all=8; accepted CLOSE CURSOR0; accepted UNLISTEN0; accepted RESET0"},
    };
    for (const auto& each : table) EXPECT_EQ(read(each.sql), each.expected) << each.sql;
}

TEST(command, is_refused_where_it_is_wrong) {
    const reading table[] = {
        {"DROP TABLE x", "@1 syntax error at or near \"drop\""},
        {"SHOW HELP; INSERT", "@12 syntax error at or near \"insert\""},
        {"SHOW", "@1 syntax error at end of input after \"show\""},
        {"SHOW 'x'", "@6 syntax error at or near \"x\""},
        {"RELOAD now", "@8 syntax error at or near \"now\""},
        {"PAUSE GRUOP orders", "@7 syntax error at or near \"gruop\""},
        {"PAUSE GROUP", "@7 syntax error at end of input after \"group\""},
        {"PAUSE GROUP a GROUP b", "@15 syntax error at or near \"group\""},
        {"PAUSE GROUP 'a'", "@13 syntax error at or near \"a\""},
        {"PAUSE ''", "@7 syntax error at or near \"\""},
        {"KILL", "@1 syntax error at end of input after \"kill\""},
        {"KILL app", "@6 syntax error at or near \"app\""},
        {"KILL -1", "@6 syntax error at or near \"-\""},
        {"KILL 18446744073709551616", "@6 syntax error at or near \"18446744073709551616\""},
        {"KILL 1 2", "@6 syntax error at or near \"1\""},
        {"SHUTDOWN now", "@10 syntax error at or near \"now\""},
        {"SELECT", "@1 syntax error at end of input after \"select\""},
        {"SELECT 12345678901", "@8 syntax error at or near \"12345678901\""},
        {"SELECT version(", "@8 syntax error at or near \"version\""},
        {"SELECT * FROM pg_type", "@8 syntax error at or near \"*\""},
        {"SELECT 1 FROM x", "@10 syntax error at or near \"from\""},
        {"SELECT 1,", "@1 syntax error at end of input after \"select\""},
        {"DEALLOCATE", "@1 syntax error at end of input after \"deallocate\""},
        {"SHOW HELP /* ", "@11 unterminated /* comment"},
        {"PAUSE \"app", "@7 unterminated quoted identifier"},
        {"PAUSE \"\"", "@7 zero-length delimited identifier"},
        {"SET x = 'y", "@9 unterminated quoted string"},
    };
    for (const auto& each : table) EXPECT_EQ(read(each.sql), each.expected) << each.sql;
}

TEST(command, is_cut_in_messages) {
    const auto said = read("DROP \xC3\xA4" + std::string(100, 'x'));
    EXPECT_EQ(said, "@1 syntax error at or near \"drop\"");
    EXPECT_EQ(clipped(std::string(62, 'x') + "\xC3\xA4"), std::string(62, 'x') + "…");
    EXPECT_EQ(clipped(std::string(63, 'x')), std::string(63, 'x'));
}

TEST(command, says_who_may_do_it) {
    const std::pair<std::string_view, bool> table[] = {
        {"SHOW CONFIG", true}, {"SHOW TimeZone", true}, {"SELECT 1", true}, {"BEGIN", true},   {"DISCARD ALL", true},
        {"RELOAD", false},     {"PAUSE", false},        {"RESUME", false},  {"KILL 1", false}, {"SHUTDOWN", false},
    };
    for (const auto& [sql, anybody] : table) EXPECT_EQ(changes_nothing(parse(sql)->front()), anybody) << sql;
}

}  // namespace
}  // namespace crossfade::proxy::console
