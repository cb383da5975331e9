// Reads that go to modern by strategy (docs/adr/0029), with everything for real.
#include <gtest/gtest.h>

#include <array>
#include <csignal>
#include <future>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "tests/integration/stream/mirror_rows.hpp"

namespace crossfade {
namespace {

using namespace std::chrono_literals;

// What has read, and where.
class reads : public mirror_rows {
  protected:
    std::string value(const std::string& sql) { return value(*client_, sql); }
    std::string value(pgclient::connection& client, const std::string& sql) {
        const auto got = client.exec(sql);
        return got && got->size() == 1 ? std::string{got->text(0, 0)} : "nothing";
    }
    double read_at(const std::string& side) { return metric("crossfade_reads_total{side=\"" + side + "\"}"); }
    double fallbacks(const std::string& reason) {
        return metric("crossfade_read_fallbacks_total{reason=\"" + reason + "\"}");
    }
    // Until the next read is answered there.
    bool goes_to(const std::string& side) { return goes_to(side, *client_, "accounts"); }
    bool goes_to(const std::string& side, pgclient::connection& client, const std::string& table) {
        return support::eventually(20s, [&] {
            const auto before = read_at(side);
            EXPECT_NE(value(client, "SELECT balance FROM " + table + " WHERE id = 1"), "nothing");
            return read_at(side) > before;
        });
    }
    // Until one is answered by legacy for this reason: on a busy machine modern may be late first.
    bool comes_home_for(const std::string& reason) {
        const auto before = fallbacks(reason);
        return support::eventually(20s, [&] { return goes_to("legacy") && fallbacks(reason) > before; });
    }
    // With a client whose search_path is public.
    void begin_with(chaos::landscape_options options) {
        options.schema = schema;
        world_ = std::make_unique<chaos::landscape>(std::move(options));
        auto opened = pgclient::connection::open(world_->client_dsn(), {});
        ASSERT_TRUE(opened) << world_->logs();
        client_.emplace(std::move(*opened));
        run("SET search_path = public");
    }
};

class reads_by_strategy : public reads {
  protected:
    void SetUp() override {
        reads::SetUp();
        if (IsSkipped()) return;
        ASSERT_NO_FATAL_FAILURE(begin_with({.proxy_settings = ", max_read_lag: 500ms",
                                            .strategy = "legacy-primary\n  hybrid_read_strategy: prefer-modern"}));
        run("INSERT INTO accounts VALUES (1, 0)");
        ASSERT_EQ(world_->settle(30s), "");
        ASSERT_TRUE(goes_to("modern")) << world_->logs();
    }
};

TEST_F(reads_by_strategy, are_as_new_as_what_the_session_has_written) {
    for (int round = 1; round <= 50; ++round) {
        run("UPDATE accounts SET balance = " + std::to_string(round) + " WHERE id = 1");
        EXPECT_EQ(value("SELECT balance FROM accounts WHERE id = 1"), std::to_string(round));
    }
    EXPECT_GT(fallbacks("own_writes"), 0);
    EXPECT_TRUE(goes_to("modern"));
    EXPECT_EQ(value("SELECT balance FROM accounts WHERE id = 1"), "50");
    EXPECT_GE(metric("crossfade_read_lag_seconds"), 0);
    EXPECT_LT(metric("crossfade_read_lag_seconds"), 0.5);
}

TEST_F(reads_by_strategy, come_home_when_modern_is_late_or_away) {
    world_->cdc.signal(SIGSTOP);
    EXPECT_TRUE(goes_to("legacy"));
    EXPECT_GT(fallbacks("lag"), 0);
    world_->cdc.signal(SIGCONT);
    EXPECT_TRUE(goes_to("modern"));
    world_->modern.kill9();
    EXPECT_TRUE(goes_to("legacy")) << "and no read has failed meanwhile";
    world_->modern.restart();
    EXPECT_TRUE(goes_to("modern"));
}

// After a failover that lost something the stream is at a place that legacy comes to for the second time.
TEST_F(reads_by_strategy, do_not_go_by_a_place_that_an_old_primary_had) {
    world_->cdc.stop();
    for (int row = 2; row <= 20; ++row) {
        run("INSERT INTO accounts VALUES (" + std::to_string(row) + ", 7)");
        world_->modern.exec("SELECT pg_notify('crossfade.applied', 'FFFF/0 app')");
        EXPECT_EQ(value("SELECT count(*) FROM accounts"), std::to_string(row));
    }
}

TEST_F(reads_by_strategy, of_a_read_only_transaction_go_where_all_tables_are) {
    EXPECT_TRUE(support::eventually(20s, [&] {
        const auto before = read_at("modern");
        run("BEGIN READ ONLY");
        EXPECT_EQ(value("SELECT balance FROM accounts WHERE id = 1"), "0");
        run("COMMIT");
        return read_at("modern") > before;
    })) << world_->logs();
}

TEST_F(reads_by_strategy, are_of_the_table_that_search_path_means) {
    world_->legacy.exec("CREATE SCHEMA other; CREATE TABLE other.accounts AS SELECT 1 AS id, 4711 AS balance");
    EXPECT_TRUE(comes_home_for("not_ready"));
    run("SET search_path = other, public");
    EXPECT_EQ(value("SELECT balance FROM accounts WHERE id = 1"), "4711");
    EXPECT_TRUE(support::eventually(20s, [&] {
        const auto before = read_at("modern");
        EXPECT_EQ(value("SELECT balance FROM public.accounts WHERE id = 1"), "0");
        return read_at("modern") > before;
    })) << "whose schema is told";
    // It may read the one that modern lacks.
    const auto at_legacy = fallbacks("not_ready");
    run("BEGIN READ ONLY");
    EXPECT_EQ(value("SELECT balance FROM accounts WHERE id = 1"), "4711");
    run("COMMIT");
    EXPECT_GT(fallbacks("not_ready"), at_legacy);
}

TEST_F(reads_by_strategy, come_home_from_a_table_that_differs) {
    const std::string drift =
        "crossfade.drift (stream, table_name, key, kind, state) VALUES ('app', 'public.accounts', '{\"id\": \"1\"}', "
        "'different', 'confirmed')";
    const auto stream = world_->modern.value("SELECT stream FROM crossfade.tables LIMIT 1");
    world_->modern.exec("INSERT INTO " + std::string{drift}.replace(drift.find("'app'"), 5, '\'' + stream + '\''));
    EXPECT_TRUE(comes_home_for("own_writes")) << "be it within the tolerance";
    client_.emplace(std::move(*pgclient::connection::open(world_->client_dsn(), {})));
    run("SET search_path = public");
    EXPECT_TRUE(comes_home_for("drift"));
    world_->modern.exec("UPDATE crossfade.drift SET state = 'dismissed'");
    EXPECT_TRUE(goes_to("modern"));
    world_->modern.exec("UPDATE crossfade.tables SET state = 'stale' WHERE table_name = 'public.accounts'");
    EXPECT_TRUE(comes_home_for("not_ready"));
}

// Legacy's rights are the application's, whoever has which on modern.
TEST_F(reads_by_strategy, of_what_not_the_same_roles_may_read_are_legacys) {
    for (auto* side : {&world_->legacy, &world_->modern})
        side->exec("CREATE ROLE clerk LOGIN; GRANT SELECT ON accounts, seats TO clerk");
    run("INSERT INTO seats VALUES (1, 'a', 'x')");
    ASSERT_EQ(world_->settle(30s), "");
    auto dsn = world_->client_dsn();
    dsn.replace(dsn.find("crossfade@"), 9, "clerk");
    auto clerk = pgclient::connection::open(dsn, {});
    ASSERT_TRUE(clerk) << pgclient::to_string(clerk.error());
    ASSERT_TRUE(goes_to("modern", *clerk, "public.accounts"));
    const auto outcome = [&](const std::string& sql) {
        const auto got = clerk->exec(sql);
        return got ? std::string{got->text(0, 0)} : got.error().sqlstate;
    };
    const std::string read = "SELECT count(*) FROM public.accounts";
    world_->legacy.exec("REVOKE SELECT ON accounts FROM clerk");
    EXPECT_TRUE(support::eventually(20s, [&] { return outcome(read) == "42501"; })) << world_->logs();
    for (int again = 0; again < 20; ++again) EXPECT_EQ(outcome(read), "42501");
    EXPECT_GT(fallbacks("rights"), 0);
    // Of rows, too.
    const std::string seats = "SELECT count(*) FROM public.seats";
    EXPECT_EQ(outcome(seats), "1");
    world_->legacy.exec("ALTER TABLE seats ENABLE ROW LEVEL SECURITY");
    EXPECT_TRUE(support::eventually(20s, [&] { return outcome(seats) == "0"; })) << world_->logs();
    for (auto* side : {&world_->legacy, &world_->modern})
        side->exec(
            "ALTER TABLE seats ENABLE ROW LEVEL SECURITY; REVOKE SELECT ON accounts FROM clerk;"
            "CREATE POLICY all_rows ON seats TO clerk USING (true)");
    const auto there = [&] {
        const auto before = read_at("modern");
        EXPECT_EQ(outcome(seats), "1");
        return read_at("modern") > before;
    };
    EXPECT_TRUE(support::eventually(20s, there)) << "where both say the same";
}

// What a client was told of a table, or knows, is legacy's.
TEST_F(reads_by_strategy, of_what_has_other_columns_there_are_legacys) {
    const auto row = [&] {
        const auto got = client_->exec("SELECT * FROM accounts WHERE id = 1");
        std::string text;
        for (int column = 0; got && column < PQnfields(got->native()); ++column)
            text += std::string{column == 0 ? "" : ", "} + PQfname(got->native(), column) + ' ' +
                    std::to_string(PQftype(got->native(), column)) + ' ' +
                    std::to_string(PQfmod(got->native(), column)) + ' ' + std::string{got->text(0, column)};
        return text;
    };
    const std::string as_ever = "id 23 -1 1, balance 20 -1 0, note 25 -1 ";
    for (const auto& [other, back] :
         {std::pair{"ADD extra int DEFAULT 7", "DROP extra"},
          {"ALTER note TYPE varchar(80)", "ALTER note TYPE text"},
          {"DROP note, ADD note text GENERATED ALWAYS AS ('made') STORED", "DROP note, ADD note text"},
          {"RENAME note TO remark", "RENAME remark TO note"},
          {"DROP balance, ADD balance bigint NOT NULL DEFAULT 0", "DROP note, ADD note text"}}) {
        world_->modern.exec("ALTER TABLE accounts " + std::string{other});
        EXPECT_TRUE(comes_home_for("shape")) << other;
        for (int again = 0; again < 20; ++again) EXPECT_EQ(row(), as_ever) << other;
        world_->modern.exec("ALTER TABLE accounts " + std::string{back});
        EXPECT_TRUE(goes_to("modern")) << back;
        EXPECT_EQ(row(), as_ever) << back;
    }
    EXPECT_NE(world_->proxy.log().find("public.accounts is read from legacy alone: its columns differ"),
              std::string::npos);
}

// The stream carries each table by itself, and a read of the parent is one of its children, too.
TEST_F(reads_by_strategy, of_what_others_inherit_from_are_legacys) {
    world_->legacy.exec("CREATE SCHEMA apart; CREATE TABLE apart.child () INHERITS (accounts)");
    world_->legacy.exec("INSERT INTO apart.child VALUES (4711, 0)");
    EXPECT_TRUE(comes_home_for("shape")) << world_->logs();
    for (int again = 0; again < 50; ++again) EXPECT_EQ(value("SELECT count(*) FROM accounts"), "2");
    world_->legacy.exec("DROP TABLE apart.child");
    EXPECT_TRUE(goes_to("modern"));
}

// What modern refuses alone is no row there, however far the stream is.
TEST_F(reads_by_strategy, find_what_modern_could_not_take) {
    run("INSERT INTO accounts SELECT n, 0 FROM generate_series(100, 50000) AS n");
    ASSERT_EQ(world_->settle(30s), "");
    world_->modern.exec("ANALYZE accounts; ALTER TABLE accounts ADD CONSTRAINT refused CHECK (id >= 0)");
    auto other = pgclient::connection::open(world_->client_dsn(), {});
    ASSERT_TRUE(other) << world_->logs();
    const auto refused = [&] { return world_->modern.value("SELECT count(*) FROM crossfade.dead_letters"); };
    for (int row = 1; row <= 5; ++row) {
        ASSERT_TRUE(goes_to("modern", *other, "public.accounts")) << "one row of many is within the tolerance";
        const auto id = std::to_string(-row);
        run("INSERT INTO accounts VALUES (" + id + ", 7)");
        const auto own = "SELECT count(*) FROM accounts WHERE id = " + id;
        EXPECT_TRUE(support::eventually(20s, [&] {
            EXPECT_EQ(value(own), "1") << row;
            return HasFailure() || refused() == std::to_string(row);
        }));
        for (int again = 0; again < 100; ++again) EXPECT_EQ(value(own), "1") << row;
        if (HasFailure()) break;
    }
}

// The copy may begin at once, and what a proxy knows of the tables is older than that.
class reads_of_a_copy : public reads {
  protected:
    void SetUp() override {
        reads::SetUp();
        if (IsSkipped()) return;
        ASSERT_NO_FATAL_FAILURE(
            begin_with({.rows = "INSERT INTO accounts SELECT n, 0 FROM generate_series(1, 5000) AS n",
                        .proxy_settings = ", max_read_lag: 1h",
                        .strategy = "legacy-primary\n  hybrid_read_strategy: modern"}));
        ASSERT_TRUE(goes_to("modern")) << world_->logs();
    }
    // All that is read until modern says `full`, and a little longer, while the proxy's look at the tables stands still
    // from when it says `announced`.
    void expect_all_rows(const std::string& announced, const std::string& full) {
        auto holder = pgclient::connection::open(world_->modern.dsn("app"), {});
        ASSERT_TRUE(holder);
        const auto holds = std::async(std::launch::async, [&] {
            return support::eventually(30s, [&] { return value(*holder, announced) == "1"; }) &&
                   holder->exec("BEGIN; LOCK crossfade.drift IN ACCESS EXCLUSIVE MODE");
        });
        auto observer = pgclient::connection::open(world_->modern.dsn("app"), {});
        ASSERT_TRUE(observer);
        EXPECT_TRUE(support::eventually(40s, [&] {
            EXPECT_EQ(value("SELECT count(*) FROM accounts"), "5000");
            return HasFailure() || value(*observer, full) == "1";
        })) << world_->logs();
        for (int again = 0; again < 50 && !HasFailure(); ++again)
            EXPECT_EQ(value("SELECT count(*) FROM accounts"), "5000");
        holds.wait();
    }
    std::future<int> copies(std::vector<std::string> by) {
        return std::async(std::launch::async, [this, by = std::move(by)] { return world_->crossfade(by).exit_code; });
    }
};

TEST_F(reads_of_a_copy, never_see_a_table_that_is_copied_again_while_the_stream_runs) {
    auto asks =
        copies({"backfill", "--live", "--again", "--detach", "--max-rate", "1kB", "--tables", "public.accounts"});
    expect_all_rows("SELECT count(*) FROM crossfade.backfills",
                    "SELECT count(*) FROM crossfade.backfills WHERE state = 'copying' AND copied_rows > 0");
    EXPECT_EQ(asks.get(), 0);
}

TEST_F(reads_of_a_copy, never_wait_for_one_that_is_copied_while_the_stream_stands) {
    run("SET statement_timeout = '2s'");
    auto copy = copies({"backfill", "--tables", "public.accounts"});
    // It can't write down that it is done.
    expect_all_rows("SELECT count(*) FROM crossfade.tables WHERE state = 'copying'",
                    "SELECT count(*) FROM pg_catalog.pg_locks WHERE mode = 'AccessExclusiveLock' AND granted AND"
                    " relation = 'public.accounts'::regclass");
    EXPECT_EQ(copy.get(), 0);
    EXPECT_TRUE(goes_to("modern"));
}

// Under mirror modern has what the session has written before it is answered.
class reads_under_mirror : public reads {
  protected:
    void SetUp() override {
        reads::SetUp();
        if (IsSkipped()) return;
        begin("2s", "mirror\n  hybrid_read_strategy: prefer-modern", support::postgres_bin_dir(), ", max_read_lag: 2s");
        if (HasFatalFailure()) return;
        run("INSERT INTO accounts VALUES (1, 0)");
        ASSERT_TRUE(goes_to("modern")) << world_->logs();
    }
    std::string balance() { return value("SELECT balance FROM accounts WHERE id = 1"); }
};

TEST_F(reads_under_mirror, find_what_the_session_has_just_written) {
    const auto at_home = fallbacks("own_writes");
    const auto there = read_at("modern");
    for (int round = 1; round <= 50; ++round) {
        run("UPDATE accounts SET balance = " + std::to_string(round) + " WHERE id = 1");
        EXPECT_EQ(balance(), std::to_string(round));
    }
    EXPECT_EQ(fallbacks("own_writes"), at_home) << "what is mirrored is there at once";
    EXPECT_EQ(read_at("modern"), there + 50);
    expect_nothing_left();
}

TEST_F(reads_under_mirror, find_what_the_stream_had_to_bring) {
    const auto at_home = fallbacks("own_writes");
    const auto streamed = metric("crossfade_mirror_streamed_total{reason=\"statement\"}");
    for (int round = 1; round <= 10; ++round) {
        run("WITH gone AS (UPDATE accounts SET balance = " + std::to_string(round) +
            " WHERE id = 1 RETURNING id) SELECT * FROM gone");
        EXPECT_EQ(balance(), std::to_string(round));
    }
    EXPECT_GT(metric("crossfade_mirror_streamed_total{reason=\"statement\"}"), streamed);
    EXPECT_EQ(fallbacks("own_writes"), at_home) << "its answer has waited for the stream";
    expect_nothing_left();
}

TEST_F(reads_under_mirror, go_by_prepared_statements_and_transactions_too) {
    auto* native = client_->native();
    const auto done = [&](PGresult* given) {
        const std::unique_ptr<PGresult, decltype(&PQclear)> result{given, &PQclear};
        const auto status = PQresultStatus(given);
        EXPECT_TRUE(status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK) << PQresultErrorMessage(given);
        return PQntuples(given) == 1 ? std::string{PQgetvalue(given, 0, 0)} : std::string{};
    };
    done(PQprepare(native, "set", "UPDATE accounts SET balance = $1 WHERE id = $2", 0, nullptr));
    done(PQprepare(native, "get", "SELECT balance FROM accounts WHERE id = $1", 0, nullptr));
    const auto there = read_at("modern");
    for (int round = 1; round <= 20; ++round) {
        const auto text = std::to_string(round);
        const std::array<const char*, 2> values{text.c_str(), "1"};
        const std::array<const char*, 1> key{"1"};
        done(PQexecPrepared(native, "set", 2, values.data(), nullptr, nullptr, 0));
        EXPECT_EQ(done(PQexecPrepared(native, "get", 1, key.data(), nullptr, nullptr, 0)), text);
        // Without a name, which the proxy's own may stand in for.
        done(PQexecParams(native, "UPDATE accounts SET balance = balance + $1 WHERE id = $2", 2, nullptr, values.data(),
                          nullptr, nullptr, 0));
        EXPECT_EQ(done(PQexecParams(native, "SELECT balance FROM accounts WHERE id = $1", 1, nullptr, key.data(),
                                    nullptr, nullptr, 0)),
                  std::to_string(2 * round));
        run("BEGIN");
        run("UPDATE accounts SET balance = -1 WHERE id = 1");
        EXPECT_EQ(balance(), "-1") << "where it writes";
        run(round % 2 == 0 ? "COMMIT" : "ROLLBACK");
        EXPECT_EQ(balance(), round % 2 == 0 ? "-1" : std::to_string(2 * round));
    }
    EXPECT_GE(read_at("modern"), there + 40);
    done(PQprepare(native, "note", "UPDATE accounts SET note = $1 WHERE id = 1", 0, nullptr));
    const auto before = mirrored();
    const std::array<const char*, 1> note{"as good as new"};
    done(PQexecPrepared(native, "note", 1, note.data(), nullptr, nullptr, 0));
    EXPECT_EQ(value("SELECT note FROM accounts WHERE id = 1"), note[0]);
    EXPECT_EQ(mirrored(), before + 1);
    expect_nothing_left();
}

// Its statement without a name is the proxy's own on legacy, where another one has stayed.
TEST_F(reads_under_mirror, that_stay_after_all_leave_the_session_the_statement_that_was_meant) {
    auto* native = client_->native();
    using result = std::unique_ptr<PGresult, decltype(&PQclear)>;
    const auto asked = [&](const char* sql, const char* value) {
        const result got{PQexecParams(native, sql, 1, nullptr, &value, nullptr, nullptr, 0), &PQclear};
        return PQresultStatus(got.get());
    };
    const auto prepared = [&](const char* name, const char* value) {
        const result got{PQexecPrepared(native, name, 1, &value, nullptr, nullptr, 0), &PQclear};
        const char* state = PQresultErrorField(got.get(), PG_DIAG_SQLSTATE);
        return state == nullptr ? std::string{PQcmdStatus(got.get())} : std::string{state};
    };
    PQclear(PQprepare(native, "get", "SELECT balance FROM accounts WHERE id = $1", 0, nullptr));
    run("SELECT pg_advisory_lock(7)");
    run("SET application_name = 'stays'");
    const auto stayed = [&] { return metric("crossfade_session_detours_total{result=\"stayed\"}"); };
    const auto before = stayed();
    int id = 10;
    ASSERT_TRUE(support::eventually(
        20s,
        [&] {
            const auto rows = mirrored();
            EXPECT_EQ(asked("SELECT pg_backend_pid() + $1::int", "1"), PGRES_TUPLES_OK);
            EXPECT_EQ(asked("INSERT INTO accounts (id) VALUES ($1)", std::to_string(++id).c_str()), PGRES_COMMAND_OK);
            EXPECT_EQ(mirrored(), rows + 1);
            EXPECT_EQ(prepared("get", "1"), "SELECT 1");
            return stayed() > before;
        }))
        << fallbacks("session") << ' ' << fallbacks("own_writes") << ' ' << fallbacks("lag");
    EXPECT_EQ(prepared("", std::to_string(++id).c_str()), "INSERT 0 1");
    EXPECT_EQ(world_->settle(30s), "");
    EXPECT_EQ(world_->modern.value("SELECT max(id) FROM accounts WHERE id < 1000000"), std::to_string(id));
    // Whom it has become before.
    world_->legacy.exec("CREATE ROLE writer; GRANT INSERT ON accounts TO writer");
    run("SET ROLE writer");
    const auto so_far = stayed();
    ASSERT_TRUE(support::eventually(20s, [&] {
        EXPECT_EQ(prepared("get", "1"), "42501");
        return stayed() > so_far;
    }));
    run("INSERT INTO accounts (id) VALUES (9)");
    run("RESET ROLE");
    expect_nothing_left();
}

TEST_F(reads, find_what_the_session_has_written_in_a_group_that_is_not_mirrored) {
    ASSERT_NO_FATAL_FAILURE(begin_with(
        {.proxy_settings = ", max_read_lag: 1h",
         .strategy = "mirror\n  hybrid_read_strategy: prefer-modern",
         .scopes = "groups: { late: { tables: [public.keys, public.late], flags: { dual_write_strategy: legacy-primary "
                   "} } }\n"}));
    int id = 0;
    ASSERT_TRUE(support::eventually(60s, [&] {
        run("INSERT INTO public.accounts VALUES (" + std::to_string(++id) + ")");
        return mirrored() > 0 && goes_to("modern");
    })) << world_->logs();
    ASSERT_EQ(world_->settle(30s), "");
    world_->cdc.signal(SIGSTOP);
    run("BEGIN");
    run("INSERT INTO public.keys VALUES (1)");
    run("UPDATE public.accounts SET balance = 7 WHERE id = 1");
    run("COMMIT");
    EXPECT_EQ(value("SELECT count(*) FROM public.keys"), "1");
    world_->cdc.signal(SIGCONT);
    expect_nothing_left();
}

TEST_F(reads_under_mirror, fail_neither_with_modern_nor_afterwards) {
    world_->modern.kill9();
    for (int round = 1; round <= 20; ++round) {
        run("UPDATE accounts SET balance = " + std::to_string(round) + " WHERE id = 1");
        EXPECT_EQ(balance(), std::to_string(round));
    }
    world_->modern.restart();
    // What modern lacks at first is legacy's to tell.
    int written = 20;
    EXPECT_TRUE(support::eventually(30s, [&] {
        const auto before = read_at("modern");
        run("UPDATE accounts SET balance = " + std::to_string(++written) + " WHERE id = 1");
        EXPECT_EQ(balance(), std::to_string(written));
        return read_at("modern") > before;
    })) << world_->logs();
    expect_nothing_left();
}

// A tenant's reads may be the first that go.
TEST_F(reads, of_one_tenant_go_while_all_others_stay) {
    world_ = std::make_unique<chaos::landscape>(chaos::landscape_options{
        .schema = "CREATE TABLE accounts (id int PRIMARY KEY, tenant text, balance bigint)",
        .proxy_settings = ", max_read_lag: 2s",
        .scopes = "tenants: { session: \"parameter:app.tenant\", column: tenant, overrides: { acme: { flags: { "
                  "hybrid_read_strategy: prefer-modern } } } }\n"});
    const auto of = [&](const std::string& tenant) {
        auto opened = pgclient::connection::open(world_->client_dsn() + "?options=-c%20app.tenant%3D" + tenant, {});
        EXPECT_TRUE(opened) << world_->logs();
        return opened;
    };
    auto acme = of("acme");
    auto zeta = of("zeta");
    ASSERT_TRUE(acme && zeta);
    ASSERT_TRUE(acme->exec("INSERT INTO public.accounts VALUES (1, 'acme', 5)"));
    ASSERT_EQ(world_->settle(30s), "");
    ASSERT_TRUE(goes_to("modern", *acme, "public.accounts")) << world_->logs();
    const auto there = read_at("modern");
    const auto home = read_at("legacy");
    for (int each = 0; each < 10; ++each)
        EXPECT_EQ(value(*zeta, "SELECT balance FROM public.accounts WHERE id = 1"), "5");
    EXPECT_EQ(read_at("modern"), there) << "who isn't acme stays";
    for (int each = 0; each < 10; ++each)
        EXPECT_EQ(value(*acme, "SELECT balance FROM public.accounts WHERE id = 1"), "5");
    EXPECT_EQ(read_at("modern"), there + 10);
    EXPECT_EQ(read_at("legacy"), home);
}

}  // namespace
}  // namespace crossfade
