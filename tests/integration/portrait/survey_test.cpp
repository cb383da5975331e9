#include "proxy/portrait/survey.hpp"

#include <gmock/gmock.h>

#include "tests/support/postgres.hpp"

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
    const char* function;
    std::vector<std::string> names;
    bool complete;
};

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
    };
    for (const auto& each : samples) {
        server.exec("CREATE DATABASE of_sample");
        server.exec(std::string{"CREATE FUNCTION "} + each.function, "of_sample");
        const auto found = survey_of(server, "of_sample");
        EXPECT_THAT(found.own_settings, testing::ElementsAreArray(each.names)) << each.function;
        EXPECT_EQ(found.complete, each.complete) << each.function;
        server.exec("DROP DATABASE of_sample");
    }
}

}  // namespace
}  // namespace crossfade::proxy::portrait
