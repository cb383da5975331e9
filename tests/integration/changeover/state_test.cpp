// A session that goes over to the other database is there what it was.
#include <poll.h>
#include <signal.h>

#include <algorithm>
#include <array>
#include <fstream>

#include "tests/integration/changeover/two_sides.hpp"

namespace crossfade::proxy::test {
namespace {

using namespace std::chrono_literals;

class a_session : public two_sides {
  protected:
    void SetUp() override { start(); }

    // Lets nobody in; the process to be sent SIGCONT.
    static pid_t stand_still(const support::postgres_cluster& cluster) {
        pid_t postmaster = 0;
        std::ifstream{cluster.data_dir() / "postmaster.pid"} >> postmaster;
        EXPECT_EQ(::kill(postmaster, SIGSTOP), 0);
        return postmaster;
    }

    // What the client is notified of next, without a word of its own; empty: nothing.
    static std::string notified(const connection& client) {
        std::string heard;
        support::eventually(10s, [&] {
            pollfd one{PQsocket(client.get()), POLLIN, 0};
            ::poll(&one, 1, 100);
            PQconsumeInput(client.get());
            while (auto* note = PQnotifies(client.get())) {
                heard += note->extra;
                PQfreemem(note);
            }
            return !heard.empty();
        });
        return heard;
    }
};

TEST_F(a_session, that_is_idle_goes_over_by_itself) {
    const auto client = connect();
    EXPECT_EQ(where(client), "legacy");
    front_->flip(modern_side);
    EXPECT_TRUE(moved(1));
    EXPECT_EQ(legacy_->value("SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend' AND datname "
                             "= 'app' AND pid <> pg_backend_pid()"),
              "0");
    EXPECT_EQ(where(client), "modern");
    EXPECT_EQ(run(client, "SELECT current_database()"), "app_modern");
    EXPECT_EQ(front_->sessions().at(0).server->side, modern_side);
    front_->flip(legacy_side);
    EXPECT_TRUE(moved(2));
    EXPECT_EQ(where(client), "legacy");
    EXPECT_EQ(front_->metric("crossfade_session_move_seconds_count"), 2);
}

TEST_F(a_session, of_another_database_stays_with_legacy) {
    make_other_databases();
    const auto client = connect("dbname=other");
    const auto writes = connect("dbname=other");
    EXPECT_EQ(run(writes, "BEGIN"), "");
    EXPECT_EQ(run(writes, "INSERT INTO side VALUES ('one')"), "");
    const auto goes = connect();
    front_->flip(modern_side);
    EXPECT_TRUE(moved(1));
    EXPECT_EQ(where(goes), "modern");
    EXPECT_EQ(where(client), "legacy");
    EXPECT_EQ(run(writes, "COMMIT"), "");
    EXPECT_EQ(run(writes, "INSERT INTO side VALUES ('two')"), "");
    const auto late = connect("dbname=other");
    EXPECT_EQ(run(late, "INSERT INTO side VALUES ('three')"), "");
    EXPECT_EQ(legacy_->value("SELECT count(*) FROM side", "other"), "4");
    EXPECT_EQ(modern_->value("SELECT count(*) FROM side", "other"), "1");
    for (const auto& each : front_->sessions())
        EXPECT_EQ(each.server->side, each.database == "other" ? legacy_side : modern_side);
    front_->flip(legacy_side);
    EXPECT_TRUE(moved(2)) << "nobody else";
    EXPECT_EQ(where(client), "legacy");
}

TEST_F(a_session, asks_for_the_database_that_moves_by_either_of_its_names) {
    const auto client = connect("dbname=app_modern");
    EXPECT_EQ(where(client), "legacy");
    EXPECT_EQ(run(client, "SELECT current_database()"), "app");
    front_->flip(modern_side);
    EXPECT_TRUE(moved(1));
    for (const auto* name : {"dbname=app", "dbname=app_modern"}) EXPECT_EQ(where(connect(name)), "modern");
    EXPECT_EQ(where(client), "modern");
}

TEST_F(a_session, keeps_its_settings) {
    const auto client = connect("application_name=shop options='-c work_mem=5MB -c app.region=north'");
    run(client, "SET search_path = public, pg_catalog; SET TimeZone = 'Asia/Tokyo'; SET app.tenant = 'ac''me\\n'");
    run(client, "SELECT set_config('app.user', 'x', false), enter('bob'); SET statement_timeout = '90s'");
    run(client, "SET ROLE team");
    front_->flip(modern_side);
    const auto ask = [&](const std::string& setting) {
        return run(client, "SELECT current_setting('" + setting + "')");
    };
    EXPECT_EQ(where(client), "modern");
    EXPECT_EQ(ask("search_path"), "public, pg_catalog");
    EXPECT_EQ(ask("TimeZone"), "Asia/Tokyo");
    EXPECT_EQ(ask("app.tenant"), "ac'me\\n");
    EXPECT_EQ(ask("app.user"), "x");
    EXPECT_EQ(ask("app.who"), "bob");
    EXPECT_EQ(ask("app.region"), "north");
    EXPECT_EQ(ask("work_mem"), "5MB");
    EXPECT_EQ(ask("statement_timeout"), "90s");
    EXPECT_EQ(ask("application_name"), "shop");
    EXPECT_EQ(run(client, "SELECT current_user"), "team");
    run(client, "RESET ROLE; RESET work_mem");
    EXPECT_EQ(ask("work_mem"), "5MB");
    run(client, "SET app.tenant = 'other'");
    front_->flip(legacy_side);
    EXPECT_EQ(where(client), "legacy");
    EXPECT_EQ(ask("app.tenant"), "other");
    EXPECT_EQ(run(client, "SELECT current_user"), "crossfade");
}

TEST_F(a_session, keeps_its_settings_whatever_libraries_and_databases_say) {
    legacy_->exec(
        "ALTER DATABASE app SET plpgsql.print_strict_params = on; ALTER DATABASE app SET app.region = 'north'");
    modern_->exec(
        "ALTER DATABASE app_modern SET plpgsql.print_strict_params = on; ALTER DATABASE app_modern SET app.side = 'm'",
        "app_modern");
    const auto client = connect();
    run(client, "DO $$ BEGIN END $$");
    run(client, "SET plpgsql.extra_warnings = 'all'");
    const auto ask = [&](const std::string& setting) {
        return run(client, "SELECT coalesce(current_setting('" + setting + "', true), 'none')");
    };
    for (const auto* side : {"modern", "legacy", "modern", "legacy"}) {
        front_->flip(side == std::string{"modern"} ? modern_side : legacy_side);
        EXPECT_EQ(where(client), side);
        EXPECT_EQ(ask("plpgsql.extra_warnings"), "all");
        EXPECT_EQ(ask("plpgsql.print_strict_params"), "on");
        EXPECT_EQ(ask("app.region"), "north");
        EXPECT_EQ(ask("app.side"), side == std::string{"modern"} ? "m" : "none") << "each its own";
    }
    legacy_->exec("ALTER DATABASE app RESET ALL");
    modern_->exec("ALTER DATABASE app_modern RESET ALL", "app_modern");
}

// As pools give a connection back behind a statement that failed, and take it again.
TEST_F(a_session, whose_last_statement_without_a_name_is_not_known_goes_over) {
    const auto asked = [](const connection& by, const std::string& sql) {
        return outcome(answer{PQexecParams(by.get(), sql.c_str(), 0, nullptr, nullptr, nullptr, nullptr, 0)});
    };
    const auto client = connect();
    EXPECT_EQ(asked(client, "INSERT INTO accounts VALUES (1, 1)"), "23505");
    // Too long to be kept, but what waits is sent in its place.
    const auto another = connect();
    EXPECT_EQ(asked(another, "SELECT '" + std::string(5000, 'x') + "' = ''"), "f");
    front_->hold();
    ASSERT_EQ(PQsendQueryParams(another.get(), "SELECT name FROM side", 0, nullptr, nullptr, nullptr, nullptr, 0), 1);
    EXPECT_TRUE(support::eventually(5s, [&] {
        return std::ranges::any_of(front_->sessions(),
                                   [](const auto& each) { return each.state == console::session_state::paused; });
    }));
    front_->decide(modern_side);
    front_->let_go();
    EXPECT_EQ(received(another), "modern");
    EXPECT_EQ(asked(client, "SELECT name FROM side"), "modern");
    EXPECT_TRUE(moved(2));
}

TEST_F(a_session, keeps_its_statements) {
    const auto client = connect();
    const auto prepare = [&](const char* name, const char* sql) {
        return outcome(answer{PQprepare(client.get(), name, sql, 0, nullptr)});
    };
    const auto execute = [&](const char* name, const std::vector<const char*>& values) {
        return outcome(answer{
            PQexecPrepared(client.get(), name, static_cast<int>(values.size()), values.data(), nullptr, nullptr, 0)});
    };
    EXPECT_EQ(prepare("one", "SELECT name || $1 FROM side"), "");
    EXPECT_EQ(prepare("moody", "SELECT $1::mood"), "");
    run(client, "PREPARE by_sql (int) AS SELECT $1 + 1");
    EXPECT_EQ(prepare("", "SELECT name || ' unnamed' FROM side"), "");
    for (const auto* side : {"modern", "legacy", "modern"}) {
        front_->flip(side == std::string{"modern"} ? modern_side : legacy_side);
        EXPECT_EQ(execute("", {}), std::string{side} + " unnamed");
        EXPECT_EQ(execute("one", {"!"}), std::string{side} + "!");
        EXPECT_EQ(execute("moody", {"y"}), "y");
    }
    EXPECT_EQ(run(client, "EXECUTE by_sql (41)"), "42");
    EXPECT_EQ(execute("", {}), "26000") << "a simple query ends it";
}

TEST_F(a_session, hears_notifications_of_where_it_is) {
    const auto client = connect();
    run(client, "LISTEN news");
    front_->flip(modern_side);
    EXPECT_TRUE(moved(1));
    modern_->exec("NOTIFY news, 'from modern'", "app_modern");
    legacy_->exec("NOTIFY news, 'from legacy'");
    EXPECT_EQ(notified(client), "from modern");
    EXPECT_EQ(where(client), "modern");
    EXPECT_EQ(PQnotifies(client.get()), nullptr);
}

TEST_F(a_session, hears_all_that_it_is_told_while_it_waits_for_the_other_database) {
    start("legacy-primary", "connect_timeout: 30s");
    const auto client = connect();
    run(client, "LISTEN news");
    const auto stopped = stand_still(*modern_);
    front_->flip(modern_side);
    ASSERT_TRUE(
        support::eventually(10s, [&] { return front_->sessions().at(0).state == console::session_state::waiting; }));
    // More than a loop has room for at once.
    legacy_->exec("SELECT pg_notify('news', n || repeat('.', 7990) || ';') FROM generate_series(1, 20) AS n");
    ::kill(stopped, SIGCONT);
    std::string heard;
    EXPECT_TRUE(support::eventually(20s, [&] {
        heard += notified(client);
        return std::ranges::count(heard, ';') == 20;
    }));
    for (int n = 1; n <= 20; ++n)
        EXPECT_THAT(heard, testing::HasSubstr(std::to_string(n) + std::string(7990, '.') + ';')) << n;
    EXPECT_EQ(where(client), "modern");
}

TEST_F(a_session, that_waits_is_answered_by_the_new_side) {
    const auto client = connect();
    EXPECT_EQ(where(client), "legacy");
    front_->hold();
    ASSERT_EQ(PQsendQuery(client.get(), "SELECT name FROM side"), 1);
    EXPECT_TRUE(
        support::eventually(5s, [&] { return front_->sessions().at(0).state == console::session_state::paused; }));
    front_->decide(modern_side);
    EXPECT_TRUE(moved(1)) << "before it is let go";
    EXPECT_TRUE(
        support::eventually(5s, [&] { return front_->sessions().at(0).state == console::session_state::paused; }));
    front_->let_go();
    EXPECT_EQ(received(client), "modern");
}

TEST_F(a_session, in_a_transaction_goes_over_at_its_end) {
    const auto client = connect();
    const auto another = connect();
    run(client, "BEGIN");
    run(another, "BEGIN");
    EXPECT_EQ(where(client), "legacy");
    front_->hold();
    front_->decide(modern_side);
    EXPECT_EQ(where(client), "legacy");
    run(client, "COMMIT");
    EXPECT_TRUE(moved(1));
    front_->let_go();
    EXPECT_EQ(where(client), "modern");
    // Without a pause likewise; what is sent in one go behind the end, too.
    EXPECT_EQ(where(another), "legacy");
    run(another, "ROLLBACK");
    EXPECT_EQ(where(another), "modern");
    EXPECT_TRUE(moved(2));
}

TEST_F(a_session, that_logs_in_meanwhile_notices_before_its_first_statement) {
    front_->hold();
    std::vector<connection> newcomers;
    for (int n = 0; n < 10; ++n) newcomers.push_back(connect());
    front_->decide(modern_side);
    for (int n = 0; n < 10; ++n) newcomers.push_back(connect());
    front_->let_go();
    for (const auto& each : newcomers) EXPECT_EQ(where(each), "modern");
}

TEST_F(a_session, is_cancelled_by_the_key_that_its_client_was_given) {
    const auto client = connect();
    const std::unique_ptr<PGcancel, decltype(&PQfreeCancel)> key{PQgetCancel(client.get()), &PQfreeCancel};
    for (const auto side : {modern_side, legacy_side, modern_side}) {
        front_->flip(side);
        const auto& database = side == modern_side ? modern_ : legacy_;
        ASSERT_EQ(PQsendQuery(client.get(), "SELECT pg_sleep(100)"), 1);
        ASSERT_TRUE(support::eventually(10s, [&] {
            return database->value("SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep'", "postgres") ==
                   "1";
        }));
        std::array<char, 256> why{};
        EXPECT_EQ(PQcancel(key.get(), why.data(), why.size()), 1) << why.data();
        EXPECT_EQ(received(client), "57014");
    }
    EXPECT_EQ(front_->metric("crossfade_cancel_requests_total{result=\"forwarded\"}"), 3);
}

TEST_F(a_session, is_told_what_is_another_way_there) {
    modern_->exec("ALTER ROLE ann SUPERUSER");
    const auto client = connect("user=ann");
    EXPECT_STREQ(PQparameterStatus(client.get(), "is_superuser"), "off");
    front_->flip(modern_side);
    EXPECT_EQ(where(client), "modern");
    EXPECT_STREQ(PQparameterStatus(client.get(), "is_superuser"), "on");
    modern_->exec("ALTER ROLE ann NOSUPERUSER");
}

// Some drivers take what comes unasked for an error, but for notifications.
TEST_F(a_session, whose_client_is_silent_is_told_with_its_next_answer) {
    modern_->exec("ALTER ROLE ann SUPERUSER");
    const auto client = connect("user=ann");
    run(client, "LISTEN news");
    const auto told = [&] { return std::string{PQparameterStatus(client.get(), "is_superuser")}; };
    front_->flip(modern_side);
    EXPECT_TRUE(moved(1));
    modern_->exec("NOTIFY news, 'here'", "app_modern");
    EXPECT_EQ(notified(client), "here");
    EXPECT_EQ(told(), "off");
    EXPECT_EQ(where(client), "modern");
    EXPECT_EQ(told(), "on");
    // There and back in one silence.
    front_->flip(legacy_side);
    EXPECT_TRUE(moved(2));
    front_->flip(modern_side);
    EXPECT_TRUE(moved(3));
    EXPECT_EQ(where(client), "modern");
    EXPECT_EQ(told(), "on");
    front_->flip(legacy_side);
    EXPECT_TRUE(moved(4));
    // An error is an answer, too, and so is one of several.
    EXPECT_EQ(run(client, "SELECT 1 / 0"), "22012");
    EXPECT_EQ(told(), "off");
    modern_->exec("ALTER ROLE ann NOSUPERUSER");
}

}  // namespace
}  // namespace crossfade::proxy::test
