#include "proxy/portrait/survey.hpp"

#include <gmock/gmock.h>

#include "tests/integration/portrait/two_databases.hpp"

namespace crossfade::proxy::portrait {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

function_survey survey_of(const support::postgres_cluster& server, const std::string& database) {
    function_survey found;
    for (const auto& row : server.exec(std::string{survey_sql()}, database))
        add(found, row[0].empty() ? std::nullopt : std::optional<std::string_view>(row[0]));
    return found;
}

struct sample {
    std::string function;
    std::vector<std::string> names;
    bool complete;
};

std::string by_execute(const std::string& text) {
    return "f(a text) RETURNS void LANGUAGE plpgsql AS $$ BEGIN EXECUTE " + text + "; END $$";
}

// A body that isn't looked into when it is created.
std::string as_said_elsewhere(const std::string& body) {
    return "f() RETURNS void LANGUAGE plpgsql AS $f$ BEGIN /*" + body + "*/ END $f$";
}

TEST(survey, finds_what_functions_set) {
    if (!support::postgres_cluster::available()) GTEST_SKIP() << "no PostgreSQL";
    support::postgres_cluster server;
    server.start();
    EXPECT_TRUE(survey_of(server, "app").complete);
    EXPECT_THAT(survey_of(server, "app").own_settings, IsEmpty());
    const sample samples[] = {
        {"f() RETURNS text LANGUAGE sql AS $$ SELECT Set_Config('App.One', 'x', false) $$", {"app.one"}, true},
        {"f() RETURNS text LANGUAGE sql RETURN set_config('app.two', 'x', false)", {"app.two"}, true},
        {"f() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_catalog.\"set_config\" ( 'app.three' , NEW.a, "
         "false); SET SESSION app.\"Four\" TO 1; SET app.five = 'x'; SET work_mem = '1MB'; RETURN NEW; END $$",
         {"app.five", "app.four", "app.three"},
         true},
        {"f(a text) RETURNS text LANGUAGE sql AS $$ SELECT set_config(a, 'x', false) $$", {}, false},
        {"f(a text) RETURNS text LANGUAGE sql AS $$ SELECT set_config('app.' || a, 'x', false) $$", {}, false},
        {"f(a text) RETURNS text LANGUAGE sql RETURN set_config('app.' || a, 'x', false)", {}, false},
        {"f(a text) RETURNS void LANGUAGE plpgsql AS $$ BEGIN EXECUTE format('SET %I = 1', a); END $$", {}, false},
        {"f(a text) RETURNS void LANGUAGE plpgsql AS $$ BEGIN EXECUTE 'set ' || a || ' = 1'; END $$", {}, false},
        {"f(a text) RETURNS void LANGUAGE plpgsql AS $$ BEGIN UPDATE t SET a = f.a; END $$", {}, true},
        // A part of the name.
        {by_execute("format('SET app.%I = %L', a, a)"), {}, false},
        {by_execute("format('SET SESSION app.%I = %L', a, a)"), {}, false},
        {by_execute("format('SET app.of_%s = %L', a, a)"), {}, false},
        {by_execute("format('SET \"%s\".tenant = 1', a)"), {}, false},
        {by_execute("'SET app.' || a || ' = 1'"), {}, false},
        {by_execute("'SET' || ' app.' || a || ' = 1'"), {}, false},
        {by_execute("$q$SET app.$q$ || quote_ident(a) || ' = 1'"), {}, false},
        {by_execute("concat('SET ', a, ' = 1')"), {}, false},
        {by_execute("concat('SET app.', a, ' = 1')"), {}, false},
        {by_execute("format('SELECT set_config(''app.%s'', ''x'', false)', a)"), {}, false},
        {by_execute("format($q$SELECT set_config('app.%s', 'x', false)$q$, a)"), {}, false},
        {by_execute("'SET app.whole = ' || quote_literal(a)"), {"app.whole"}, true},
        {by_execute("format('SET LOCAL app.%I = %L', a, a)"), {}, true},
        // As in languages that needn't be here.
        {as_said_elsewhere(R"(plpy.execute(f"SET {k} = 1"))"), {}, false},
        {as_said_elsewhere(R"(plpy.execute(f"SET app.{k} = 1"))"), {}, false},
        {as_said_elsewhere(R"(plpy.execute("SET app." + k + " = 1"))"), {}, false},
        {as_said_elsewhere(R"(spi_exec_query("SET app.$k = 1"))"), {}, false},
        {as_said_elsewhere(R"(spi_exec_query('SET ' . $k . ' = 1'))"), {}, false},
        {as_said_elsewhere(R"(plv8.execute(`SET app.${k} = 1`))"), {}, false},
        // Of an UPDATE.
        {by_execute("format('UPDATE %I SET %I = $1', a, a)"), {}, true},
        {by_execute("format('UPDATE ONLY %I.%I AS t SET %I = 1', a, a, a)"), {}, true},
        {by_execute("'UPDATE ' || quote_ident(a) || ' t SET ' || a || ' = 1'"), {}, true},
        {by_execute("'UPDATE ' || quote_ident(a)\n || ' SET ' || a || ' = 1'"), {}, true},
        {by_execute("format('INSERT INTO t VALUES (1) ON CONFLICT (a) DO UPDATE SET %I = 1', a)"), {}, true},
        {by_execute("format('UPDATE %I SET %I = 1', a, a); EXECUTE format('SET app.%I = 1', a)"), {}, false},
        {"f(a text) RETURNS void LANGUAGE plpgsql AS $$ BEGIN IF a = 'UPDATE' THEN EXECUTE format('SET app.%I = 1', a);"
         " END IF; END $$",
         {},
         false},
        {"f() RETURNS void LANGUAGE plpgsql AS $$ DECLARE r record; BEGIN FOR r IN SELECT k FROM t FOR UPDATE LOOP "
         "EXECUTE 'SET app.' || r.k || ' = 1'; END LOOP; END $$",
         {},
         false},
    };
    for (const auto& each : samples) {
        server.exec("CREATE DATABASE of_sample");
        server.exec("CREATE FUNCTION " + each.function, "of_sample");
        const auto found = survey_of(server, "of_sample");
        EXPECT_THAT(found.own_settings, testing::ElementsAreArray(each.names)) << each.function;
        EXPECT_EQ(found.complete, each.complete) << each.function;
        server.exec("DROP DATABASE of_sample");
    }
}

// Whatever the session has set, and without a trace in it.
TEST_F(two_databases, are_surveyed_in_a_clients_session) {
    auto session = here();
    session.run("SET standard_conforming_strings = off; SET escape_string_warning = off");
    session.run("SET search_path = traps, public, pg_catalog");
    session.say(pgwire::build_parse("", "SELECT pg_catalog.text 'unnamed'") + pgwire::build_sync());
    here_->exec("CREATE FUNCTION one() RETURNS text LANGUAGE sql AS $$ SELECT set_config('app.one', 'x', false) $$");
    const auto outcome = session.survey();
    ASSERT_TRUE(std::holds_alternative<function_survey>(outcome));
    const auto& found = std::get<function_survey>(outcome);
    EXPECT_THAT(found.own_settings, testing::Contains("app.one"));
    EXPECT_FALSE(found.complete) << "sets()";
    question about_functions;
    about_functions.about_functions = true;
    EXPECT_EQ(session.portrait(about_functions).functions, found.edition);
    for (const auto* change :
         {"CREATE OR REPLACE FUNCTION one() RETURNS text LANGUAGE sql AS $$ SELECT 'x' $$",
          "CREATE FUNCTION two() RETURNS text LANGUAGE sql AS $$ SELECT 'x' $$", "DROP FUNCTION two()"}) {
        const auto before = session.portrait(about_functions).functions;
        here_->exec(change);
        EXPECT_NE(session.portrait(about_functions).functions, before) << change;
    }
    EXPECT_EQ(session.portrait().functions, "");
    EXPECT_THAT(session.say(pgwire::build_bind("", "", {}) + pgwire::build_execute("", 0) + pgwire::build_sync()),
                ElementsAre("unnamed"));
    EXPECT_EQ(session.run("SHOW standard_conforming_strings"), std::vector<std::string>{"off"});
    here_->exec("DROP FUNCTION one()");
}

TEST_F(two_databases, are_surveyed_though_it_takes_longer_than_statement_timeout) {
    auto session = here();
    auto blocker = here();
    session.run("SET statement_timeout = '300ms'");
    ASSERT_NO_FATAL_FAILURE(hold_back(blocker, "pg_language"));
    EXPECT_TRUE(std::holds_alternative<function_survey>(session.survey()));
    EXPECT_THAT(session.run("SELECT pg_sleep(10)"), ElementsAre("57014")) << "it holds again";
}

}  // namespace
}  // namespace crossfade::proxy::portrait
