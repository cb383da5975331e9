// Rows that the proxy writes to modern itself, of tables with a further unique key (docs/adr/0033), with everything for
// real.
#include <gtest/gtest.h>

#include <csignal>
#include <string>
#include <vector>

#include "tests/integration/stream/mirror_rows.hpp"

namespace crossfade {
namespace {

using namespace std::chrono_literals;

class mirror_ties : public mirror_rows {
  protected:
    double left() { return metric("crossfade_mirror_streamed_total{reason=\"ties\"}"); }
    void expect_to_wait_for_the_stream(const std::string& sql) {
        world_->cdc.signal(SIGSTOP);
        const auto before = left();
        auto* const conn = client_->native();
        ASSERT_EQ(PQsendQuery(conn, sql.c_str()), 1);
        EXPECT_TRUE(support::eventually(5s, [&] { return world_->difference() != ""; }))
            << "legacy has it not: " << sql;
        EXPECT_FALSE(support::eventually(300ms, [&] { return PQconsumeInput(conn) == 1 && PQisBusy(conn) == 0; }))
            << sql << ": it is answered before modern has it";
        world_->cdc.signal(SIGCONT);
        while (PGresult* const got = PQgetResult(conn)) {
            EXPECT_EQ(PQresultStatus(got), PGRES_COMMAND_OK) << sql << ": " << PQresultErrorMessage(got);
            PQclear(got);
        }
        EXPECT_EQ(world_->difference(), "") << sql << ": it is there when the client is told";
        EXPECT_EQ(left(), before + 1) << sql;
    }
};

TEST_F(mirror_ties, leave_the_other_columns_to_the_proxy) {
    begin("10s");
    expect_to_wait_for_the_stream(
        "INSERT INTO seats VALUES (1, 'a', 'one'), (2, 'b', 'two'), (3, 'c', NULL), (4, NULL, NULL)");
    world_->cdc.signal(SIGSTOP);
    expect_at_once({
        "UPDATE seats SET note = 'new' WHERE id = 1",
        "UPDATE seats SET note = place || 'x' WHERE id = id",
        "UPDATE seats SET note = 'as an ORM has it', place = 'b' WHERE id = 2",
        "UPDATE seats SET place = place WHERE id = id",
        "DELETE FROM seats WHERE id = 3 RETURNING place",
    });
    run("BEGIN");
    run("UPDATE seats SET note = 'of two' WHERE id = 1");
    run("DELETE FROM seats WHERE id = 4");
    run("COMMIT");
    EXPECT_EQ(world_->difference(), "");
    EXPECT_EQ(left(), 1);
    world_->cdc.signal(SIGCONT);

    expect_to_wait_for_the_stream("UPDATE seats SET place = 'd' WHERE id = 1");
    expect_to_wait_for_the_stream("INSERT INTO seats VALUES (3, 'a') ON CONFLICT (id) DO UPDATE SET note = 'again'");
    expect_to_wait_for_the_stream("INSERT INTO seats VALUES (3, 'a') ON CONFLICT (id) DO UPDATE SET note = 'again'");
    expect_nothing_left();
}

// What isn't for the proxy to write is no sign that modern is ill, however often it comes.
TEST_F(mirror_ties, are_no_refusals) {
    begin("10s");
    run("INSERT INTO seats VALUES (1, 'a0')");
    for (int i = 1; i <= 20; ++i) run("UPDATE seats SET place = 'a" + std::to_string(i) + "' WHERE id = 1");
    EXPECT_EQ(left(), 21);
    EXPECT_EQ(metric("crossfade_mirror_streamed_total{reason=\"refused\"}"), 0);
    const auto before = mirrored();
    run("INSERT INTO keys VALUES (1)");
    EXPECT_EQ(mirrored(), before + 1);
    expect_nothing_left();
}

TEST_F(mirror_ties, are_no_failures_either) {
    begin("10s", "mirror\n  on_mirror_failure: fail");
    run("INSERT INTO seats VALUES (1, 'a')");
    run("UPDATE seats SET place = 'b' WHERE id = 1");
    run("BEGIN");
    run("UPDATE seats SET note = 'x' WHERE id = 1");
    run("UPDATE seats SET place = 'c' WHERE id = 1");
    run("COMMIT");
    EXPECT_EQ(world_->difference(), "");
    EXPECT_EQ(left(), 3);
    EXPECT_EQ(metric("crossfade_mirror_failed_total{reason=\"refused\"}"), 0);
    expect_nothing_left();
}

// One that comes later is heeded within seconds, on both ends.
TEST_F(mirror_ties, may_come_and_go) {
    cdc_settings_ = ", batch_rows: 1";
    begin("10s");
    run("INSERT INTO accounts VALUES (1, 10), (2, 20)");
    ASSERT_EQ(world_->settle(30s), "");
    world_->modern.exec("CREATE UNIQUE INDEX of_notes ON public.accounts (note)");
    int id = 10;
    EXPECT_TRUE(support::eventually(20s, [&] {
        run("INSERT INTO accounts VALUES (" + std::to_string(++id) + ", 1)");
        return left() > 0;
    }));
    run("UPDATE accounts SET note = 'a' WHERE id = 1");
    world_->cdc.signal(SIGSTOP);
    const std::vector<std::string> round{
        "UPDATE public.accounts SET note = 'b' WHERE id = 1", "UPDATE public.accounts SET note = 'a' WHERE id = 2",
        "UPDATE public.accounts SET note = 'c' WHERE id = 2", "UPDATE public.accounts SET note = 'a' WHERE id = 1"};
    for (const auto& sql : round) world_->legacy.exec(sql);
    const auto before = mirrored();
    run("UPDATE accounts SET balance = 11 WHERE id = 1");
    EXPECT_EQ(mirrored(), before + 1);
    world_->cdc.signal(SIGCONT);
    expect_nothing_left();

    world_->modern.exec("DROP INDEX public.of_notes");
    EXPECT_TRUE(support::eventually(20s, [&] {
        const auto then = mirrored();
        run("INSERT INTO accounts VALUES (" + std::to_string(++id) + ", 1)");
        return mirrored() > then;
    }));
    expect_nothing_left();
}

}  // namespace
}  // namespace crossfade
