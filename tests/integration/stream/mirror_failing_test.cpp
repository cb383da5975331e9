// Transactions under mirror that are rolled back, or end in parts.
#include <thread>
#include <vector>

#include "tests/integration/stream/mirror_rows.hpp"

namespace crossfade {
namespace {

using namespace std::chrono_literals;

TEST_F(mirror_rows, follow_savepoints_and_transactions_in_a_row) {
    begin("10s");
    run("INSERT INTO accounts VALUES (1, 10, 'one')");
    ASSERT_EQ(world_->settle(30s), "");
    world_->cdc.signal(SIGSTOP);
    auto before = mirrored();
    const auto equal_by_the_proxy = [&](const char* what) {
        EXPECT_EQ(world_->difference(), "") << what;
        EXPECT_EQ(mirrored(), ++before) << what;
    };
    run("BEGIN");
    run("INSERT INTO accounts VALUES (2, 20, 'kept')");
    run("SAVEPOINT s");
    EXPECT_FALSE(client_->exec("INSERT INTO accounts VALUES (3, 1, 'taken back'), (1, 1, 'is there')"));
    EXPECT_FALSE(client_->exec("SELECT 1"));
    run("ROLLBACK TO s");
    run("UPDATE accounts SET balance = 11 WHERE id = 1");
    run("SAVEPOINT s");
    run("UPDATE accounts SET balance = balance + 1");
    run("ROLLBACK TO SAVEPOINT s");
    run("RELEASE s");
    run("INSERT INTO accounts VALUES (4, 40, 'kept')");
    run("COMMIT");
    equal_by_the_proxy("savepoints");

    run("SET DateStyle = German; SET IntervalStyle = iso_8601; SET extra_float_digits = 0");
    run("UPDATE accounts SET note = 'of types whose texts depend on no setting'");
    equal_by_the_proxy("settings");

    run("BEGIN");
    run("INSERT INTO accounts VALUES (5, 50, 'taken back')");
    run("ROLLBACK AND CHAIN");
    run("COMMIT");
    run("BEGIN");
    run("INSERT INTO accounts VALUES (5, 50, 'taken back')");
    run("ROLLBACK; BEGIN");
    run("INSERT INTO accounts VALUES (6, 60, 'kept')");
    run("COMMIT");
    equal_by_the_proxy("one behind the other");

    world_->cdc.signal(SIGCONT);
    run("BEGIN");
    run("UPDATE accounts SET balance = 12 WHERE id = 1");
    run("COMMIT AND CHAIN");
    run("UPDATE accounts SET balance = 13 WHERE id = 1");
    run("COMMIT; BEGIN");
    run("COMMIT");
    EXPECT_EQ(world_->difference(), "");
    EXPECT_EQ(mirrored(), before) << "by the stream";
    expect_nothing_left();
}

TEST_F(mirror_rows, let_the_stream_alone_where_one_table_s_after_the_other_s_are_refused) {
    begin("10s");
    world_->modern.exec(
        "INSERT INTO public.keys SELECT generate_series(1, 4); INSERT INTO public.accounts SELECT generate_series(1, "
        "4)");
    // There may be none yet for the first transaction of all.
    const auto none = metric("crossfade_mirror_streamed_total{reason=\"no_follower\"}");
    for (int id = 1; id <= 4; ++id) {
        run("INSERT INTO keys VALUES (" + std::to_string(id) + ")");
        run("INSERT INTO accounts VALUES (" + std::to_string(id) + ")");
    }
    run("INSERT INTO excluded VALUES (1)");
    EXPECT_EQ(metric("crossfade_mirror_streamed_total{reason=\"refused\"}"), 8);
    EXPECT_EQ(metric("crossfade_mirror_streamed_total{reason=\"no_follower\"}"), none + 1);
    expect_tried_again(10s);
    EXPECT_EQ(world_->settle(30s), "");
}

TEST_F(mirror_rows, of_a_table_that_is_locked_leave_others_alone) {
    begin("200ms");
    auto locks = pgclient::connection::open(world_->modern.dsn(), {}).value();
    ASSERT_TRUE(locks.exec("BEGIN; LOCK TABLE public.keys IN ACCESS EXCLUSIVE MODE"));
    const auto before = mirrored();
    for (int id = 1; id <= 8; ++id) run("INSERT INTO keys VALUES (" + std::to_string(id) + ")");
    run("INSERT INTO accounts VALUES (1)");
    EXPECT_EQ(mirrored(), before + 1);
    EXPECT_EQ(metric("crossfade_mirror_streamed_total{reason=\"refused\"}"), 8);
    EXPECT_TRUE(support::eventually(5s, [&] {
        return world_->proxy.log().find(
                   "mirror: rows of public.keys are left to the stream for a while: canceling "
                   "statement due to lock timeout") != std::string::npos;
    })) << world_->proxy.log();
    ASSERT_TRUE(locks.exec("ROLLBACK"));
    expect_tried_again(20s);
    expect_nothing_left();
}

// As it does with all of them when it is started anew.
TEST_F(mirror_rows, do_not_meet_connections_that_modern_has_ended) {
    begin("10s", "mirror\n  on_mirror_failure: fail");
    run("INSERT INTO keys VALUES (0)");
    // The others are tried first: the one that was used last comes next.
    const auto ended = std::stoi(world_->modern.value(R"sql(
        WITH one AS (SELECT pid, row_number() OVER (ORDER BY state_change) AS n FROM pg_stat_activity
                     WHERE application_name LIKE 'crossfade-mirror %')
        SELECT count(pg_terminate_backend(pid, 10000)) FROM one WHERE n > 1)sql"));
    ASSERT_GE(ended, 1);
    for (int id = 1; id <= 20; ++id) {
        const auto before = mirrored();
        run("INSERT INTO keys VALUES (" + std::to_string(id) + ")");
        EXPECT_EQ(mirrored(), before + 1);
    }
    EXPECT_EQ(metric("crossfade_mirror_failed_total{reason=\"refused\"}"), 0);
    expect_nothing_left();
}

// Who has to have one, that is.
TEST_F(mirror_rows, wait_for_connections_that_are_in_use) {
    connections_ = "2";
    begin("20s", "mirror\n  on_mirror_failure: fail");
    const auto before = mirrored();
    constexpr int clients = 12;
    constexpr int rows = 25;
    std::vector<std::jthread> threads;
    for (int client = 0; client < clients; ++client)
        threads.emplace_back([this, client] {
            auto own = pgclient::connection::open(world_->client_dsn(), {}).value();
            for (int row = 0; row < rows; ++row) {
                const auto done =
                    own.exec("INSERT INTO public.keys VALUES (" + std::to_string(client * rows + row) + ')');
                EXPECT_TRUE(done) << pgclient::to_string(done.error());
            }
        });
    threads.clear();
    EXPECT_EQ(mirrored(), before + clients * rows);
    EXPECT_GT(metric("crossfade_mirror_connection_waits_total"), 0);
    EXPECT_EQ(metric("crossfade_mirror_failed_total{reason=\"no_follower\"}"), 0);
    expect_nothing_left();
}

TEST_F(mirror_rows, wait_for_connections_no_longer_than_for_modern) {
    connections_ = "2";
    begin("3s", "mirror\n  on_mirror_failure: fail", support::postgres_bin_dir(), ", mirror_ahead: 1m");
    // Their rows are sent ahead, and keep a connection each for as long as they go on.
    std::vector<pgclient::connection> others;
    for (const std::string id : {"100", "200"}) {
        auto& own = others.emplace_back(pgclient::connection::open(world_->client_dsn(), {}).value());
        ASSERT_TRUE(own.exec("BEGIN"));
        ASSERT_TRUE(own.exec("INSERT INTO public.keys SELECT generate_series(" + id + ", " + id + " + 20)"));
    }
    ASSERT_TRUE(support::eventually(2s, [&] {
        return world_->modern.value(
                   "SELECT count(*) FROM pg_stat_activity WHERE xact_start IS NOT NULL AND "
                   "application_name LIKE 'crossfade-mirror %'") == "2";
    }));
    const auto done = client_->exec("INSERT INTO keys VALUES (1)");
    EXPECT_EQ(done ? "" : done.error().sqlstate, "XF003");
    EXPECT_EQ(metric("crossfade_mirror_connection_waits_total"), 1);
    EXPECT_EQ(metric("crossfade_mirror_failed_total{reason=\"no_follower\"}"), 1);
    for (auto& own : others) EXPECT_TRUE(own.exec("COMMIT"));
    run("INSERT INTO keys VALUES (1)");
    expect_nothing_left();
}

TEST_F(mirror_rows, of_a_table_whose_rows_modern_refuses_rest) {
    begin("10s");
    run("INSERT INTO keys VALUES (1)");
    world_->modern.exec("ALTER TABLE public.keys ADD CONSTRAINT small CHECK (id < 1000)");
    const auto before = mirrored();
    run("INSERT INTO keys VALUES (2000)");
    run("INSERT INTO keys VALUES (2)");
    run("INSERT INTO accounts VALUES (1)");
    EXPECT_EQ(metric("crossfade_mirror_streamed_total{reason=\"refused\"}"), 2);
    EXPECT_EQ(mirrored(), before + 1);
    EXPECT_TRUE(support::eventually(5s, [&] { return metric("crossfade_mirror_resting_tables") == 1; }));
    world_->modern.exec("ALTER TABLE public.keys DROP CONSTRAINT small");
    expect_tried_again(20s);
    EXPECT_TRUE(support::eventually(5s, [&] { return metric("crossfade_mirror_resting_tables") == 0; }));
}

// Who must not commit without modern asks it each time.
TEST_F(mirror_rows, of_a_table_whose_rows_modern_refuses_are_never_legacy_s_alone) {
    begin("10s", "mirror\n  on_mirror_failure: fail");
    run("INSERT INTO keys VALUES (1)");
    world_->modern.exec("ALTER TABLE public.keys ADD CONSTRAINT small CHECK (id < 1000)");
    EXPECT_FALSE(support::eventually(4s, [&] {
        const auto done = client_->exec("INSERT INTO keys VALUES (2000)");
        EXPECT_EQ(done ? "" : done.error().sqlstate, "XF003");
        return done.has_value();
    }));
    run("INSERT INTO keys VALUES (2)");
    world_->modern.exec("ALTER TABLE public.keys DROP CONSTRAINT small");
    run("INSERT INTO keys VALUES (2000)");
    expect_nothing_left();
}

// Of a client whose rows have to be on both sides: on_mirror_failure.
TEST_F(mirror_rows, or_nothing) {
    begin("2s", "mirror\n  on_mirror_failure: fail");
    const auto refused = [&](const std::string& sql) {
        const auto done = client_->exec(sql);
        EXPECT_FALSE(done) << sql;
        return done ? "" : done.error().sqlstate;
    };
    run("INSERT INTO accounts VALUES (1, 10, 'one')");
    run("INSERT INTO keys VALUES (1)");
    ASSERT_EQ(world_->settle(30s), "");
    // Modern has a row that legacy has not.
    world_->modern.exec("INSERT INTO public.keys VALUES (2)");
    EXPECT_EQ(refused("INSERT INTO keys VALUES (2)"), "XF003");
    run("BEGIN");
    run("UPDATE accounts SET balance = 11");
    run("INSERT INTO keys VALUES (2)");
    EXPECT_EQ(refused("COMMIT"), "XF003");
    EXPECT_EQ(PQtransactionStatus(client_->native()), PQTRANS_IDLE) << "as behind any COMMIT that fails";
    EXPECT_EQ(world_->legacy.value("SELECT (SELECT count(*) FROM public.keys) || '/' || balance FROM public.accounts"
                                   " WHERE id = 1"),
              "1/10");
    EXPECT_EQ(metric("crossfade_mirror_failed_total{reason=\"refused\"}"), 2);
    world_->modern.exec("DELETE FROM public.keys WHERE id = 2");

    world_->kill(chaos::victim::modern);
    EXPECT_EQ(refused("INSERT INTO keys VALUES (3)"), "XF003");
    run("BEGIN");
    const auto later = client_->exec("INSERT INTO keys VALUES (3)");
    EXPECT_EQ(later ? refused("COMMIT") : later.error().sqlstate, "XF003");
    run("ROLLBACK");
    ASSERT_TRUE(support::eventually(20s, [&] { return metric("crossfade_mirror_tables") == 0; })) << world_->logs();
    EXPECT_EQ(refused("INSERT INTO keys VALUES (3)"), "XF003");
    EXPECT_EQ(refused("COPY keys FROM STDIN"), "XF003");
    EXPECT_EQ(refused("SELECT 1; DELETE FROM keys"), "XF003");
    run("TABLE accounts");
    EXPECT_EQ(world_->legacy.value("SELECT count(*) FROM public.keys"), "1");

    world_->revive(chaos::victim::modern);
    ASSERT_TRUE(support::eventually(60s, [&] {
        return client_->exec("UPDATE accounts SET note = 'both have it' WHERE id = 1").has_value();
    })) << world_->logs();
    expect_nothing_left();
}

}  // namespace
}  // namespace crossfade
