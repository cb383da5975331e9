#pragma once

#include <gtest/gtest.h>
#include <libpq-fe.h>

#include <memory>
#include <string>
#include <vector>

#include "tests/support/eventually.hpp"
#include "tests/support/http.hpp"
#include "tests/support/ports.hpp"
#include "tests/support/postgres.hpp"
#include "tests/support/program.hpp"

namespace crossfade::proxy::test {

struct finish {
    void operator()(PGconn* of) const { PQfinish(of); }
    void operator()(PGresult* of) const { PQclear(of); }
};
using connection = std::unique_ptr<PGconn, finish>;
using answer = std::unique_ptr<PGresult, finish>;

// PostgreSQL, and crossfade-proxy in front of it, without capture; one pair for all tests of the binary.
class proxy_before_postgres : public testing::Test {
  protected:
    static void SetUpTestSuite() {
        if (!support::postgres_cluster::available()) GTEST_SKIP() << "no PostgreSQL server here";
        postgres_ = std::make_unique<support::postgres_cluster>(
            support::postgres_options{.extra_settings = {"max_prepared_transactions=2"}});
        postgres_->start();
        restart_proxy("");
    }
    static void TearDownTestSuite() {
        proxy_.reset();
        postgres_.reset();
    }

    // `more`: further keys of the section proxy, as "max_sessions: 3, drain_timeout: 1s".
    static void restart_proxy(const std::string& more) {
        proxy_.reset();
        port_ = support::free_port();
        const auto admin = support::free_port();
        const auto legacy = postgres_->dsn() + (database_options_.empty() ? "" : "?" + database_options_);
        const std::string yaml = "legacy: { dsn: \"" + legacy + "\" }\nmodern: { dsn: \"" + postgres_->dsn("modern") +
                                 "\" }\nkafka: { brokers: \"127.0.0.1:9\" }\n" +
                                 "stream: { name: app, tables: [\"public.*\"] }\n" +
                                 "proxy: { listen: \"127.0.0.1:" + std::to_string(port_) +
                                 "\", admin: \"127.0.0.1:" + std::to_string(admin) + "\", capture: false" +
                                 (more.empty() ? "" : ", " + more) + " }\n";
        proxy_ = std::make_unique<support::crossfade_program>("crossfade-proxy", yaml, admin);
        proxy_->start();
        ASSERT_TRUE(proxy_->wait_ready()) << proxy_->log();
    }

    static std::string conninfo(const std::string& more = "user=crossfade") {
        return "host=127.0.0.1 dbname=app port=" + std::to_string(port_) + " " + more;
    }
    static connection connect(const std::string& more = "user=crossfade") {
        connection made{PQconnectdb(conninfo(more).c_str())};
        EXPECT_EQ(PQstatus(made.get()), CONNECTION_OK) << PQerrorMessage(made.get());
        return made;
    }
    static std::string value(const connection& on, const std::string& sql) {
        const answer got{PQexec(on.get(), sql.c_str())};
        if (PQresultStatus(got.get()) == PGRES_COMMAND_OK) return {};
        EXPECT_EQ(PQresultStatus(got.get()), PGRES_TUPLES_OK) << PQerrorMessage(on.get());
        return PQntuples(got.get()) == 0 ? "" : PQgetvalue(got.get(), 0, 0);
    }
    static double metric(const std::string& sample) {
        return support::sample_value(support::http_get(proxy_->admin_port(), "/metrics").body, sample);
    }

    static inline std::unique_ptr<support::postgres_cluster> postgres_;
    static inline std::unique_ptr<support::crossfade_program> proxy_;
    static inline std::uint16_t port_ = 0;
    static inline std::string database_options_;  // of legacy's dsn, as "sslmode=require&sslsni=0"
};

}  // namespace crossfade::proxy::test
