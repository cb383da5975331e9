// What an operator does to a running proxy: stop it, limit it, reload it, look at it.
#include <gmock/gmock.h>

#include <csignal>

#include "tests/integration/proxy/proxy_before_postgres.hpp"

namespace crossfade::proxy::test {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;

class operation : public proxy_before_postgres {
  protected:
    void SetUp() override { restart_proxy("max_sessions: 3, drain_timeout: 30s"); }
};

TEST_F(operation, sigterm_lets_transactions_finish_and_closes_idle_sessions) {
    const auto idle = connect();
    const auto busy = connect();
    value(busy, "begin");
    proxy_->signal(SIGTERM);
    EXPECT_TRUE(
        support::eventually(5s, [&] { return support::http_get(proxy_->admin_port(), "/readyz").status == 503; }));
    EXPECT_TRUE(support::eventually(5s, [] { return metric("crossfade_sessions_total{result=\"drained\"}") == 1; }));
    const answer gone{PQexec(idle.get(), "select 1")};
    EXPECT_THAT(PQerrorMessage(idle.get()), HasSubstr("terminating connection due to administrator command"));
    EXPECT_EQ(PQping(conninfo().c_str()), PQPING_NO_RESPONSE);
    EXPECT_EQ(value(busy, "select 'still'"), "still");
    EXPECT_TRUE(proxy_->running());
    value(busy, "commit");
    EXPECT_EQ(proxy_->stop(), 0);
}

TEST_F(operation, a_second_sigterm_does_not_wait) {
    const auto busy = connect();
    value(busy, "begin");
    proxy_->signal(SIGTERM);
    EXPECT_TRUE(
        support::eventually(5s, [&] { return support::http_get(proxy_->admin_port(), "/readyz").status == 503; }));
    EXPECT_EQ(proxy_->stop(5s), 0);
}

TEST_F(operation, the_session_beyond_max_sessions_is_refused) {
    const auto one = connect();
    const auto two = connect();
    const auto three = connect();
    const connection four{PQconnectdb(conninfo().c_str())};
    EXPECT_EQ(PQstatus(four.get()), CONNECTION_BAD);
    EXPECT_THAT(PQerrorMessage(four.get()), HasSubstr("too many sessions"));
    EXPECT_EQ(metric("crossfade_sessions "), 3);
    EXPECT_EQ(metric("crossfade_sessions_limit "), 3);
}

TEST_F(operation, users_and_databases_have_limits_and_operators_a_reserve) {
    postgres_->exec("DROP ROLE IF EXISTS ann; CREATE ROLE ann LOGIN");
    restart_proxy(
        "max_sessions: 4, max_sessions_per_user: 2, max_sessions_per_database: 3, reserved_sessions: 1, "
        "reserved_users: [crossfade]");
    const auto refusal = [](const std::string& options) {
        const connection made{PQconnectdb(conninfo(options).c_str())};
        return std::string{PQerrorMessage(made.get())};
    };
    const auto first = connect("user=ann");
    auto second = connect("user=ann");
    EXPECT_THAT(refusal("user=ann"), HasSubstr("proxy.max_sessions_per_user is reached"));
    const auto third = connect("user=crossfade");
    EXPECT_THAT(refusal("user=crossfade"), HasSubstr("proxy.max_sessions_per_database is reached"));
    EXPECT_THAT(refusal("user=ann dbname=postgres"), HasSubstr("less proxy.reserved_sessions is reached"));
    const auto operators_own = connect("user=crossfade dbname=postgres");
    EXPECT_THAT(refusal("user=crossfade dbname=template1"), HasSubstr("proxy.max_sessions is reached"));
    second.reset();
    EXPECT_TRUE(support::eventually(5s, [&] { return metric("crossfade_sessions ") == 3; }));
}

TEST_F(operation, timeouts_end_what_they_name_and_nothing_else) {
    restart_proxy("idle_timeout: 1s, idle_in_transaction_timeout: 500ms, query_timeout: 500ms");
    const auto busy = connect();
    const auto ended = [](const connection& of) {
        const answer got{PQexec(of.get(), "select 1")};
        return std::string{PQerrorMessage(of.get())};
    };
    const auto counted = [](const std::string& end) {
        return metric("crossfade_sessions_total{result=\"" + end + "\"}");
    };
    const auto idle = connect();
    const auto open = connect();
    value(open, "begin");
    EXPECT_TRUE(support::eventually(10s, [&] {
        // In use all the time, and so not idle.
        EXPECT_EQ(value(busy, "select 1"), "1");
        return counted("idle_timeout") == 2;
    }));
    EXPECT_THAT(ended(idle), HasSubstr("proxy.idle_timeout"));
    EXPECT_THAT(ended(open), HasSubstr("proxy.idle_in_transaction_timeout"));

    const auto slow = connect();
    const answer cancelled{PQexec(slow.get(), "select pg_sleep(60)")};
    EXPECT_STREQ(PQresultErrorField(cancelled.get(), PG_DIAG_SQLSTATE), "57014");
    EXPECT_EQ(value(slow, "select 'still here'"), "still here");
    // One that can't be cancelled, until the session is ended. For one cancel PostgreSQL's postmaster may signal twice.
    const answer stubborn{PQexec(slow.get(),
                                 "do $$ begin for i in 1 .. 10 loop begin perform pg_sleep(1); exception when "
                                 "query_canceled then null; end; end loop; end $$")};
    EXPECT_THAT(PQerrorMessage(slow.get()), HasSubstr("proxy.query_timeout"));
}

TEST_F(operation, reloads_are_answered_and_counted_and_disturb_nobody) {
    const auto session = connect();
    value(session, "begin");
    const auto good = support::read_file(proxy_->config_path());
    const auto unchanged = support::http_post(proxy_->admin_port(), "/-/reload");
    EXPECT_EQ(unchanged.status, 200U) << unchanged.body;

    proxy_->configure(good + "flags: { migration_drift_tolerance: 0.01 }\n");
    const auto applied = support::http_post(proxy_->admin_port(), "/-/reload");
    EXPECT_EQ(applied.status, 200U) << applied.body;
    EXPECT_TRUE(support::eventually(5s, [&] { return metric("crossfade_flags_epoch ") == 2; }));

    proxy_->configure(good + "flags: { dual_write_strategy: mirrored }\n");
    const auto refused = support::http_post(proxy_->admin_port(), "/-/reload");
    EXPECT_EQ(refused.status, 422U);
    EXPECT_THAT(refused.body, HasSubstr("dual_write_strategy"));
    EXPECT_EQ(metric("crossfade_flags_epoch "), 2);

    proxy_->configure(good);
    proxy_->signal(SIGHUP);
    EXPECT_TRUE(support::eventually(5s, [&] { return metric("crossfade_flags_epoch ") == 3; }));
    EXPECT_GE(metric("crossfade_config_reloads_total{result=\"refused\"}"), 1);
    EXPECT_EQ(value(session, "select 1"), "1");
}

TEST_F(operation, a_database_that_went_is_named_and_comes_back) {
    postgres_->stop();
    const connection refused{PQconnectdb(conninfo().c_str())};
    EXPECT_THAT(PQerrorMessage(refused.get()), HasSubstr("could not connect to the legacy database"));
    postgres_->start();
    EXPECT_EQ(value(connect(), "select 1"), "1");
}

TEST_F(operation, status_tells_flags_and_sessions) {
    const auto session = connect();
    const auto status = support::http_get(proxy_->admin_port(), "/api/v1/status").body;
    EXPECT_THAT(status, HasSubstr(R"("sessions":{"open":1,"limit":3})"));
    EXPECT_THAT(status, HasSubstr(R"("epoch":1)"));
}

}  // namespace
}  // namespace crossfade::proxy::test
