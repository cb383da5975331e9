#include "proxy/portrait/portrait.hpp"

#include <gmock/gmock.h>

#include <functional>

#include "lib/pgwire/query_messages.hpp"
#include "proxy/portrait/prepare_text.hpp"

namespace crossfade::proxy::portrait {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

session_portrait plain() {
    session_portrait one{.user = "ann", .role = "none", .encoding = "UTF8"};
    one.heard = {.settings_known = true,
                 .functions_known = true,
                 .strings_changed = false,
                 .statement = heard_facts::unnamed::none};
    return one;
}

std::string parse_body(const std::vector<std::uint32_t>& types, std::string_view sql = "select $1") {
    return pgwire::build_parse("", sql, types).substr(5);
}

struct change {
    const char* what;
    std::function<void(session_portrait&)> made;
    std::vector<obstacle> stands;
};

TEST(obstacles_of, each_kind) {
    using unnamed = heard_facts::unnamed;
    const change changes[] = {
        {"nothing", [](auto&) {}, {}},
        {"a cursor", [](auto& it) { it.held_cursors = 1; }, {obstacle::held_cursor}},
        {"a lock", [](auto& it) { it.advisory_locks = 2; }, {obstacle::advisory_lock}},
        {"a table", [](auto& it) { it.temporary_objects = 1; }, {obstacle::temporary_object}},
        {"a slot", [](auto& it) { it.temporary_slots = 1; }, {obstacle::temporary_slot}},
        {"too much", [](auto& it) { it.cut_short = true; }, {obstacle::too_much}},
        {"nobody listened", [](auto& it) { it.heard = {}; }, {obstacle::own_settings}},
        {"nobody listened, unnamed",
         [](auto& it) {
             it.heard = {};
             it.unnamed_there = true;
         },
         {obstacle::unnamed_statement, obstacle::own_settings}},
        {"no survey", [](auto& it) { it.heard.functions_known = false; }, {obstacle::own_settings}},
        {"currval", [](auto& it) { it.heard.sequence_values = true; }, {obstacle::sequence_values}},
        {"a text", [](auto& it) { it.prepared["p"] = {.text = "select '\\'"}; }, {}},
        {"no text", [](auto& it) { it.prepared["p"] = {.text = "", .by_sql = true}; }, {obstacle::prepared_text}},
        {"an empty text", [](auto& it) { it.prepared["p"] = {.text = ""}; }, {}},
        {"a backslash",
         [](auto& it) {
             it.prepared["p"] = {.text = "select '\\'"};
             it.heard.strings_changed = true;
         },
         {obstacle::string_syntax}},
        {"no backslash",
         [](auto& it) {
             it.prepared["p"] = {.text = "select 1"};
             it.heard.strings_changed = true;
         },
         {}},
        {"unnamed",
         [](auto& it) {
             it.unnamed_there = true;
             it.heard.statement = unnamed::kept;
             it.heard.parse = parse_body({23, 0, 9999});
         },
         {}},
        {"unnamed, with a type of its own",
         [](auto& it) {
             it.unnamed_there = true;
             it.heard.statement = unnamed::kept;
             it.heard.parse = parse_body({23, 16385});
         },
         {obstacle::own_type}},
        {"unnamed, but dropped since",
         [](auto& it) {
             it.heard.statement = unnamed::kept;
             it.heard.parse = parse_body({16385});
         },
         {}},
        {"all of it",
         [](auto& it) {
             it.held_cursors = it.advisory_locks = 1;
             it.heard.settings_known = false;
         },
         {obstacle::held_cursor, obstacle::advisory_lock, obstacle::own_settings}},
    };
    for (const auto& each : changes) {
        auto one = plain();
        each.made(one);
        EXPECT_EQ(obstacles(one), each.stands) << each.what;
    }
}

TEST(differences_of, name_what_differs_and_no_value) {
    struct sample {
        const char* said;
        std::function<void(session_portrait&)> made;
    };
    const sample samples[] = {
        {"user", [](auto& it) { it.user = "secret"; }},
        {"role", [](auto& it) { it.role = "secret"; }},
        {"setting app.x", [](auto& it) { it.own_settings["app.x"] = "secret"; }},
        {"setting work_mem", [](auto& it) { it.settings["work_mem"] = "secret"; }},
        {"prepared statement p", [](auto& it) { it.prepared["p"] = {.text = "secret"}; }},
        {"channel c", [](auto& it) { it.channels.insert("c"); }},
        {"unnamed statement", [](auto& it) { it.unnamed_there = true; }},
        {"held cursors", [](auto& it) { it.held_cursors = 1; }},
        {"advisory locks", [](auto& it) { it.advisory_locks = 1; }},
        {"temporary objects", [](auto& it) { it.temporary_objects = 1; }},
        {"temporary slots", [](auto& it) { it.temporary_slots = 1; }},
        {"what is too long to be read", [](auto& it) { it.cut_short = true; }},
    };
    for (const auto& each : samples) {
        auto other = plain();
        each.made(other);
        EXPECT_THAT(differences(plain(), other), ElementsAre(each.said));
        EXPECT_THAT(differences(other, plain()), ElementsAre(each.said));
        other.cut_short = false;
        EXPECT_THAT(differences(other, other), IsEmpty());
    }
    auto one = plain();
    auto other = plain();
    one.prepared["p"] = {.text = "select $1", .parameters = {{16385, "public.mood"}}};
    other.prepared["p"] = {.text = "select $1", .parameters = {{17000, "public.mood"}}};
    EXPECT_THAT(differences(one, other), IsEmpty()) << "the OID is each database's own";
    other.prepared["p"].parameters[0].name = "public.other";
    EXPECT_THAT(differences(one, other), ElementsAre("prepared statement p"));
}

TEST(differences_of, leave_out_what_the_other_database_says_alone) {
    auto one = plain();
    auto other = plain();
    other.own_settings["app.x"] = "of the database";
    EXPECT_THAT(differences(one, other), ElementsAre("setting app.x"));
    other.given = {"app.x"};
    EXPECT_THAT(differences(one, other), IsEmpty());
    EXPECT_THAT(differences(other, one), ElementsAre("setting app.x"));
    one.own_settings["app.x"] = "";
    EXPECT_THAT(differences(one, other), ElementsAre("setting app.x"));
    other.own_settings.clear();
    EXPECT_THAT(differences(one, other), IsEmpty()) << "as good as not there";
    EXPECT_THAT(differences(other, one), IsEmpty());
    other.settings["lc_time"] = "C";
    other.given = {"lc_time"};
    EXPECT_THAT(differences(one, other), IsEmpty());
    one.settings["lc_time"] = "de_DE";
    EXPECT_THAT(differences(one, other), ElementsAre("setting lc_time"));
    EXPECT_THAT(given_formats(one, other), IsEmpty()) << "the session has set it";
    one.given = {"lc_time"};
    EXPECT_THAT(given_formats(one, other), ElementsAre("lc_time"));
}

TEST(text_of_a_prepare, is_taken_out_of_what_was_sent) {
    struct sample {
        const char* name;
        const char* sent;
        const char* text;
    };
    for (const sample& each :
         {sample{"a", "PREPARE a AS SELECT 1", "PREPARE a AS SELECT 1"},
          sample{"a", "whatever a newer PostgreSQL says", "whatever a newer PostgreSQL says"},
          sample{"a", "SELECT ';'; PREPARE a AS SELECT ';' ; SELECT 2", " PREPARE a AS SELECT ';' "},
          sample{"A b", "PREPARE a AS SELECT 1; PREPARE \"A b\" AS SELECT 2;", " PREPARE \"A b\" AS SELECT 2"},
          sample{"a", "PREPARE a AS SELECT 1; DEALLOCATE a; PREPARE a AS SELECT 2", ""},
          sample{"a", "PREPARE b AS SELECT 1; SELECT 2", ""}, sample{"a", "PREPARE a AS SELECT 1; NOT SQL", ""}})
        EXPECT_EQ(prepare_text(each.name, each.sent), each.text) << each.sent;
}

}  // namespace
}  // namespace crossfade::proxy::portrait
