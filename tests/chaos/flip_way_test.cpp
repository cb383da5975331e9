// What the gates of a flip see of the way there and back, and of sessions that won't go along.
#include <fstream>

#include "tests/chaos/flip_states.hpp"
#include "tests/support/programs.hpp"

namespace crossfade::chaos {
namespace {

using namespace std::chrono_literals;
using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

class flip_way : public flip_states {
  protected:
    support::finished look(const std::string& to = "modern") { return flip(to, {"--dry-run"}); }
    void expect_refused(const std::string& reason) {
        const auto made = flip("modern", {"--force"});
        EXPECT_EQ(made.exit_code, 1);
        EXPECT_THAT(made.output, AllOf(HasSubstr(reason), HasSubstr("refused; nothing has changed"))) << made.errors;
        expect_as_before();
    }
    void expect_open() { ASSERT_EQ(in_the_way(world()), "") << world().logs(); }
    void set_up_again() {
        const auto made = world().crossfade({"init"});
        EXPECT_EQ(made.exit_code, 0) << told(made);
        expect_open();
    }
};

TEST_F(flip_way, each_break_is_noticed) {
    auto made = look();
    EXPECT_THAT(made.output, AllOf(HasSubstr("a row went from legacy to modern in "),
                                   HasSubstr("a row went from modern to legacy in "), HasSubstr("it may be done")));
    // They take each other's place.
    for (const auto* side : {&world().legacy, &world().modern})
        EXPECT_EQ(
            side->value("SELECT string_agg(stream || ' ' || n, ', ' ORDER BY stream) FROM (SELECT stream, count(*)"
                        " AS n FROM crossfade.sentinel GROUP BY 1) s"),
            "app 1, app_back 1");

    world().cdc.signal(SIGSTOP);
    made = flip("modern", {"--force"});
    EXPECT_THAT(made.output, AllOf(HasSubstr("a row from legacy was not applied on modern within 5 s"),
                                   HasSubstr("a row from modern was not applied on legacy within 5 s")));
    expect_as_before();
    world().cdc.signal(SIGCONT);
    expect_open();

    // A mark passes where this row does not.
    world().legacy.exec(
        "CREATE FUNCTION public.refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'no rows'; END $$;"
        "CREATE TRIGGER refuse BEFORE INSERT ON crossfade.sentinel FOR EACH ROW WHEN (NEW.stream = 'app_back')"
        " EXECUTE FUNCTION public.refuse(); ALTER TABLE crossfade.sentinel ENABLE ALWAYS TRIGGER refuse");
    expect_refused("a row from modern is not on legacy, though the stream has passed it");
    world().legacy.exec("DROP TRIGGER refuse ON crossfade.sentinel; DROP FUNCTION public.refuse()");
    made = world().crossfade({"--back", "deadletters", "replay", "--all"});
    EXPECT_EQ(made.exit_code, 0) << told(made);
    expect_open();

    world().modern.exec("ALTER PUBLICATION crossfade_app_back SET (publish = 'insert, delete')");
    expect_refused("publication crossfade_app_back on modern leaves operations out");
    set_up_again();
    world().legacy.exec("ALTER PUBLICATION crossfade_app DROP TABLE crossfade.sentinel");
    expect_refused("publication crossfade_app on legacy does not carry crossfade.sentinel");
    set_up_again();
    world().modern.exec("ALTER PUBLICATION crossfade_app_back DROP TABLE lines");
    expect_refused("carried one way alone: public.lines (not on modern)");
    set_up_again();
    world().modern.exec("ALTER TABLE orders DISABLE TRIGGER crossfade_fence");
    made = flip("modern", {"--force"});
    EXPECT_THAT(made.output, AllOf(HasSubstr("tables that refuse other writes than they are to: public.orders"),
                                   HasSubstr("refused; nothing has changed")));
    set_up_again();

    expect_flips();
    expect_nothing_lost(testing::MatchesRegex("(drift crossfade.sentinel rejected repaired: [0-9]+\n)?"));
}

TEST_F(flip_way, a_role_that_lacks_a_right_is_noticed) {
    for (auto* side : {&world().legacy, &world().modern})
        side->exec(
            "CREATE ROLE limited LOGIN REPLICATION; GRANT ALL ON SCHEMA public, crossfade TO limited;"
            "GRANT ALL ON ALL TABLES IN SCHEMA public, crossfade TO limited;"
            "GRANT ALL ON ALL SEQUENCES IN SCHEMA public, crossfade TO limited");
    auto text = world().configuration();
    const auto dsn = world().modern.dsn();
    text.replace(text.find(dsn), dsn.size(), world().modern.dsn("app", "limited"));
    const support::temp_dir dir;
    const auto path = dir.path() / "limited.yaml";
    std::ofstream{path} << text;
    const auto by_limited = [&] {
        return support::run({support::program_path("crossfade").string(), "--config", path.string(), "flip", "--to",
                             "modern", "--dry-run"},
                            60s);
    };
    EXPECT_THAT(by_limited().output,
                AllOf(HasSubstr("modern.role"), HasSubstr("may not set session_replication_role")));
    world().modern.exec("GRANT SET ON PARAMETER session_replication_role TO limited");
    auto made = by_limited();
    EXPECT_THAT(made.output, HasSubstr("does not own, or may not read or write: public.lines, public.orders"))
        << made.errors;
    world().modern.exec(
        "ALTER TABLE orders OWNER TO limited; ALTER TABLE lines OWNER TO limited;"
        "REVOKE DELETE ON lines FROM limited");
    made = by_limited();
    EXPECT_THAT(made.output, HasSubstr("does not own, or may not read or write: public.lines;")) << made.errors;
    world().modern.exec("GRANT DELETE ON lines TO limited");
    EXPECT_EQ(by_limited().exit_code, 0);
    expect_as_before();
}

TEST_F(flip_way, a_topic_that_is_gone_is_noticed) {
    support::delete_topic(world().broker.config(), "crossfade.app_back.changes");
    expect_refused("a row from modern was not applied on legacy within 5 s");
}

TEST_F(flip_way, settings_that_the_other_side_does_not_know_are_said_before) {
    EXPECT_THAT(look().output, HasSubstr("modern takes what legacy says to every session"));
    world().legacy.exec(
        "CREATE TEXT SEARCH CONFIGURATION public.own (COPY = pg_catalog.simple);"
        "ALTER DATABASE app SET default_text_search_config = 'public.own'");
    const auto made = look();
    EXPECT_EQ(made.exit_code, 1) << told(made);
    EXPECT_THAT(made.output, AllOf(HasSubstr("modern doesn't take what legacy says to every session: "
                                             "default_text_search_config public.own; who has it is closed with 57P01"),
                                   HasSubstr("make it known on modern")));
    world().legacy.exec(
        "ALTER DATABASE app RESET default_text_search_config; DROP TEXT SEARCH CONFIGURATION public.own");
    EXPECT_EQ(look().exit_code, 0);
}

TEST_F(flip_way, sessions_that_cannot_go_along_are_counted_before) {
    EXPECT_THAT(look().output, HasSubstr("none on legacy is known to hold what can't go along"));
    auto locks = connect(world().client_dsn() + "?application_name=locker");
    auto temporary = connect(world().client_dsn() + "?application_name=reports");
    ASSERT_EQ(execute(locks.get(), "SELECT pg_advisory_lock(7)"), answer::done);
    ASSERT_EQ(execute(temporary.get(), "CREATE TEMP TABLE found (id int)"), answer::done);
    const auto made = look();
    EXPECT_EQ(made.exit_code, 0) << told(made);
    EXPECT_THAT(made.output, AllOf(HasSubstr("note"), HasSubstr(" 2 (advisory_lock 1, temporary_object 1)"),
                                   HasSubstr("of crossfade (locker)"), HasSubstr("not seen from here: WITH HOLD")));
    // They are nobody's way, and what was said is so.
    EXPECT_EQ(flip("modern", {"--hold-max", "3000"}).exit_code, 0);
    for (auto* each : {locks.get(), temporary.get()}) {
        const std::unique_ptr<PGresult, decltype(&PQclear)> got{PQexec(each, "SELECT 1"), PQclear};
        EXPECT_NE(PQresultStatus(got.get()), PGRES_TUPLES_OK);
        EXPECT_THAT(PQerrorMessage(each), HasSubstr("this session could not go along"));
    }
    ASSERT_EQ(in_the_way(world(), "legacy"), "");
    EXPECT_EQ(flip("legacy", {"--hold-max", "3000"}).exit_code, 0);
    expect_nothing_lost();
}

}  // namespace
}  // namespace crossfade::chaos
