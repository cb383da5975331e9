#include "lib/pgclient/connection.hpp"

#include <gmock/gmock.h>
#include <signal.h>

#include "lib/pgclient/notified.hpp"
#include "lib/store/schema.hpp"
#include "tests/support/ports.hpp"
#include "tests/support/postgres.hpp"

namespace crossfade::pgclient {
namespace {

using testing::HasSubstr;
using testing::Not;

class a_database : public testing::Test {
  protected:
    static void SetUpTestSuite() {
        cluster_ = std::make_unique<support::postgres_cluster>();
        cluster_->start();
        cluster_->exec(R"sql(
            CREATE TYPE mood AS ENUM ('glad');
            CREATE TABLE parent (id int PRIMARY KEY);
            CREATE TABLE child (id int PRIMARY KEY, parent int REFERENCES parent, name text NOT NULL,
                                age int CHECK (age < 200), feeling mood);
            INSERT INTO parent VALUES (1);
            INSERT INTO child VALUES (1, 1, 'one');
            CREATE FUNCTION complain() RETURNS trigger LANGUAGE plpgsql AS
                $$ BEGIN RAISE EXCEPTION 'hunter2 is not allowed'; END $$;
            CREATE TRIGGER complain BEFORE DELETE ON child FOR EACH ROW EXECUTE FUNCTION complain();
        )sql");
    }
    static void TearDownTestSuite() { cluster_.reset(); }

    static connection open(const open_options& options = {}) {
        return connection::open(cluster_->dsn(), options).value();
    }

