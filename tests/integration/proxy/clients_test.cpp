// libpq, psql and pgbench through the proxy to a real PostgreSQL.
#include <gmock/gmock.h>

#include <fstream>

#include "tests/integration/proxy/proxy_before_postgres.hpp"
#include "tests/support/process.hpp"

namespace crossfade::proxy::test {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;

class clients : public proxy_before_postgres {};

TEST_F(clients, simple_and_extended_queries_and_errors) {
    const auto session = connect();
    EXPECT_EQ(value(session, "select 6 * 7"), "42");
    const char* arguments[] = {"20", "22"};
    const answer sum{
        PQexecParams(session.get(), "select $1::int + $2::int", 2, nullptr, arguments, nullptr, nullptr, 0)};
    EXPECT_STREQ(PQgetvalue(sum.get(), 0, 0), "42");
    const answer failed{PQexec(session.get(), "select 1/0")};
    EXPECT_STREQ(PQresultErrorField(failed.get(), PG_DIAG_SQLSTATE), "22012");
    EXPECT_EQ(value(session, "select 'still here'"), "still here");
}

TEST_F(clients, a_pipeline_with_an_error_in_the_middle) {
    const auto session = connect();
    ASSERT_EQ(PQenterPipelineMode(session.get()), 1);
    for (const char* sql : {"select 1", "select 1/0", "select 3"})
        PQsendQueryParams(session.get(), sql, 0, nullptr, nullptr, nullptr, nullptr, 0);
    PQpipelineSync(session.get());
    PQsendQueryParams(session.get(), "select 4", 0, nullptr, nullptr, nullptr, nullptr, 0);
    PQpipelineSync(session.get());
    std::vector<ExecStatusType> seen;
    while (std::count(seen.begin(), seen.end(), PGRES_PIPELINE_SYNC) < 2) {
        if (const answer got{PQgetResult(session.get())}) seen.push_back(PQresultStatus(got.get()));
        ASSERT_EQ(PQstatus(session.get()), CONNECTION_OK);
    }
    EXPECT_THAT(seen, testing::ElementsAre(PGRES_TUPLES_OK, PGRES_FATAL_ERROR, PGRES_PIPELINE_ABORTED,
                                           PGRES_PIPELINE_SYNC, PGRES_TUPLES_OK, PGRES_PIPELINE_SYNC));
}

TEST_F(clients, copy_in_and_out_of_many_megabytes) {
    const auto session = connect();
    value(session, "create table copied(line text)");
    answer{PQexec(session.get(), "copy copied from stdin")};
    const std::string line(999, 'x');
    for (int row = 0; row < 50000; ++row) ASSERT_EQ(PQputCopyData(session.get(), (line + '\n').c_str(), 1000), 1);
    ASSERT_EQ(PQputCopyEnd(session.get(), nullptr), 1);
    while (const answer done{PQgetResult(session.get())}) EXPECT_EQ(PQresultStatus(done.get()), PGRES_COMMAND_OK);

    answer{PQexec(session.get(), "copy copied to stdout")};
    std::size_t bytes = 0;
    char* row = nullptr;
    for (int length = 0; (length = PQgetCopyData(session.get(), &row, 0)) > 0; PQfreemem(row))
        bytes += static_cast<std::size_t>(length);
    EXPECT_EQ(bytes, 50000U * 1000U);
    while (const answer done{PQgetResult(session.get())}) EXPECT_EQ(PQresultStatus(done.get()), PGRES_COMMAND_OK);
    value(session, "drop table copied");
}

TEST_F(clients, a_failed_copy_leaves_the_session_usable) {
    const auto session = connect();
    value(session, "create temporary table numbers(n int)");
    answer{PQexec(session.get(), "copy numbers from stdin")};
    for (int row = 0; row < 10000; ++row) PQputCopyData(session.get(), "not a number\n", 13);
    PQputCopyEnd(session.get(), nullptr);
    while (const answer done{PQgetResult(session.get())}) EXPECT_EQ(PQresultStatus(done.get()), PGRES_FATAL_ERROR);
    EXPECT_EQ(value(session, "select count(*) from numbers"), "0");
}

TEST_F(clients, the_database_authenticates) {
    postgres_->exec("set password_encryption = 'scram-sha-256'; create role scram login password 'correct'");
    postgres_->exec("set password_encryption = 'md5'; create role md5 login password 'correct'");
    postgres_->exec("create role plain login password 'correct'");
    const auto hba = postgres_->data_dir() / "pg_hba.conf";
    const auto before = support::read_file(hba);
    std::ofstream(hba) << "host all scram all scram-sha-256\nhost all md5 all md5\nhost all plain all password\n"
                       << before;
    postgres_->exec("select pg_reload_conf()");
    for (const char* user : {"scram", "md5", "plain"}) {
        const auto right = connect("user=" + std::string{user} + " password=correct");
        EXPECT_EQ(value(right, "select current_user"), user);
        const connection wrong{PQconnectdb(conninfo("user=" + std::string{user} + " password=wrong").c_str())};
        EXPECT_EQ(PQstatus(wrong.get()), CONNECTION_BAD);
        EXPECT_THAT(PQerrorMessage(wrong.get()), HasSubstr("password authentication failed"));
    }
    std::ofstream(hba) << before;
    postgres_->exec("select pg_reload_conf()");
}

TEST_F(clients, a_reader_that_does_not_read_stops_only_itself) {
    const auto slow = connect();
    PQsendQuery(slow.get(), "select repeat('x', 1000) from generate_series(1, 300000)");
    ASSERT_TRUE(support::eventually(10s, [] {
        return postgres_->value("select count(*) from pg_stat_activity where wait_event = 'ClientWrite'") == "1";
    }));
    const auto quick = connect();
    EXPECT_EQ(value(quick, "select 1"), "1");
    int rows = 0;
    while (const answer got{PQgetResult(slow.get())}) rows += PQntuples(got.get());
    EXPECT_EQ(rows, 300000);
}

TEST_F(clients, pgbench_in_every_query_mode) {
    const auto bench = [](std::vector<std::string> arguments) {
        std::vector<std::string> argv{(postgres_->bin_dir() / "pgbench").string(),
                                      "-h",
                                      "127.0.0.1",
                                      "-p",
                                      std::to_string(port_),
                                      "-U",
                                      "crossfade"};
        argv.insert(argv.end(), arguments.begin(), arguments.end());
        argv.emplace_back("app");
        return support::run(argv, 60s);
    };
    ASSERT_EQ(bench({"-i", "-q"}).exit_code, 0);
    for (const char* mode : {"simple", "extended", "prepared"}) {
        const auto done = bench({"-n", "-M", mode, "-c", "8", "-t", "50"});
        EXPECT_EQ(done.exit_code, 0) << done.errors;
        EXPECT_THAT(done.output, HasSubstr("number of transactions actually processed: 400/400"));
    }
    EXPECT_EQ(postgres_->value("select count(*) from pgbench_history"), "1200");
    EXPECT_GE(metric("crossfade_transactions_total{strategy=\"legacy-primary\"}"), 1200);
    EXPECT_GE(metric("crossfade_query_seconds_count{strategy=\"legacy-primary\"}"), 1200);
}

}  // namespace
}  // namespace crossfade::proxy::test
