// The console as an operator meets it: by psql, and by libpq as drivers use it.
#include "lib/store/schema.hpp"
#include "tests/integration/console/operators_console.hpp"

namespace crossfade::proxy::test {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;
using testing::MatchesRegex;

TEST_F(operators_console, is_there_for_psql) {
    EXPECT_THAT(psql("SHOW VERSION").output, MatchesRegex("Crossfade [0-9.]+\n"));
    EXPECT_THAT(psql("SHOW HELP").output, HasSubstr("KILL id,"));
    EXPECT_THAT(psql("show config").output, HasSubstr("\nlegacy.dsn,(not shown),,no\n"));
    EXPECT_THAT(psql("SHOW FLAGS").output, HasSubstr("1,,,legacy,legacy-primary,t,"));
    EXPECT_THAT(psql("SHOW DATABASES").output, HasSubstr("legacy,127.0.0.1,"));
    EXPECT_EQ(psql("SHOW STREAM").output, "");
    const auto wrong = psql("DROP DATABASE app");
    EXPECT_EQ(wrong.exit_code, 1);
    EXPECT_THAT(wrong.errors, HasSubstr("syntax error at or near \"drop\""));
    EXPECT_THAT(wrong.errors, HasSubstr("HINT:  SHOW HELP"));
}

TEST_F(operators_console, is_for_those_who_are_named) {
    EXPECT_THAT(psql("SHOW VERSION", "nagios").output, HasSubstr("Crossfade"));
    EXPECT_THAT(psql("RELOAD", "nagios").errors, HasSubstr("permission denied"));
    EXPECT_THAT(psql("SHOW VERSION", "crossfade").errors, HasSubstr("in neither proxy.console.admins nor viewers"));

    postgres_->exec("create role ops login password 'open sesame'");
    restart("trust_local: false");
    EXPECT_THAT(psql("SHOW VERSION").errors, HasSubstr("no password supplied"));
    EXPECT_THAT(psql("SHOW VERSION", "ops", "wrong").errors, HasSubstr("password authentication failed"));
    EXPECT_THAT(psql("SHOW VERSION", "ops", "open sesame").output, HasSubstr("Crossfade"));

    // Without users the name is one like any other.
    restart_proxy("");
    EXPECT_THAT(psql("SHOW VERSION").errors, HasSubstr("database \"crossfade\" does not exist"));
    postgres_->exec("drop role ops");
}

TEST_F(operators_console, shows_sessions_and_ends_them) {
    const auto victim = connect("user=crossfade application_name=shop");
    const auto bystander = connect();
    value(victim, "begin");
    const auto pid = value(victim, "select pg_backend_pid()");
    const auto operators = console();
    const auto find = [&](const std::string& column) { return session(operators, pid, column); };
    EXPECT_EQ(find("user"), "crossfade");
    EXPECT_EQ(find("database"), "app");
    EXPECT_EQ(find("application_name"), "shop");
    EXPECT_EQ(find("addr"), "127.0.0.1");
    EXPECT_EQ(find("state"), "in transaction");
    EXPECT_EQ(find("transactions"), "0");
    EXPECT_EQ(find("server_port"), std::to_string(postgres_->port()));
    EXPECT_EQ(value(operators, "SHOW LISTS"), "databases");

    value(operators, "KILL " + find("id"));
    const answer gone{PQexec(victim.get(), "select 1")};
    EXPECT_THAT(PQerrorMessage(victim.get()), HasSubstr("terminating connection due to administrator command"));
    EXPECT_EQ(value(bystander, "select 1"), "1");
    // It is counted when it has ended, which the client may hear of first.
    EXPECT_TRUE(support::eventually(5s, [&] { return metric("crossfade_sessions_total{result=\"killed\"}") == 1; }));
    EXPECT_EQ(sqlstate(operators, "KILL 999999"), "42704");
}

TEST_F(operators_console, has_places_of_its_own) {
    const auto one = connect();
    const auto two = connect();
    const auto three = connect();
    EXPECT_THAT(psql("SHOW LIMITS").output, HasSubstr("sessions,sessions,3,,3,proxy.max_sessions\n"));
}

TEST_F(operators_console, reloads) {
    const auto good = support::read_file(proxy_->config_path());
    proxy_->configure(good + "flags: { migration_drift_tolerance: 0.01 }\n");
    const auto operators = console();
    // The proxy may have noticed the change by itself before.
    EXPECT_EQ(value(operators, "RELOAD"), "");
    EXPECT_EQ(value(operators, "SHOW FLAGS"), "2");
    proxy_->configure(good + "flags: { dual_write_strategy: mirrored }\n");
    const answer refused{PQexec(operators.get(), "RELOAD")};
    EXPECT_STREQ(PQresultErrorField(refused.get(), PG_DIAG_SQLSTATE), "F0000");
    EXPECT_THAT(PQresultErrorField(refused.get(), PG_DIAG_MESSAGE_DETAIL), HasSubstr("dual_write_strategy"));
}

TEST_F(operators_console, is_spoken_to_by_drivers) {
    const auto operators = console();
    EXPECT_EQ(PQserverVersion(operators.get()), 150000);
    const answer prepared{PQprepare(operators.get(), "s", "SHOW LISTS", 0, nullptr)};
    EXPECT_EQ(PQresultStatus(prepared.get()), PGRES_COMMAND_OK) << PQerrorMessage(operators.get());
    for (const int binary : {0, 1}) {
        const answer got{PQexecPrepared(operators.get(), "s", 0, nullptr, nullptr, nullptr, binary)};
        ASSERT_EQ(PQresultStatus(got.get()), PGRES_TUPLES_OK) << PQerrorMessage(operators.get());
        EXPECT_STREQ(PQfname(got.get(), 1), "items");
        EXPECT_EQ(PQgetlength(got.get(), 0, 1), binary == 1 ? 8 : 1);
    }
    const answer ping{PQexec(operators.get(), "")};
    EXPECT_EQ(PQresultStatus(ping.get()), PGRES_EMPTY_QUERY);
    EXPECT_EQ(value(operators, "BEGIN"), "");
    EXPECT_EQ(PQtransactionStatus(operators.get()), PQTRANS_INTRANS);
    EXPECT_EQ(value(operators, "COMMIT"), "");
}

TEST_F(operators_console, says_when_modern_does_not_answer) {
    // Database `modern` is not there.
    const auto said = psql("SHOW DRIFT").errors;
    EXPECT_THAT(said, HasSubstr("the modern database does not tell"));
    EXPECT_THAT(said, HasSubstr("does not exist"));
    EXPECT_EQ(said.find("crossfade@"), std::string::npos);
}

TEST_F(operators_console, counts_drift) {
    postgres_->exec("create database modern");
    EXPECT_THAT(psql("SHOW DRIFT").errors, HasSubstr("crossfade.drift"));
    postgres_->exec(std::string{store::schema_sql()}, "modern");
    EXPECT_EQ(psql("SHOW DRIFT").output, "");
    postgres_->exec(
        "insert into crossfade.drift (stream, tenant, table_name, key, kind, state, first_seen, last_seen) values"
        " ('app', 'acme', 'public.orders', '{\"id\": 1}', 'update_missing', 'confirmed', '2026-01-01Z', '2026-01-02Z'),"
        " ('app', 'acme', 'public.orders', '{\"id\": 2}', 'update_missing', 'confirmed', '2026-01-03Z', '2026-01-04Z'),"
        " ('app', '', 'public.users', '{\"id\": 3}', 'rejected', 'suspect', '2026-01-05Z', '2026-01-05Z'),"
        " ('other', '', 'public.users', '{\"id\": 3}', 'rejected', 'suspect', '2026-01-05Z', '2026-01-05Z')",
        "modern");
    EXPECT_EQ(psql("SHOW DRIFT").output,
              ",public.users,rejected,suspect,1,2026-01-05 00:00:00.000000+00,2026-01-05 00:00:00.000000+00\n"
              "acme,public.orders,update_missing,confirmed,2,2026-01-01 00:00:00.000000+00,"
              "2026-01-04 00:00:00.000000+00\n");
    postgres_->exec("drop database modern");
}

TEST_F(operators_console, shuts_down_when_transactions_have_ended) {
    const auto busy = connect();
    value(busy, "begin");
    EXPECT_EQ(psql("SHUTDOWN").exit_code, 0);
    EXPECT_TRUE(
        support::eventually(5s, [&] { return support::http_get(proxy_->admin_port(), "/readyz").status == 503; }));
    EXPECT_EQ(value(busy, "select 'still'"), "still");
    EXPECT_TRUE(proxy_->running());
    value(busy, "commit");
    EXPECT_TRUE(support::eventually(5s, [&] { return !proxy_->running(); }));
}

TEST_F(operators_console, shuts_down_when_clients_have_left) {
    auto idle = connect();
    EXPECT_EQ(psql("SHUTDOWN WAIT").exit_code, 0);
    EXPECT_EQ(PQping(conninfo().c_str()), PQPING_NO_RESPONSE);
    EXPECT_EQ(value(idle, "select 'still'"), "still");
    EXPECT_TRUE(proxy_->running());
    idle.reset();
    EXPECT_TRUE(support::eventually(5s, [&] { return !proxy_->running(); }));
}

// As a service manager sends it when an operator's patience is over.
TEST_F(operators_console, lets_transactions_finish_when_it_is_told_to_stop_while_it_waits_for_clients) {
    const auto busy = connect();
    value(busy, "begin");
    EXPECT_EQ(psql("SHUTDOWN WAIT").exit_code, 0);
    proxy_->signal(SIGTERM);
    EXPECT_TRUE(support::eventually(
        5s, [&] { return proxy_->log().find("those in a transaction have") != std::string::npos; }));
    EXPECT_EQ(value(busy, "select 'still'"), "still");
    value(busy, "commit");
    EXPECT_TRUE(support::eventually(5s, [&] { return !proxy_->running(); }));
}

TEST_F(operators_console, shuts_down_at_once) {
    const auto busy = connect();
    value(busy, "begin");
    const auto operators = console();
    EXPECT_EQ(value(operators, "SHUTDOWN IMMEDIATE"), "");
    EXPECT_TRUE(support::eventually(5s, [&] { return !proxy_->running(); }));
}

}  // namespace
}  // namespace crossfade::proxy::test
