// What PostgreSQL tells of a session, and a session made anew from it on another server.
#include <gmock/gmock.h>

#include "tests/integration/portrait/two_databases.hpp"
#include "tests/support/eventually.hpp"

namespace crossfade::proxy::portrait {
namespace {

using pgwire::build_bind;
using pgwire::build_execute;
using pgwire::build_parse;
using pgwire::build_sync;
using testing::Contains;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::Pair;
using testing::UnorderedElementsAre;

using portrait_of = two_databases;

TEST_F(portrait_of, a_fresh_session_shows_what_decides_meanings_and_what_its_start_up_said) {
    auto session = here({{"application_name", "shop"}, {"options", "-c work_mem=5MB"}});
    const auto found = session.portrait();
    EXPECT_EQ(found.user, "crossfade");
    EXPECT_EQ(found.role, "none");
    EXPECT_EQ(found.encoding, "UTF8");
    EXPECT_THAT(found.settings, Contains(Pair("application_name", "shop")));
    EXPECT_THAT(found.settings, Contains(Pair("work_mem", "5120")));
    EXPECT_THAT(found.settings, Contains(Pair("search_path", "\"$user\", public")));
    EXPECT_THAT(found.settings, Contains(Pair("statement_timeout", "0")));
    EXPECT_EQ(found.settings.contains("random_page_cost"), false);
    EXPECT_EQ(found.settings.contains("lo_compat_privileges"), false) << "which a superuser alone may set elsewhere";
    EXPECT_THAT(obstacles(found), IsEmpty());
}

TEST_F(portrait_of, settings_are_found_whoever_set_them) {
    auto session = here();
    session.run("SET work_mem = '7MB'; SELECT set_config('lock_timeout', '5s', false)");
    session.run("SELECT sets('random_page_cost', '3'), sets('app.of_function', 'f')");
    session.run("SET \"App.Tenant\" = 'acme'");
    const auto found = session.portrait({.own_settings = {"app.tenant", "app.of_function", "app.nobody_set"}});
    EXPECT_THAT(found.settings, Contains(Pair("work_mem", "7168")));
    EXPECT_THAT(found.settings, Contains(Pair("lock_timeout", "5000")));
    EXPECT_THAT(found.settings, Contains(Pair("random_page_cost", "3")));
    EXPECT_THAT(found.own_settings, UnorderedElementsAre(Pair("app.tenant", "acme"), Pair("app.of_function", "f"),
                                                         Pair("app.of_role", "r")));
}

struct undone_case {
    const char* label;
    std::vector<const char*> statements;
};

TEST_F(portrait_of, what_was_undone_is_not_there) {
    for (const undone_case& each :
         {undone_case{"set local", {"BEGIN", "SET LOCAL work_mem = '7MB'", "COMMIT"}},
          undone_case{"rollback", {"BEGIN", "SET work_mem = '7MB'", "ROLLBACK"}},
          undone_case{"savepoint", {"BEGIN", "SAVEPOINT s", "SET work_mem = '7MB'", "ROLLBACK TO s", "COMMIT"}},
          undone_case{"error", {"BEGIN", "SET work_mem = '7MB'", "SELECT 1/0", "COMMIT"}},
          undone_case{"reset", {"SET work_mem = '7MB'", "RESET work_mem"}},
          undone_case{"reset all", {"SET work_mem = '7MB'", "RESET ALL"}},
          undone_case{"discard all",
                      {"SET work_mem = '7MB'", "PREPARE p AS SELECT 1", "LISTEN c", "SELECT pg_advisory_lock(1)",
                       "CREATE TEMP TABLE t (a int)", "SET ROLE other",
                       "BEGIN; DECLARE c CURSOR WITH HOLD FOR SELECT 1; COMMIT", "DISCARD ALL"}},
          undone_case{"function that sets it back", {"SELECT sets_for_itself()"}}}) {
        SCOPED_TRACE(each.label);
        auto session = here();
        const auto before = session.portrait();
        for (const auto* statement : each.statements) session.run(statement);
        EXPECT_THAT(differences(before, session.portrait()), IsEmpty());
    }
}

TEST_F(portrait_of, what_cannot_go_elsewhere_is_an_obstacle) {
    struct sample {
        const char* sql;
        std::vector<obstacle> stands;
    };
    for (const sample& each :
         {sample{"SELECT pg_advisory_lock(1)", {obstacle::advisory_lock}},
          sample{"SELECT pg_advisory_lock_shared(1, 2)", {obstacle::advisory_lock}},
          sample{"CREATE TEMP TABLE t (a int)", {obstacle::temporary_object}},
          sample{"CREATE FUNCTION pg_temp.f() RETURNS int LANGUAGE sql AS 'SELECT 1'", {obstacle::temporary_object}},
          sample{"CREATE TYPE pg_temp.e AS ENUM ('a')", {obstacle::temporary_object}},
          sample{"SELECT pg_create_physical_replication_slot('s', true, true)", {obstacle::temporary_slot}},
          sample{"BEGIN; DECLARE c CURSOR WITH HOLD FOR SELECT 1; COMMIT", {obstacle::held_cursor}},
          sample{"BEGIN; DECLARE c CURSOR FOR SELECT 1; COMMIT", {}}, sample{"SELECT pg_advisory_xact_lock(1)", {}},
          sample{"CREATE TEMP TABLE t ON COMMIT DROP AS SELECT 1", {}},
          sample{"PREPARE a AS SELECT 1; DEALLOCATE a; PREPARE a AS SELECT 2", {obstacle::prepared_text}}}) {
        SCOPED_TRACE(each.sql);
        auto session = here();
        session.run(each.sql);
        EXPECT_EQ(obstacles(session.portrait()), each.stands);
    }
}

TEST_F(portrait_of, prepared_statements_have_their_texts_and_types) {
    auto session = here();
    session.run("SELECT ';'; PREPARE a (int, text) AS SELECT $1, $2; PREPARE \"A b\" AS SELECT ';'");
    const std::vector<std::uint32_t> types{20, 0};
    session.say(build_parse("p", "SELECT $1, $2 = 'x\\y'::mood", types) + build_parse("q", "") + build_sync());
    const auto found = session.portrait();
    EXPECT_THAT(found.prepared, testing::SizeIs(4));
    EXPECT_EQ(found.prepared.at("a").text, " PREPARE a (int, text) AS SELECT $1, $2");
    EXPECT_TRUE(found.prepared.at("a").by_sql);
    EXPECT_EQ(found.prepared.at("A b").text, " PREPARE \"A b\" AS SELECT ';'");
    EXPECT_EQ(found.prepared.at("p").text, "SELECT $1, $2 = 'x\\y'::mood");
    EXPECT_FALSE(found.prepared.at("p").by_sql);
    EXPECT_THAT(found.prepared.at("p").parameters,
                ElementsAre(parameter_type{20, "pg_catalog.int8"}, parameter_type{0, "public.mood"}));
    EXPECT_EQ(found.prepared.at("q").text, "");
}

TEST_F(portrait_of, the_unnamed_statement_survives_the_question) {
    auto session = here();
    const auto run = build_bind("", "", {}) + build_execute("", 0) + build_sync();
    session.say(build_parse("", "SELECT 'still here'") + build_sync());
    EXPECT_TRUE(session.portrait().unnamed_there);
    EXPECT_TRUE(session.portrait().unnamed_there);
    EXPECT_THAT(session.say(run), ElementsAre("still here"));
    session.run("SELECT 1");
    EXPECT_FALSE(session.portrait().unnamed_there);
    session.say(build_parse("", "SELECT 1") + build_sync());
    session.say(build_parse("", "SELECT (") + build_sync());
    EXPECT_FALSE(session.portrait().unnamed_there) << "a Parse that fails takes the old one along";
    session.say(build_parse("", "SELECT 1") + build_sync());
    session.say(build_bind("", "nowhere", {}) + build_parse("", "SELECT (") + build_sync());
    EXPECT_TRUE(session.portrait().unnamed_there) << "one that is skipped doesn't";
}

TEST_F(portrait_of, a_session_that_makes_it_hard_is_told_all_the_same_and_left_as_it_was) {
    auto session = here();
    for (const auto* statement :
         {"SET search_path = traps, pg_catalog", "SET client_encoding = 'LATIN1'", "SET client_min_messages = debug1",
          "SET bytea_output = 'escape'", "SET default_transaction_read_only = on",
          "SET standard_conforming_strings = off", "SET default_transaction_isolation = 'serializable'",
          "SET quote_all_identifiers = on", "SET row_security = off"})
        session.run(statement);
    const auto first = session.ask();
    ASSERT_TRUE(std::holds_alternative<session_portrait>(first)) << std::get<refused>(first).sqlstate;
    const auto& found = std::get<session_portrait>(first);
    EXPECT_THAT(found.settings, Contains(Pair("search_path", "traps, pg_catalog")));
    EXPECT_THAT(found.settings, Contains(Pair("client_encoding", "LATIN1")));
    EXPECT_THAT(found.settings, Contains(Pair("standard_conforming_strings", "off")));
    EXPECT_THAT(differences(found, session.portrait()), IsEmpty());
    EXPECT_EQ(session.value("SELECT pg_catalog.count(*) FROM pg_catalog.pg_prepared_statements"), "0");
}

TEST_F(portrait_of, a_question_that_takes_longer_than_statement_timeout_is_answered) {
    auto session = here();
    auto blocker = here();
    session.run("SET statement_timeout = '300ms'");
    ASSERT_NO_FATAL_FAILURE(hold_back(blocker, "pg_db_role_setting"));
    const auto found = session.portrait();
    EXPECT_THAT(found.settings, Contains(Pair("statement_timeout", "300ms")));
    EXPECT_THAT(session.run("SELECT pg_sleep(10)"), ElementsAre("57014")) << "it holds again";
}

// Which ends the session and not the statement.
TEST_F(portrait_of, a_question_that_takes_longer_than_transaction_timeout_is_answered) {
    const auto newer = support::postgres_18_bin_dir();
    if (!support::postgres_cluster::available(newer))
        GTEST_SKIP() << "no PostgreSQL 18: script/bootstrap --postgres-18";
    support::postgres_cluster server{{.bin_dir = newer}};
    server.start();
    server.exec("ALTER ROLE crossfade SET app.of_role = 'r'");
    database_session session(server.port());
    database_session plain(server.port());
    EXPECT_FALSE(plain.portrait().settings.contains("transaction_timeout"));
    session.run("SET transaction_timeout = '300ms'; SET work_mem = '9MB'");
    for (const auto* catalog : {"pg_db_role_setting", "pg_language"}) {
        database_session blocker(server.port());
        database_session watcher(server.port());
        ASSERT_NO_FATAL_FAILURE(hold_back(blocker, watcher, catalog));
        if (std::string_view{catalog} == "pg_language") {
            EXPECT_TRUE(std::holds_alternative<function_survey>(session.survey()));
        } else {
            EXPECT_THAT(session.portrait().settings, Contains(Pair("transaction_timeout", "300ms")));
        }
    }
    // It may take longer to be made anew, too.
    const auto found = session.portrait();
    const auto messages = recreate(found, plain.portrait());
    EXPECT_GT(messages.find("transaction_timeout"), messages.find("work_mem"));
    ASSERT_TRUE(std::holds_alternative<recreation::done>(plain.become(found)));
    EXPECT_THAT(differences(found, plain.portrait()), IsEmpty());
    database_session older(here_->port());
    EXPECT_THAT(differences(older.portrait(), database_session(server.port()).portrait()), IsEmpty());
    EXPECT_THROW(session.run("BEGIN; SELECT pg_sleep(10)"), std::runtime_error) << "it holds again";
}

TEST_F(portrait_of, texts_that_the_clients_encoding_lacks_are_read) {
    const database_session::parameters latin{{"client_encoding", "LATIN1"}};
    auto session = here(latin);
    session.run("SET client_encoding = 'UTF8'");
    session.run("SET app.euro = '\u20ac'; PREPARE p AS SELECT '\u20ac'; LISTEN \"\u20ac\"");
    session.run("SET client_encoding = 'LATIN1'");
    const auto found = session.portrait({.own_settings = {"app.euro"}});
    EXPECT_THAT(found.own_settings, Contains(Pair("app.euro", "\u20ac")));
    EXPECT_THAT(found.channels, ElementsAre("\u20ac"));
    auto there = this->there(latin);
    ASSERT_TRUE(std::holds_alternative<recreation::done>(there.become(found)));
    EXPECT_THAT(differences(found, there.portrait({.own_settings = {"app.euro"}})), IsEmpty());
}

TEST_F(portrait_of, a_question_that_fails_leaves_nothing_behind) {
    auto session = here();
    session.say(build_parse("crossfade 2", "SELECT 'the client''s own'") + build_sync());
    const auto came = session.ask();
    ASSERT_TRUE(std::holds_alternative<refused>(came));
    EXPECT_EQ(std::get<refused>(came).sqlstate, "42P05");
    EXPECT_EQ(std::get<refused>(came).cleanup, "") << "the first was closed, the second isn't ours";
    EXPECT_EQ(session.value("SELECT count(*) FROM pg_prepared_statements"), "1");

    auto lesser = here();
    lesser.run("SET app.tenant = 'acme'; SET ROLE other; SET search_path = nowhere");
    here_->exec("REVOKE SELECT ON pg_catalog.pg_locks FROM PUBLIC");
    const auto denied = lesser.ask();
    here_->exec("GRANT SELECT ON pg_catalog.pg_locks TO PUBLIC");
    ASSERT_TRUE(std::holds_alternative<refused>(denied));
    EXPECT_EQ(std::get<refused>(denied).sqlstate, "42501");
    lesser.say(std::get<refused>(denied).cleanup);
    EXPECT_EQ(lesser.value("SELECT count(*) FROM pg_prepared_statements"), "0");
}

TEST_F(portrait_of, what_a_client_is_told_by_itself_and_nothing_of_the_escorts) {
    auto session = here({{"application_name", "shop"}});
    session.say(build_parse("crossfade_17", "SELECT 1") + build_parse("crossfade_x", "SELECT 1") + build_sync());
    session.run("SET TimeZone = 'Asia/Tokyo'");
    const auto found = session.portrait();
    EXPECT_THAT(found.prepared, ElementsAre(Pair("crossfade_x", testing::_)));
    EXPECT_THAT(found.reported, Contains(Pair("TimeZone", "Asia/Tokyo")));
    EXPECT_THAT(found.reported, Contains(Pair("application_name", "shop")));
    EXPECT_THAT(found.reported, Contains(Pair("is_superuser", "on")));
    EXPECT_THAT(found.reported, Contains(Pair("server_version", session.value("SHOW server_version"))));
}

}  // namespace
}  // namespace crossfade::proxy::portrait
