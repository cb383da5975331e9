// The operators' way with what modern has refused.
#include <gmock/gmock.h>

#include <boost/json.hpp>

#include "tests/chaos/landscape.hpp"
#include "tests/support/eventually.hpp"
#include "tests/support/http.hpp"

namespace crossfade {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;
using testing::Not;

TEST(deadletters, are_listed_shown_replayed_and_discarded) {
    if (!support::kafka_broker::available()) GTEST_SKIP() << "no Kafka: script/bootstrap --kafka";
    chaos::landscape world{{.schema = "CREATE TABLE stock (id int PRIMARY KEY, amount int);"}};
    world.modern.exec("ALTER TABLE stock ADD CONSTRAINT few CHECK (amount < 100)");
    EXPECT_THAT(world.crossfade({"deadletters", "list"}).output, HasSubstr("no dead letters"));
    const auto waiting = [&](const std::string& count) {
        return support::eventually(30s, [&] {
            return world.modern.value(
                       "SELECT count(*) FROM crossfade.dead_letters WHERE state IN ('refused', 'behind')") == count;
        });
    };
    world.legacy.exec("INSERT INTO stock VALUES (1, 500), (2, 12345)");
    ASSERT_TRUE(waiting("2")) << world.logs();
    world.legacy.exec("UPDATE stock SET amount = 7 WHERE id = 1");
    ASSERT_TRUE(waiting("3")) << world.logs();

    const auto listed = boost::json::parse(world.crossfade({"--json", "deadletters", "list"}).output);
    EXPECT_EQ(listed.at("total"), 3);
    const auto& letters = listed.at("letters").as_array();
    EXPECT_EQ(letters.at(0).at("state"), "refused");
    EXPECT_EQ(letters.at(0).at("sqlstate"), "23514");
    EXPECT_EQ(letters.at(2).at("state"), "behind");
    const auto second = std::to_string(letters.at(1).at("id").as_int64());
    const auto shown = world.crossfade({"deadletters", "show", second}).output;
    EXPECT_THAT(shown, HasSubstr("\"amount\": \"value\""));
    EXPECT_THAT(shown, Not(HasSubstr("12345")));
    EXPECT_THAT(world.crossfade({"deadletters", "show", second, "--values"}).output, HasSubstr("12345"));
    EXPECT_EQ(world.crossfade({"deadletters", "show", "999999"}).exit_code, 1);
    EXPECT_EQ(world.crossfade({"deadletters", "replay"}).exit_code, 2) << "of which ones was not said";

    const auto refused = world.crossfade({"deadletters", "replay", "--all"});
    EXPECT_EQ(refused.exit_code, 1);
    EXPECT_THAT(refused.output, HasSubstr("0 replayed, 2 refused, 1 behind"));
    const auto discarded = world.crossfade({"deadletters", "discard", "--id", second});
    EXPECT_EQ(discarded.exit_code, 0) << discarded.output << discarded.errors;
    world.modern.exec("ALTER TABLE stock DROP CONSTRAINT few");
    const auto replayed = world.crossfade({"deadletters", "replay", "--table", "public.st*"});
    EXPECT_EQ(replayed.exit_code, 0) << replayed.output << replayed.errors;
    EXPECT_THAT(replayed.output, HasSubstr("2 asked for: 2 replayed"));
    EXPECT_EQ(world.modern.exec("SELECT * FROM stock"), (support::postgres_cluster::table{{"1", "7"}}));
    EXPECT_EQ(world.crossfade({"verify"}).exit_code, 1) << "what was discarded is still a difference";

    // While nobody applies, what was asked for waits, and the command says so.
    world.legacy.exec("INSERT INTO stock VALUES (3, 1)");
    ASSERT_TRUE(support::eventually(30s, [&] { return world.modern.value("SELECT count(*) FROM stock") == "2"; }));
    world.modern.exec("ALTER TABLE stock ADD CONSTRAINT few CHECK (amount < 100)");
    world.legacy.exec("UPDATE stock SET amount = 600 WHERE id = 3");
    ASSERT_TRUE(waiting("1")) << world.logs();
    world.kill(chaos::victim::cdc);
    EXPECT_THAT(world.crossfade({"deadletters", "discard", "--all", "--wait", "0"}).output, HasSubstr("1 not yet"));
    world.revive(chaos::victim::cdc);
    EXPECT_TRUE(support::eventually(30s, [&] {
        return world.modern.value("SELECT count(*) FROM crossfade.dead_letters") == "0";
    })) << world.logs();
}

TEST(deadletters, that_are_too_large_for_their_topic_hold_up_no_others) {
    if (!support::kafka_broker::available()) GTEST_SKIP() << "no Kafka: script/bootstrap --kafka";
    chaos::landscape world{{.schema = "CREATE TABLE notes (id int PRIMARY KEY, text text);"}};
    world.modern.exec("ALTER TABLE notes ADD CONSTRAINT none CHECK (id < 0)");
    support::alter_topic(world.broker.config(), "crossfade.app.deadletters", {{"max.message.bytes", "20000"}});
    // Together they would be too many, too.
    world.legacy.exec(
        "INSERT INTO notes SELECT n, CASE WHEN n IN (3, 17) THEN (SELECT string_agg(md5(n || '/' || i), '') FROM"
        " generate_series(1, 2000) i) ELSE repeat(md5(n::text), 50) END FROM generate_series(1, 40) n");
    std::string left;
    EXPECT_TRUE(support::eventually(
        60s,
        [&] {
            left = world.modern.value(
                "SELECT (SELECT count(*) FROM crossfade.dead_letters) || ' letters, not published: ' || string_agg("
                "CASE WHEN length(event) > 20000 THEN 'large' ELSE 'small' END, ', ') FROM crossfade.dead_letters"
                " WHERE published_at IS NULL");
            return left == "40 letters, not published: large, large";
        }))
        << left << world.logs();
    const auto too_large = [&] {
        return support::sample_value(support::http_get(world.cdc.admin_port(), "/metrics").body,
                                     "crossfade_dead_letters_too_large{stream=\"app\"}");
    };
    EXPECT_TRUE(support::eventually(30s, [&] { return too_large() == 2; })) << world.logs();
    EXPECT_THAT(world.logs(), HasSubstr("is larger than topic crossfade.app.deadletters takes"));

    world.legacy.exec("INSERT INTO notes VALUES (41, 'later')");
    EXPECT_TRUE(support::eventually(60s, [&] {
        return world.modern.value("SELECT count(*) FROM crossfade.dead_letters WHERE published_at IS NOT NULL") == "39";
    })) << world.logs();
    ASSERT_EQ(world.crossfade({"deadletters", "discard", "--all"}).exit_code, 0);
    EXPECT_TRUE(support::eventually(30s, [&] { return too_large() == 0; }));
}

}  // namespace
}  // namespace crossfade
