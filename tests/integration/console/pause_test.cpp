// PAUSE and RESUME, with real clients.
#include "tests/integration/console/operators_console.hpp"

namespace crossfade::proxy::test {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;

class pause : public operators_console {
  protected:
    void SetUp() override { restart("pause_wait: 500ms", "pause_max: 1m"); }

    // Sends without waiting for the answer.
    static void send(const connection& on, const std::string& sql) {
        ASSERT_EQ(PQsendQuery(on.get(), sql.c_str()), 1) << PQerrorMessage(on.get());
    }
    // The answer's one value, when it comes.
    static std::string received(const connection& on) {
        std::string last;
        while (const answer got{PQgetResult(on.get())}) {
            EXPECT_THAT(PQresultStatus(got.get()), testing::AnyOf(PGRES_TUPLES_OK, PGRES_COMMAND_OK))
                << PQerrorMessage(on.get());
            if (PQntuples(got.get()) > 0) last = PQgetvalue(got.get(), 0, 0);
        }
        return last;
    }
    static std::string pid(const connection& of) { return value(of, "select pg_backend_pid()"); }
    static bool becomes(const connection& by, const std::string& pid, const std::string& state) {
        return support::eventually(5s, [&] { return session(by, pid, "state") == state; });
    }
    // A client in a transaction, and a PAUSE of everything that waits for its end.
    struct waiting_pause {
        connection client;
        connection operators;
    };
    static waiting_pause pause_that_waits() {
        waiting_pause both{connect(), console()};
        value(both.client, "begin");
        send(both.operators, "PAUSE");
        EXPECT_TRUE(support::eventually(5s, [] { return metric("crossfade_pauses ") == 1; }));
        return both;
    }
};

TEST_F(pause, holds_what_is_sent_and_resume_lets_it_go) {
    const auto client = connect();
    const auto operators = console();
    const auto backend = pid(client);
    EXPECT_EQ(sqlstate(operators, "PAUSE"), "");
    send(client, "select 'late'");
    EXPECT_TRUE(becomes(operators, backend, "paused"));
    EXPECT_EQ(postgres_->value("select query from pg_stat_activity where pid = " + backend), "select pg_backend_pid()");
    EXPECT_THAT(psql("SHOW PAUSES").output, HasSubstr(",ops,1,1\n"));
    EXPECT_THAT(psql("SHOW POOLS").output, HasSubstr("app,crossfade,0,1,0,0,"));
    EXPECT_EQ(metric("crossfade_pauses "), 1);

    // Who comes now logs in, and waits.
    const auto newcomer = connect();
    send(newcomer, "select 'new'");

    EXPECT_EQ(sqlstate(operators, "RESUME"), "");
    EXPECT_EQ(received(client), "late");
    EXPECT_EQ(received(newcomer), "new");
    EXPECT_EQ(psql("SHOW PAUSES").output, "");
    EXPECT_THAT(psql("RESUME").errors, HasSubstr("nothing was held by these names"));
}

TEST_F(pause, holds_after_a_statement_that_was_under_way) {
    const auto [client, operators] = pause_that_waits();
    const auto backend = pid(client);
    EXPECT_EQ(value(client, "select 'inside'"), "inside");
    value(client, "commit");
    EXPECT_EQ(received(operators), "");
    send(client, "select 'after'");
    EXPECT_TRUE(becomes(operators, backend, "paused"));
    EXPECT_EQ(sqlstate(operators, "RESUME"), "");
    EXPECT_EQ(received(client), "after");
}

TEST_F(pause, that_fails_holds_nothing) {
    const auto client = connect();
    const auto other = connect();
    const auto operators = console();
    value(client, "begin");
    const auto id = session(operators, pid(client), "id");
    const answer failed{PQexec(operators.get(), "PAUSE")};
    EXPECT_STREQ(PQresultErrorField(failed.get(), PG_DIAG_SQLSTATE), "55006");
    EXPECT_EQ(PQresultErrorField(failed.get(), PG_DIAG_MESSAGE_DETAIL), "Sessions: " + id);
    EXPECT_EQ(value(other, "select 1"), "1");
    EXPECT_EQ(metric("crossfade_pauses "), 0);

    EXPECT_EQ(sqlstate(operators, "KILL " + id), "");
    EXPECT_EQ(sqlstate(operators, "PAUSE"), "");
}

TEST_F(pause, ends_by_itself) {
    restart("pause_wait: 500ms", "pause_max: 1s");
    const auto client = connect();
    value(client, "select 1");
    EXPECT_EQ(sqlstate(console(), "PAUSE"), "");
    EXPECT_EQ(value(client, "select 'released'"), "released");
    EXPECT_EQ(metric("crossfade_pauses_expired_total "), 1);
    EXPECT_EQ(metric("crossfade_pauses "), 0);
    EXPECT_THAT(proxy_->log(), HasSubstr("proxy.pause_max is over: everything, paused by ops, goes on"));
}

TEST_F(pause, leaves_nothing_of_a_client_that_hangs_up) {
    postgres_->exec("create table left_behind (x int)");
    auto client = connect();
    const auto operators = console();
    const auto backend = pid(client);
    EXPECT_EQ(sqlstate(operators, "PAUSE"), "");
    send(client, "insert into left_behind values (1)");
    EXPECT_TRUE(becomes(operators, backend, "paused"));
    client.reset();
    EXPECT_EQ(sqlstate(operators, "RESUME"), "");
    EXPECT_TRUE(becomes(operators, backend, ""));
    EXPECT_TRUE(support::eventually(
        5s, [&] { return postgres_->value("select count(*) from pg_stat_activity where pid = " + backend) == "0"; }));
    EXPECT_EQ(postgres_->value("select count(*) from left_behind"), "0");
    postgres_->exec("drop table left_behind");
}

TEST_F(pause, does_not_keep_a_client_from_cancelling_what_is_held) {
    postgres_->exec("create table never (n int)");
    const auto client = connect();
    const auto operators = console();
    const auto backend = pid(client);
    const auto cancelled = [&] {
        EXPECT_TRUE(becomes(operators, backend, "paused"));
        const auto cancel =
            std::unique_ptr<PGcancel, decltype(&PQfreeCancel)>{PQgetCancel(client.get()), &PQfreeCancel};
        std::array<char, 256> error{};
        EXPECT_EQ(PQcancel(cancel.get(), error.data(), error.size()), 1) << error.data();
        const answer got{PQgetResult(client.get())};
        EXPECT_STREQ(PQresultErrorField(got.get(), PG_DIAG_SQLSTATE), "57014");
        EXPECT_EQ(PQtransactionStatus(client.get()), PQTRANS_ACTIVE) << "libpq has not seen ReadyForQuery yet";
    };
    EXPECT_EQ(sqlstate(operators, "PAUSE"), "");
    send(client, "insert into never values (1)");
    cancelled();
    EXPECT_EQ(PQgetResult(client.get()), nullptr);
    EXPECT_EQ(PQtransactionStatus(client.get()), PQTRANS_IDLE);

    ASSERT_EQ(PQsendQueryParams(client.get(), "insert into never values (2)", 0, nullptr, nullptr, nullptr, nullptr, 0),
              1);
    cancelled();
    EXPECT_EQ(PQgetResult(client.get()), nullptr);

    // Of two batches the first is cancelled, as if it alone had begun.
    ASSERT_EQ(PQenterPipelineMode(client.get()), 1);
    for (const auto* sql : {"insert into never values (3)", "select 'second'"}) {
        ASSERT_EQ(PQsendQueryParams(client.get(), sql, 0, nullptr, nullptr, nullptr, nullptr, 0), 1);
        ASSERT_EQ(PQpipelineSync(client.get()), 1);
    }
    cancelled();
    EXPECT_EQ(PQgetResult(client.get()), nullptr);
    EXPECT_EQ(PQresultStatus(answer{PQgetResult(client.get())}.get()), PGRES_PIPELINE_SYNC);
    EXPECT_TRUE(becomes(operators, backend, "paused"));
    EXPECT_EQ(sqlstate(operators, "RESUME"), "");
    EXPECT_STREQ(PQgetvalue(answer{PQgetResult(client.get())}.get(), 0, 0), "second");
    EXPECT_EQ(PQgetResult(client.get()), nullptr);
    EXPECT_EQ(PQresultStatus(answer{PQgetResult(client.get())}.get()), PGRES_PIPELINE_SYNC);
    ASSERT_EQ(PQexitPipelineMode(client.get()), 1);
    EXPECT_EQ(value(client, "select count(*) from never"), "0");
    postgres_->exec("drop table never");
}

TEST_F(pause, is_for_a_scope) {
    proxy_->configure(support::read_file(proxy_->config_path()) + "tenants: { session: \"parameter:app.tenant\" }\n" +
                      "groups: { orders: { tables: [public.orders] } }\n");
    const auto operators = console();
    EXPECT_EQ(sqlstate(operators, "RELOAD"), "");
    const auto acme = connect("user=crossfade options='-c app.tenant=acme'");
    const auto other = connect("user=crossfade");
    const auto backend = pid(acme);
    EXPECT_EQ(sqlstate(operators, "PAUSE TENANT acme GROUP orders"), "");
    send(acme, "select 'acme'");
    EXPECT_TRUE(becomes(operators, backend, "paused"));
    EXPECT_EQ(value(other, "select 1"), "1");

    EXPECT_THAT(psql("RESUME TENANT acme").errors, HasSubstr("nothing was held by these names"));
    EXPECT_EQ(sqlstate(operators, "PAUSE DATABASE app"), "");
    EXPECT_THAT(psql("RESUME GROUP orders TENANT acme").errors, HasSubstr("still held: DATABASE app"));
    EXPECT_EQ(session(operators, backend, "state"), "paused");
    EXPECT_EQ(sqlstate(operators, "RESUME app"), "");
    EXPECT_EQ(received(acme), "acme");

    EXPECT_EQ(sqlstate(operators, "PAUSE GROUP nothing"), "42704");
}

TEST_F(pause, needs_tenants_to_hold_one) {
    EXPECT_EQ(sqlstate(console(), "PAUSE TENANT acme"), "55000");
}

TEST_F(pause, does_not_keep_the_proxy_from_stopping) {
    const auto client = connect();
    const auto backend = pid(client);
    const auto operators = console();
    EXPECT_EQ(sqlstate(operators, "PAUSE"), "");
    send(client, "select 1");
    EXPECT_TRUE(becomes(operators, backend, "paused"));
    EXPECT_EQ(proxy_->stop(5s), 0);
    const answer gone{PQgetResult(client.get())};
    EXPECT_THAT(PQerrorMessage(client.get()), HasSubstr("terminating connection due to administrator command"));
}

TEST_F(pause, does_not_keep_the_proxy_from_stopping_while_it_waits) {
    restart("pause_wait: 30s", "pause_max: 1m, drain_timeout: 100ms");
    const auto [client, operators] = pause_that_waits();
    EXPECT_EQ(proxy_->stop(10s), 0);
}

TEST_F(pause, that_fails_as_the_proxy_stops_holds_nothing) {
    const auto client = connect();
    value(client, "select 1");
    EXPECT_EQ(sqlstate(console(), "SHUTDOWN WAIT; PAUSE"), "57P01");
    ASSERT_EQ(metric("crossfade_pauses "), 0);
    EXPECT_EQ(value(client, "select 'goes on'"), "goes on");
}

TEST_F(pause, that_waits_when_the_proxy_stops_holds_nothing) {
    restart("pause_wait: 30s", "pause_max: 1m");
    const auto [client, operators] = pause_that_waits();
    EXPECT_EQ(psql("SHUTDOWN WAIT").exit_code, 0);
    const answer failed{PQgetResult(operators.get())};
    EXPECT_STREQ(PQresultErrorField(failed.get(), PG_DIAG_SQLSTATE), "57P01");
    ASSERT_EQ(metric("crossfade_pauses "), 0);
    value(client, "commit");
    EXPECT_EQ(value(client, "select 'goes on'"), "goes on");
}

TEST_F(pause, that_fails_as_the_proxy_stops_leaves_what_held_before) {
    const auto client = connect();
    const auto operators = console();
    EXPECT_EQ(sqlstate(operators, "PAUSE"), "");
    EXPECT_EQ(sqlstate(operators, "SHUTDOWN WAIT; PAUSE"), "57P01");
    EXPECT_EQ(metric("crossfade_pauses "), 1);
    EXPECT_EQ(sqlstate(operators, "RESUME"), "");
    EXPECT_EQ(value(client, "select 'goes on'"), "goes on");
}

TEST_F(pause, can_be_ended_while_it_waits) {
    restart("pause_wait: 30s", "pause_max: 1m");
    const auto [client, operators] = pause_that_waits();
    EXPECT_EQ(psql("RESUME").exit_code, 0);
    const answer ended{PQgetResult(operators.get())};
    EXPECT_STREQ(PQresultErrorField(ended.get(), PG_DIAG_SQLSTATE), "55000");
}

}  // namespace
}  // namespace crossfade::proxy::test
