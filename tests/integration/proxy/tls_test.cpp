// TLS on both sides of the proxy, between libpq and a real PostgreSQL with SCRAM.
#include <gmock/gmock.h>
#include <poll.h>

#include <fstream>

#include "tests/integration/proxy/proxy_before_postgres.hpp"
#include "tests/support/certificates.hpp"

namespace crossfade::proxy::test {
namespace {

using namespace std::chrono_literals;
using support::certificate_authority;
using testing::HasSubstr;

const certificate_authority& authority() {
    static const certificate_authority made{"ours"};
    return made;
}
const support::certificate_files& of_database() {
    static const auto files = authority().issue("database", "DNS:localhost,IP:127.0.0.1");
    return files;
}
const support::certificate_files& of_proxy() {
    static const auto files = authority().issue("proxy", "DNS:localhost,IP:127.0.0.1");
    return files;
}

class tls : public proxy_before_postgres {
  protected:
    static void SetUpTestSuite() {
        if (!support::postgres_cluster::available()) GTEST_SKIP() << "no PostgreSQL server here";
        postgres_ = std::make_unique<support::postgres_cluster>(support::postgres_options{
            .extra_settings = {"ssl=on", "ssl_cert_file=" + of_database().cert, "ssl_key_file=" + of_database().key,
                               "ssl_ca_file=" + authority().file()}});
        postgres_->start();
        postgres_->exec(
            "CREATE ROLE ann LOGIN PASSWORD 'secret'; CREATE ROLE bob LOGIN; "
            "CREATE ROLE cy LOGIN PASSWORD 'secret'");
        std::ofstream rules{postgres_->data_dir() / "pg_hba.conf"};
        rules << "host all ann 127.0.0.1/32 scram-sha-256\n"
                 "hostssl all bob 127.0.0.1/32 cert\n"
                 "hostssl all cy 127.0.0.1/32 scram-sha-256 clientcert=verify-ca\n"
                 "local all all trust\nhost all crossfade 127.0.0.1/32 trust\n";
        rules.close();
        postgres_->exec("SELECT pg_reload_conf()");
    }

