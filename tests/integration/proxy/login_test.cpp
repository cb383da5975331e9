// proxy.auth.mode terminate and proxy.access: the proxy itself decides who comes in, between libpq and a PostgreSQL
// with SCRAM.
#include <gmock/gmock.h>

#include <fstream>

#include "tests/integration/proxy/proxy_before_postgres.hpp"
#include "tests/support/certificates.hpp"

namespace crossfade::proxy::test {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;

class login : public proxy_before_postgres {
  protected:
    static void SetUpTestSuite() {
        if (!support::postgres_cluster::available()) GTEST_SKIP() << "no PostgreSQL server here";
        const auto files = authority().issue("database", "IP:127.0.0.1");
        postgres_ = std::make_unique<support::postgres_cluster>(support::postgres_options{
            .extra_settings = {"ssl=on", "ssl_cert_file=" + files.cert, "ssl_key_file=" + files.key}});
        postgres_->start();
        postgres_->exec(
            "CREATE ROLE ann LOGIN PASSWORD 'secret';"
            "CREATE ROLE late LOGIN PASSWORD 'secret' VALID UNTIL '2020-01-01';"
            "CREATE ROLE bare LOGIN; CREATE ROLE nobody PASSWORD 'secret'");
        std::ofstream rules{postgres_->data_dir() / "pg_hba.conf"};
        rules << "host all crossfade 127.0.0.1/32 trust\nhost all all 127.0.0.1/32 scram-sha-256\n";
        rules.close();
        postgres_->exec("SELECT pg_reload_conf()");
    }
    static const support::certificate_authority& authority() {
        static const support::certificate_authority made{"ours"};
        return made;
    }
    static void start_proxy(const std::string& more, const std::string& dsn_options = "sslmode=disable") {
        database_options_ = dsn_options;
        restart_proxy(more);
    }
    // What comes of it: "in as USER", or the server's words.
    static std::string tried(const std::string& user, const std::string& password, const std::string& more = {}) {
        const connection made{PQconnectdb(conninfo("user=" + user + " password='" + password + "' " + more).c_str())};
        if (PQstatus(made.get()) != CONNECTION_OK) return PQerrorMessage(made.get());
        return "in as " + value(made, "select current_user");
    }
};

constexpr const char* terminate = "auth: { mode: terminate }";

TEST_F(login, by_the_databases_own_verifier) {
    start_proxy(terminate);
    EXPECT_EQ(tried("ann", "secret"), "in as ann");
    EXPECT_THAT(tried("ann", "wrong"), HasSubstr("password authentication failed for user \"ann\""));
    EXPECT_THAT(tried("nosuch", "secret"), HasSubstr("password authentication failed for user \"nosuch\""));
    EXPECT_THAT(tried("nobody", "secret"), HasSubstr("password authentication failed"));
    EXPECT_THAT(tried("bare", "secret"), HasSubstr("password authentication failed"));
}

// CVE-2025-2291 of PgBouncer: a password that is over still let in.
TEST_F(login, f16_not_after_valid_until) {
    start_proxy(terminate);
    EXPECT_THAT(tried("late", "secret"), HasSubstr("password authentication failed"));
    postgres_->exec("ALTER ROLE late VALID UNTIL 'infinity'");
    EXPECT_EQ(tried("late", "secret"), "in as late");
    postgres_->exec("ALTER ROLE late VALID UNTIL '2020-01-01'");
    EXPECT_THAT(tried("late", "secret"), HasSubstr("password authentication failed"));
}

// CVE-2025-12819 of PgBouncer: a search_path in the start-up message reached the query for the password, which then
// read a verifier of the attacker's own.
TEST_F(login, f16_whatever_search_path_the_client_brings) {
    postgres_->exec(
        "CREATE ROLE mallory LOGIN PASSWORD 'known'; CREATE SCHEMA evil; GRANT USAGE ON SCHEMA evil TO PUBLIC;"
        "CREATE TABLE evil.pg_authid AS SELECT name::name AS rolname, rolpassword, null::timestamptz AS rolvaliduntil,"
        " true AS rolcanlogin FROM pg_authid, unnest(ARRAY['ann', 'nobody']) AS name WHERE rolname = 'mallory';"
        "GRANT SELECT ON evil.pg_authid TO PUBLIC");
    start_proxy(
        "auth: { mode: terminate, query: \"SELECT rolname, rolpassword, rolvaliduntil FROM pg_authid WHERE "
        "rolname = $1 AND rolcanlogin\" }");
    for (const std::string path : {"evil", "evil,pg_catalog"}) {
        const auto options = "options='-c search_path=" + path + "'";
        EXPECT_THAT(tried("ann", "known", options), HasSubstr("password authentication failed"));
        EXPECT_THAT(tried("nobody", "known", options), HasSubstr("password authentication failed"));
        EXPECT_EQ(tried("ann", "secret", options), "in as ann");
    }
}

TEST_F(login, by_the_list_of_users_and_with_its_passwords_at_the_database) {
    const support::temp_dir dir;
    const auto users = dir.write("users", "\"ann\" \"secret\"\n");
    start_proxy("auth: { mode: terminate, query: none, users_file: " + users.string() + " }");
    EXPECT_EQ(tried("ann", "secret"), "in as ann");
    EXPECT_THAT(tried("crossfade", "secret"), HasSubstr("password authentication failed"));

    dir.write("users", "\"ann\" \"other\"\n");
    EXPECT_EQ(support::http_post(proxy_->admin_port(), "/-/reload").status, 200U);
    EXPECT_THAT(tried("ann", "secret"), HasSubstr("password authentication failed"));
    EXPECT_THAT(tried("ann", "other"), HasSubstr("password authentication failed for user \"ann\""))
        << "the database knows another password";
}

TEST_F(login, from_tls_to_tls_with_channel_binding_on_both) {
    const auto files = authority().issue("proxy", "IP:127.0.0.1");
    start_proxy(
        std::string{terminate} + ", tls: { mode: require, cert_file: " + files.cert + ", key_file: " + files.key + " }",
        "sslmode=require");
    EXPECT_EQ(tried("ann", "secret", "sslmode=require channel_binding=require"), "in as ann");
    EXPECT_EQ(tried("ann", "secret", "sslmode=require"), "in as ann");
}

TEST_F(login, not_as_often_as_one_likes) {
    start_proxy("auth: { mode: terminate, max_attempts: 3, attempt_window: 1h }");
    for (int i = 0; i < 3; ++i) EXPECT_THAT(tried("ann", "wrong"), HasSubstr("password authentication failed"));
    EXPECT_THAT(tried("ann", "secret"), HasSubstr("too many failed log-ins"));
    EXPECT_EQ(metric("crossfade_logins_held_back_total "), 1);
    EXPECT_EQ(metric("crossfade_proxy_limit_used{limit=\"failed_log_ins\"}"), 1);
    EXPECT_THAT(tried("late", "secret"), HasSubstr("password authentication failed"));
    EXPECT_EQ(metric("crossfade_proxy_limit_used{limit=\"failed_log_ins\"}"), 2);
}

TEST_F(login, by_certificate_or_not_at_all) {
    const auto files = authority().issue("proxy", "IP:127.0.0.1");
    const auto of_crossfade = authority().issue("crossfade", "");
    start_proxy("auth: { mode: terminate }, tls: { mode: prefer, cert_file: " + files.cert +
                ", key_file: " + files.key + ", ca_file: " + authority().file() +
                " }, access: [ { users: [crossfade], databases: [app], tls: required, method: cert }, { users: [ann], "
                "databases: [postgres], method: reject }, { users: [ann], method: relay } ]");
    const std::string shown = "sslmode=require sslcert=" + of_crossfade.cert + " sslkey=" + of_crossfade.key;
    EXPECT_EQ(tried("crossfade", "", shown), "in as crossfade");
    EXPECT_THAT(tried("crossfade", "", "sslmode=require"), HasSubstr("requires a valid client certificate"));
    EXPECT_THAT(tried("crossfade", "", "sslmode=disable"), HasSubstr("no access rule"));
    EXPECT_EQ(tried("ann", "secret", "sslmode=disable"), "in as ann");
    EXPECT_THAT(tried("ann", "secret", "dbname=postgres"), HasSubstr("access is rejected"));
    EXPECT_THAT(tried("late", "secret"), HasSubstr("no access rule"));
}

// The password of a database that is away can't be looked up; that is said, and is no verdict on the password.
TEST_F(login, while_the_database_is_away) {
    start_proxy(terminate);
    EXPECT_EQ(tried("ann", "secret"), "in as ann");
    postgres_->stop();
    EXPECT_THAT(tried("ann", "secret"), HasSubstr("log-ins can't be checked at the moment"));
    postgres_->start();
    EXPECT_EQ(tried("ann", "secret"), "in as ann");
}

}  // namespace
}  // namespace crossfade::proxy::test
