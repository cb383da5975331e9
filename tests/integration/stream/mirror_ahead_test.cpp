// Rows that the proxy sends to modern before their transaction ends (docs/adr/0023), with everything for real.
#include <gtest/gtest.h>

#include <csignal>
#include <string>

#include "tests/integration/stream/mirror_rows.hpp"

namespace crossfade {
namespace {

using namespace std::chrono_literals;

class mirror_ahead : public mirror_rows {
  protected:
    void fill() { run("INSERT INTO accounts SELECT n, 0 FROM generate_series(1, 40) n"); }
    // Transactions that are open on modern, with locks.
    std::string open() {
        return world_->modern.value(
            "SELECT count(*) FROM pg_stat_activity a WHERE application_name LIKE 'crossfade-mirror %' AND"
            " xact_start IS NOT NULL AND EXISTS (SELECT FROM pg_locks l WHERE l.pid = a.pid AND locktype = "
            "'advisory')");
    }
    bool comes_to(const std::string& many) {
        return support::eventually(10s, [&] { return open() == many; });
    }
    double taken_back() { return metric("crossfade_mirror_taken_back_total"); }
    std::string balance(int id) {
        return world_->modern.value("SELECT balance FROM public.accounts WHERE id = " + std::to_string(id));
    }
};

TEST_F(mirror_ahead, is_there_before_the_commit_and_seen_behind_it) {
    begin("10s", "mirror", support::postgres_bin_dir(), ", mirror_ahead: 1m");
    fill();
    world_->cdc.signal(SIGSTOP);
    const auto before = mirrored();
    run("BEGIN");
    run("UPDATE accounts SET balance = 1 WHERE id % 2 = 1");
    EXPECT_TRUE(comes_to("1"));
    run("SELECT 1");
    run("UPDATE accounts SET balance = 2 WHERE id = id");
    run("DELETE FROM accounts WHERE id = 3");
    run("INSERT INTO accounts VALUES (3, 33)");
    run("UPDATE accounts SET note = 'all' WHERE id = id");
    EXPECT_EQ(balance(1), "0");
    run("COMMIT");
    EXPECT_EQ(world_->difference(), "");
    EXPECT_EQ(open(), "0");

    run("BEGIN");
    run("UPDATE accounts SET balance = 4 WHERE id % 2 = 1");
    EXPECT_TRUE(comes_to("1"));
    run("ROLLBACK");
    EXPECT_TRUE(comes_to("0"));
    EXPECT_EQ(taken_back(), 1);
    run("BEGIN");
    run("UPDATE accounts SET balance = 5 WHERE id % 2 = 1");
    EXPECT_FALSE(client_->exec("SELECT 1/0"));
    EXPECT_TRUE(comes_to("0")) << "the transaction has failed";
    run("COMMIT");
    EXPECT_EQ(world_->difference(), "");

    run("BEGIN");
    run("UPDATE accounts SET balance = 6 WHERE id % 2 = 1");
    EXPECT_TRUE(comes_to("1"));
    run("SAVEPOINT s");
    EXPECT_TRUE(comes_to("0"));
    run("UPDATE accounts SET balance = 7 WHERE id % 2 = 0");
    run("ROLLBACK TO s");
    run("UPDATE accounts SET balance = 8 WHERE id = 3");
    run("COMMIT");
    EXPECT_EQ(world_->difference(), "");
    EXPECT_EQ(taken_back(), 3);
    EXPECT_EQ(mirrored(), before + 2);
    world_->cdc.signal(SIGCONT);
    expect_nothing_left();
}

// Modern's rows aren't locked for as long as a client thinks.
TEST_F(mirror_ahead, is_taken_back_from_who_takes_too_long_and_sent_again) {
    begin("10s");
    fill();
    const auto before = mirrored();
    run("BEGIN");
    run("UPDATE accounts SET balance = 1 WHERE id % 2 = 1");
    EXPECT_TRUE(support::eventually(10s, [&] { return taken_back() == 1; }));
    EXPECT_TRUE(comes_to("0"));
    run("UPDATE accounts SET balance = 1 WHERE id % 2 = 0");
    world_->cdc.signal(SIGSTOP);
    run("COMMIT");
    EXPECT_EQ(world_->difference(), "");
    EXPECT_EQ(mirrored(), before + 1);
    world_->cdc.signal(SIGCONT);

    // Who writes the same rows, and what comes by the stream, waits no longer than that.
    run("BEGIN");
    run("UPDATE accounts SET balance = 2 WHERE id % 2 = 1");
    world_->legacy.exec("UPDATE public.accounts SET note = 'round the proxy' WHERE id = 2");
    run("UPDATE accounts SET balance = 2 WHERE id % 2 = 0");
    EXPECT_TRUE(support::eventually(10s, [&] {
        return world_->modern.value("SELECT note FROM public.accounts WHERE id = 2") == "round the proxy";
    }));
    run("COMMIT");
    EXPECT_EQ(world_->settle(30s), "");

    // Rows that are taken to the stream in the end.
    run("BEGIN");
    run("UPDATE accounts SET balance = 3 WHERE id % 2 = 1");
    run("DO $$ BEGIN UPDATE public.accounts SET balance = 3 WHERE id = 2; END $$");
    run("COMMIT");
    EXPECT_EQ(world_->difference(), "");
    expect_nothing_left();
}

TEST_F(mirror_ahead, is_sent_again_where_modern_did_not_take_it) {
    begin("10s", "mirror", support::postgres_bin_dir(), ", mirror_ahead: 1m");
    fill();
    // A connection that ends. Where that is noticed only by the COMMIT the stream brings the rows.
    run("BEGIN");
    run("UPDATE accounts SET balance = 1 WHERE id % 2 = 1");
    EXPECT_TRUE(comes_to("1"));
    world_->modern.exec(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE 'crossfade-mirror %' AND"
        " xact_start IS NOT NULL");
    run("COMMIT");
    EXPECT_EQ(world_->difference(), "");

    // A row that somebody else has for a while.
    EXPECT_TRUE(support::eventually(10s, [&] { return metric("crossfade_mirror_connections") > 1; }));
    const auto before = taken_back();
    auto other = pgclient::connection::open(world_->modern.dsn(), {}).value();
    other.exec("BEGIN; SELECT FROM public.accounts WHERE id = 2 FOR UPDATE").value();
    run("BEGIN");
    run("UPDATE accounts SET balance = 2 WHERE id % 2 = 0");
    run("UPDATE accounts SET balance = 2 WHERE id % 2 = 1");
    EXPECT_TRUE(support::eventually(10s, [&] { return taken_back() == before + 1; }));
    other.exec("COMMIT").value();
    EXPECT_TRUE(comes_to("0"));
    const auto by_proxy = mirrored();
    run("UPDATE accounts SET balance = 3 WHERE id % 2 = 1");
    run("COMMIT");
    EXPECT_EQ(world_->difference(), "");
    EXPECT_EQ(mirrored(), by_proxy + 1);

    // And is asked for again before it is known: the connection is used by the next one.
    other.exec("BEGIN; SELECT FROM public.accounts WHERE id = 2 FOR UPDATE").value();
    for (int i = 0; i < 20; ++i) {
        run("BEGIN");
        run("UPDATE accounts SET balance = -1 WHERE id % 2 = 0");
        run("ROLLBACK");
    }
    other.exec("COMMIT").value();
    for (int i = 0; i < 20; ++i) {
        run("BEGIN");
        run("UPDATE accounts SET balance = balance + 1 WHERE id = id");
        run("COMMIT");
        EXPECT_EQ(world_->difference(), "");
    }
    expect_nothing_left();
}

}  // namespace
}  // namespace crossfade
