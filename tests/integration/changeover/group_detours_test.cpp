// How a session gets to where its tables are, what it takes along, and what becomes of one that can't.
#include <iostream>

#include "tests/integration/changeover/two_groups.hpp"
#include "tests/support/configured.hpp"

namespace crossfade::proxy::test {
namespace {

using namespace std::chrono_literals;
using clock = std::chrono::steady_clock;
using testing::AllOf;
using testing::HasSubstr;

class a_detour : public two_groups {
  protected:
    static std::string order(const connection& by, const std::string& note = "o") {
        return run(by, "INSERT INTO orders (note) VALUES ('" + note + "')");
    }
    static std::string user(const connection& by, const std::string& note = "u") {
        return run(by, "INSERT INTO users (note) VALUES ('" + note + "')");
    }
    static std::string setting(const connection& of, const std::string& name) {
        return run(of, "SELECT current_setting('" + name + "', true)");
    }
    static std::string backends(const std::string& side) {
        return at(side,
                  "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend' AND datname = "
                  "current_database() AND pid <> pg_backend_pid()");
    }
    static void kill_all(const std::string& side) {
        at(side,
           "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE backend_type = 'client backend' "
           "AND datname = current_database() AND pid <> pg_backend_pid()");
        EXPECT_TRUE(support::eventually(5s, [&] { return backends(side) == "0"; }));
    }
};

TEST_F(a_detour, comes_back_by_the_connection_that_it_left) {
    const auto client = connect();
    const auto pid = [&] { return run(client, "SELECT pg_backend_pid()"); };
    const auto home = pid();
    EXPECT_EQ(order(client), "");
    const auto away = pid();
    EXPECT_EQ(user(client), "");
    EXPECT_EQ(pid(), home);
    EXPECT_EQ(order(client), "");
    EXPECT_EQ(pid(), away);
    EXPECT_EQ(detours("logged_in"), 1);
    EXPECT_EQ(detours("came_back"), 2);
    EXPECT_EQ(parked(), 1);
    EXPECT_EQ(backends("legacy") + backends("modern"), "11");
    // Together again, there is nothing to come back to.
    front_->decide(legacy_side);
    EXPECT_EQ(run(client, "SELECT current_database()"), "app");
    EXPECT_TRUE(support::eventually(5s, [&] { return backends("modern") == "0"; }));
    EXPECT_EQ(parked(), 0);
    EXPECT_EQ(front_->metric("crossfade_session_detour_seconds_count"), 3);
}

TEST_F(a_detour, finds_there_what_it_has_set_elsewhere) {
    const auto client = connect("application_name=shop");
    run(client, "SET app.tenant = 'a'; SET search_path = public, pg_catalog; PREPARE old AS SELECT 'old'");
    EXPECT_EQ(order(client), "");
    run(client, "SET app.tenant = 'b'; SET TimeZone = 'Asia/Tokyo'; RESET search_path; SET work_mem = '5MB'");
    run(client, "DEALLOCATE old; PREPARE new AS SELECT 'new'");
    EXPECT_EQ(user(client), "");
    EXPECT_EQ(is_at(client), "legacy");
    EXPECT_EQ(setting(client, "app.tenant"), "b");
    EXPECT_EQ(setting(client, "TimeZone"), "Asia/Tokyo");
    EXPECT_STREQ(PQparameterStatus(client.get(), "TimeZone"), "Asia/Tokyo");
    EXPECT_EQ(setting(client, "search_path"), "\"$user\", public");
    EXPECT_EQ(run(client, "EXECUTE new"), "new");
    EXPECT_EQ(run(client, "EXECUTE old"), "26000");
    run(client, "RESET work_mem; SET ROLE team; DEALLOCATE new; PREPARE new AS SELECT 'newer'");
    EXPECT_EQ(order(client), "");
    EXPECT_EQ(setting(client, "work_mem"), "4MB");
    EXPECT_EQ(run(client, "SELECT current_user"), "team");
    EXPECT_EQ(run(client, "EXECUTE new"), "newer");
    run(client, "RESET ROLE");
    EXPECT_EQ(user(client), "");
    EXPECT_EQ(run(client, "SELECT current_user"), "crossfade");
    EXPECT_EQ(setting(client, "application_name"), "shop");
    EXPECT_EQ(detours("logged_in"), 1);
    EXPECT_EQ(detours("came_back"), 3);
}

TEST_F(a_detour, logs_in_anew_where_the_parked_connection_has_died) {
    const auto client = connect();
    EXPECT_EQ(order(client), "");
    for (const double times : {1, 2, 3}) {
        kill_all("legacy");
        EXPECT_EQ(user(client), "");
        EXPECT_EQ(detours("logged_in"), 2 * times);
        kill_all("modern");
        EXPECT_EQ(order(client), "");
    }
    EXPECT_EQ(notes("legacy", "users"), "u u u");
    EXPECT_EQ(parked(), 1);
}

TEST_F(a_detour, leaves_nothing_parked_that_listens) {
    const auto client = connect();
    run(client, "LISTEN news");
    EXPECT_EQ(order(client), "");
    EXPECT_EQ(parked(), 0);
    EXPECT_EQ(backends("legacy"), "0");
    EXPECT_EQ(run(client, "SELECT pg_notify('news', 'here')"), "");
    EXPECT_NE(PQconsumeInput(client.get()), 0);
    const std::unique_ptr<PGnotify, decltype(&PQfreemem)> told{PQnotifies(client.get()), &PQfreemem};
    ASSERT_TRUE(told);
    EXPECT_STREQ(told->extra, "here");
    EXPECT_EQ(user(client), "");
    EXPECT_EQ(parked(), 0);
    run(client, "UNLISTEN *");
    EXPECT_EQ(order(client), "");
    EXPECT_EQ(parked(), 1);
}

TEST_F(a_detour, that_is_not_possible_leaves_the_session_where_it_is) {
    struct {
        const char* does;
        const char* undoes;
        const char* reason;
    } table[] = {
        {"CREATE TEMP TABLE t (a int)", "DROP TABLE t", "temporary_object"},
        {"SELECT pg_advisory_lock(1)", "SELECT pg_advisory_unlock(1)", "advisory_lock"},
        {"BEGIN; DECLARE c CURSOR WITH HOLD FOR SELECT 1; COMMIT", "CLOSE c", "held_cursor"},
    };
    at("legacy", "SET session_replication_role = replica; INSERT INTO orders (note) VALUES ('brought') RETURNING 1");
    for (const auto& each : table) {
        const auto client = connect();
        run(client, each.does);
        const auto refusal =
            AllOf(HasSubstr("XF008 table orders (group shop) is written on modern, and this session is "
                            "on legacy | The session can't go over: it holds what can't be taken along (" +
                            std::string{each.reason} + ')'));
        EXPECT_THAT(refusal_of(client, "INSERT INTO orders (note) VALUES ('o')"), refusal);
        EXPECT_EQ(run(client, "SELECT note FROM orders"), "brought") << "which legacy has by the stream";
        EXPECT_EQ(user(client), "");
        // Of a transaction likewise, which begins again where it was.
        EXPECT_EQ(run(client, "BEGIN; SET LOCAL app.who = 'ann'"), "");
        EXPECT_EQ(run(client, "SAVEPOINT s"), "");
        EXPECT_THAT(refusal_of(client, "INSERT INTO orders (note) VALUES ('o')"), refusal);
        EXPECT_EQ(PQtransactionStatus(client.get()), PQTRANS_INERROR);
        EXPECT_EQ(run(client, "ROLLBACK TO s"), "");
        EXPECT_EQ(setting(client, "app.who"), "ann");
        EXPECT_EQ(user(client), "");
        EXPECT_EQ(run(client, "COMMIT"), "");
        run(client, each.undoes);
        EXPECT_EQ(order(client), "");
        EXPECT_EQ(is_at(client), "modern");
    }
    EXPECT_EQ(notes("legacy", "users"), "u u u u u u");
    EXPECT_EQ(notes("modern", "orders"), "o o o");
    EXPECT_TRUE(support::eventually(10s, [&] { return front_->sessions().empty(); }));
}

TEST_F(a_detour, to_a_database_that_is_away_is_given_up_in_time) {
    start_apart("legacy-primary", "connect_timeout: 500ms");
    const auto client = connect();
    modern_->stop();
    EXPECT_THAT(refusal_of(client, "INSERT INTO orders (note) VALUES ('o')"),
                HasSubstr("XF008 table orders (group shop) is written on modern, and this session is on legacy | The "
                          "session can't go over: no connection to the modern database"));
    EXPECT_EQ(run(client, "SELECT count(*) FROM orders"), "0");
    EXPECT_EQ(user(client), "");
    modern_->start();
    EXPECT_EQ(order(client), "");
    // Its own database, lost meanwhile, is its end.
    EXPECT_EQ(is_at(client), "modern");
    kill_all("modern");
    EXPECT_THAT(last_words(client), HasSubstr("57P01"));
}

TEST_F(a_detour, keeps_the_key_by_which_the_client_cancels) {
    const auto client = connect();
    const std::unique_ptr<PGcancel, decltype(&PQfreeCancel)> key{PQgetCancel(client.get()), &PQfreeCancel};
    for (const auto* side : {"modern", "legacy", "modern"}) {
        EXPECT_EQ(side == std::string{"modern"} ? order(client) : user(client), "");
        ASSERT_EQ(PQsendQuery(client.get(), "SELECT pg_sleep(100)"), 1);
        ASSERT_TRUE(support::eventually(10s, [&] {
            return at(side, "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep'") == "1";
        }));
        std::array<char, 256> why{};
        EXPECT_EQ(PQcancel(key.get(), why.data(), why.size()), 1) << why.data();
        EXPECT_EQ(received(client), "57014");
    }
}

TEST_F(a_detour, waits_for_a_pause_and_a_flip) {
    const auto client = connect();
    EXPECT_EQ(order(client), "");
    front_->hold();
    ASSERT_EQ(PQsendQuery(client.get(), "INSERT INTO users (note) VALUES ('u')"), 1);
    ASSERT_TRUE(
        support::eventually(5s, [&] { return front_->sessions().at(0).state == console::session_state::paused; }));
    legacy_->exec("ALTER TABLE users DISABLE TRIGGER ALL", "app");
    front_->decide({modern_side, {{{"shop", ""}, legacy_side}}});
    modern_->exec("ALTER TABLE users DISABLE TRIGGER fence", "app_modern");
    front_->let_go();
    EXPECT_EQ(received(client), "");
    EXPECT_EQ(notes("modern", "users"), "u");
    modern_->exec("ALTER TABLE users ENABLE TRIGGER fence", "app_modern");
}

TEST_F(a_detour, costs_milliseconds) {
    const auto client = connect();
    std::vector<std::chrono::microseconds> times;
    for (int n = 0; n < 60; ++n) {
        const auto began = clock::now();
        EXPECT_EQ(n % 2 == 0 ? order(client) : user(client), "");
        if (n > 1) times.push_back(std::chrono::duration_cast<std::chrono::microseconds>(clock::now() - began));
    }
    std::ranges::sort(times);
    std::cout << "back and forth: median " << times[times.size() / 2].count() << " us, longest " << times.back().count()
              << " us, the statement's answer included\n";
    EXPECT_EQ(detours("came_back"), 59);
}

// Whatever they ask is carried out once, on the side where it belongs.
TEST_F(a_detour, of_eight_clients_for_some_seconds) {
    constexpr int many = 8;
    const auto time = std::chrono::milliseconds{support::configured("CROSSFADE_TEST_DETOURS_MS", 3000)};
    std::atomic<long> orders{0};
    std::atomic<long> users{0};
    std::atomic<int> wrong{0};
    std::vector<std::thread> threads;
    for (int n = 0; n < many; ++n)
        threads.emplace_back([&, n] {
            const auto client = connect();
            const auto check = [&](const std::string& is, const std::string& should = {}) {
                if (is == should) return;
                if (++wrong < 5)
                    ADD_FAILURE() << is << " instead of " << should << ": " << PQerrorMessage(client.get());
            };
            answer{PQprepare(client.get(), "order", "INSERT INTO orders (note, amount) VALUES ($1, 1)", 0, nullptr)};
            answer{PQprepare(client.get(), "user", "INSERT INTO users (note, amount) VALUES ($1, 1)", 0, nullptr)};
            const auto id = std::to_string(n);
            const char* const values[] = {id.c_str()};
            const auto prepared = [&](const char* name) {
                return outcome(answer{PQexecPrepared(client.get(), name, 1, values, nullptr, nullptr, 0)});
            };
            const auto until = clock::now() + time;
            for (int round = n; clock::now() < until; ++round) {
                check(run(client, "SET app.round = '" + std::to_string(round) + "'"));
                switch (round % 4) {
                    case 0:
                        check(prepared("order"));
                        check(prepared("user"));
                        break;
                    case 1:
                        check(run(client, "BEGIN"));
                        check(prepared("user"));
                        check(run(client, "COMMIT; BEGIN"));
                        check(run(client, "COMMIT"));
                        check(prepared("order"));
                        break;
                    case 2:
                        check(run(client, "BEGIN"));
                        check(prepared("order"));
                        check(run(client, "COMMIT"));
                        check(user(client));
                        break;
                    default:
                        check(run(client, "BEGIN; SAVEPOINT s"));
                        check(prepared("user"));
                        check(prepared("order"), "XF008");
                        check(run(client, "ROLLBACK"));
                        check(order(client));
                        check(user(client));
                        break;
                }
                ++orders;
                ++users;
                check(setting(client, "app.round"), std::to_string(round));
            }
        });
    for (auto& each : threads) each.join();
    EXPECT_EQ(wrong, 0);
    EXPECT_EQ(at("modern", "SELECT count(*) FROM orders"), std::to_string(orders));
    EXPECT_EQ(at("legacy", "SELECT count(*) FROM users"), std::to_string(users));
    const auto all = detours();
    std::cout << all << " detours, " << detours("logged_in") << " by a log-in, "
              << front_->metric("crossfade_session_detour_seconds_sum") / all * 1e6 << " us each\n";
    EXPECT_EQ(detours("logged_in"), many);
}

}  // namespace
}  // namespace crossfade::proxy::test
