// Transactions under mirror that are rolled back, or end in parts.
#include <chrono>
#include <csignal>
#include <string>
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
    run("UPDATE accounts SET balance = balance + 1 WHERE id = id");
    run("ROLLBACK TO SAVEPOINT s");
    run("RELEASE s");
    run("INSERT INTO accounts VALUES (4, 40, 'kept')");
    run("COMMIT");
    equal_by_the_proxy("savepoints");

    run("SET DateStyle = German; SET IntervalStyle = iso_8601; SET extra_float_digits = 0");
    run("UPDATE accounts SET note = 'of types whose texts depend on no setting' WHERE id = id");
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
    for (const std::string range : {"100, 120", "200, 220"}) {
        auto& own = others.emplace_back(pgclient::connection::open(world_->client_dsn(), {}).value());
        ASSERT_TRUE(own.exec("BEGIN"));
        ASSERT_TRUE(own.exec("INSERT INTO public.keys SELECT generate_series(" + range + ")"));
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
    run("UPDATE accounts SET balance = 11 WHERE id = 1");
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

// Neither a COMMIT that is only prepared ends a transaction, nor one that fails within a batch.
TEST_F(mirror_rows, are_those_that_a_transaction_has_when_it_ends) {
    begin("10s", "mirror\n  on_mirror_failure: fail");
    auto* const conn = client_->native();
    const auto prepare = [&](const char* name) {
        const pgclient::rows got{PQprepare(conn, name, "COMMIT", 0, nullptr)};
        EXPECT_EQ(PQresultStatus(got.native()), PGRES_COMMAND_OK) << PQerrorMessage(conn);
    };
    const auto commit = [&](const char* name) {
        const pgclient::rows got{PQexecPrepared(conn, name, 0, nullptr, nullptr, nullptr, 0)};
        const char* const state = PQresultErrorField(got.native(), PG_DIAG_SQLSTATE);
        return std::string{state == nullptr ? PQcmdStatus(got.native()) : state};
    };
    run("BEGIN");
    run("INSERT INTO keys VALUES (1)");
    run("SAVEPOINT s");
    run("INSERT INTO keys VALUES (2)");
    prepare("c");
    run("ROLLBACK TO s");
    run("INSERT INTO keys VALUES (3)");
    EXPECT_EQ(commit("c"), "COMMIT");
    EXPECT_EQ(world_->difference(), "");

    run("BEGIN");
    run("SAVEPOINT s");
    run("INSERT INTO keys VALUES (4)");
    prepare("d");
    run("ROLLBACK TO s");
    run("COMMIT");
    EXPECT_EQ(world_->difference(), "") << "nothing was committed";

    world_->modern.exec("INSERT INTO public.keys VALUES (5)");
    run("BEGIN");
    run("INSERT INTO keys VALUES (6)");
    run("SAVEPOINT s");
    run("INSERT INTO keys VALUES (5)");
    EXPECT_EQ(commit("c"), "XF003") << "modern has it";
    EXPECT_EQ(PQtransactionStatus(conn), PQTRANS_INERROR);
    run("ROLLBACK TO s");
    run("INSERT INTO keys VALUES (7)");
    EXPECT_EQ(commit("d"), "COMMIT");
    world_->modern.exec("DELETE FROM public.keys WHERE id = 5");
    EXPECT_EQ(world_->difference(), "");
    EXPECT_EQ(world_->modern.value("SELECT string_agg(id::text, ' ' ORDER BY id) FROM public.keys"), "1 3 6 7");
    expect_nothing_left();
}

class mirror_rows_strictly : public mirror_rows, public testing::WithParamInterface<bool> {};

// Nothing is refused, and nothing answered.
TEST_P(mirror_rows_strictly, feel_a_modern_that_stands_still_once) {
    const bool or_nothing = GetParam();
    begin("3s", or_nothing ? "mirror\n  on_mirror_failure: fail" : "mirror");
    run("INSERT INTO keys VALUES (0)");
    int id = 0;
    const auto outcome = [&] {
        const auto done = client_->exec("INSERT INTO keys VALUES (" + std::to_string(++id) + ")");
        return done ? "" : done.error().sqlstate;
    };
    const auto time_of = [&](int transactions) {
        const auto began = std::chrono::steady_clock::now();
        for (; transactions > 0; --transactions) EXPECT_EQ(outcome(), or_nothing ? "XF003" : "");
        return std::chrono::steady_clock::now() - began;
    };
    world_->signal(chaos::victim::modern, SIGSTOP);
    const auto first = time_of(1);
    const auto others = time_of(8);
    world_->signal(chaos::victim::modern, SIGCONT);
    EXPECT_GE(first, 2900ms);
    EXPECT_LT(first, 5s) << "for its rows, and then for the stream";
    EXPECT_LT(others, 2500ms);
    EXPECT_TRUE(support::eventually(60s, [&] {
        const auto before = mirrored();
        return outcome().empty() && mirrored() > before;
    })) << world_->logs();
    expect_nothing_left();
}

INSTANTIATE_TEST_SUITE_P(, mirror_rows_strictly, testing::Bool(),
                         [](const auto& each) { return std::string{each.param ? "or_nothing" : "or_by_the_stream"}; });

// By the name of a view, or of a partition, that is in no group.
TEST_F(mirror_rows, or_nothing_of_a_group_by_whatever_name_it_is_written) {
    world_ = std::make_unique<chaos::landscape>(chaos::landscape_options{
        .schema = schema_ + "CREATE VIEW excluded_view AS SELECT * FROM excluded;"
                            "CREATE TABLE parts (id int PRIMARY KEY) PARTITION BY RANGE (id);"
                            "CREATE TABLE parts_low PARTITION OF parts FOR VALUES FROM (0) TO (1000)",
        .proxy_settings = ", mirror_timeout: 2s, mirror_connections: 8",
        .scopes = "groups: { strict: { tables: [public.excluded, public.parts], flags: { dual_write_strategy: mirror, "
                  "on_mirror_failure: fail } } }\n"});
    auto opened = pgclient::connection::open(world_->client_dsn(), {});
    ASSERT_TRUE(opened) << world_->logs();
    client_.emplace(std::move(*opened));
    int id = 0;
    const auto outcome = [&](const std::string& table) {
        const auto done = client_->exec("INSERT INTO public." + table + " VALUES (" + std::to_string(++id) + ")");
        return done ? "" : done.error().sqlstate;
    };
    const auto all_go_well = [&] {
        for (const auto* table : {"excluded", "excluded_view", "parts_low", "accounts"})
            if (!outcome(table).empty()) return false;
        return true;
    };
    ASSERT_TRUE(support::eventually(60s, all_go_well)) << world_->logs();
    world_->kill(chaos::victim::modern);
    ASSERT_TRUE(support::eventually(20s, [&] { return outcome("excluded") == "XF003"; })) << world_->logs();
    EXPECT_EQ(outcome("excluded_view"), "XF003");
    EXPECT_EQ(outcome("parts_low"), "XF003");
    EXPECT_EQ(outcome("accounts"), "") << "which is in no group";
    world_->revive(chaos::victim::modern);
    EXPECT_TRUE(support::eventually(60s, all_go_well)) << world_->logs();
    expect_nothing_left();
}

}  // namespace
}  // namespace crossfade
