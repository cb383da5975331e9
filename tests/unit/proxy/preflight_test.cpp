#include "proxy/capture/preflight.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "lib/settings/turned.hpp"

namespace crossfade::proxy::capture {
namespace {

const settings::stream stream{"app", {}, std::chrono::milliseconds{1000}};

settings::configuration configured() {
    settings::configuration config;
    config.stream = stream;
    return config;
}
const settings::configuration config = configured();

TEST(preflight, the_slot_decides_what_becomes_of_the_publisher) {
    const slot_facts good{true, true, false, true, "pgoutput", "reserved", "", false};
    EXPECT_FALSE(judge(good, config));
    struct {
        const char* what;
        void (*spoil)(slot_facts&);
        publisher_state expected;
        bool needs_help;
    } const cases[]{
        {"no slot", [](slot_facts& f) { f = {}; }, publisher_state::waiting, true},
        {"a standby", [](slot_facts& f) { f.in_recovery = true; }, publisher_state::waiting, true},
        {"no publication", [](slot_facts& f) { f.publication = false; }, publisher_state::waiting, true},
        {"another plugin", [](slot_facts& f) { f.plugin = "test_decoding"; }, publisher_state::waiting, true},
        {"another database", [](slot_facts& f) { f.same_database = false; }, publisher_state::waiting, true},
        {"held", [](slot_facts& f) { f.active = true; }, publisher_state::standby, false},
        {"lost", [](slot_facts& f) { f.wal_status = "lost"; }, publisher_state::stopped, true},
        {"lost, and held for a moment more",
         [](slot_facts& f) {
             f.wal_status = "lost";
             f.active = true;
         },
         publisher_state::stopped, true},
    };
    for (const auto& one : cases) {
        auto facts = good;
        one.spoil(facts);
        const auto got = judge(facts, config);
        ASSERT_TRUE(got) << one.what;
        EXPECT_EQ(got->state, one.expected) << one.what;
        EXPECT_FALSE(got->reason.empty()) << one.what;
        EXPECT_EQ(!got->way_out.empty(), one.needs_help) << one.what;
    }
}

TEST(preflight, a_database_failure_is_judged_by_its_code) {
    const auto state = [](const char* sqlstate) {
        return judge(pgclient::failure{sqlstate, "message", {}, {}, {}}, config).state;
    };
    EXPECT_EQ(state("55006"), publisher_state::standby);
    EXPECT_EQ(state("55000"), publisher_state::stopped);
    for (const char* passing : {"08006", "57P01", "57P03", "42704", "42501", "28P01", "53300", "XX000"})
        EXPECT_EQ(state(passing), publisher_state::waiting) << passing;
}

TEST(preflight, the_way_back_is_told_by_its_own_names) {
    auto full = config;
    full.stream.both_ways = true;
    const auto back = settings::turned(full);
    EXPECT_EQ(judge(slot_facts{}, back)->reason, "modern has no replication slot crossfade_app_back");
    const slot_facts lost{true, true, false, true, "pgoutput", "lost", "", false};
    const auto got = judge(lost, back);
    EXPECT_THAT(got->reason, testing::HasSubstr("modern has removed WAL"));
    EXPECT_THAT(got->way_out, testing::HasSubstr("drop slot crossfade_app_back on modern"));
    EXPECT_THAT(judge(pgclient::failure{"42501", "no", {}, {}, {}}, back).way_out,
                testing::HasSubstr("the role of modern.dsn"));
    const auto over = completed("2026-01-02 03:04:05 UTC", back);
    EXPECT_EQ(over.state, publisher_state::completed);  // it waits for nobody, and no alert is to say so
    EXPECT_EQ(over.reason, "the cutover was completed at 2026-01-02 03:04:05 UTC: legacy gets nothing any more");
    EXPECT_EQ(over.way_out, "");
}

TEST(preflight, a_kafka_failure_is_judged_by_its_code) {
    const auto state = [](rd_kafka_resp_err_t code) {
        return judge(kafka::failure{code, "message", false}, stream).state;
    };
    EXPECT_EQ(state(RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE), publisher_state::stopped);
    const kafka::failure of_our_own{RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE, "message", false, true};
    EXPECT_EQ(judge(of_our_own, stream).state, publisher_state::stopped);
    EXPECT_THAT(judge(of_our_own, stream).way_out, testing::HasSubstr("message.max.bytes in kafka.properties"));
    const auto wrapped = std::string{"request failed: "} + rd_kafka_err2str(RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE);
    EXPECT_EQ(judge(kafka::failure{RD_KAFKA_RESP_ERR__GAPLESS_GUARANTEE, wrapped, true}, stream).state,
              publisher_state::stopped);
    auto with_json = stream;
    with_json.json_events = true;
    EXPECT_THAT(judge(kafka::failure{RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE, "message", false}, with_json).reason,
                testing::HasSubstr(with_json.json_topic()));
    for (const auto passing : {RD_KAFKA_RESP_ERR__TRANSPORT, RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED,
                               RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART, RD_KAFKA_RESP_ERR_OUT_OF_ORDER_SEQUENCE_NUMBER})
        EXPECT_EQ(state(passing), publisher_state::waiting);
}

TEST(preflight, the_topic_has_one_partition) {
    EXPECT_FALSE(judge_partitions(1, 1, stream.topic()));
    EXPECT_EQ(judge_partitions(0, 1, stream.topic())->way_out, "run `crossfade init`");
    EXPECT_TRUE(judge_partitions(4, 1, stream.topic()));
    EXPECT_FALSE(judge_partitions(4, 4, stream.topic()));
    EXPECT_EQ(judge_partitions(5, 4, stream.topic())->state, publisher_state::waiting);
}

}  // namespace
}  // namespace crossfade::proxy::capture
