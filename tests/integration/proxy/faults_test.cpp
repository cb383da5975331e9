// Faults that broke other proxies, one after the other, with a real PostgreSQL: each dialogue gets from the proxy what
// it gets from the database itself. Those that take a lying peer are in tests/scripted/proxy/faults_test.cpp.
#include <gmock/gmock.h>

#include <algorithm>
#include <array>

#include "lib/pgwire/query_messages.hpp"
#include "tests/integration/proxy/proxy_before_postgres.hpp"
#include "tests/integration/proxy/wire_client.hpp"
#include "tests/scripted/proxy/messages.hpp"

namespace crossfade::proxy::test {
namespace {

using namespace std::chrono_literals;
using namespace std::string_literals;
using namespace pgwire;
using testing::HasSubstr;
using testing::StartsWith;

class faults : public proxy_before_postgres {
  protected:
    struct turn {
        std::string sent;
        std::string answered;  // wire_client's letters
    };
    // The same through the proxy, in one packet and in many, as without it. Then the proxy has seen as many
    // transactions end as the client.
    static void holds(const std::vector<turn>& dialogue) {
        play(postgres_->port(), 0, dialogue);
        for (const std::size_t pieces : {0U, 1U, 7U}) {
            const auto before = metric(transactions);
            const auto ended = play(port_, pieces, dialogue);
            EXPECT_TRUE(support::eventually(5s, [&] { return metric(transactions) == before + ended; }))
                << metric(transactions) - before << " instead of " << ended;
        }
    }

    static constexpr auto transactions = "crossfade_transactions_total{strategy=\"legacy-primary\"}";