    static inline std::unique_ptr<support::postgres_cluster> cluster_;
};

// What brings rows to a follower doesn't wait for their flush, unless its own role is told to.
TEST_F(a_database, flushes_what_is_brought_only_where_that_is_asked_for) {
    cluster_->exec("ALTER DATABASE app SET synchronous_commit = on");
    const auto setting = [](connection to) {
        to.exec(std::string{store::do_not_flush_sql}).value();
        return std::string{to.exec("SHOW synchronous_commit")->text(0, 0)};
    };
    EXPECT_EQ(setting(open()), "off");
    EXPECT_EQ(
        setting(connection::open(cluster_->dsn() + "?options=-c%20synchronous_commit%3Dremote_write", {}).value()),
        "remote_write");
    cluster_->exec("ALTER ROLE CURRENT_USER SET synchronous_commit = local");
    EXPECT_EQ(setting(open()), "local");
    cluster_->exec("ALTER ROLE CURRENT_USER RESET synchronous_commit; ALTER DATABASE app RESET synchronous_commit");
}

// A server sends what has been notified in front of the end of an answer; the socket has nothing left of it then.
TEST_F(a_database, notifies_with_its_answers_too) {
    using namespace std::chrono_literals;
    auto listener = open();
    listener.exec("LISTEN news").value();
    cluster_->exec("NOTIFY news, 'one'; NOTIFY news, 'two'");
    listener.exec("SELECT 1").value();
    using testing::ElementsAre;
    const auto began = std::chrono::steady_clock::now();
    EXPECT_THAT(notified(listener, 60s).value(), ElementsAre("one", "two"));
    EXPECT_LT(std::chrono::steady_clock::now() - began, 30s) << "it is not waited for";
    EXPECT_THAT(notified(listener, 0ms).value(), ElementsAre());
    cluster_->exec("NOTIFY news, 'three'");
    EXPECT_THAT(notified(listener, 60s).value(), ElementsAre("three"));
    cluster_->exec("SELECT pg_terminate_backend(" + std::to_string(PQbackendPID(listener.native())) + ")");
    // It says its last words first.
    EXPECT_TRUE(!notified(listener, 60s) || !notified(listener, 60s));
}

TEST_F(a_database, is_seen_the_same_way_whatever_its_defaults) {
    cluster_->exec(
        "ALTER DATABASE app SET datestyle = 'German'; ALTER DATABASE app SET timezone = 'Asia/Tokyo';"
        "ALTER DATABASE app SET bytea_output = 'escape'; ALTER DATABASE app SET intervalstyle = 'iso_8601';"
        "ALTER DATABASE app SET extra_float_digits = 0; ALTER DATABASE app SET search_path = public;"
        "ALTER DATABASE app SET lc_monetary = 'C.UTF-8'; ALTER DATABASE app SET xmloption = document;"
        "ALTER DATABASE app SET statement_timeout = '1min'; ALTER DATABASE app SET lock_timeout = '1min';"
        "ALTER DATABASE app SET idle_in_transaction_session_timeout = '1min';"
        "ALTER DATABASE app SET idle_session_timeout = '1min';"
        "ALTER DATABASE app SET default_transaction_isolation = serializable;"
        "ALTER DATABASE app SET default_transaction_read_only = on");
    for (const bool replication : {false, true}) {
        open_options options;
        options.replication = replication;
        auto to = open(options);
        const auto got = to.exec(
                               "SELECT timestamptz '2026-01-31 00:00:00+00', '\\x00ff'::bytea, interval '1 day', "
                               "0.1::float8 + 0.2::float8,"
                               " current_setting('search_path'), current_setting('client_encoding'),"
                               " current_setting('lc_monetary'), current_setting('xmloption'),"
                               " current_setting('statement_timeout'), current_setting('lock_timeout'),"
                               " current_setting('idle_in_transaction_session_timeout'),"
                               " current_setting('idle_session_timeout'),"
                               " current_setting('transaction_isolation'), current_setting('transaction_read_only')")
                             .value();
        const std::vector<std::string> expected{"2026-01-31 00:00:00+00",
                                                "\\x00ff",
                                                "1 day",
                                                "0.30000000000000004",
                                                "pg_catalog",
                                                "UTF8",
                                                "C",
                                                "content",
                                                "0",
                                                "0",
                                                "0",
                                                "0",
                                                "read committed",
                                                "off"};
        for (int i = 0; i < static_cast<int>(expected.size()); ++i)
            EXPECT_EQ(got.text(0, i), expected[static_cast<std::size_t>(i)]) << i << ' ' << replication;
    }
    cluster_->exec("BEGIN READ WRITE; ALTER DATABASE app RESET ALL; COMMIT");
}

TEST(a_newer_database, has_no_timeout_of_transactions_either) {
    if (!support::postgres_cluster::available(support::postgres_18_bin_dir()))
        GTEST_SKIP() << "no PostgreSQL 18: script/bootstrap --postgres-18";
    support::postgres_cluster cluster{{.bin_dir = support::postgres_18_bin_dir()}};
    cluster.start();
    cluster.exec(
        "ALTER DATABASE app SET transaction_timeout = '200ms'; ALTER DATABASE app SET idle_session_timeout = '1min'");
    for (const bool replication : {false, true}) {
        open_options options;
        options.replication = replication;
        auto to = connection::open(cluster.dsn(), options).value();
        const auto got =
            to.exec("SELECT current_setting('transaction_timeout'), current_setting('idle_session_timeout')").value();
        EXPECT_EQ(got.text(0, 0), "0") << replication;
        EXPECT_EQ(got.text(0, 1), "0") << replication;
        EXPECT_TRUE(to.exec("SELECT pg_sleep(0.4)")) << replication;
    }
}

TEST_F(a_database, takes_replication_commands_on_a_walsender) {
    open_options options;
    options.replication = true;
    auto to = open(options);
    const auto identified = to.exec("IDENTIFY_SYSTEM").value();
    EXPECT_EQ(identified.size(), 1);
    EXPECT_EQ(identified.text(0, 3), "app");
}

TEST_F(a_database, gives_rows_and_counts) {
    auto to = open();
    const auto got = to.exec("SELECT $1::int8 * 2, $2::text, $1 = 21, 'x'", {"21", std::nullopt}).value();
    EXPECT_EQ(got.integer(0, 0), 42);
    EXPECT_TRUE(got.null(0, 1));
    EXPECT_EQ(got.integer(0, 1), std::nullopt);
    EXPECT_TRUE(got.boolean(0, 2));
    EXPECT_EQ(got.integer(0, 3), std::nullopt);
    EXPECT_EQ(to.exec("CREATE TEMP TABLE t AS SELECT generate_series(1, 7)").value().affected(), 7);
    EXPECT_EQ(to.server_version(), to.exec("SHOW server_version_num").value().integer(0, 0));
}

TEST_F(a_database, names_what_was_violated_and_never_the_values) {
    struct violation {
        std::string sql, sqlstate, table, column, constraint;
    };
    const violation violations[] = {
        {"INSERT INTO public.child VALUES (1, 1, 'hunter2')", "23505", "public.child", "", "child_pkey"},
        {"INSERT INTO public.child VALUES (2, 77, 'hunter2')", "23503", "public.child", "", "child_parent_fkey"},
        {"INSERT INTO public.child VALUES (2, 1, NULL)", "23502", "public.child", "name", ""},
        {"INSERT INTO public.child VALUES (2, 1, 'hunter2', 300)", "23514", "public.child", "", "child_age_check"},
        {"SELECT 'hunter2'::int", "22P02", "", "", ""},
        {"SELECT 'hunter2'::public.mood", "22P02", "", "", ""},
        {"SELECT 'hunter2\"quoted'::date", "22007", "", "", ""},
        {"SELECT '99999999999'::int", "22003", "", "", ""},
        {"SELECT '{\"a\": hunter2}'::json", "22P02", "", "", ""},
        {"DELETE FROM public.child", "P0001", "", "", ""},
    };
    auto to = open();
    for (const auto& [sql, sqlstate, table, column, constraint] : violations) {
        const auto done = to.exec(sql);
        ASSERT_FALSE(done) << sql;
        EXPECT_EQ(done.error().sqlstate, sqlstate) << sql;
        EXPECT_EQ(done.error().table, table) << sql;
        EXPECT_EQ(done.error().column, column) << sql;
        EXPECT_EQ(done.error().constraint, constraint) << sql;
        EXPECT_THAT(to_string(done.error()), Not(HasSubstr("hunter2"))) << sql;
        EXPECT_THAT(to_string(done.error()), Not(HasSubstr("99999999999"))) << sql;
        EXPECT_FALSE(done.error().transient()) << sql;
    }
    EXPECT_TRUE(to.exec("SELECT 1")) << "the connection is of use after all that";
}

TEST_F(a_database, lets_the_dsn_overrule_keepalives_but_not_the_session) {
    auto to = connection::open(cluster_->dsn() + "?tcp_user_timeout=1234&application_name=other&client_encoding=latin1",
                               {.application_name = "crossfade test"})
                  .value();
    EXPECT_EQ(to.exec("SELECT current_setting('application_name')").value().text(0, 0), "crossfade test");
    EXPECT_EQ(to.exec("SELECT current_setting('client_encoding')").value().text(0, 0), "UTF8");
    bool overruled = false;
    PQconninfoOption* options = PQconninfo(to.native());
    for (auto* one = options; one->keyword != nullptr; ++one)
        overruled =
            overruled || (std::string_view{one->keyword} == "tcp_user_timeout" && std::string_view{one->val} == "1234");
    PQconninfoFree(options);
    EXPECT_TRUE(overruled);
}

TEST_F(a_database, that_ends_a_session_is_a_lost_connection) {
    auto to = open();
    const auto pid = to.exec("SELECT pg_backend_pid()").value().integer(0, 0).value();
    cluster_->exec("SELECT pg_terminate_backend(" + std::to_string(pid) + ", 5000)");
    for (int again = 0; again < 2; ++again) {  // first the server's word, then the broken connection
        const auto done = to.exec("SELECT 1");
        ASSERT_FALSE(done);
        EXPECT_TRUE(done.error().connection_lost()) << to_string(done.error());
        EXPECT_TRUE(done.error().transient());
    }
}

// Neither TCP nor the kernel of a server that hangs tells: it acknowledges what it is sent.
class a_silent_database : public a_database {
  protected:
    static constexpr std::chrono::seconds patience{1};

