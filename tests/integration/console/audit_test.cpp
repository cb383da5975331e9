// What is done to a running proxy, on its way into crossfade.audit.
#include "lib/store/audit.hpp"

#include <csignal>
#include <fstream>
#include <sstream>

#include "tests/integration/console/operators_console.hpp"

namespace crossfade::proxy::test {
namespace {

using namespace std::chrono_literals;
using testing::ElementsAre;
using testing::HasSubstr;
using table = support::postgres_cluster::table;

class audit_trail : public operators_console {
  protected:
    void SetUp() override {
        postgres_->exec("DROP SCHEMA IF EXISTS crossfade CASCADE");
        restart("pause_wait: 200ms");
    }
    static void install(const std::string& dbname = "app") { postgres_->exec(std::string{store::audit_sql()}, dbname); }
    static table written(const std::string& columns, const std::string& dbname = "app") {
        return postgres_->exec("SELECT " + columns + " FROM crossfade.audit ORDER BY id", dbname);
    }
    static bool has(std::size_t entries, const std::string& dbname = "app") {
        return support::eventually(20s, [&] { return written("id", dbname).size() == entries; });
    }
    static void tolerate(const std::string& drift) {
        std::stringstream now;
        now << std::ifstream{proxy_->config_path()}.rdbuf();
        const auto text = now.str();
        proxy_->configure(text.substr(0, text.find("flags:")) + "flags: { migration_drift_tolerance: " + drift +
                          " }\n");
    }
    static bool lost(double entries) {
        return support::eventually(20s, [&] { return metric("crossfade_audit_lost_total ") == entries; });
    }
};

TEST_F(audit_trail, has_what_operators_order) {
    install();
    const auto client = connect();
    const auto operators = console();
    EXPECT_EQ(sqlstate(operators, "PAUSE DATABASE app"), "");
    EXPECT_EQ(sqlstate(operators, "RESUME DATABASE app"), "");
    value(client, "begin");
    EXPECT_EQ(sqlstate(operators, "PAUSE"), "55006");
    const auto id = session(operators, value(client, "select pg_backend_pid()"), "id");
    EXPECT_EQ(sqlstate(operators, "KILL " + id), "");
    EXPECT_EQ(sqlstate(operators, "KILL 999999"), "42704");
    ASSERT_TRUE(has(5));
    EXPECT_THAT(
        written("action, scope, by_whom, outcome, stream"),
        ElementsAre(ElementsAre("pause", "DATABASE app", "ops", "done", "app"),
                    ElementsAre("resume", "DATABASE app", "ops", "done", "app"),
                    ElementsAre("pause", "everything", "ops",
                                "failed: 1 sessions are still in a transaction, and nothing new is held", "app"),
                    ElementsAre("kill", "session " + id, "ops", "done", "app"),
                    ElementsAre("kill", "session 999999", "ops", "failed: there is no session 999999", "app")));
    EXPECT_THAT(written("program").front().front(), HasSubstr("127.0.0.1:" + std::to_string(port_)));
    // Its own end, too.
    (void)sqlstate(operators, "SHUTDOWN");
    ASSERT_TRUE(has(6));
    EXPECT_EQ(written("action").back().front(), "shutdown");
    EXPECT_TRUE(support::eventually(20s, [] { return !proxy_->running(); }));
}

TEST_F(audit_trail, has_reloads_with_what_they_changed) {
    install();
    tolerate("0.25");
    ASSERT_TRUE(has(1)) << proxy_->log();  // by the file's change, perhaps
    tolerate("0.5");
    const auto operators = console();
    EXPECT_EQ(value(operators, "RELOAD"), "");
    ASSERT_TRUE(has(2));
    proxy_->signal(SIGHUP);  // nothing has changed
    tolerate("nonsense");
    EXPECT_EQ(sqlstate(operators, "RELOAD"), "F0000");
    ASSERT_TRUE(support::eventually(20s, [] { return written("id").size() >= 3; }));
    const auto all = written("action, outcome, after ->> 'epoch', after #>> '{changes,0}', after #>> '{problems,0}'");
    EXPECT_THAT(all[0],
                ElementsAre("flags reload", "applied", "2", "flags.migration_drift_tolerance: 0.0005 -> 0.25", ""));
    EXPECT_THAT(all[1],
                ElementsAre("flags reload", "applied", "3", "flags.migration_drift_tolerance: 0.25 -> 0.5", ""));
    EXPECT_EQ(all[2][1], "refused");
    EXPECT_THAT(all[2][4], HasSubstr("nonsense"));
    // Who has asked for it: the file's watch may have been faster than the operator.
    for (const auto& each : written("scope, by_whom"))
        EXPECT_EQ(each[1], each[0] == "by console" ? "ops" : "") << each[0];
}

TEST_F(audit_trail, holds_nothing_up_while_the_database_is_away) {
    install();
    postgres_->stop();
    tolerate("0.25");
    EXPECT_EQ(support::http_post(proxy_->admin_port(), "/-/reload").status, 200U);
    EXPECT_TRUE(support::eventually(10s, [] { return metric("crossfade_audit_waiting ") == 1; }));
    EXPECT_EQ(metric("crossfade_audit_lost_total "), 0);
    postgres_->start();
    ASSERT_TRUE(has(1));
    EXPECT_THAT(written("outcome").front().front(), testing::StartsWith("applied"));
    EXPECT_TRUE(support::eventually(10s, [] { return metric("crossfade_audit_waiting ") == 0; }));
}

TEST_F(audit_trail, goes_to_the_other_database_where_the_authority_has_none) {
    postgres_->exec("CREATE DATABASE modern");
    const auto operators = console();
    EXPECT_EQ(sqlstate(operators, "KILL 999999"), "42704");
    EXPECT_TRUE(lost(1)) << proxy_->log();
    EXPECT_THAT(proxy_->log(), HasSubstr("no entry in crossfade.audit of kill by ops"));
    install("modern");
    EXPECT_EQ(sqlstate(operators, "KILL 999999"), "42704");
    EXPECT_TRUE(has(1, "modern"));
    EXPECT_EQ(metric("crossfade_audit_lost_total "), 1);
    proxy_->stop();
    postgres_->exec("DROP DATABASE modern WITH (FORCE)");
}

TEST_F(audit_trail, ends_in_time_though_nothing_can_be_written) {
    const auto operators = console();
    for (int i = 0; i < 3; ++i) EXPECT_EQ(sqlstate(operators, "KILL 999999"), "42704");
    EXPECT_TRUE(support::eventually(10s, [] { return metric("crossfade_audit_waiting ") == 3; })) << proxy_->log();
    EXPECT_EQ(proxy_->stop(20s), 0);
    EXPECT_THAT(proxy_->log(), HasSubstr("the program is ending"));
}

}  // namespace
}  // namespace crossfade::proxy::test