    static std::string listening(const support::certificate_files& with = of_proxy(),
                                 const std::string& mode = "prefer", const std::string& more = {}) {
        return "tls: { mode: " + mode + ", cert_file: " + with.cert + ", key_file: " + with.key +
               ", ca_file: " + authority().file() + more + " }";
    }
    static void start_proxy(const std::string& more, const std::string& dsn_options) {
        database_options_ = dsn_options;
        restart_proxy(more);
    }
    // Whether the database sees TLS, and the client.
    static std::string seen(const connection& by) {
        return value(by, "select ssl::text from pg_stat_ssl where pid = pg_backend_pid()") + " " +
               (PQsslInUse(by.get()) == 1 ? "true" : "false");
    }
};

TEST_F(tls, in_every_combination_with_scram) {
    struct way {
        const char* client;
        const char* database;
        const char* seen;
    };
    for (const auto& [client, database, expected] :
         {way{"sslmode=disable", "sslmode=disable", "false false"},
          way{"sslmode=require", "sslmode=disable", "false true"},
          way{"sslmode=disable", "sslmode=require", "true false"},
          way{"sslmode=disable", "sslmode=prefer", "true false"},
          way{"sslmode=require channel_binding=disable", "sslmode=require", "true true"}}) {
        start_proxy(listening(), database);
        const auto session = connect(std::string{"user=ann password=secret "} + client);
        EXPECT_EQ(seen(session), expected) << client << " / " << database;
        const auto much = value(session, "select repeat('x', 3000000)");
        EXPECT_EQ(much.size(), 3'000'000U);
        EXPECT_EQ(value(session, "select length('" + much + "')"), "3000000");
    }
}

// A client under TLS can't bind to a database's certificate that it doesn't see. It gets to know why.
TEST_F(tls, f14_from_tls_to_tls_scram_needs_the_databases_certificate) {
    start_proxy(listening(), "sslmode=require");
    const connection refused{PQconnectdb(conninfo("user=ann password=secret sslmode=require").c_str())};
    EXPECT_EQ(PQstatus(refused.get()), CONNECTION_BAD);
    EXPECT_THAT(PQerrorMessage(refused.get()), HasSubstr("SCRAM authentication can't be relayed from TLS to TLS"));
    EXPECT_THAT(PQerrorMessage(refused.get()), HasSubstr("channel_binding=disable"));

    start_proxy(listening(of_database()), "sslmode=require");
    const auto bound = connect("user=ann password=secret sslmode=require channel_binding=require");
    EXPECT_EQ(seen(bound), "true true");
}

// Waits for the socket before each look, as drivers with a loop of their own do.
TEST_F(tls, f07_an_asynchronous_libpq_is_told_of_all_there_is) {
    start_proxy(listening(), "sslmode=disable");
    const auto session = connect("user=crossfade sslmode=require");
    ASSERT_EQ(PQsetnonblocking(session.get(), 1), 0);
    for (const char* size : {"8000", "8192", "16384", "20000", "100000", "3000000"}) {
        const auto sql = std::string{"select repeat('x', "} + size + ") from generate_series(1, 3)";
        ASSERT_EQ(PQsendQuery(session.get(), sql.c_str()), 1);
        while (PQflush(session.get()) == 1) {
        }
        while (PQisBusy(session.get()) == 1) {
            pollfd one{PQsocket(session.get()), POLLIN, 0};
            ASSERT_EQ(::poll(&one, 1, 5000), 1) << "nothing more comes of " << size;
            ASSERT_EQ(PQconsumeInput(session.get()), 1);
        }
        const answer rows{PQgetResult(session.get())};
        ASSERT_EQ(PQntuples(rows.get()), 3) << PQerrorMessage(session.get());
        EXPECT_EQ(std::to_string(PQgetlength(rows.get(), 2, 0)), size);
        while (const answer more{PQgetResult(session.get())}) {
        }
    }
}

TEST_F(tls, names_and_authorities_are_verified_on_both_sides) {
    const certificate_authority stranger{"stranger"};
    start_proxy(listening(), "sslmode=verify-full&sslrootcert=" + authority().file());
    connect("user=ann password=secret channel_binding=disable sslmode=verify-full sslrootcert=" + authority().file());
    const connection misled{PQconnectdb(conninfo("user=ann sslmode=verify-ca sslrootcert=" + stranger.file()).c_str())};
    EXPECT_THAT(PQerrorMessage(misled.get()), HasSubstr("certificate verify failed"));

    start_proxy(listening(), "sslmode=verify-ca&sslrootcert=" + stranger.file());
    const connection refused{PQconnectdb(conninfo("user=ann password=secret sslmode=require").c_str())};
    EXPECT_THAT(PQerrorMessage(refused.get()), HasSubstr("could not connect to the legacy database: TLS failed"));
    EXPECT_THAT(PQerrorMessage(refused.get()), HasSubstr("self-signed certificate"));
}

// It says who the proxy is, and not who its client is.
TEST_F(tls, what_was_revoked_is_refused) {
    const auto other = authority().issue("other", "");
    const auto verified = "sslmode=verify-full&sslrootcert=" + authority().file();
    start_proxy(listening(), verified + "&sslcrl=" + authority().revoked({other}));
    connect("user=crossfade sslmode=disable");

    start_proxy(listening(), verified + "&sslcrl=" + authority().revoked({other, of_database()}));
    const connection refused{PQconnectdb(conninfo("user=crossfade sslmode=disable").c_str())};
    EXPECT_THAT(PQerrorMessage(refused.get()), HasSubstr("could not connect to the legacy database: TLS failed"));
    EXPECT_THAT(PQerrorMessage(refused.get()), HasSubstr("certificate revoked"));
}

TEST_F(tls, an_older_tls_than_the_dsn_allows_is_refused) {
    start_proxy(listening(), "sslmode=require&ssl_min_protocol_version=TLSv1.3");
    connect("user=crossfade sslmode=disable");
    postgres_->exec("ALTER SYSTEM SET ssl_max_protocol_version = 'TLSv1.2'");
    postgres_->exec("SELECT pg_reload_conf()");
    EXPECT_TRUE(support::eventually(5s, [] {
        const connection refused{PQconnectdb(conninfo("user=crossfade sslmode=disable").c_str())};
        return std::string_view{PQerrorMessage(refused.get())}.find("TLS failed") != std::string_view::npos;
    }));
    postgres_->exec("ALTER SYSTEM RESET ssl_max_protocol_version");
    postgres_->exec("SELECT pg_reload_conf()");
    EXPECT_TRUE(support::eventually(5s, [] {
        const connection again{PQconnectdb(conninfo("user=crossfade sslmode=disable").c_str())};
        return PQstatus(again.get()) == CONNECTION_OK;
    }));
}

TEST_F(tls, a_certificate_of_the_proxys_own_is_shown_to_the_database_and_lets_no_client_in) {
    const auto files = authority().issue("bob", "");
    start_proxy(listening(), "sslmode=require&sslcert=" + files.cert + "&sslkey=" + files.key);
    for (const char* trusted : {"user=bob sslmode=disable", "user=crossfade sslmode=disable"}) {
        const connection refused{PQconnectdb(conninfo(trusted).c_str())};
        ASSERT_EQ(PQstatus(refused.get()), CONNECTION_BAD) << trusted;
        EXPECT_THAT(PQerrorMessage(refused.get()), HasSubstr("by the proxy's own certificate"));
        EXPECT_THAT(PQerrorMessage(refused.get()), HasSubstr("clientcert=verify-ca"));
    }
    EXPECT_TRUE(
        support::eventually(5s, [] { return metric("crossfade_sessions_total{result=\"login_failed\"}") == 2; }));
    EXPECT_THAT(proxy_->log(), HasSubstr("by the proxy's own certificate"));
    EXPECT_EQ(value(connect("user=cy password=secret sslmode=disable"), "select current_user"), "cy");
    const connection wrong{PQconnectdb(conninfo("user=cy password=wrong sslmode=disable").c_str())};
    EXPECT_THAT(PQerrorMessage(wrong.get()), HasSubstr("password authentication failed"));
    connect("user=ann password=secret sslmode=disable");
    EXPECT_EQ(postgres_->value("select count(*) from pg_stat_ssl where client_dn is not null"), "0") << "of none left";
}

// A certificate that the database doesn't ask for says nothing.
TEST_F(tls, a_certificate_that_is_not_asked_for_keeps_nobody_out) {
    const auto files = authority().issue("bob", "");
    start_proxy(listening(), "sslmode=disable&sslcert=" + files.cert + "&sslkey=" + files.key);
    EXPECT_EQ(value(connect("user=crossfade sslmode=disable"), "select current_user"), "crossfade");
}

TEST_F(tls, the_name_that_a_client_asks_for_has_a_certificate_of_its_own) {
    const auto shop = authority().issue("shop", "DNS:shop.example");
    auto text = listening();
    text.insert(text.rfind('}'),
                ", hosts: [{ names: shop.example, cert_file: " + shop.cert + ", key_file: " + shop.key + " }] ");
    start_proxy(text, "sslmode=require");
    const auto verified = " sslmode=verify-full sslrootcert=" + authority().file();
    const auto by = [&](const std::string& host, const std::string& more = {}) {
        auto info = conninfo("user=crossfade" + verified + more);
        info += " host=" + host + " hostaddr=127.0.0.1";
        return connection{PQconnectdb(info.c_str())};
    };
    EXPECT_EQ(seen(by("shop.example")), "true true");
    EXPECT_THAT(PQerrorMessage(by("other.example").get()), HasSubstr("does not match host name"));
    // Who says no name is shown the listener's own.
    EXPECT_THAT(PQerrorMessage(by("shop.example", " sslsni=0").get()), HasSubstr("does not match host name"));
    EXPECT_EQ(seen(connect("user=crossfade" + verified)), "true true");
}

TEST_F(tls, sessions_in_the_clear_are_refused_where_it_is_required_and_cancels_are_not) {
    start_proxy(listening(of_proxy(), "require"), "sslmode=disable");
    const connection refused{PQconnectdb(conninfo("user=crossfade sslmode=disable").c_str())};
    EXPECT_THAT(PQerrorMessage(refused.get()), HasSubstr("takes sessions with TLS only"));
    EXPECT_TRUE(support::eventually(5s, [] { return metric("crossfade_sessions_total{result=\"refused\"}") == 1; }));

    const auto session = connect("user=crossfade sslmode=require");
    ASSERT_EQ(PQsendQuery(session.get(), "select pg_sleep(60)"), 1);
    EXPECT_TRUE(support::eventually(10s, [&] {
        return postgres_->value("select count(*) from pg_stat_activity where wait_event = 'PgSleep'") == "1";
    }));
    const std::unique_ptr<PGcancel, decltype(&PQfreeCancel)> cancel{PQgetCancel(session.get()), &PQfreeCancel};
    std::array<char, 256> error{};
    EXPECT_EQ(PQcancel(cancel.get(), error.data(), error.size()), 1) << error.data();
    const answer got{PQgetResult(session.get())};
    EXPECT_STREQ(PQresultErrorField(got.get(), PG_DIAG_SQLSTATE), "57014");
}

TEST_F(tls, a_client_shows_a_certificate_where_it_must) {
    start_proxy(listening(of_proxy(), "verify-ca"), "sslmode=disable");
    const connection without{PQconnectdb(conninfo("user=crossfade sslmode=require").c_str())};
    EXPECT_EQ(PQstatus(without.get()), CONNECTION_BAD);
    const auto files = authority().issue("ann", "");
    EXPECT_EQ(seen(connect("user=crossfade sslmode=require sslcert=" + files.cert + " sslkey=" + files.key)),
              "false true");
    EXPECT_TRUE(support::eventually(5s, [] { return metric("crossfade_sessions_total{result=\"tls_failed\"}") == 1; }));

    const auto lost = authority().issue("ann", "");
    start_proxy(listening(of_proxy(), "verify-ca", ", crl_file: " + authority().revoked({lost})), "sslmode=disable");
    connect("user=crossfade sslmode=require sslcert=" + files.cert + " sslkey=" + files.key);
    const connection revoked{
        PQconnectdb(conninfo("user=crossfade sslmode=require sslcert=" + lost.cert + " sslkey=" + lost.key).c_str())};
    EXPECT_EQ(PQstatus(revoked.get()), CONNECTION_BAD);
    EXPECT_THAT(PQerrorMessage(revoked.get()), HasSubstr("certificate revoked"));
}

TEST_F(tls, certificates_are_exchanged_by_a_reload_and_open_sessions_stay) {
    const support::temp_dir dir;
    const auto put = [&](const support::certificate_files& from) {
        return support::certificate_files{dir.write("proxy.crt", support::read_file(from.cert)).string(),
                                          dir.write("proxy.key", support::read_file(from.key)).string()};
    };
    const certificate_authority next{"next"};
    start_proxy(listening(put(of_proxy())), "sslmode=disable");
    const auto before = connect("user=crossfade sslmode=verify-full sslrootcert=" + authority().file());
    EXPECT_GT(metric("crossfade_tls_certificate_expiry_timestamp_seconds "), static_cast<double>(::time(nullptr)));

    put({of_proxy().cert, of_database().key});
    const auto refused = support::http_post(proxy_->admin_port(), "/-/reload");
    EXPECT_EQ(refused.status, 422U);
    EXPECT_THAT(refused.body, HasSubstr("proxy.tls.key_file"));
    connect("user=crossfade sslmode=verify-full sslrootcert=" + authority().file());

    put(next.issue("proxy", "IP:127.0.0.1"));
    EXPECT_EQ(support::http_post(proxy_->admin_port(), "/-/reload").status, 200U);
    connect("user=crossfade sslmode=verify-full sslrootcert=" + next.file());
    EXPECT_EQ(value(before, "select 'still here'"), "still here");
}

}  // namespace
}  // namespace crossfade::proxy::test