    void SetUp() override {
        to_.emplace(open({.silence = patience}));
        process_ = to_->exec("SELECT pg_backend_pid()").value().integer(0, 0).value();
    }
    void TearDown() override { ::kill(static_cast<pid_t>(process_), SIGCONT); }
    void fall_silent() const { ASSERT_EQ(::kill(static_cast<pid_t>(process_), SIGSTOP), 0); }

    std::optional<connection> to_;
    std::int64_t process_ = 0;
};

TEST_F(a_silent_database, is_a_lost_connection) {
    fall_silent();
    const auto done = to_->exec("SELECT 1");
    ASSERT_FALSE(done);
    EXPECT_TRUE(done.error().connection_lost());
    EXPECT_THAT(done.error().message, HasSubstr("not at work"));
    const auto again = to_->exec("SELECT $1::int", {"1"});
    ASSERT_FALSE(again);
    EXPECT_TRUE(again.error().connection_lost());
}

TEST_F(a_silent_database, is_a_lost_connection_when_nobody_can_be_asked_about_it) {
    const auto postmaster = std::stoi(support::read_file(cluster_->data_dir() / "postmaster.pid"));
    fall_silent();
    ASSERT_EQ(::kill(postmaster, SIGSTOP), 0);
    const auto done = to_->exec("SELECT 1");
    ::kill(postmaster, SIGCONT);
    ASSERT_FALSE(done);
    EXPECT_THAT(done.error().message, HasSubstr("not to be reached"));
}

TEST_F(a_silent_database, is_waited_for_while_it_says_that_it_is_at_work) {
    EXPECT_TRUE(to_->exec("SELECT pg_sleep(2.6)")) << "beyond the time in which one that isn't at work is given up";
}

TEST(no_database, is_a_lost_connection_with_a_reason) {
    const auto opened =
        connection::open("postgresql://nobody:hunter2@127.0.0.1:" + std::to_string(support::free_port()) + "/app", {});
    ASSERT_FALSE(opened);
    EXPECT_TRUE(opened.error().connection_lost());
    EXPECT_THAT(to_string(opened.error()), HasSubstr("Connection refused"));
    EXPECT_THAT(to_string(opened.error()), Not(HasSubstr("hunter2")));
}

}  // namespace
}  // namespace crossfade::pgclient
