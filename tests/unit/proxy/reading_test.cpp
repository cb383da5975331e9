#include "proxy/strategy/reading.hpp"

#include <gtest/gtest.h>

#include "lib/settings/load.hpp"
#include "lib/sql/understand.hpp"

namespace crossfade::proxy::strategy {
namespace {

using namespace std::chrono_literals;
using settings::read_strategy;

// "read", "home alters writes", of all statements of a text that is carried out.
std::string asks(const std::string& text, carried_out when = carried_out::now) {
    const auto known = sql::understand(text);
    if (!known) return "not understood";
    intent made;
    for (const auto& each : *known) add(made, each, when, [](auto) { return nullptr; });
    std::string said = made.what == errand::anywhere    ? "anywhere"
                       : made.what == errand::read      ? "read"
                       : made.what == errand::read_only ? "read_only"
                                                        : "home";
    if (made.alters) said += " alters";
    if (made.may_write) said += " writes";
    if (made.strays) said += " strays";
    if (made.controls) said += " controls";
    if (made.chains) said += " chains";
    return said;
}

TEST(an_intent, is_known_by_the_text) {
    struct sample {
        const char* text;
        const char* wanted;
    };
    for (const auto& each : {
             sample{"SELECT * FROM a JOIN s.b USING (id) WHERE lower(x) = $1 AND at < now()", "read"},
             sample{"TABLE a", "read"},
             sample{"SELECT 1; SELECT * FROM a", "read"},
             sample{"COPY a TO STDOUT", "read"},
             sample{"COPY (SELECT * FROM a) TO STDOUT WITH (FORMAT csv)", "read"},
             sample{"SELECT 1", "anywhere"},
             sample{"", "anywhere"},
             sample{"SELECT now()", "home"},
             sample{"SELECT current_database()", "home"},
             sample{"SELECT * FROM a FOR UPDATE", "home writes"},
             sample{"SELECT * FROM a FOR KEY SHARE SKIP LOCKED", "home writes"},
             sample{"SELECT nextval('s') FROM a", "home writes strays"},
             sample{"SELECT pg_notify('c', x) FROM a", "home writes strays"},
             sample{"SELECT pg_advisory_xact_lock(1) FROM a", "home writes strays"},
             sample{"SELECT pg_advisory_lock(1)", "home alters writes strays"},
             sample{"SELECT set_config('app.x', '1', true)", "home alters writes strays"},
             sample{"SELECT random() FROM a", "home writes"},
             sample{"SELECT own(x) FROM a", "home alters writes"},
             sample{"SELECT xmin, * FROM a", "home"},
             sample{"SELECT a.ctid FROM a", "home"},
             sample{"SELECT * FROM a WHERE 'a'::regclass = tableoid", "home"},
             sample{"SELECT pg_table_is_visible(1) FROM a", "home"},
             sample{"SELECT * FROM pg_stat_activity", "home"},
             sample{"SELECT * FROM a, information_schema.tables", "home"},
             sample{"EXPLAIN SELECT * FROM a", "home"},
             sample{"COPY a TO '/tmp/x'", "home writes"},
             sample{"COPY a TO PROGRAM 'cat'", "home writes"},
             sample{"COPY a FROM STDIN", "home writes"},
             sample{"INSERT INTO a VALUES (lower('X'))", "home writes"},
             sample{"UPDATE a SET x = own(x)", "home alters writes"},
             sample{"DO $$ BEGIN END $$", "home alters writes strays"},
             sample{"CALL own()", "home alters writes strays"},
             sample{"CREATE TEMP TABLE t (x int)", "home alters writes"},
             sample{"SET app.x = '1'", "home alters"},
             sample{"SET LOCAL app.x = '1'", "home controls"},
             sample{"LISTEN c", "home alters strays"},
             sample{"NOTIFY c", "home writes strays"},
             sample{"DECLARE c CURSOR FOR SELECT * FROM a", "home"},
             sample{"DECLARE c CURSOR WITH HOLD FOR SELECT * FROM a", "home alters strays"},
             sample{"BEGIN", "home controls chains"},
             sample{"BEGIN READ WRITE", "home controls chains"},
             sample{"BEGIN READ ONLY", "read_only controls chains"},
             sample{"START TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY", "read_only controls chains"},
             sample{"BEGIN ISOLATION LEVEL SERIALIZABLE, READ ONLY", "home controls chains"},
             sample{"SET TRANSACTION READ ONLY", "read_only controls"},
             sample{"SET TRANSACTION READ WRITE", "home strays controls"},
             sample{"SET transaction_read_only = off", "home alters strays"},
             sample{"SET default_transaction_isolation = 'serializable'", "home alters strays"},
             sample{"BEGIN READ ONLY; SELECT * FROM a", "read_only chains"},
             sample{"SELECT * FROM a; BEGIN READ ONLY", "home chains"},
             sample{"BEGIN READ ONLY; DELETE FROM a", "home writes chains"},
             sample{"COMMIT", "home"},
             sample{"COMMIT AND CHAIN", "home chains"},
             sample{"ROLLBACK AND CHAIN", "home chains"},
             sample{"ROLLBACK TO SAVEPOINT s", "home controls"},
             sample{"PREPARE TRANSACTION 'x'", "home strays"},
         })
        EXPECT_EQ(asks(each.text), each.wanted) << each.text;
    EXPECT_EQ(asks("DELETE FROM a", carried_out::later), "home");
    EXPECT_EQ(asks("SELECT * FROM a", carried_out::later), "read");
}

TEST(a_read, is_answered_by_who_may) {
    using instant = read_circumstances::instant;
    const instant now{1h};
    const read_circumstances well{.now = now, .max_lag = 1s, .there = true, .fresh_to = now - 1s};
    const read_target prefers{.how = read_strategy::prefer_modern, .tolerance = 0.1, .ready = true, .drift = 0.1};
    const auto place = [&](const read_target& of, auto... changes) {
        auto as = well;
        (changes(as), ...);
        const auto made = place_of(std::array{of}, as);
        return made.at_follower ? "modern" : made.why ? std::string{to_string(*made.why)} : "legacy";
    };
    const auto with = [](read_target of, auto change) {
        change(of);
        return of;
    };
    const auto modern = with(prefers, [](auto& of) { of.how = read_strategy::modern; });
    EXPECT_EQ(place(prefers), "modern") << "at every limit";
    EXPECT_EQ(place(modern), "modern");
    EXPECT_EQ(place(with(prefers, [](auto& of) { of.how = read_strategy::legacy; })), "legacy");
    EXPECT_EQ(place(with(prefers, [](auto& of) { of.how = read_strategy::compare; })), "legacy");

    const auto late = [](auto& as) { *as.fresh_to -= 1ns; };
    EXPECT_EQ(place(prefers, late), "lag");
    EXPECT_EQ(place(modern, late), "modern");
    const auto unknown = [](auto& as) { as.fresh_to.reset(); };
    EXPECT_EQ(place(prefers, unknown), "lag");
    EXPECT_EQ(place(modern, unknown), "modern");
    const auto differs = [](auto& of) { of.drift = 0.11; };
    EXPECT_EQ(place(with(prefers, differs)), "drift");
    EXPECT_EQ(place(with(modern, differs)), "modern");

    for (const auto& each : {prefers, modern}) {
        EXPECT_EQ(place(with(each, [](auto& of) { of.ready = false; })), "not_ready");
        EXPECT_EQ(place(with(each, [](auto& of) { of.guarded = false; })), "rights");
        EXPECT_EQ(place(with(each, [](auto& of) { of.alike = false; })), "shape");
        EXPECT_EQ(place(each, [](auto& as) { as.there = false; }), "away");
        EXPECT_EQ(place(each, [](auto& as) { as.session_stays = true; }), "session");
        const auto answered = [](auto& as) { as.last_write = *as.fresh_to; };
        EXPECT_EQ(place(with(each, [](auto& of) { of.drift = 0; }), answered), "modern") << "it has what was answered";
        EXPECT_EQ(place(each, answered), "own_writes") << "or has refused it";
        EXPECT_EQ(place(each, [](auto& as) { as.last_write = *as.fresh_to + 1ns; }), "own_writes");
        EXPECT_EQ(place(each, unknown, [](auto& as) { as.last_write = instant::min(); }), "own_writes");
    }
    const read_target home{.how = read_strategy::legacy, .ready = true};
    EXPECT_EQ(place_of(std::array{prefers, home}, well), read_place{}) << "all have to allow it";
    EXPECT_EQ(place_of({}, well), read_place{});
    EXPECT_EQ(place_of(std::array{modern, with(prefers, differs)}, well), (read_place{false, fallback::drift}));
}

TEST(a_session, reads_by_strategy_where_its_flags_say) {
    const auto may = [](const std::string& flags, const std::string& tenant = {}) {
        const std::string text =
            "legacy: { dsn: \"host=a dbname=x\" }\nmodern: { dsn: \"host=b dbname=x\" }\n"
            "kafka: { brokers: \"k:9092\" }\nstream: { name: app, tables: [\"public.*\"], both_ways: true }\n" +
            flags;
        auto config = settings::parse(text, "f.yaml", [](std::string_view) { return std::nullopt; }).value();
        const settings::in_force now{std::move(config), 1};
        EXPECT_FALSE(may_read_at_follower(now, {tenant, false})) << "of another database";
        return may_read_at_follower(now, {tenant});
    };
    EXPECT_FALSE(may(""));
    EXPECT_TRUE(may("flags: { hybrid_read_strategy: prefer-modern }"));
    EXPECT_TRUE(may("flags: { dual_write_strategy: mirror, hybrid_read_strategy: modern }"));
    EXPECT_FALSE(may("flags: { hybrid_mode_enabled: false, hybrid_read_strategy: modern }"));
    EXPECT_FALSE(may("flags: { dual_write_strategy: prefer-modern, hybrid_read_strategy: modern }"));
    EXPECT_TRUE(may("groups: { g: { tables: [public.a], flags: { hybrid_read_strategy: modern } } }"));
    const std::string tenants =
        "tenants: { session: user, overrides: { acme: { flags: { hybrid_read_strategy: modern } } } }";
    EXPECT_TRUE(may(tenants, "acme"));
    EXPECT_FALSE(may(tenants, "other"));
    EXPECT_FALSE(
        may("flags: { hybrid_read_strategy: modern }\n"
            "groups: { g: { tables: [public.a], flags: { dual_write_strategy: prefer-modern } } }"))
        << "tables of two authorities";
}

}  // namespace
}  // namespace crossfade::proxy::strategy
