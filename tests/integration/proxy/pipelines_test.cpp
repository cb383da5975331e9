// Pipelines drawn at random: through the proxy a client is told what the database itself would tell it, and the proxy
// sees each transaction's end that the client sees.
#include <random>

#include "lib/pgwire/query_messages.hpp"
#include "tests/integration/proxy/proxy_before_postgres.hpp"
#include "tests/integration/proxy/wire_client.hpp"
#include "tests/scripted/proxy/messages.hpp"

namespace crossfade::proxy::test {
namespace {

using namespace std::chrono_literals;
using namespace pgwire;

class pipelines : public proxy_before_postgres {};

constexpr auto marker = "the end of it";

// Whatever it begins, it ends: a COPY, a batch, a transaction.
std::string draw(std::mt19937& random) {
    const auto copy = [](const char* row, const std::string& end) {
        return build_query("copy pg_temp.t from stdin") + build_copy_data(row) + end;
    };
    const std::string messages[] = {
        build_parse("", "select generate_series(1, 3)"),
        build_parse("s", "select 1"),
        build_parse("", "insert into pg_temp.t values (1)"),
        build_parse("", "bogus"),
        build_bind("", "", {}),
        build_bind("p", "s", {}),
        build_bind("", "nowhere", {}),
        build_describe(named::statement, "s"),
        build_describe(named::portal, ""),
        build_execute("", 0),
        build_execute("", 1),
        build_execute("p", 0),
        build_close(named::statement, "s"),
        build_close(named::portal, "p"),
        build_flush(),
        build_sync(),
        build_sync(),
        build_query("select 1"),
        build_query("select 1; select 1/0; select 2"),
        build_query(""),
        build_query("begin"),
        build_query("commit"),
        build_query("insert into pg_temp.t values (1); table pg_temp.t"),
        function_call(),
        copy("1\n", build_copy_done()),
        copy("bad\n", build_copy_done()),
        copy("1\n", build_copy_fail("no")),
        copy("1\n", build_sync() + build_flush() + build_copy_done()),
        build_copy_data("stray") + build_copy_done(),
        build_query("copy pg_temp.t to stdout"),
        statement("copy pg_temp.t from stdin") + build_sync() + build_copy_data("1\n") + build_copy_done() +
            build_sync(),
        statement("copy pg_temp.t from stdin") + build_sync() + build_copy_data("bad\n") + build_copy_done() +
            build_sync(),
        statement("copy pg_temp.t to stdout"),
    };
    std::string drawn;
    for (auto count = 1 + random() % 12; count > 0; --count) drawn += messages[random() % std::size(messages)];
    return drawn + build_sync() + build_query("rollback");
}

std::string end() {
    return build_query(std::string{"select '"} + marker + "'");
}

TEST_F(pipelines, drawn_at_random_are_answered_as_by_the_database_and_counted) {
    constexpr auto transactions = "crossfade_transactions_total{strategy=\"legacy-primary\"}";
    std::mt19937 random{3};
    const auto create = build_query("create temp table t(n int)");
    wire_client direct{postgres_->port()};
    direct.send(create + end());
    direct.read_up_to(marker);
    const auto before = metric(transactions);
    double ended = 0;
    {
        wire_client proxied{port_};
        proxied.send(create + end());
        ASSERT_EQ(proxied.read_up_to(marker), "CZITDCZI");
        ended = 2;
        for (int round = 0; round < 3000; ++round) {
            const auto pipeline = draw(random) + end();
            direct.send(pipeline);
            const auto told = direct.read_up_to(marker);
            const std::size_t pieces[] = {0, 0, 1 + random() % 30};
            proxied.send(pipeline, pieces[random() % 3]);
            ASSERT_EQ(proxied.read_up_to(marker), told) << testing::PrintToString(pipeline);
            for (std::size_t at = 0; (at = told.find("ZI", at)) != std::string::npos; ++at) ++ended;
            if (round % 100 == 99) {
                ASSERT_TRUE(support::eventually(5s, [&] { return metric(transactions) == before + ended; }))
                    << metric(transactions) - before << " instead of " << ended;
            }
        }
    }
    EXPECT_EQ(metric(transactions), before + ended);
}

}  // namespace
}  // namespace crossfade::proxy::test
