// Rows that the proxy writes to modern itself (docs/adr/0022), with everything for real.
#include "tests/integration/stream/mirror_rows.hpp"

#include <atomic>
#include <cmath>
#include <csignal>
#include <memory>
#include <random>
#include <set>
#include <thread>

#include "lib/pgclient/connection.hpp"
#include "tests/chaos/landscape.hpp"
#include "tests/support/eventually.hpp"
#include "tests/support/http.hpp"

namespace crossfade {
namespace {

using namespace std::chrono_literals;

TEST_F(mirror_rows, are_on_modern_while_the_stream_stands_still) {
    begin("10s");
    world_->cdc.signal(SIGSTOP);
    const auto before = mirrored();
    const std::vector<std::string> alone{
        "INSERT INTO accounts VALUES (1, 10, 'one'), (2, 20, NULL), (3, 30, '')",
        "INSERT INTO public.accounts VALUES (4, 40, 'it''s \"quoted\", \\ and (so) on')",
        "UPDATE accounts SET balance = balance + 1 WHERE id = id",
        "UPDATE accounts AS a SET note = b.note || 'x' FROM accounts b WHERE b.id = a.id - 1 RETURNING a.id, b.note",
        "DELETE FROM accounts WHERE id = 3 RETURNING *",
        "INSERT INTO accounts VALUES (1, 0, 'again') ON CONFLICT (id) DO UPDATE SET balance = accounts.balance + 100",
        "INSERT INTO accounts SELECT n, n * 2, repeat('x', n) FROM generate_series(100, 150) n",
        "INSERT INTO excluded AS e VALUES (1, 'a name that ON CONFLICT has, too')",
        "INSERT INTO excluded AS e VALUES (1, 'again') ON CONFLICT (id) DO UPDATE SET note = excluded.note",
        "INSERT INTO numbered DEFAULT VALUES",
        "INSERT INTO numbered (note) VALUES ('a'), ('b') RETURNING id, upper(note) AS loud -- and so on",
        "WITH seven AS (SELECT 7 AS id) INSERT INTO keys SELECT id FROM seven /* ; */ ;",
        "INSERT INTO odd VALUES ('k', 1, 1.50, 0.1::float8 + 0.2, clock_timestamp(), '2024-02-29', '1 mon -3 days', "
        "'\\xdeadbeef00', '{\"a\": [1, null, \"x\"]}', '{a,\"b c\",NULL,\"\"}', gen_random_uuid(), true, 'ab', 'so "
        "so', "
        "'(1,\"x, y\")', '[1,5)', 'größer')",
        "UPDATE odd SET f = 'NaN', n = 'Infinity', at = '-infinity', c = '', t = '{{1,2},{3,4}}', p = NULL WHERE id = "
        "'k'",
        "UPDATE odd SET b = NULL, \"Mixed \"\"Name\" = E'tab\\tnew\\nline' WHERE part = 1",
    };
    for (const auto& sql : alone) {
        run(sql);
        ASSERT_EQ(world_->difference(), "") << sql << '\n' << world_->logs();
    }
    EXPECT_EQ(mirrored(), before + static_cast<double>(alone.size()));

    auto* const conn = client_->native();
    const auto good = [&](PGresult* got) {
        const pgclient::rows kept{got};
        EXPECT_TRUE(PQresultStatus(got) == PGRES_COMMAND_OK || PQresultStatus(got) == PGRES_TUPLES_OK)
            << PQerrorMessage(conn);
    };
    const char* const values[] = {"5", "with parameters"};
    good(PQexecParams(conn, "INSERT INTO accounts (id, note) VALUES ($1, $2) RETURNING id", 2, nullptr, values, nullptr,
                      nullptr, 1));
    EXPECT_EQ(world_->difference(), "") << "unnamed, results in binary";
    good(PQprepare(conn, "s", "UPDATE accounts SET note = $2 WHERE id = $1", 0, nullptr));
    good(PQdescribePrepared(conn, "s"));
    for (int i = 0; i < 3; ++i) good(PQexecPrepared(conn, "s", 2, values, nullptr, nullptr, 0));
    EXPECT_EQ(world_->difference(), "") << "prepared";
    EXPECT_EQ(mirrored(), before + static_cast<double>(alone.size()) + 4);

    run("BEGIN");
    run("INSERT INTO accounts VALUES (200, 1, 'in a transaction')");
    good(PQexecPrepared(conn, "s", 2, values, nullptr, nullptr, 0));
    run("DELETE FROM accounts WHERE id = 100");
    run("INSERT INTO accounts VALUES (100, 5, 'anew')");
    EXPECT_EQ(world_->modern.value("SELECT count(*) FROM public.accounts WHERE id = 200"), "0");
    run("COMMIT");
    EXPECT_EQ(world_->difference(), "") << "a transaction";
    run("BEGIN; ");
    run("INSERT INTO accounts VALUES (201, 1, 'taken back')");
    run("ROLLBACK");
    run("BEGIN");
    EXPECT_FALSE(client_->exec("INSERT INTO accounts VALUES (1, 1, 'is there')"));
    run("COMMIT");
    EXPECT_EQ(world_->difference(), "");
    EXPECT_EQ(mirrored(), before + static_cast<double>(alone.size()) + 5);

    ASSERT_EQ(PQenterPipelineMode(conn), 1);
    constexpr int many = 50;
    for (int i = 0; i < many; ++i) {
        const auto id = std::to_string(300 + i);
        const char* const row[] = {id.c_str(), "piped"};
        for (const auto* sql : {"BEGIN", "COMMIT"}) {
            if (i % 3 == 0) PQsendQueryParams(conn, sql, 0, nullptr, nullptr, nullptr, nullptr, 0);
            if (*sql == 'B')
                PQsendQueryParams(conn, "INSERT INTO accounts (id, note) VALUES ($1, $2)", 2, nullptr, row, nullptr,
                                  nullptr, 0);
        }
        ASSERT_EQ(PQpipelineSync(conn), 1);
    }
    for (int synced = 0; synced < many;) {
        const pgclient::rows got{PQgetResult(conn)};
        if (got.native() == nullptr) continue;
        const auto status = PQresultStatus(got.native());
        ASSERT_TRUE(status == PGRES_COMMAND_OK || status == PGRES_PIPELINE_SYNC) << PQerrorMessage(conn);
        if (status == PGRES_PIPELINE_SYNC) ++synced;
    }
    ASSERT_EQ(PQexitPipelineMode(conn), 1);
    world_->cdc.signal(SIGCONT);
    EXPECT_EQ(world_->settle(30s), "");
    expect_nothing_left();
}

// An answer as a client sees it, its rows in an order of ours: PostgreSQL's own follows from when it was vacuumed.
std::string told(const PGresult* got) {
    std::string text =
        std::string{PQresStatus(PQresultStatus(got))} + " [" + PQcmdStatus(const_cast<PGresult*>(got)) + "]";
    for (const int field : {PG_DIAG_SQLSTATE, PG_DIAG_MESSAGE_PRIMARY, PG_DIAG_STATEMENT_POSITION, PG_DIAG_CONTEXT})
        if (const char* value = PQresultErrorField(got, field)) text += std::string{" / "} + value;
    for (int p = 0; p < PQnparams(got); ++p) text += " $" + std::to_string(PQparamtype(got, p));
    for (int column = 0; column < PQnfields(got); ++column)
        text += " | " + std::string{PQfname(got, column)} + ':' + std::to_string(PQftype(got, column)) + ':' +
                std::to_string(PQfmod(got, column)) + ':' + std::to_string(PQfformat(got, column)) + ':' +
                std::to_string(PQftablecol(got, column));
    std::multiset<std::string> rows;
    for (int row = 0; row < PQntuples(got); ++row) {
        std::string line = "\n   ";
        for (int column = 0; column < PQnfields(got); ++column)
            line += PQgetisnull(got, row, column) != 0
                        ? " null"
                        : " '" +
                              std::string(PQgetvalue(got, row, column),
                                          static_cast<std::size_t>(PQgetlength(got, row, column))) +
                              "'";
        rows.insert(std::move(line));
    }
    for (const auto& row : rows) text += row;
    return text;
}

// Everything that a client may do, and what it is told.
std::string conversation(PGconn* conn) {
    std::string all;
    const auto note = [&](PGresult* got) { all += told(pgclient::rows{got}.native()) + '\n'; };
    note(PQexec(conn, "SET search_path = public"));
    const std::vector<const char*> statements{
        "DELETE FROM accounts WHERE id = id",
        "INSERT INTO accounts VALUES (1, 10, 'one'), (2, 20, NULL)",
        "INSERT INTO accounts VALUES (3, 30, 'ü') RETURNING *",
        "INSERT INTO accounts VALUES (4, 30, 'ü') RETURNING 'ü', balance + 1 AS more, note, nope",
        "INSERT INTO accounts VALUES (4, 30, 'ü') RETURNING balance / 0",
        "INSERT INTO accounts VALUES (1, 10, 'twice')",
        "INSERT INTO accounts (id, nope) VALUES (1, 10)",
        "UPDATE accounts SET balance = balance + 1 WHERE id = id RETURNING id AS \"Id\", note",
        "UPDATE accounts SET balance = NULL WHERE id = id",
        "UPDATE accounts SET id = id + 100 WHERE id = 2",
        "DELETE FROM accounts a USING (VALUES (1)) AS v (x) WHERE v.x = a.id RETURNING a.*, v.x",
        "DELETE FROM accounts WHERE id = 99",
        "INSERT INTO accounts VALUES (1, 1) ON CONFLICT DO NOTHING RETURNING id",
        "INSERT INTO accounts VALUES (1, 1) ON CONFLICT DO NOTHING RETURNING id",
        "TABLE accounts",
        "",
        "INSERT INTO accounts VALUES (8, 1); INSERT INTO accounts VALUES (9, 1) RETURNING id",
    };
    for (const auto* sql : statements) note(PQexec(conn, sql));
    for (const int format : {0, 1})
        for (const auto* sql : statements) note(PQexecParams(conn, sql, 0, nullptr, nullptr, nullptr, nullptr, format));
    for (const auto* ends : {"COMMIT", "ROLLBACK", "END"}) {
        for (const auto* sql : statements) {
            note(PQexec(conn, "BEGIN"));
            note(PQexec(conn, sql));
            note(PQexecParams(conn, sql, 0, nullptr, nullptr, nullptr, nullptr, 0));
            note(PQexec(conn, ends));
        }
    }
    // What fails only when it is to be committed, message by message.
    for (const auto* sql : {"INSERT INTO late VALUES (1, 99)", "INSERT INTO late VALUES (1, 99) RETURNING id",
                            "INSERT INTO late VALUES (1)", "DELETE FROM late WHERE id = id RETURNING of"}) {
        PQsendQuery(conn, sql);
        while (PGresult* const got = PQgetResult(conn)) note(got);
        PQsendQueryParams(conn, sql, 0, nullptr, nullptr, nullptr, nullptr, 0);
        while (PGresult* const got = PQgetResult(conn)) note(got);
    }
    const char* const values[] = {"50", "p"};
    int n = 0;
    for (const auto* sql :
         {"INSERT INTO accounts (id, note) VALUES ($1, $2)", "UPDATE accounts SET note = $2 WHERE id = $1",
          "UPDATE accounts SET note = $2 WHERE id = $1 RETURNING id, note, balance",
          "DELETE FROM accounts WHERE id = $1 AND note = $2 RETURNING note"}) {
        const auto name = "s" + std::to_string(n++);
        note(PQprepare(conn, name.c_str(), sql, 0, nullptr));
        note(PQdescribePrepared(conn, name.c_str()));
        for (int i = 0; i < 2; ++i) note(PQexecPrepared(conn, name.c_str(), 2, values, nullptr, nullptr, i));
        note(PQprepare(conn, "", sql, 0, nullptr));
        note(PQdescribePrepared(conn, ""));
        note(PQexecPrepared(conn, "", 2, values, nullptr, nullptr, 1));
        note(PQexec(conn, ("DEALLOCATE " + name).c_str()));
        note(PQexecPrepared(conn, name.c_str(), 2, values, nullptr, nullptr, 0));
    }
    // Parameters that are longer than what is looked at, and statements without a name that outlive an error.
    const std::string longest(20'000, 'x');
    const char* const wide[] = {"70", longest.c_str()};
    for (const auto* sql :
         {"INSERT INTO accounts (id, note) VALUES ($1, $2)", "DELETE FROM accounts WHERE id = $1 OR note = $2",
          "INSERT INTO accounts (id, note) VALUES ($1, $2) RETURNING id, note"}) {
        note(PQexecParams(conn, sql, 2, nullptr, wide, nullptr, nullptr, 1));
        note(PQprepare(conn, "", sql, 0, nullptr));
        for (const auto* const row : {values, values, wide, values})
            note(PQexecPrepared(conn, "", 2, row, nullptr, nullptr, 0));
        note(PQdescribePrepared(conn, ""));
        note(PQexecParams(conn, sql, 2, nullptr, values, nullptr, nullptr, 0));
        note(PQexecPrepared(conn, "", 2, values, nullptr, nullptr, 0));
        note(PQdescribePrepared(conn, ""));
        note(PQexecPrepared(conn, "", 2, wide, nullptr, nullptr, 1));
    }
    // Errors in the middle of pipelines, and what comes behind them.
    all += std::to_string(PQenterPipelineMode(conn));
    for (int i = 0; i < 6; ++i) {
        for (const auto* sql :
             {"INSERT INTO accounts VALUES (60, 1) RETURNING id", "SELECT 1", "INSERT INTO accounts VALUES (61)",
              "DELETE FROM accounts WHERE id IN (60, 61)", "INSERT INTO accounts VALUES (1)"}) {
            PQsendQueryParams(conn, sql, 0, nullptr, nullptr, nullptr, nullptr, i % 2);
            if (i >= 4) PQpipelineSync(conn);
        }
        PQpipelineSync(conn);
    }
    for (int synced = 0, nothing = 0; synced < 6 + 2 * 5 && nothing < 1000;) {
        const pgclient::rows got{PQgetResult(conn)};
        nothing = got.native() == nullptr ? nothing + 1 : 0;
        if (got.native() == nullptr) continue;
        all += told(got.native()) + '\n';
        if (PQresultStatus(got.native()) == PGRES_PIPELINE_SYNC) ++synced;
    }
    all += std::to_string(PQexitPipelineMode(conn));
    note(PQexec(conn, "TABLE accounts"));
    return all;
}

TEST_F(mirror_rows, are_not_seen_by_the_client) {
    begin("10s");
    auto direct = pgclient::connection::open(world_->legacy.dsn(), {});
    ASSERT_TRUE(direct);
    direct->exec("DELETE FROM public.accounts").value();
    const auto expected = conversation(direct->native());
    direct->exec("DELETE FROM public.accounts").value();
    ASSERT_EQ(world_->settle(30s), "");
    const auto before = mirrored();
    const auto found = conversation(client_->native());
    EXPECT_GT(mirrored(), before + 20);
    EXPECT_EQ(found, expected);
    expect_nothing_left();
}

// What a client was told is on modern, and stays there, whoever else writes the same rows, by whichever way.
TEST_F(mirror_rows, never_go_back_under_conflicts) {
    begin("10s");
    run("INSERT INTO accounts SELECT n, 1000, 'hot' FROM generate_series(1, 5) n");
    run("INSERT INTO accounts SELECT n, 0, 'counter' FROM generate_series(11, 12) n");
    std::atomic<bool> stop{false};
    std::atomic<int> answered{0};
    std::atomic<int> behind{0};
    std::atomic<int> errors{0};
    {
        std::vector<std::jthread> workers;
        for (int who = 0; who < 6; ++who)
            workers.emplace_back([&, who] {
                // One of them goes round the proxy.
                auto db = pgclient::connection::open(who == 5 ? world_->legacy.dsn() : world_->client_dsn(), {});
                auto modern = pgclient::connection::open(world_->modern.dsn(), {});
                ASSERT_TRUE(db && modern);
                std::mt19937 random{static_cast<unsigned>(who)};
                const auto ask = [&](const std::string& sql) {
                    auto got = db->exec(sql);
                    // Deadlocks are the application's own.
                    if (!got && !got.error().sqlstate.starts_with("40P")) ++errors;
                    return got;
                };
                for (int round = 0; !stop; ++round) {
                    const auto one = std::to_string(1 + random() % 5);
                    const auto other = std::to_string(1 + random() % 5);
                    switch (random() % 4) {
                        case 0: {
                            const auto counter = std::to_string(11 + random() % 2);
                            const auto got =
                                ask("UPDATE public.accounts SET balance = balance + 1 WHERE id = " + counter +
                                    " RETURNING balance");
                            if (!got || who == 5) break;
                            const auto there =
                                modern->exec("SELECT balance FROM public.accounts WHERE id = " + counter);
                            if (!there || there->integer(0, 0) < got->integer(0, 0)) ++behind;
                            break;
                        }
                        case 1:
                            if (ask("BEGIN") &&
                                ask("UPDATE public.accounts SET balance = balance - 1 WHERE id = " + one) &&
                                ask("UPDATE public.accounts SET balance = balance + 1 WHERE id = " + other))
                                ask("COMMIT");
                            else
                                ask("ROLLBACK");
                            break;
                        case 2:
                            ask("DELETE FROM public.accounts WHERE id = 2" + one);
                            break;
                        case 3:
                            ask("INSERT INTO public.accounts VALUES (2" + one + ", " + std::to_string(round) +
                                ") ON CONFLICT (id) DO UPDATE SET balance = excluded.balance, note = 'over'");
                            break;
                        default:
                            break;
                    }
                    if (who != 5) ++answered;
                }
            });
        EXPECT_TRUE(support::eventually(60s, [&] { return answered > 1000; })) << world_->logs();
        world_->kill(chaos::victim::cdc);
        world_->revive(chaos::victim::cdc);
        const int then = answered;
        EXPECT_TRUE(support::eventually(60s, [&] { return answered > then + 1000; })) << world_->logs();
        stop = true;
    }
    EXPECT_EQ(errors, 0);
    EXPECT_EQ(metric("crossfade_mirror_waits_total{result=\"late\"}"), 0);
    EXPECT_EQ(behind, 0) << "of " << answered;
    EXPECT_GT(mirrored(), 300) << support::http_get(world_->proxy.admin_port(), "/metrics").body << world_->logs();
    expect_nothing_left();
}

// A transaction of one statement, whose Sync is the proxy's own: the client gets one answer, whatever becomes of
// modern.
TEST_F(mirror_rows, are_answered_once_where_modern_goes_away_before_legacy_has_committed) {
    begin("5s");
    world_->proxy.kill9();
    world_->proxy.start({{"CROSSFADE_FAILPOINT", "mirror.written:1:stop"}});
    ASSERT_TRUE(support::eventually(60s, [&] {
        return metric("crossfade_mirror_tables") > 0 && metric("crossfade_mirror_connections") > 1;
    })) << world_->logs();
    auto opened = pgclient::connection::open(world_->client_dsn(), {});
    ASSERT_TRUE(opened) << world_->logs();
    auto* const conn = opened->native();
    // What libpq says of a message that it hasn't asked for.
    std::string notices;
    PQsetNoticeProcessor(
        conn, [](void* to, const char* text) { *static_cast<std::string*>(to) += text; }, &notices);
    ASSERT_EQ(PQsendQuery(conn, "INSERT INTO public.accounts VALUES (1, 1, 'one')"), 1);
    ASSERT_TRUE(support::eventually(10s, [&] { return world_->proxy.stopped(); })) << world_->logs();
    world_->kill(chaos::victim::modern);
    world_->proxy.signal(SIGCONT);
    const pgclient::rows answer{PQgetResult(conn)};
    EXPECT_STREQ(PQcmdStatus(answer.native()), "INSERT 0 1") << PQerrorMessage(conn);
    EXPECT_EQ(PQgetResult(conn), nullptr);
    for (int i = 0; i < 3; ++i) EXPECT_EQ(opened->exec("SELECT " + std::to_string(i))->text(0, 0), std::to_string(i));
    EXPECT_EQ(notices, "");
    world_->revive(chaos::victim::modern);
    expect_nothing_left();
}

// From PostgreSQL 16 on the view of a publication's tables opens each of them, and waits for its lock.
TEST_F(mirror_rows, do_not_wait_for_other_tables_that_are_locked) {
    if (!support::postgres_cluster::available(support::postgres_18_bin_dir())) GTEST_SKIP() << "no PostgreSQL 18";
    begin("10s", "mirror", support::postgres_18_bin_dir());
    auto holder = pgclient::connection::open(world_->legacy.dsn(), {}).value();
    holder.exec("BEGIN; LOCK TABLE public.keys IN ACCESS EXCLUSIVE MODE").value();
    // Nothing of it is mirrored until it has been looked at again.
    run("SET statement_timeout = '5s'");
    run("ALTER TABLE accounts ALTER note SET DEFAULT 'as ever'");
    const auto before = mirrored();
    int id = 0;
    EXPECT_TRUE(support::eventually(20s, [&] {
        run("INSERT INTO accounts (id) VALUES (" + std::to_string(++id) + ")");
        return mirrored() > before;
    }));
    holder.exec("COMMIT").value();
    expect_nothing_left();
}

// Which would keep as many texts as there are rows, until the last is written.
TEST_F(mirror_rows, are_not_asked_for_of_statements_that_plainly_write_any_number) {
    begin("10s");
    run("SET work_mem = '64kB'");
    run("SET temp_file_limit = '1MB'");
    const auto before = metric("crossfade_mirror_streamed_total{reason=\"too_large\"}");
    run("INSERT INTO keys SELECT generate_series(1, 100000)");
    run("DELETE FROM keys WHERE id > 3");
    EXPECT_EQ(metric("crossfade_mirror_streamed_total{reason=\"too_large\"}"), before + 2);
    EXPECT_EQ(world_->legacy.value("SELECT count(*) FROM public.keys"), "3");
    EXPECT_EQ(world_->settle(90s), "");
    expect_nothing_left();
}

// Whatever is the matter with modern, the application goes on.
TEST_F(mirror_rows, are_left_to_the_stream_where_modern_refuses_them) {
    begin("2s");
    const auto refused = [&] { return metric("crossfade_mirror_streamed_total{reason=\"refused\"}"); };
    run("INSERT INTO accounts VALUES (1, 1), (2, 2)");
    auto other = pgclient::connection::open(world_->modern.dsn(), {}).value();
    other.exec("BEGIN").value();
    other.exec("SELECT * FROM public.accounts WHERE id = 1 FOR UPDATE").value();
    const auto before = refused();
    std::jthread lets_go{[&] {
        support::eventually(5s, [&] { return refused() > before; });
        other.exec("ROLLBACK").value();
    }};
    run("UPDATE accounts SET balance = 5 WHERE id = 1");
    lets_go.join();
    EXPECT_EQ(refused(), before + 1);
    EXPECT_EQ(world_->settle(30s), "");

    // A row that modern has already: the stream says so, and sets it right.
    world_->modern.exec("INSERT INTO public.keys VALUES (7)");
    run("INSERT INTO keys VALUES (7)");
    EXPECT_EQ(world_->settle(30s), "");
    EXPECT_TRUE(support::eventually(30s, [&] {
        return world_->complaints().find("insert_exists") != std::string::npos;
    })) << world_->complaints();

    // On a connection that has written nothing yet.
    world_->proxy.kill9();
    world_->proxy.start();
    ASSERT_TRUE(support::eventually(60s, [&] {
        return metric("crossfade_mirror_tables") > 0 && metric("crossfade_mirror_connections") > 1;
    })) << world_->logs();
    client_.emplace(pgclient::connection::open(world_->client_dsn(), {}).value());
    run("SET search_path = public");
    world_->modern.exec("INSERT INTO public.keys VALUES (8)");
    run("INSERT INTO keys VALUES (8)");
    EXPECT_EQ(refused(), 1);
    run("INSERT INTO keys VALUES (9)");
    EXPECT_EQ(mirrored(), 1);
    EXPECT_EQ(world_->settle(30s), "");

    // In the middle of a transaction modern goes away.
    run("BEGIN");
    run("UPDATE accounts SET balance = 6 WHERE id = 1");
    world_->kill(chaos::victim::modern);
    run("COMMIT");
    run("UPDATE accounts SET balance = 7 WHERE id = 1");
    world_->revive(chaos::victim::modern);
    EXPECT_EQ(world_->settle(60s), "");
    const auto count = mirrored();
    EXPECT_TRUE(support::eventually(60s, [&] {
        run("UPDATE accounts SET balance = balance + 1 WHERE id = 2");
        return mirrored() > count;
    })) << "it comes back by itself";
}

}  // namespace
}  // namespace crossfade
