// A database that knows the proxy by its Unix user (peer): that says nothing of who the proxy's client is.
#include <gmock/gmock.h>
#include <pwd.h>
#include <unistd.h>

#include <fstream>

#include "lib/pgwire/diagnostics.hpp"
#include "lib/pgwire/query_messages.hpp"
#include "tests/integration/proxy/proxy_before_postgres.hpp"
#include "tests/integration/proxy/wire_client.hpp"

namespace crossfade::proxy::test {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;

class own_proof : public proxy_before_postgres {
  protected:
    static void SetUpTestSuite() {
        if (!support::postgres_cluster::available()) GTEST_SKIP() << "no PostgreSQL server here";
        postgres_ = std::make_unique<support::postgres_cluster>();
        postgres_->start();
        postgres_->exec("CREATE ROLE ann LOGIN PASSWORD 'secret'");
        std::ofstream{postgres_->data_dir() / "pg_hba.conf"} << "local all crossfade peer map=here\n"
                                                                "local all ann scram-sha-256\n"
                                                                "host all crossfade 127.0.0.1/32 trust\n";
        std::ofstream{postgres_->data_dir() / "pg_ident.conf"} << "here " << ::getpwuid(::geteuid())->pw_name
                                                               << " crossfade\n";
        postgres_->exec("SELECT pg_reload_conf()");
        database_options_ = "host=" + postgres_->socket_dir().string();
        restart_proxy("");
    }
    static void TearDownTestSuite() {
        database_options_.clear();
        proxy_before_postgres::TearDownTestSuite();
    }
};

TEST_F(own_proof, of_its_unix_user_lets_nobody_in_by_tcp) {
    const connection refused{PQconnectdb(conninfo().c_str())};
    ASSERT_EQ(PQstatus(refused.get()), CONNECTION_BAD);
    EXPECT_THAT(PQerrorMessage(refused.get()), HasSubstr("by the Unix user that the proxy runs as"));
    EXPECT_THAT(PQerrorMessage(refused.get()), HasSubstr("proxy.auth.mode terminate"));
    EXPECT_TRUE(
        support::eventually(5s, [] { return metric("crossfade_sessions_total{result=\"login_failed\"}") == 1; }));
    EXPECT_EQ(value(connect("user=ann password=secret"), "select current_user"), "ann");
    const connection wrong{PQconnectdb(conninfo("user=ann password=wrong").c_str())};
    EXPECT_THAT(PQerrorMessage(wrong.get()), HasSubstr("password authentication failed"));
}

// What comes with the start-up message would be carried out before anybody looks at the log-in.
TEST_F(own_proof, lets_no_statement_through_before_the_log_in) {
    auto stranger = peer::connect(port_);
    stranger.send(pgwire::build(pgwire::startup_message{{}, {{"user", "crossfade"}, {"database", "app"}}}) +
                  pgwire::build_query("CREATE TABLE of_a_stranger (a int)"));
    const auto said = stranger.read_to_end();
    ASSERT_GT(said.size(), 5U);
    EXPECT_EQ(pgwire::sqlstate_of(std::string_view{said}.substr(5)), "28000");
    EXPECT_TRUE(support::eventually(5s, [] {
        return postgres_->value("select count(*) from pg_stat_activity where backend_type = 'client backend'") == "1";
    }));
    EXPECT_EQ(postgres_->value("select to_regclass('of_a_stranger') is null"), "t");
}

}  // namespace
}  // namespace crossfade::proxy::test
