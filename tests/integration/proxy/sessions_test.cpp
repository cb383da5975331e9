// What belongs to a session, or outlives it, through the proxy: large objects, cursors, prepared transactions,
// replication.
#include <gmock/gmock.h>
#include <libpq/libpq-fs.h>

#include <fstream>

#include "tests/integration/proxy/proxy_before_postgres.hpp"
#include "tests/support/temp_dir.hpp"

namespace crossfade::proxy::test {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;

class sessions : public proxy_before_postgres {};

// libpq moves large objects by FunctionCall.
TEST_F(sessions, large_objects_go_in_and_come_out) {
    const support::temp_dir files;
    std::string content(3'000'000, '\0');
    for (std::size_t at = 0; at < content.size(); ++at) content[at] = static_cast<char>(at * 31 + at / 251);
    const auto original = files.write("original", content);
    const auto copy = files.path() / "copy";

    const auto session = connect();
    value(session, "begin");
    const Oid object = lo_import(session.get(), original.c_str());
    ASSERT_NE(object, InvalidOid) << PQerrorMessage(session.get());
    ASSERT_EQ(lo_export(session.get(), object, copy.c_str()), 1) << PQerrorMessage(session.get());
    EXPECT_TRUE(support::read_file(copy) == content);

    const int opened = lo_open(session.get(), object, INV_READ | INV_WRITE);
    EXPECT_EQ(lo_lseek64(session.get(), opened, 2'999'999, SEEK_SET), 2'999'999);
    EXPECT_EQ(lo_write(session.get(), opened, "end", 3), 3);
    value(session, "commit");
    EXPECT_EQ(value(session, "select length(lo_get(" + std::to_string(object) + "))"), "3000002");
    value(session, "select lo_unlink(" + std::to_string(object) + ")");
}

TEST_F(sessions, cursors_with_hold_outlive_their_transaction) {
    const auto session = connect();
    value(session, "begin");
    value(session, "declare held cursor with hold for select generate_series(1, 10)");
    value(session, "declare gone cursor for select 1");
    value(session, "commit");
    EXPECT_EQ(value(session, "fetch 3 from held"), "1");
    EXPECT_EQ(value(session, "fetch 1 from held"), "4");
    const answer gone{PQexec(session.get(), "fetch 1 from gone")};
    EXPECT_STREQ(PQresultErrorField(gone.get(), PG_DIAG_SQLSTATE), "34000");
    value(session, "close held");
}

TEST_F(sessions, prepared_transactions_are_finished_by_another_session) {
    postgres_->exec("create table prepared(n int)");
    for (const char* end : {"commit prepared 'both'", "rollback prepared 'both'"}) {
        {
            const auto first = connect();
            value(first, "begin");
            value(first, "insert into prepared values (1)");
            value(first, "prepare transaction 'both'");
            EXPECT_EQ(PQtransactionStatus(first.get()), PQTRANS_IDLE);
        }
        value(connect(), end);
        EXPECT_EQ(postgres_->value("select count(*) from prepared"), "1");
    }
    postgres_->exec("drop table prepared");
}

TEST_F(sessions, settings_and_temporary_tables_stay_with_their_session) {
    const auto one = connect();
    const auto other = connect();
    value(one, "set work_mem = '12345kB'");
    value(one, "create temp table mine as select 1 as n");
    EXPECT_NE(value(other, "show work_mem"), "12345kB");
    EXPECT_EQ(value(other, "select to_regclass('mine') is null"), "t");
    EXPECT_EQ(value(one, "show work_mem"), "12345kB");
    EXPECT_EQ(value(one, "select n from mine"), "1");
    EXPECT_EQ(value(one, "select pg_advisory_lock(7)"), "");
    EXPECT_EQ(value(other, "select pg_try_advisory_lock(7)"), "f");
}

TEST_F(sessions, replication_connections_stream_both_ways) {
    const auto replication = connect("user=crossfade replication=database");
    EXPECT_EQ(value(replication, "IDENTIFY_SYSTEM"),
              postgres_->value("select system_identifier from pg_control_system()"));
    answer{PQexec(replication.get(), "CREATE_REPLICATION_SLOT through LOGICAL pgoutput")};
    postgres_->exec("create publication through for all tables; create table streamed(n int)");
    postgres_->exec("insert into streamed values (4711)");
    const answer begun{
        PQexec(replication.get(),
               "START_REPLICATION SLOT through LOGICAL 0/0 (proto_version '1', publication_names 'through')")};
    ASSERT_EQ(PQresultStatus(begun.get()), PGRES_COPY_BOTH) << PQerrorMessage(replication.get());
    std::string seen;
    while (seen.find("4711") == std::string::npos) {
        char* row = nullptr;
        const int length = PQgetCopyData(replication.get(), &row, 0);
        ASSERT_GT(length, 0) << PQerrorMessage(replication.get());
        seen.append(row, static_cast<std::size_t>(length));
        PQfreemem(row);
    }
    EXPECT_EQ(PQputCopyEnd(replication.get(), nullptr), 1);
    for (bool over = false; !over;) {
        char* row = nullptr;
        over = PQgetCopyData(replication.get(), &row, 0) < 0;
        PQfreemem(row);
    }
    while (const answer done{PQgetResult(replication.get())}) EXPECT_EQ(PQresultStatus(done.get()), PGRES_COMMAND_OK);
    EXPECT_EQ(value(replication, "SHOW wal_level"), "logical");
    answer{PQexec(replication.get(), "DROP_REPLICATION_SLOT through")};
    postgres_->exec("drop publication through; drop table streamed");
}

TEST_F(sessions, pg_receivewal_takes_the_wal) {
    const support::temp_dir files;
    const auto until = postgres_->value("select pg_current_wal_lsn()");
    postgres_->exec("select pg_logical_emit_message(true, 'behind', 'the end')");
    const auto done =
        support::run({(postgres_->bin_dir() / "pg_receivewal").string(), "-h", "127.0.0.1", "-p", std::to_string(port_),
                      "-U", "crossfade", "-D", files.path().string(), "--endpos", until, "--no-loop", "-s", "1"},
                     30s);
    EXPECT_EQ(done.exit_code, 0) << done.errors;
    EXPECT_FALSE(std::filesystem::is_empty(files.path()));
}

}  // namespace
}  // namespace crossfade::proxy::test
