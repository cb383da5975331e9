#include "proxy/portrait/recreate.hpp"

#include <gmock/gmock.h>

#include "tests/integration/portrait/two_databases.hpp"

namespace crossfade::proxy::portrait {
namespace {

using pgwire::build_bind;
using pgwire::build_execute;
using pgwire::build_parse;
using pgwire::build_sync;
using testing::ElementsAre;
using testing::IsEmpty;

class recreated : public two_databases {
  protected:
    // What a session of the other server lacks that was made to be as this one.
    std::vector<std::string> lacks(database_session& from, database_session& onto, const question& asked = {},
                                   const heard_facts& heard = database_session::all_heard()) {
        const auto wanted = from.portrait(asked, heard);
        EXPECT_THAT(obstacles(wanted), IsEmpty());
        const auto outcome = onto.become(wanted, asked);
        if (const auto* no = std::get_if<recreation::refused>(&outcome)) return {"refused: " + no->sqlstate};
        return differences(wanted, onto.portrait(asked));
    }
};

TEST_F(recreated, settings_with_any_value) {
    auto session = here();
    session.run("DO $$ BEGIN END $$");  // so that one of the settings with a dot is a library's, on this side alone
    session.run("SET search_path = \"we ird\", 'qu''ote', \"dou\"\"ble\", pg_catalog, public");
    session.run("SET app.tenant = E'a\\nb\\\\c''d\"e\\t$1;--'; SET app.empty = ''");
    session.run("SET TIME ZONE INTERVAL '-08:30'; SET DateStyle = German; SET IntervalStyle = iso_8601");
    session.run("SET statement_timeout = '90s'; SET extra_float_digits = 3; SET work_mem = '1GB'");
    session.run("SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL SERIALIZABLE READ ONLY");
    session.run("SET application_name = 'quo\"te'; SET plpgsql.extra_warnings = 'all'");
    auto other = there();
    const question asked{.own_settings = {"app.tenant", "app.empty", "plpgsql.extra_warnings"}};
    EXPECT_THAT(lacks(session, other, asked), IsEmpty());
    EXPECT_EQ(other.value("SELECT current_setting('app.tenant')"), "a\nb\\c'd\"e\t$1;--");
    EXPECT_EQ(other.value("SHOW search_path"), session.value("SHOW search_path"));
    EXPECT_EQ(other.value("SHOW TimeZone"), session.value("SHOW TimeZone"));
    EXPECT_EQ(other.value("SHOW transaction_read_only"), "on");
}

TEST_F(recreated, settings_that_the_databases_say) {
    for (auto* one : {here_, there_})
        one->exec("ALTER DATABASE app SET plpgsql.print_strict_params = on; ALTER DATABASE app SET app.same = 's'");
    here_->exec("ALTER DATABASE app SET app.region = 'north'");
    there_->exec("ALTER DATABASE app SET app.there = 't'; ALTER DATABASE app SET app.heard = 'h'");
    auto session = here();
    session.run("DO $$ BEGIN END $$");
    const auto asked = [](std::set<std::string> names) { return question{.own_settings = std::move(names)}; };
    const auto found = session.portrait(asked({"app.heard"}));
    EXPECT_THAT(found.own_settings, testing::Contains(testing::Pair("plpgsql.print_strict_params", "on")));
    auto other = there();
    EXPECT_THAT(lacks(session, other, asked({"app.heard", "app.region"})), IsEmpty());
    EXPECT_EQ(other.value("SELECT current_setting('app.region')"), "north");
    EXPECT_EQ(other.value("SELECT current_setting('app.there')"), "t") << "its own";
    EXPECT_EQ(other.value("SELECT current_setting('app.heard')"), "") << "a session's, which this one hasn't set";
    EXPECT_EQ(other.value("SHOW plpgsql.print_strict_params"), "on");
    for (auto* one : {here_, there_}) one->exec("ALTER DATABASE app RESET ALL");
}

TEST_F(recreated, statements_prepared_either_way) {
    auto session = here();
    session.run("SET search_path = traps, public, pg_catalog");
    session.run("PREPARE a (int, mood) AS SELECT pg_catalog.int4pl($1, 1), $2; PREPARE \"A;b\" AS SELECT ';'");
    const std::vector<std::uint32_t> types{20, 0};
    session.say(build_parse("p", "SELECT $1::pg_catalog.int8, $2 = 'z'::mood", types) + build_parse("", "") +
                build_parse("e", "") + build_parse("n", "SELECT 1; ") + build_sync());
    session.run("SET search_path = public");
    auto other = there();
    EXPECT_THAT(lacks(session, other), IsEmpty());
    EXPECT_THAT(other.run("EXECUTE a (41, 'z')"), ElementsAre("42"));
    EXPECT_THAT(other.run("EXECUTE \"A;b\""), ElementsAre(";"));
    EXPECT_THAT(other.say(build_bind("", "p", {"7", "z"}) + build_execute("", 0) + build_sync()), ElementsAre("7"));
}

TEST_F(recreated, strings_that_are_read_the_old_way) {
    auto session = here();
    session.run("SET standard_conforming_strings = off; SET escape_string_warning = off; SET backslash_quote = on");
    session.say(build_parse("p", "SELECT 'a\\'b'") + build_sync());
    session.run("PREPARE q AS SELECT 'a\\nb'");
    session.run("LISTEN \"back\\slash\"\n");
    auto other = there();
    EXPECT_THAT(lacks(session, other), IsEmpty());
    EXPECT_THAT(other.run("EXECUTE q"), ElementsAre("a\nb"));
    EXPECT_THAT(other.say(build_bind("", "p", {}) + build_execute("", 0) + build_sync()), ElementsAre("a'b"));
}

TEST_F(recreated, channels) {
    auto session = here();
    session.run("LISTEN plain; LISTEN \"Quo\"\"ted\"; LISTEN \"semi;colon\"");
    auto other = there();
    EXPECT_THAT(lacks(session, other), IsEmpty());
    EXPECT_THAT(other.run("SELECT pg_listening_channels() ORDER BY 1"), testing::SizeIs(3));
}

TEST_F(recreated, the_user_and_the_role) {
    auto session = here();
    session.run("SET work_mem = '9MB'; SET session_replication_role = replica; SET SESSION AUTHORIZATION plain");
    session.run("SET ROLE team");
    auto other = there();
    EXPECT_THAT(lacks(session, other), IsEmpty());
    EXPECT_EQ(other.value("SELECT session_user || ' ' || current_user"), "plain team");

    auto lesser = here({}, "plain");
    lesser.run("SET ROLE team");
    auto as_well = there({}, "plain");
    EXPECT_THAT(lacks(lesser, as_well), IsEmpty());
    EXPECT_EQ(as_well.value("SELECT current_user"), "team");
}

TEST_F(recreated, the_unnamed_statement_as_the_client_said_it) {
    auto session = here();
    const auto parse = build_parse("", "SELECT 'kept', $1");
    session.say(parse + build_sync());
    auto heard = database_session::all_heard();
    heard.statement = heard_facts::unnamed::kept;
    heard.parse = parse.substr(5);
    auto other = there();
    EXPECT_THAT(lacks(session, other, {}, heard), IsEmpty());
    EXPECT_THAT(other.say(build_bind("", "", {"x"}) + build_execute("", 0) + build_sync()), ElementsAre("kept"));

    auto without = there();
    auto plain = here();
    EXPECT_THAT(lacks(plain, without), IsEmpty());
    EXPECT_FALSE(without.portrait().unnamed_there) << "what carried the settings is gone";
}

TEST_F(recreated, what_the_other_database_does_not_take_is_said_and_nothing_is_half_done) {
    auto session = here({}, "plain");
    session.run("SET work_mem = '9MB'; SET app.tenant = 'acme'");
    there_->exec("REVOKE USAGE ON SCHEMA public FROM PUBLIC");
    session.say(build_parse("p", "SELECT $1::public.mood") + build_sync());
    auto other = there({}, "plain");
    EXPECT_THAT(lacks(session, other, {.own_settings = {"app.tenant"}}), ElementsAre("refused: 42501"));
    there_->exec("GRANT USAGE ON SCHEMA public TO PUBLIC");
    EXPECT_EQ(other.value("SHOW work_mem"), "4MB");
}

TEST_F(recreated, the_client_can_be_told_what_is_reported_now) {
    auto session = here();
    session.run("SET TimeZone = 'Asia/Tokyo'; SET application_name = 'x'");
    auto other = there();
    const auto outcome = other.become(session.portrait());
    ASSERT_TRUE(std::holds_alternative<recreation::done>(outcome));
    using namespace std::string_literals;
    EXPECT_THAT(std::get<recreation::done>(outcome).reported,
                testing::UnorderedElementsAre("TimeZone\0Asia/Tokyo\0"s, "application_name\0x\0"s));
}

}  // namespace
}  // namespace crossfade::proxy::portrait
