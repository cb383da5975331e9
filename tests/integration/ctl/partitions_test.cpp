// A stream that is ordered by key: as many partitions, each with progress of its own.
#include <gtest/gtest.h>

#include "ctl/stream/topic.hpp"
#include "lib/kafka/admin.hpp"
#include "tests/integration/ctl/shop.hpp"

namespace crossfade::ctl {
namespace {

using namespace std::chrono_literals;

std::string progress_of(const shop& at) {
    return at.modern.value(
        "SELECT string_agg(partition || ':' || next_offset || ':' || end_lsn || ':' || commit_lsn || ':' || ordinal ||"
        " coalesce(':' || waiting_lsn, ''), ' ' ORDER BY partition) FROM crossfade.progress");
}

std::string everywhere(int partitions, const std::string& next_offset, const std::string& lsn) {
    std::string all;
    for (int i = 0; i < partitions; ++i)
        all += (i == 0 ? "" : " ") + std::to_string(i) + ':' + next_offset + ':' + lsn + ':' + lsn + ":0";
    return all;
}

settings::configuration of_three_partitions(const support::mock_kafka& kafka) {
    settings::configuration made;
    made.kafka = kafka.config();
    made.stream.name = "app";
    made.stream.ordering = settings::event_ordering::key;
    made.stream.partitions = 3;
    return made;
}

int partitions_of(const settings::kafka& config, const std::string& topic) {
    return crossfade::kafka::describe_topic(config, topic, 10s).value().partitions;
}

TEST(ctl_partitions, get_a_marker_each) {
    support::mock_kafka kafka;
    auto config = of_three_partitions(kafka);
    kafka.create_topic(config.stream.topic(), 3);
    for (const auto& tail : stream::read_tails(config)) EXPECT_FALSE(tail.end_lsn || tail.ever_written());

    stream::place_marker(config, {.system_identifier = "1", .timeline = 1}, model::lsn{7});
    const auto tails = stream::read_tails(config);
    ASSERT_EQ(tails.size(), 3U);
    for (const auto& tail : tails) {
        EXPECT_EQ(tail.high, 1);
        EXPECT_EQ(tail.end_lsn, model::lsn{7});
        EXPECT_EQ(tail.ordering, settings::event_ordering::key);
    }

    config.stream.name = "other";
    config.stream.ordering = settings::event_ordering::transaction;
    kafka.create_topic(config.stream.topic(), 1);
    stream::place_marker(config, {.system_identifier = "1", .timeline = 1}, model::lsn{8});
    const auto one = stream::read_tails(config);
    ASSERT_EQ(one.size(), 1U);
    EXPECT_EQ(one[0].end_lsn, model::lsn{8});
    EXPECT_EQ(one[0].ordering, settings::event_ordering::transaction);
}

TEST(ctl_partitions, begin_and_are_copied_together) {
    const shop at({}, 3);
    at.create_schema();
    at.legacy.exec(shop::rows);
    const auto made = at.run({"init", "--replica-identity-full"});
    ASSERT_EQ(made.exit_code, 0) << made.errors;
    const std::string slot = at.legacy.value("SELECT confirmed_flush_lsn FROM pg_replication_slots");
    EXPECT_EQ(progress_of(at), everywhere(3, "0", slot));
    ASSERT_EQ(at.run({"init"}).exit_code, 0);
    EXPECT_EQ(progress_of(at), everywhere(3, "0", slot));

    const auto checked = at.run({"check"});
    EXPECT_EQ(checked.exit_code, 0) << checked.output;
    const auto live = at.run({"backfill", "--live"});
    EXPECT_EQ(live.exit_code, 2);
    EXPECT_NE(live.errors.find("leave out --live"), std::string::npos) << live.errors;
    ASSERT_EQ(at.run({"backfill"}).exit_code, 0);
    EXPECT_EQ(at.run({"verify"}).exit_code, 0);

    // As far as the partition that is furthest behind.
    const std::string far = "pg_current_wal_insert_lsn() + 1048576";
    const auto ahead = at.legacy.value("SELECT " + far);
    at.modern.exec("UPDATE crossfade.progress SET end_lsn = '" + ahead + "' WHERE partition <> 1");
    const auto waited = at.run({"verify", "--wait", "0"});
    EXPECT_EQ(waited.exit_code, 1);
    EXPECT_NE(waited.errors.find("the stream is at " + slot + " and did not reach"), std::string::npos)
        << waited.errors;
    const auto status = at.run_json({"status"}).at("modern").as_object();
    EXPECT_EQ(status.at("applied_lsn").as_string(), slot);
    EXPECT_EQ(status.at("partitions").as_array().size(), 3U);
    at.modern.exec("UPDATE crossfade.progress SET end_lsn = '" + ahead + "'");
    EXPECT_EQ(at.run({"verify", "--wait", "0"}).exit_code, 0);
}

// By more than the columns that say which partition a row is in.
TEST(ctl_partitions, that_would_divide_tied_tables_need_a_word) {
    const shop at({}, 3);
    at.create_schema();
    const char* const tied = R"(
        CREATE TABLE amounts (id numeric PRIMARY KEY);
        CREATE TABLE prices (id numeric(10, 2) PRIMARY KEY);
        CREATE COLLATION folding (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
        CREATE TABLE nicks (nick text COLLATE folding PRIMARY KEY);
        CREATE DOMAIN number AS int;
        CREATE TABLE numbers (id number PRIMARY KEY);
        CREATE TABLE codes (id int PRIMARY KEY, code text UNIQUE);
        CREATE TABLE wider (id int PRIMARY KEY, code text, UNIQUE (code, id), UNIQUE (id) INCLUDE (code));
        CREATE TABLE named (id int PRIMARY KEY, code text NOT NULL UNIQUE);
        ALTER TABLE named REPLICA IDENTITY USING INDEX named_code_key;
        CREATE TABLE periods (during int4range PRIMARY KEY, EXCLUDE USING gist (during WITH &&));
        CREATE TABLE spans (during int4range PRIMARY KEY, EXCLUDE USING gist (during WITH =));
        CREATE TABLE folded (id int PRIMARY KEY, code text);
        CREATE TABLE together (id int PRIMARY KEY, code text UNIQUE);
        ALTER TABLE together REPLICA IDENTITY FULL;)";
    at.legacy.exec(tied);
    at.modern.exec(tied);
    at.modern.exec("CREATE UNIQUE INDEX folded_lower ON folded (lower(code));");
    // What the leaves write says nothing of how the stream names the whole.
    at.legacy.exec(
        "CREATE UNIQUE INDEX parts_high_name ON parts_high (name); ALTER TABLE parts_low REPLICA IDENTITY FULL;"
        "ALTER TABLE parts_high REPLICA IDENTITY FULL;");

    const std::string five =
        "in each other's way: public.amounts (amounts_pkey on legacy), public.codes (codes_code_key on legacy), "
        "public.folded (folded_lower on modern), public.named (named_pkey on legacy), public.nicks (nicks_pkey on "
        "legacy)";
    const std::string two =
        ", public.parts (parts_high_name on legacy), public.periods (periods_during_excl on legacy)\n";
    const auto refused = at.run({"init"});
    EXPECT_EQ(refused.exit_code, 1);
    EXPECT_NE(refused.errors.find(five + two), std::string::npos) << refused.errors;
    const auto checked = at.run({"check"});
    EXPECT_NE(checked.output.find(five + " and 2 more\n"), std::string::npos) << checked.output;

    const auto made = at.run({"init", "--replica-identity-full"});
    ASSERT_EQ(made.exit_code, 0) << made.errors;
    EXPECT_EQ(
        at.legacy.value("SELECT string_agg(relname, ' ' ORDER BY relname) FROM pg_class WHERE relreplident = 'f'"),
        "amounts audit codes folded named nicks parts parts_high parts_low periods together");
    const auto again = at.run({"check"});
    EXPECT_EQ(again.exit_code, 0) << again.output;
}

// The Kafka in memory makes no topics.
TEST(ctl_partitions, are_made_by_init_and_mended_by_a_resync_without_the_topic) {
    if (!support::kafka_broker::available()) GTEST_SKIP() << "no Kafka";
    support::kafka_broker kafka;
    kafka.start();
    const shop at;
    at.create_schema();
    at.legacy.exec(shop::rows);
    const auto configure = [&](int partitions) {
        at.write_config("crossfade", partitions);
        auto text = support::read_file(at.config_path());
        text.replace(text.find(at.kafka.brokers()), at.kafka.brokers().size(), kafka.brokers());
        std::ofstream(at.config_path()) << text;
    };
    configure(3);
    const auto made = at.run({"init", "--replica-identity-full"});
    ASSERT_EQ(made.exit_code, 0) << made.errors;
    EXPECT_NE(made.output.find(", 3 partitions, "), std::string::npos) << made.output;
    EXPECT_EQ(partitions_of(kafka.config(), "crossfade.app.changes"), 3);
    EXPECT_EQ(partitions_of(kafka.config(), "crossfade.app.deadletters"), 1);

    // Another number begins anew where nothing of the first is left.
    configure(5);
    ASSERT_EQ(at.run({"backfill", "--resync"}).exit_code, 1);
    support::delete_topic(kafka.config(), "crossfade.app.changes");
    const auto resync = at.run({"backfill", "--resync"});
    ASSERT_EQ(resync.exit_code, 0) << resync.errors;
    EXPECT_EQ(partitions_of(kafka.config(), "crossfade.app.changes"), 5);
    EXPECT_EQ(at.modern.value("SELECT count(*) FROM crossfade.progress"), "5");
    EXPECT_EQ(at.run({"init"}).exit_code, 0);
    EXPECT_EQ(at.run({"verify"}).exit_code, 0);
}

TEST(ctl_partitions, of_another_number_are_refused_until_the_stream_begins_anew) {
    const shop at({}, 3);
    at.create_schema();
    at.legacy.exec(shop::rows);
    ASSERT_EQ(at.run({"init", "--replica-identity-full"}).exit_code, 0);
    at.write_config("crossfade", 2);
    const std::vector<std::vector<std::string>> commands{{"init"}, {"backfill"}, {"verify", "--wait", "0"}};
    for (const auto& command : commands) {
        const auto refused = at.run(command);
        EXPECT_EQ(refused.exit_code, 1) << command[0];
        EXPECT_NE(refused.errors.find("progress of 3 partitions"), std::string::npos) << refused.errors;
        EXPECT_NE(refused.errors.find("--resync"), std::string::npos) << refused.errors;
    }
    const auto resync = at.run({"backfill", "--resync"});
    EXPECT_EQ(resync.exit_code, 1);
    EXPECT_NE(resync.errors.find("delete the topic"), std::string::npos) << resync.errors;
}

TEST(ctl_partitions, go_on_together_from_a_resync) {
    const shop at({}, 3);
    at.create_schema();
    at.legacy.exec(shop::rows);
    ASSERT_EQ(at.run({"init", "--replica-identity-full"}).exit_code, 0);
    // What was published before, to partitions of different lengths; and progress that is left of more of them.
    auto before = of_three_partitions(at.kafka);
    before.stream.partitions = 2;
    stream::place_marker(before, {.system_identifier = "1", .timeline = 1}, model::lsn{7});
    at.modern.exec(
        "UPDATE crossfade.progress SET ordinal = 5, waiting_lsn = '0/9', waiting_ordinal = 1, waiting_offset = 1;"
        "INSERT INTO crossfade.progress (stream, topic, partition, next_offset, system_identifier, timeline, "
        "commit_lsn,"
        " end_lsn) SELECT stream, topic, 3, 0, system_identifier, timeline, commit_lsn, end_lsn FROM crossfade.progress"
        " WHERE partition = 0");
    const auto done = at.run_json({"backfill", "--resync"});
    ASSERT_TRUE(done.contains("complete")) << boost::json::serialize(done);
    const std::string lsn{done.at("snapshot_lsn").as_string()};
    const std::string there = ":" + lsn + ":" + lsn + ":0";
    EXPECT_EQ(progress_of(at), "0:1" + there + " 1:1" + there + " 2:0" + there);
    for (const auto& tail : stream::read_tails(of_three_partitions(at.kafka)))
        EXPECT_GT(tail.end_lsn.value_or(model::lsn{}), model::lsn{7});
    EXPECT_EQ(at.run({"verify"}).exit_code, 0);
    EXPECT_EQ(at.run({"init"}).exit_code, 0);
}

}  // namespace
}  // namespace crossfade::ctl
