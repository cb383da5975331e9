#pragma once

#include "tests/integration/portrait/database_session.hpp"
#include "tests/support/eventually.hpp"
#include "tests/support/postgres.hpp"

namespace crossfade::proxy::portrait {

// Two servers whose databases have the same objects: functions that set settings, a type of their own, an operator and
// a table that lie in wait for whoever doesn't qualify a name.
class two_databases : public testing::Test {
  protected:
    static void SetUpTestSuite() {
        if (!support::postgres_cluster::available()) return;
        for (auto* one : {&here_, &there_}) {
            *one = new support::postgres_cluster;
            (*one)->start();
        }
        // So that OIDs differ.
        there_->exec("CREATE TABLE first (a int); CREATE TYPE first_mood AS ENUM ('x')");
        for (auto* one : {here_, there_}) one->exec(objects);
    }
    static void TearDownTestSuite() {
        for (auto* one : {&here_, &there_}) delete std::exchange(*one, nullptr);
    }
    void SetUp() override {
        if (here_ == nullptr) GTEST_SKIP() << "no PostgreSQL";
    }

    database_session here(const database_session::parameters& more = {}, const std::string& user = "crossfade") {
        return database_session(here_->port(), more, user);
    }
    database_session there(const database_session::parameters& more = {}, const std::string& user = "crossfade") {
        return database_session(there_->port(), more, user);
    }

    // Nobody reads the table for 0.9 s. Returns when that holds.
    void hold_back(database_session& blocker, const std::string& catalog) {
        // Before the lock: whoever logs in reads catalogs, too.
        auto watcher = here();
        hold_back(blocker, watcher, catalog);
    }
    static void hold_back(database_session& blocker, database_session& watcher, const std::string& catalog) {
        blocker.send(pgwire::build_query("BEGIN; LOCK TABLE " + catalog + "; SELECT pg_sleep(0.9); COMMIT"));
        ASSERT_TRUE(support::eventually(std::chrono::seconds{10}, [&] {
            return watcher.value(
                       "SELECT count(*) FROM pg_locks WHERE granted AND mode = 'AccessExclusiveLock' AND "
                       "relation = '" +
                       catalog + "'::regclass") == "1";
        }));
    }

    static constexpr const char* objects = R"sql(
        CREATE ROLE other LOGIN;
        CREATE ROLE plain LOGIN;
        CREATE ROLE team;
        GRANT team TO plain;
        ALTER ROLE crossfade SET app.of_role = 'r';
        CREATE TYPE mood AS ENUM ('x\y', 'z');
        CREATE FUNCTION sets(name text, value text) RETURNS text LANGUAGE sql AS 'SELECT set_config(name, value, false)';
        CREATE FUNCTION sets_for_itself() RETURNS text LANGUAGE sql SET work_mem = '9MB' AS 'SELECT ''x''';
        CREATE SCHEMA traps;
        CREATE FUNCTION traps.trap(text, text) RETURNS boolean LANGUAGE plpgsql AS 'BEGIN RAISE ''a trap''; END';
        CREATE OPERATOR traps.= (LEFTARG = text, RIGHTARG = text, FUNCTION = traps.trap);
        CREATE FUNCTION traps.count() RETURNS bigint LANGUAGE plpgsql AS 'BEGIN RAISE ''a trap''; END';
        CREATE FUNCTION traps.format(text, text, text) RETURNS text LANGUAGE plpgsql AS 'BEGIN RAISE ''a trap''; END';
        CREATE DOMAIN traps.text AS int;
        CREATE DOMAIN traps.bytea AS int;
        CREATE VIEW traps.pg_settings AS SELECT 'a trap' AS name;
    )sql";

    static inline support::postgres_cluster* here_ = nullptr;
    static inline support::postgres_cluster* there_ = nullptr;
};

}  // namespace crossfade::proxy::portrait
