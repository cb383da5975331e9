// What the commands leave in crossfade.audit.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/integration/ctl/shop.hpp"

namespace crossfade::ctl {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

boost::json::array log_of(const shop& at, std::vector<std::string> which = {}) {
    which.insert(which.begin(), {"audit", "log"});
    return at.run_json(which).at("entries").as_array();
}

std::string field(const boost::json::value& entry, const char* name) {
    return std::string{entry.at(name).as_string()};
}

// Newest first.
std::vector<std::string> actions(const boost::json::array& of) {
    std::vector<std::string> all;
    for (const auto& each : of) all.push_back(field(each, "action") + ": " + field(each, "outcome"));
    return all;
}

TEST(audit_of_commands, says_who_has_set_the_stream_up_and_copied) {
    const shop at;
    at.create_schema();
    at.legacy.exec(shop::rows);
    EXPECT_EQ(at.run({"audit", "log"}).exit_code, 1) << "there is none yet";
    ASSERT_EQ(at.run({"init", "--replica-identity-full", "--by", "alice", "--reason", "ticket 7"}).exit_code, 0);
    ASSERT_EQ(at.run({"backfill", "--by", "bob", "--tables", "public.orders", "public.customers"}).exit_code, 0);
    ASSERT_EQ(at.run({"backfill", "--resync"}).exit_code, 0);
    ASSERT_EQ(at.run({"backfill", "--live", "--again", "--detach", "--tables", "public.orders"}).exit_code, 0);
    ASSERT_EQ(at.run({"backfill", "--pause"}).exit_code, 0);

    const auto all = log_of(at);
    EXPECT_THAT(actions(all), testing::ElementsAre("backfill pause: done", "backfill live: asked of crossfade-cdc",
                                                   "backfill resync: complete", "backfill resync: begun",
                                                   "backfill: complete", "backfill: begun", "init: done"));
    const auto& init = all.back();
    EXPECT_EQ(field(init, "by"), "alice");
    EXPECT_EQ(field(init, "by_role"), "crossfade");
    EXPECT_EQ(field(init, "reason"), "ticket 7");
    EXPECT_EQ(field(init, "stream"), "app");
    EXPECT_EQ(field(init, "side"), "modern");
    EXPECT_THAT(boost::json::serialize(init.at("after")), HasSubstr("slot crossfade_app"));
    EXPECT_EQ(field(all.at(5), "scope"), "public.orders, public.customers");
    EXPECT_EQ(field(all.at(5), "by"), "bob");
    EXPECT_EQ(all.at(4).at("after").at("rows"), 3200);
    EXPECT_NE(field(all.at(0), "by"), "") << "the user of the operating system";
    EXPECT_EQ(at.run({"audit", "verify"}).exit_code, 0);

    EXPECT_EQ(log_of(at, {"--limit", "2"}).size(), 2U);
    EXPECT_EQ(log_of(at, {"--action", "backfill resync"}).size(), 2U);
    EXPECT_EQ(log_of(at, {"--since", field(all.at(2), "at")}).size(), 3U);
    EXPECT_EQ(log_of(at, {"--since", "tomorrow"}).size(), 0U);
    EXPECT_EQ(at.run({"audit", "log", "--since", "soon"}).exit_code, 2);
    const auto shown = at.run({"audit", "log", "--action", "init"});
    EXPECT_THAT(shown.output, HasSubstr("legacy to modern  alice"));
    // What the stream is about isn't.
    EXPECT_EQ(at.legacy.value("SELECT count(*) FROM pg_publication_tables WHERE schemaname = 'crossfade'"), "0");
}

TEST(audit_of_commands, has_an_init_that_failed) {
    const shop at{{"max_replication_slots=0"}};
    at.create_schema();
    EXPECT_NE(at.run({"init", "--replica-identity-full"}).exit_code, 0);
    const auto all = log_of(at);
    ASSERT_EQ(all.size(), 1U);
    EXPECT_THAT(field(all.front(), "outcome"), StartsWith("failed: "));
    EXPECT_THAT(boost::json::serialize(all.front().at("after")), HasSubstr("publication crossfade_app"));
}

TEST(audit_of_commands, needs_no_rights_on_legacy) {
    const shop at;
    at.create_schema();
    at.legacy.exec("CREATE ROLE plain LOGIN REPLICATION");
    for (const char* table : {"customers", "orders", "audit", "parts", "parts_low", "parts_high"})
        at.legacy.exec("ALTER TABLE " + std::string{table} + " OWNER TO plain");
    at.legacy.exec(
        "CREATE PUBLICATION crossfade_app FOR TABLE customers, orders, audit, parts"
        " WITH (publish_via_partition_root = true); ALTER PUBLICATION crossfade_app OWNER TO plain");
    at.write_config("plain");
    const auto made = at.run({"init", "--replica-identity-full"});
    ASSERT_EQ(made.exit_code, 0) << made.errors;
    EXPECT_THAT(made.output, HasSubstr("not kept: it needs the right to create"));
    const auto told = at.run({"audit", "log"});
    EXPECT_EQ(told.exit_code, 0) << told.errors;
    EXPECT_THAT(told.output, HasSubstr("legacy to modern"));
}

TEST(audit_of_commands, has_dead_letters_and_ddl_without_their_values) {
    const shop at;
    at.create_schema();
    ASSERT_EQ(at.run({"init", "--replica-identity-full"}).exit_code, 0);
    const auto letter = [&](const std::string& state, const std::string& operation, const std::string& lsn) {
        at.modern.exec(
            "INSERT INTO crossfade.dead_letters (stream, topic, partition, kafka_offset, system_identifier,"
            " timeline, commit_lsn, ordinal, table_name, operation, sqlstate, reason, event, state)"
            " VALUES ('app', 't', 0, 0, 1, 1, '" +
            lsn + "', 1, 'public.orders', '" + operation + "', '23514', 'value 4711', '', '" + state + "')");
    };
    letter("refused", "insert", "0/1");
    letter("behind", "update", "0/2");
    letter("refused", "ddl", "0/3");
    at.modern.exec(
        "INSERT INTO crossfade.ddl (stream, timeline, commit_lsn, ordinal, commit_time, tables, command,"
        " statement, role, policy, outcome, advice) VALUES ('app', 1, '0/3', 1, now(),"
        " '{public.orders}', 'ALTER TABLE', 'ALTER TABLE orders ADD x int DEFAULT 4711', 'app', 'pause',"
        " 'paused', '')");

    EXPECT_EQ(at.run({"deadletters", "replay", "--id", "9", "--wait", "0"}).exit_code, 1);
    EXPECT_EQ(log_of(at).size(), 1U) << "what wasn't done is not in it";
    // Nobody is there to do it.
    EXPECT_EQ(at.run({"deadletters", "replay", "--all", "--wait", "0", "--by", "carol"}).exit_code, 1);
    EXPECT_EQ(at.run({"deadletters", "discard", "--id", "2", "--reason", "test data", "--wait", "0"}).exit_code, 1);
    EXPECT_EQ(at.run({"ddl", "skip", "1", "--wait", "0", "--reason", "done by hand"}).exit_code, 1);

    const auto all = log_of(at);
    EXPECT_THAT(actions(all),
                testing::ElementsAre("ddl skip: asked of crossfade-cdc", "deadletters discard: asked of crossfade-cdc",
                                     "deadletters replay: asked of crossfade-cdc", "init: done"));
    EXPECT_EQ(field(all.at(0), "scope"), "DDL 1: public.orders");
    EXPECT_EQ(all.at(0).at("before").at("state"), "paused");
    EXPECT_EQ(field(all.at(1), "scope"), "2");
    EXPECT_EQ(field(all.at(1), "reason"), "test data");
    EXPECT_EQ(field(all.at(2), "scope"), "all");
    EXPECT_EQ(field(all.at(2), "by"), "carol");
    EXPECT_EQ(boost::json::serialize(all.at(2).at("before")), R"({"behind":1,"refused":1})");
    EXPECT_EQ(boost::json::serialize(all.at(2).at("after")), R"({"replay":2})");
    EXPECT_THAT(boost::json::serialize(all), testing::Not(HasSubstr("4711")));

    // What can't be written down isn't done.
    at.modern.exec("ALTER TABLE crossfade.audit RENAME TO elsewhere");
    const auto refused = at.run({"deadletters", "discard", "--id", "1", "--wait", "0"});
    EXPECT_EQ(refused.exit_code, 1);
    EXPECT_THAT(refused.errors, HasSubstr("crossfade init"));
    EXPECT_EQ(at.modern.value("SELECT state FROM crossfade.dead_letters WHERE id = 1"), "replay");
}

}  // namespace
}  // namespace crossfade::ctl