  private:
    static double play(std::uint16_t port, std::size_t pieces, const std::vector<turn>& dialogue) {
        wire_client client{port};
        double ended = 0;
        for (const auto& [sent, answered] : dialogue) {
            client.send(sent, pieces);
            if (answered.empty()) continue;
            const auto messages =
                answered.size() - static_cast<std::size_t>(std::count(answered.begin(), answered.end(), 'Z'));
            EXPECT_EQ(client.read(messages), answered)
                << (port == port_ ? "proxy, in pieces of " : "direct ") << pieces;
            for (std::size_t at = 0; (at = answered.find("ZI", at)) != std::string::npos; ++at) ++ended;
        }
        return ended;
    }
};

TEST_F(faults, f01_error_sync_and_ready_racing_and_two_errors_in_one_pipeline) {
    const auto good = statement("select 1") + build_sync();
    const auto bad = statement("bogus") + build_sync();
    holds({{good + bad + good, "12DCZI"s + "EZI" + "12DCZI"},
           {bad + bad, "EZIEZI"},
           {statement("select 1") + bad + bad + good + bad, "12DCEZIEZI12DCZIEZI"},
           {build_sync() + bad + build_sync(), "ZIEZIZI"}});
}

TEST_F(faults, f02_a_simple_query_in_an_aborted_batch_has_no_ready_of_its_own) {
    holds({{build_parse("", "bogus") + build_query("select 1") + build_sync(), "EZI"},
           {build_parse("", "bogus") + build_flush(), "E"},
           {build_query("select 1") + build_sync(), "ZI"},
           {build_parse("", "select 1") + build_query("select 1") + build_sync(), "1TDCZIZI"}});
}

TEST_F(faults, f03_the_server_stays_until_the_last_of_several_ready) {
    holds({{build_query("create temp table held(n int)") + build_query("insert into held values (1)") +
                build_query("select n from held"),
            "CZICZITDCZI"}});
}

TEST_F(faults, f03_no_sync_is_invented_that_would_commit_early) {
    const auto insert = statement("insert into early values (1)") + build_flush();
    postgres_->exec("create table early(n int)");
    for (const bool fails : {true, false}) {
        wire_client client{port_};
        client.send(insert + insert);
        EXPECT_EQ(client.read(6), "12C12C");
        EXPECT_EQ(postgres_->value("select count(*) from early"), "0");
        client.send((fails ? build_parse("", "bogus") : ""s) + build_sync());
        EXPECT_EQ(client.read(fails ? 2 : 1), fails ? "EZI" : "ZI");
        EXPECT_EQ(postgres_->value("select count(*) from early"), fails ? "0" : "2");
    }
    postgres_->exec("drop table early");
}

TEST_F(faults, f04_flush_is_not_dropped_portals_survive_it_and_max_rows_is_heeded) {
    holds({{build_parse("s", "select generate_series(1, 5)") + build_flush(), "1"},
           {build_describe(named::statement, "s") + build_flush(), "tT"},
           {build_bind("p", "s", {}) + build_execute("p", 2) + build_flush(), "2DDs"},
           {build_execute("p", 1) + build_flush(), "Ds"},
           {build_execute("p", 0) + build_flush(), "DDC"},
           {build_sync(), "ZI"}});
}

TEST_F(faults, f05_a_copy_that_fails_and_is_told_late_that_it_is_done) {
    const auto copy = "copy pg_temp.numbers from stdin"s;
    const auto create = build_query("create temp table numbers(n int)");
    const auto alive = build_query("select 1");
    holds({{create, "CZI"},
           {build_query(copy), "G"},
           {build_copy_data("bad\n"), "EZI"},
           {build_copy_data("late\n") + build_copy_done() + alive, "TDCZI"},
           {build_query(copy), "G"},
           {build_copy_data("1\n") + build_copy_fail("no") + alive, "EZITDCZI"},
           {statement(copy) + build_flush(), "12G"},
           {build_copy_data("bad\n") + build_copy_done() + build_sync() + alive, "EZITDCZI"},
           {statement(copy) + build_sync() + build_copy_data("bad\n") + build_copy_done() + build_sync() + alive,
            "12GEZITDCZI"},
           {statement(copy) + build_sync() + build_copy_data("1\n") + build_copy_done() + build_sync() + alive,
            "12GCZITDCZI"}});
}

TEST_F(faults, f06_a_cancel_stops_its_own_sessions_query_and_no_other) {
    const auto session = connect();
    const auto bystander = connect();
    PQsendQuery(session.get(), "select pg_sleep(60)");
    PQsendQuery(bystander.get(), "select pg_sleep(0.5)");
    ASSERT_TRUE(support::eventually(5s, [] {
        return postgres_->value("select count(*) from pg_stat_activity where wait_event = 'PgSleep'") == "2";
    }));
    const auto before = metric("crossfade_cancel_requests_total{result=\"forwarded\"}");
    std::array<char, 256> error{};
    const std::unique_ptr<PGcancel, decltype(&PQfreeCancel)> handle{PQgetCancel(session.get()), &PQfreeCancel};
    EXPECT_EQ(PQcancel(handle.get(), error.data(), error.size()), 1) << error.data();
    const answer cancelled{PQgetResult(session.get())};
    EXPECT_STREQ(PQresultErrorField(cancelled.get(), PG_DIAG_SQLSTATE), "57014");
    const answer undisturbed{PQgetResult(bystander.get())};
    EXPECT_EQ(PQresultStatus(undisturbed.get()), PGRES_TUPLES_OK);
    EXPECT_EQ(metric("crossfade_cancel_requests_total{result=\"forwarded\"}"), before + 1);
}

TEST_F(faults, f08_a_value_of_200_megabytes_passes_both_ways) {
    const auto session = connect();
    const std::string big(200'000'000, 'b');
    const char* argument = big.c_str();
    const answer back{
        PQexecParams(session.get(), "select $1::text, length($1)", 1, nullptr, &argument, nullptr, nullptr, 0)};
    ASSERT_EQ(PQresultStatus(back.get()), PGRES_TUPLES_OK) << PQerrorMessage(session.get());
    EXPECT_EQ(std::string_view(PQgetvalue(back.get(), 0, 0)), big);
}

TEST_F(faults, f09_newer_protocols_and_grease_are_negotiated_once) {
    const struct {
        protocol_version version;
        wire_client::parameters more;
        const char* login;
    } table[] = {{{3, 0}, {}, "RKZI"},
                 {{3, 2}, {}, "vRKZI"},
                 {{3, 9999}, {{"_pq_.test_protocol_negotiation", ""}}, "vRKZI"},
                 {{3, 0}, {{"_pq_.test_protocol_negotiation", ""}}, "vRKZI"}};
    for (const auto port : {postgres_->port(), port_}) {
        for (auto [version, more, login] : table) {
            more.emplace_back("database", "app");
            wire_client client{port, version, more};
            EXPECT_EQ(client.login(), login) << (port == port_ ? "proxy" : "direct");
            client.send(build_query("select 1"));
            EXPECT_EQ(client.read(4), "TDCZI");
        }
    }
}

TEST_F(faults, f10_options_reach_the_server_and_the_startup_may_come_in_pieces) {
    const auto session = connect("user=crossfade options='-c work_mem=12345kB -c search_path=\"a\\\\ b\",public'");
    EXPECT_EQ(value(session, "show work_mem"), "12345kB");
    EXPECT_EQ(value(session, "show search_path"), "\"a b\",public");
    const wire_client::parameters more{
        {"database", "app"}, {"options", "-c geqo=off"}, {"application_name", "pieces"}, {"extra_float_digits", "1"}};
    for (const std::size_t pieces : {1U, 3U, 8U}) {
        wire_client client{port_, {3, 0}, more, pieces};
        EXPECT_EQ(client.login(), "RKZI");
        client.send(
            build_query("select 'found' where current_setting('geqo') = 'off' and "
                        "current_setting('application_name') = 'pieces'"));
        EXPECT_EQ(client.read(4), "TDCZI");
    }
}

TEST_F(faults, f11_closing_a_portal_leaves_the_statement_of_its_name_and_close_follows_a_failed_parse) {
    holds({{build_parse("a", "select 1") + build_bind("a", "a", {}) + build_close(named::portal, "a") + build_sync(),
            "123ZI"},
           {build_bind("a", "a", {}) + build_execute("a", 0) + build_sync(), "2DCZI"},
           {build_close(named::statement, "a") + build_bind("a", "a", {}) + build_sync(), "3EZI"},
           {build_parse("b", "bogus") + build_close(named::statement, "b") + build_sync(), "EZI"},
           {build_close(named::statement, "b") + build_parse("b", "select 2") + build_sync(), "31ZI"}});
}

TEST_F(faults, f12_discard_deallocate_and_the_unnamed_statement) {
    const auto run = [](const char* name) { return build_bind("", name, {}) + build_execute("", 0) + build_sync(); };
    holds({{build_parse("a", "select 1") + build_parse("", "select 2") + build_sync(), "11ZI"},
           {run("a") + run(""), "2DCZI2DCZI"},
           {build_query("select 3") + run(""), "TDCZIEZI"},
           {run("a") + build_query("deallocate all") + run("a"), "2DCZICZIEZI"},
           {build_parse("a", "select 1") + build_sync() + build_query("discard all") + run("a"), "1ZICZIEZI"},
           {build_parse("a", "select 1") + build_sync() + run("a"), "1ZI2DCZI"}});
}

TEST_F(faults, f13_function_calls_and_empty_queries_in_aborted_transactions) {
    holds({{function_call(), "VZI"},
           {build_query("begin") + function_call() + build_query("bogus"), "CZTVZTEZE"},
           {function_call(), "EZE"},
           {build_query("") + build_query(" ; "), "IZEIZE"},
           {statement("") + build_sync(), "1EZE"},
           {statement("bogus") + function_call() + build_sync(), "EZE"},
           {build_query("rollback"), "CZI"}});
}

TEST_F(faults, f17_notifications_carry_the_databases_own_pid) {
    const auto listening = connect();
    const auto notifying = connect();
    value(listening, "listen jobs");
    EXPECT_EQ(value(notifying, "select pg_backend_pid()"), std::to_string(PQbackendPID(notifying.get())));
    for (const auto& sender : {&notifying, &listening}) {
        value(*sender, "notify jobs, 'now'");
        PGnotify* got = nullptr;
        EXPECT_TRUE(support::eventually(5s, [&] {
            PQconsumeInput(listening.get());
            return (got = PQnotifies(listening.get())) != nullptr;
        }));
        ASSERT_NE(got, nullptr);
        EXPECT_STREQ(got->extra, "now");
        EXPECT_EQ(got->be_pid, PQbackendPID(sender->get()));
        PQfreemem(got);
    }
}

}  // namespace
}  // namespace crossfade::proxy::test
