#pragma once

#include <gmock/gmock.h>

#include <chrono>
#include <string>

#include "tests/integration/proxy/proxy_before_postgres.hpp"

namespace crossfade::proxy::test {

// A proxy whose console takes `ops` as admin and `nagios` as viewer.
class operators_console : public proxy_before_postgres {
  protected:
    // `more`: further keys of proxy.console; `beside`: of proxy.
    static void restart(const std::string& more = "", const std::string& beside = "max_sessions: 3") {
        restart_proxy("console: { admins: [ops], viewers: [nagios], " +
                      (more.find("trust_local") == std::string::npos ? "trust_local: true, " : std::string{}) + more +
                      " }, " + beside);
    }
    void SetUp() override { restart(); }

    static support::finished psql(const std::string& command, const std::string& user = "ops",
                                  const std::string& password = "") {
        const auto where = "host=127.0.0.1 dbname=crossfade port=" + std::to_string(port_) + " user=" + user;
        return support::run(
            {(postgres_->bin_dir() / "psql").string(), "-X", "-w", "-A", "-t", "-F,", where, "-c", command},
            std::chrono::seconds{30}, {{"PGPASSWORD", password}});
    }
    static connection console() {
        const auto where = "host=127.0.0.1 dbname=crossfade user=ops port=" + std::to_string(port_);
        connection made{PQconnectdb(where.c_str())};
        EXPECT_EQ(PQstatus(made.get()), CONNECTION_OK) << PQerrorMessage(made.get());
        return made;
    }
    // The SQLSTATE of what goes wrong; empty when nothing does.
    static std::string sqlstate(const connection& on, const std::string& command) {
        const answer got{PQexec(on.get(), command.c_str())};
        const char* state = PQresultErrorField(got.get(), PG_DIAG_SQLSTATE);
        return state == nullptr ? "" : state;
    }
    // A column of SHOW SESSIONS, for the session whose backend has this pid; empty: there is none.
    static std::string session(const connection& on, const std::string& pid, const std::string& column) {
        const answer got{PQexec(on.get(), "SHOW SESSIONS")};
        for (int row = 0; row < PQntuples(got.get()); ++row)
            if (PQgetvalue(got.get(), row, PQfnumber(got.get(), "server_pid")) == pid)
                return PQgetvalue(got.get(), row, PQfnumber(got.get(), column.c_str()));
        return "";
    }
};

}  // namespace crossfade::proxy::test
