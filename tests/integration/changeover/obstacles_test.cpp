// Sessions that can't go over are told so and closed.
#include <cstdlib>

#include "tests/integration/changeover/two_sides.hpp"
#include "tests/scripted/proxy/peer.hpp"
#include "tests/support/process.hpp"
#include "tests/support/temp_dir.hpp"

namespace crossfade::proxy::test {
namespace {

using namespace std::chrono_literals;
using testing::AllOf;
using testing::HasSubstr;

class left_behind : public two_sides {};

TEST_F(left_behind, for_what_can_not_be_taken_along) {
    start();
    struct {
        const char* does;
        const char* reason;
    } table[] = {
        {"CREATE TEMP TABLE t (a int)", "temporary_object"},
        {"BEGIN; DECLARE c CURSOR WITH HOLD FOR SELECT 1; COMMIT", "held_cursor"},
        {"SELECT pg_advisory_lock(1)", "advisory_lock"},
        {"DO $$ BEGIN EXECUTE 'SET app.made_up = 1'; END $$", "own_settings"},
    };
    double count = 0;
    for (const auto& each : table) {
        const auto client = connect();
        run(client, each.does);
        front_->flip(modern_side);
        EXPECT_TRUE(become("obstacle", ++count)) << each.does;
        EXPECT_THAT(last_words(client),
                    AllOf(HasSubstr("57P01 the application's database has changed hands and this session could not go "
                                    "along: it holds what can't be taken along (" +
                                    std::string{each.reason} + ")"),
                          HasSubstr("| Connect again")))
            << each.does;
        front_->flip(legacy_side);
    }
    // A session is counted at its end, which is after its client has its last words.
    EXPECT_TRUE(support::eventually(
        5s, [&] { return front_->metric("crossfade_sessions_total{result=\"left_behind\"}") == count; }));
    EXPECT_EQ(where(connect()), "legacy");
}

TEST_F(left_behind, for_what_the_other_database_lacks) {
    start();
    legacy_->exec("CREATE TABLE here_alone (a int); CREATE ROLE here_alone");
    const auto client = connect();
    answer{PQprepare(client.get(), "p", "SELECT a FROM here_alone", 0, nullptr)};
    front_->flip(modern_side);
    EXPECT_TRUE(become("different", 1));
    EXPECT_THAT(last_words(client), HasSubstr("the modern database doesn't take what the session holds: 42P01"));
    legacy_->exec("DROP TABLE here_alone; DROP ROLE here_alone");
}

// A locale is the host's.
TEST_F(left_behind, by_formats_only_where_the_session_has_set_them) {
    const support::temp_dir host;
    const auto locale = (host.path() / "de_DE.UTF-8").string();
    const auto made = support::run({"localedef", "-i", "de_DE", "-f", "UTF-8", locale}, std::chrono::minutes{1});
    if (made.exit_code != 0) GTEST_SKIP() << "no localedef: " << made.output;
    support::postgres_cluster german{{.extra_settings = {"lc_monetary=de_DE.UTF-8", "lc_numeric=de_DE.UTF-8"}}};
    ::setenv("LOCPATH", host.path().c_str(), 1);
    german.start();
    ::unsetenv("LOCPATH");
    german.exec("CREATE TABLE side AS SELECT 'legacy' AS name");
    front_ = std::make_unique<front_of_two>(german.dsn("app") + "?sslmode=disable",
                                            modern_->dsn("app_modern") + "?sslmode=disable", "legacy-primary", "");
    const auto client = connect();
    const auto wants_it = connect();
    const auto written = [&](const connection& by) { return run(by, "SELECT to_char(1234.5, 'FM9G999D9')"); };
    EXPECT_EQ(written(client), "1.234,5");
    run(wants_it, "SET lc_numeric = 'de_DE.UTF-8'");
    front_->flip(modern_side);
    EXPECT_TRUE(moved(1));
    EXPECT_TRUE(become("different", 1));
    EXPECT_EQ(where(client), "modern");
    EXPECT_EQ(written(client), written(connect())) << "as for who logs in there";
    EXPECT_THAT(last_words(wants_it), HasSubstr("the modern database doesn't take what the session holds: 22023"));
    front_.reset();
}

TEST_F(left_behind, where_the_other_database_is_away) {
    start("legacy-primary", "connect_timeout: 500ms");
    const auto client = connect();
    const auto another = connect();
    modern_->stop();
    front_->flip(modern_side);
    EXPECT_TRUE(become("unreachable", 2));
    EXPECT_THAT(last_words(client), HasSubstr("no connection to the modern database"));
    modern_->start();

    // It is tried again for a while.
    start("legacy-primary", "connect_timeout: 20s");
    const auto patient = connect();
    modern_->stop();
    front_->flip(modern_side);
    modern_->start();
    EXPECT_EQ(where(patient), "modern");
}

TEST_F(left_behind, where_the_other_database_says_nothing) {
    const fake_database silent;
    const auto start_before_it = [&](const std::string& more) {
        front_.reset();
        const auto there = "postgresql://crossfade@127.0.0.1:" + std::to_string(silent.port()) + "/app?sslmode=disable";
        front_ =
            std::make_unique<front_of_two>(legacy_->dsn("app") + "?sslmode=disable", there, "legacy-primary", more);
    };
    start_before_it("connect_timeout: 300ms");
    const auto client = connect();
    front_->flip(modern_side);
    EXPECT_TRUE(become("unreachable", 1));
    EXPECT_THAT(last_words(client), HasSubstr("it took too long"));

    // A proxy that stops doesn't wait for it.
    start_before_it("connect_timeout: 60s");
    const auto another = connect();
    front_->flip(modern_side);
    ASSERT_TRUE(
        support::eventually(5s, [&] { return front_->sessions().at(0).state == console::session_state::waiting; }));
    const auto began = std::chrono::steady_clock::now();
    front_.reset();
    EXPECT_LT(std::chrono::steady_clock::now() - began, 10s);
    EXPECT_THAT(last_words(another), HasSubstr("57P01 terminating connection due to administrator command"));
}

// Who comes behind others that found nobody isn't kept waiting as long as each of them.
TEST_F(left_behind, in_a_crowd_as_soon_as_alone) {
    const fake_database silent;
    const auto there = "postgresql://crossfade@127.0.0.1:" + std::to_string(silent.port()) + "/app?sslmode=disable";
    front_ = std::make_unique<front_of_two>(legacy_->dsn("app") + "?sslmode=disable", there, "legacy-primary",
                                            "connect_timeout: 1s");
    std::vector<connection> all;
    for (int n = 0; n < 200; ++n) all.push_back(connect());
    const auto began = std::chrono::steady_clock::now();
    front_->flip(modern_side);
    EXPECT_TRUE(become("unreachable", 200));
    EXPECT_LT(std::chrono::steady_clock::now() - began, 6s) << "it takes 2 s; one round after the other, 8 s";
}

TEST_F(left_behind, replication_sessions) {
    start();
    const auto client = connect("replication=database");
    front_->flip(modern_side);
    EXPECT_TRUE(become("obstacle", 1));
    EXPECT_THAT(last_words(client), HasSubstr("it is a replication session"));
}

TEST_F(left_behind, nothing_of_a_client_that_hangs_up) {
    start();
    auto client = connect();
    front_->hold();
    ASSERT_EQ(PQsendQuery(client.get(), "INSERT INTO side VALUES ('left behind')"), 1);
    ASSERT_TRUE(
        support::eventually(5s, [&] { return front_->sessions().at(0).state == console::session_state::paused; }));
    client.reset();
    front_->decide(modern_side);
    front_->let_go();
    EXPECT_TRUE(support::eventually(5s, [&] { return front_->sessions().empty(); }));
    EXPECT_EQ(modern_->value("SELECT count(*) FROM side", "app_modern"), "1");
    EXPECT_EQ(legacy_->value("SELECT count(*) FROM side"), "1");
}

}  // namespace
}  // namespace crossfade::proxy::test
