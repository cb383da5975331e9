// How a session that goes over is let in by the other database.
#include <fstream>

#include "tests/integration/changeover/two_sides.hpp"
#include "tests/support/certificates.hpp"

namespace crossfade::proxy::test {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;

class log_in_there : public two_sides {
  protected:
    static void SetUpTestSuite() {
        two_sides::SetUpTestSuite();
        if (!legacy_) return;
        for (const auto* each : {legacy_.get(), modern_.get()}) {
            const auto files = authority().issue("database", "IP:127.0.0.1");
            std::ofstream rules{each->data_dir() / "pg_hba.conf"};
            rules << "local all all trust\nhost all crossfade 127.0.0.1/32 trust\nhost all all 127.0.0.1/32 "
                     "scram-sha-256\n";
            rules.close();
            each->exec("ALTER SYSTEM SET ssl_cert_file = '" + files.cert + "'", "postgres");
            each->exec("ALTER SYSTEM SET ssl_key_file = '" + files.key + "'", "postgres");
            each->exec("ALTER SYSTEM SET ssl_ca_file = '" + authority().file() + "'", "postgres");
            each->exec("ALTER SYSTEM SET ssl = on", "postgres");
            each->exec("SELECT pg_reload_conf()", "postgres");
        }
        // The keys of a client's log-in do where both have the same verifier.
        const auto verifier = legacy_->value("SELECT rolpassword FROM pg_authid WHERE rolname = 'ann'");
        modern_->exec("ALTER ROLE ann PASSWORD '" + verifier + "'", "app_modern");
    }
    static const support::certificate_authority& authority() {
        static const support::certificate_authority made{"ours"};
        return made;
    }
    static std::string tls() {
        const auto files = authority().issue("proxy", "IP:127.0.0.1");
        return "tls: { mode: prefer, cert_file: " + files.cert + ", key_file: " + files.key + " }";
    }
    void there_and_back(const connection& client) {
        ASSERT_EQ(run(client, "SET app.tenant = 'acme'"), "");
        for (const auto* side : {"modern", "legacy", "modern"}) {
            front_->flip(side == std::string{"modern"} ? modern_side : legacy_side);
            EXPECT_EQ(where(client), side);
            EXPECT_EQ(run(client, "SELECT current_setting('app.tenant') || current_user"), "acmeann");
        }
        EXPECT_TRUE(moved(3));
    }
};

TEST_F(log_in_there, by_the_keys_of_the_client_s_own_log_in) {
    start("legacy-primary", "auth: { mode: terminate }");
    there_and_back(connect("user=ann password=secret"));
}

TEST_F(log_in_there, by_the_list_of_users) {
    const support::temp_dir dir;
    const auto users = dir.write("users", "\"ann\" \"secret\"\n");
    start("legacy-primary", "auth: { mode: terminate, query: none, users_file: " + users.string() + " }");
    there_and_back(connect("user=ann password=secret"));
}

TEST_F(log_in_there, from_tls_to_tls) {
    front_ = std::make_unique<front_of_two>(legacy_->dsn("app") + "?sslmode=require",
                                            modern_->dsn("app_modern") + "?sslmode=require", "legacy-primary",
                                            "auth: { mode: terminate }, " + tls());
    const auto client = connect("user=ann password=secret sslmode=require");
    EXPECT_NE(PQsslInUse(client.get()), 0);
    there_and_back(client);
    EXPECT_EQ(
        modern_->value("SELECT count(*) FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) WHERE ssl AND usename = "
                       "'ann'",
                       "postgres"),
        "1");
    EXPECT_EQ(run(client, "SELECT length(repeat('x', 3000000))"), "3000000");
}

TEST_F(log_in_there, with_bytes_that_wait_under_tls) {
    start("legacy-primary", "auth: { mode: terminate }, " + tls());
    const auto client = connect("user=ann password=secret sslmode=require");
    front_->hold();
    ASSERT_EQ(PQsendQuery(client.get(), "SELECT name FROM side"), 1);
    ASSERT_TRUE(
        support::eventually(5s, [&] { return front_->sessions().at(0).state == console::session_state::paused; }));
    front_->decide(modern_side);
    front_->let_go();
    EXPECT_EQ(received(client), "modern");
}

TEST_F(log_in_there, not_where_the_proxy_knows_no_password) {
    start();
    const auto known = connect();
    const auto client = connect("user=ann password=secret");
    front_->flip(modern_side);
    EXPECT_EQ(where(known), "modern") << "there it wants none";
    EXPECT_TRUE(become("login", 1));
    EXPECT_THAT(last_words(client),
                HasSubstr("could not go along: no log-in to the modern database: the server asks for "
                          "SCRAM"));
}

// A database that is reached by a Unix socket may believe the proxy's user (peer), and who the client is it can't see.
TEST_F(log_in_there, not_as_whom_it_takes_the_proxy_for) {
    front_ = std::make_unique<front_of_two>(legacy_->dsn("app") + "?sslmode=disable",
                                            modern_->dsn("app_modern") + "?host=" + modern_->socket_dir().string(),
                                            "legacy-primary", "");
    const auto client = connect();
    front_->flip(modern_side);
    EXPECT_TRUE(become("login", 1));
    EXPECT_THAT(last_words(client),
                HasSubstr("the modern database might let it in by the Unix user that the proxy runs "
                          "as"));
    const connection anew{PQconnectdb(conninfo().c_str())};
    EXPECT_THAT(PQerrorMessage(anew.get()), HasSubstr("by the Unix user that the proxy runs as"));
}

TEST_F(log_in_there, not_as_whom_the_proxys_own_certificate_names) {
    const auto shown = authority().issue("crossfade", "");
    front_ = std::make_unique<front_of_two>(
        legacy_->dsn("app") + "?sslmode=disable",
        modern_->dsn("app_modern") + "?sslmode=require&sslcert=" + shown.cert + "&sslkey=" + shown.key,
        "legacy-primary", "");
    const auto client = connect();
    front_->flip(modern_side);
    EXPECT_TRUE(become("login", 1));
    EXPECT_THAT(last_words(client), HasSubstr("the modern database might let it in by the proxy's own certificate"));
}

}  // namespace
}  // namespace crossfade::proxy::test
