#include <gmock/gmock.h>

#include "lib/pgwire/bytes.hpp"
#include "lib/pgwire/query_messages.hpp"
#include "tests/unit/proxy_console/conversation.hpp"

namespace crossfade::proxy::console::test {
namespace {

using pgwire::build_close;
using pgwire::build_describe;
using pgwire::build_execute;
using pgwire::build_flush;
using pgwire::build_parse;
using pgwire::build_query;
using pgwire::build_sync;
using pgwire::named;

std::string bound(std::string_view portal, std::string_view statement, const std::vector<std::uint16_t>& formats = {}) {
    std::string body;
    pgwire::put_cstring(body, portal);
    pgwire::put_cstring(body, statement);
    pgwire::put_u16(body, 0);
    pgwire::put_u16(body, 0);
    pgwire::put_u16(body, static_cast<std::uint16_t>(formats.size()));
    for (const auto each : formats) pgwire::put_u16(body, each);
    return pgwire::framed('B', body);
}

// As libpq's PQexecParams sends it.
std::string whole(std::string_view sql, const std::vector<std::uint16_t>& formats = {}) {
    return build_parse("", sql) + bound("", "", formats) + build_describe(named::portal, "") + build_execute("", 0) +
           build_sync();
}

struct exchange {
    const char* name;
    std::string sent;
    std::string said;
};

class extended_protocol : public testing::TestWithParam<exchange> {};

TEST_P(extended_protocol, is_spoken) {
    conversation with{.proxy = [](const request& what) -> answer {
        if (std::holds_alternative<ask_facts>(what.what)) return sample_facts();
        if (std::holds_alternative<commands::kill>(what.what)) return failure{"42704", "no session 1", {}, {}};
        return done{};
    }};
    EXPECT_EQ(with.hold(GetParam().sent), GetParam().said);
    EXPECT_FALSE(with.closed);
}

const std::string lists = "T(list:25,items:20) ";
const std::string first_two = "D(databases,1) D(users,2) ";
const std::string next_two = "D(pools,2) D(free_clients,0) ";
const std::string the_rest = "D(used_clients,2) D(login_clients,1) D(free_servers,0) D(used_servers,2) D(pauses,1) ";
const std::string syntax = "E(42601 syntax error at or near \"x\" @1 | SHOW HELP lists what the console knows.) ";

INSTANTIATE_TEST_SUITE_P(
    of, extended_protocol,
    testing::Values(
        exchange{"one_query", whole("SHOW VERSION"), "1 2 T(version:25) D(Crossfade 1.2.3) C(SHOW) Z(I)"},
        exchange{"command", whole("RELOAD"), "1 2 n C(RELOAD) Z(I)"}, exchange{"empty", whole(""), "1 2 n I Z(I)"},
        exchange{"set", whole("SET extra_float_digits = 3"), "1 2 n C(SET) Z(I)"},
        exchange{"binary", whole("SELECT 5", {1}), "1 2 T(?column?:20b) D(x0000000000000005) C(SELECT 1) Z(I)"},
        exchange{"mixed_formats", whole("SHOW LISTS", {0, 1}).substr(0, std::string::npos),
                 "1 2 T(list:25,items:20b) D(databases,x0000000000000001) D(users,x0000000000000002) "
                 "D(pools,x0000000000000002) D(free_clients,x0000000000000000) D(used_clients,x0000000000000002) "
                 "D(login_clients,x0000000000000001) D(free_servers,x0000000000000000) "
                 "D(used_servers,x0000000000000002) D(pauses,x0000000000000001) C(SHOW) Z(I)"},
        exchange{"prepared_by_name",
                 build_parse("s", "SHOW VERSION") + build_describe(named::statement, "s") + build_sync() +
                     bound("", "s") + build_execute("", 0) + build_sync() + bound("", "s", {1}) + build_execute("", 0) +
                     build_sync(),
                 "1 t(2) T(version:25) Z(I) 2 D(Crossfade 1.2.3) C(SHOW) Z(I) 2 D(Crossfade 1.2.3) C(SHOW) Z(I)"},
        exchange{"statement_without_rows",
                 build_parse("s", "RELOAD") + build_describe(named::statement, "s") + build_sync(), "1 t(2) n Z(I)"},
        exchange{"pipeline", whole("SHOW VERSION") + whole("KILL 1") + whole("SELECT 1"),
                 "1 2 T(version:25) D(Crossfade 1.2.3) C(SHOW) Z(I) 1 2 n E(42704 no session 1) Z(I) "
                 "1 2 T(?column?:20) D(1) C(SELECT 1) Z(I)"},
        exchange{"error_skips_to_sync",
                 build_parse("", "x") + bound("", "") + build_execute("", 0) + build_query("SHOW VERSION") +
                     build_flush() + build_close(named::statement, "s") + build_sync() + build_query(""),
                 syntax + "Z(I) I Z(I)"},
        exchange{"two_errors_in_one_pipeline", whole("x") + whole("x"), syntax + "Z(I) " + syntax + "Z(I)"},
        exchange{"max_rows",
                 build_parse("", "SHOW LISTS") + bound("p", "") + build_describe(named::portal, "p") +
                     build_execute("p", 2) + build_flush() + build_execute("p", 2) + build_execute("p", 0) +
                     build_execute("p", 0) + build_sync() + build_execute("p", 0) + build_sync(),
                 "1 2 " + lists + first_two + "s " + next_two + "s " + the_rest +
                     "C(SHOW) C(SHOW) Z(I) E(34000 portal \"p\" does not exist) Z(I)"},
        exchange{"as_many_rows_as_there_are",
                 build_parse("", "SHOW LISTS") + bound("", "") + build_execute("", 9) + build_sync(),
                 "1 2 " + first_two + next_two + the_rest + "C(SHOW) Z(I)"},
        exchange{"portal_in_a_transaction_outlives_sync",
                 build_query("BEGIN") + build_parse("", "SHOW LISTS") + bound("p", "") + build_execute("p", 2) +
                     build_sync() + build_execute("p", 2) + build_sync() + build_query("COMMIT") +
                     build_execute("p", 2) + build_sync(),
                 "C(BEGIN) Z(T) 1 2 " + first_two + "s Z(T) " + next_two +
                     "s Z(T) C(COMMIT) Z(I) E(34000 portal \"p\" does not exist) Z(I)"},
        exchange{"executed_twice_and_done_once",
                 build_parse("", "RELOAD") + bound("", "") + build_execute("", 0) + build_execute("", 0) + build_sync(),
                 "1 2 C(RELOAD) C(RELOAD) Z(I)"},
        exchange{"query_destroys_the_unnamed_statement",
                 build_parse("", "SHOW VERSION") + build_sync() + build_query("") + bound("", "") + build_sync(),
                 "1 Z(I) I Z(I) E(26000 prepared statement \"\" does not exist) Z(I)"},
        exchange{"close_of_a_portal_leaves_the_statement_of_that_name",
                 build_parse("s", "SHOW VERSION") + bound("s", "s") + build_close(named::portal, "s") +
                     build_close(named::portal, "nothing") + build_describe(named::statement, "s") + build_sync(),
                 "1 2 3 3 t(2) T(version:25) Z(I)"},
        exchange{"close_of_a_statement",
                 build_parse("s", "RELOAD") + build_close(named::statement, "s") + build_parse("s", "RELOAD") +
                     build_parse("s", "RELOAD") + build_sync(),
                 "1 3 1 E(42P05 prepared statement \"s\" already exists) Z(I)"},
        exchange{"deallocate",
                 build_parse("s", "RELOAD") + build_parse("t", "RELOAD") + whole("DEALLOCATE s") +
                     build_parse("s", "RELOAD") + whole("DISCARD ALL") + build_describe(named::statement, "t") +
                     build_sync(),
                 "1 1 1 2 n C(DEALLOCATE) Z(I) 1 1 2 n C(DISCARD ALL) Z(I) "
                 "E(26000 prepared statement \"t\" does not exist) Z(I)"},
        exchange{"portal_twice", build_parse("", "RELOAD") + bound("p", "") + bound("p", "") + build_sync(),
                 "1 2 E(42P03 portal \"p\" already exists) Z(I)"},
        exchange{"several_commands", build_parse("", "RELOAD; RELOAD") + build_sync(),
                 "E(42601 cannot insert multiple commands into a prepared statement) Z(I)"},
        exchange{"parameters", build_parse("", "RELOAD") + pgwire::build_bind("", "", {"1"}) + build_sync(),
                 "1 E(08P01 bind message supplies parameters, and the console has none) Z(I)"},
        exchange{"formats_that_do_not_fit", build_parse("", "SHOW LISTS") + bound("", "", {0, 1, 0}) + build_sync(),
                 "1 E(08P01 bind message has as many result formats as no row has) Z(I)"},
        exchange{"unknown_format", build_parse("", "SHOW LISTS") + bound("", "", {2}) + build_sync(),
                 "1 E(22023 unsupported format code) Z(I)"},
        exchange{"malformed_parse", pgwire::framed('P', "s") + build_sync(), "E(08P01 invalid message format) Z(I)"},
        exchange{"malformed_bind",
                 pgwire::framed('B', std::string_view{"\0\0\0\0\0\1\xff\xff\xff\xfe", 10}) + build_sync(),
                 "E(08P01 invalid message format) Z(I)"},
        exchange{"malformed_describe", pgwire::framed('D', std::string_view{"X\0", 2}) + build_sync(),
                 "E(08P01 invalid message format) Z(I)"},
        exchange{"sync_alone", build_sync() + build_sync(), "Z(I) Z(I)"}),
    [](const auto& of) { return std::string{of.param.name}; });

TEST(extended_protocol_bounds, hold) {
    std::string statements;
    for (std::size_t each = 0; each <= console_session::most_statements; ++each)
        statements += build_parse(std::to_string(each + 1), "RELOAD");
    EXPECT_THAT(conversation{}.said_to(statements), testing::EndsWith("1 1 1 E(54000 too many prepared statements)"));

    auto portals = build_parse("", "RELOAD");
    for (std::size_t each = 0; each <= console_session::most_portals; ++each)
        portals += bound(std::to_string(each + 1), "");
    EXPECT_THAT(conversation{}.said_to(portals), testing::EndsWith("2 2 2 E(54000 too many portals)"));
}

TEST(extended_protocol_bounds, keep_a_viewer_from_doing_anything) {
    conversation with{.as = role::viewer};
    EXPECT_EQ(with.hold(whole("RELOAD")),
              "1 2 n E(42501 permission denied: only users in proxy.console.admins may RELOAD) Z(I)");
    EXPECT_TRUE(with.asked.empty());
}

}  // namespace
}  // namespace crossfade::proxy::console::test
