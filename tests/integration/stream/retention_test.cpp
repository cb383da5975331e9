// A follower that stands still while the topic's retention runs out is told before anything is deleted.
#include <gmock/gmock.h>
#include <librdkafka/rdkafka.h>

#include <array>
#include <boost/json.hpp>

#include "lib/kafka/admin.hpp"
#include "tests/chaos/landscape.hpp"
#include "tests/support/eventually.hpp"
#include "tests/support/http.hpp"

namespace crossfade {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;
using testing::Not;

const std::string topic = "crossfade.app.changes";

void keep_for(const settings::kafka& config, std::chrono::milliseconds time) {
    auto client = kafka::make_client(RD_KAFKA_PRODUCER, config, {}).value();
    const kafka::queue_handle queue{rd_kafka_queue_new(client.get())};
    auto* asked = rd_kafka_ConfigResource_new(RD_KAFKA_RESOURCE_TOPIC, topic.c_str());
    rd_kafka_ConfigResource_set_config(asked, "retention.ms", std::to_string(time.count()).c_str());
    rd_kafka_AlterConfigs(client.get(), &asked, 1, nullptr, queue.get());
    const kafka::event_handle event{rd_kafka_queue_poll(queue.get(), 20000)};
    rd_kafka_ConfigResource_destroy(asked);
    if (!event || rd_kafka_event_error(event.get()) != RD_KAFKA_RESP_ERR_NO_ERROR)
        throw std::runtime_error("the topic's retention can't be set");
}

TEST(retention, that_runs_out_is_said_before_events_are_deleted) {
    if (!support::kafka_broker::available()) GTEST_SKIP() << "no Kafka: script/bootstrap --kafka";
    chaos::landscape world{{.schema = "CREATE TABLE stock (id int PRIMARY KEY);"}};
    const auto made = kafka::topic_settings(world.broker.config(), topic, 10s).value();
    EXPECT_EQ(made.at("retention.ms"), "604800000");
    EXPECT_EQ(made.at("cleanup.policy"), "delete");
    EXPECT_EQ(made.at("max.message.bytes"), std::to_string(kafka::largest_message + kafka::batch_overhead));
    const auto measured = [&](const std::string& name) {
        return support::sample_value(support::http_get(world.cdc.admin_port(), "/metrics").body, name);
    };
    EXPECT_TRUE(support::eventually(30s, [&] { return measured("crossfade_topic_retention_seconds") == 604800; }));
    EXPECT_THAT(world.crossfade({"status"}).output, Not(HasSubstr("retention")));

    keep_for(world.broker.config(), 30s);
    // Held: nothing is applied, and nothing is wrong with anything.
    world.cdc.stop();
    world.cdc.configure(world.configuration("  hybrid_mode_enabled: false\n"));
    world.cdc.start();
    world.legacy.exec("INSERT INTO stock VALUES (1)");
    EXPECT_TRUE(support::eventually(90s, [&] { return measured("crossfade_topic_retention_used_ratio") >= 0.5; }))
        << world.logs();
    EXPECT_GE(measured("crossfade_topic_next_event_age_seconds"), 15);
    EXPECT_THAT(world.cdc.log(), HasSubstr("keeps events for 30 s (retention.ms); see why nothing is applied"));
    const auto status = world.crossfade({"status"});
    EXPECT_EQ(status.exit_code, 1);
    EXPECT_THAT(status.output, HasSubstr("raise the topic's retention.ms"));
    const auto said = boost::json::parse(support::http_get(world.cdc.admin_port(), "/api/v1/status").body);
    EXPECT_GE(said.at("stream").at("retention").at("used").to_number<double>(), 0.5);

    // Applied, it is over.
    world.cdc.stop();
    world.cdc.configure(world.configuration());
    world.cdc.start();
    EXPECT_TRUE(support::eventually(60s, [&] {
        return measured("crossfade_topic_retention_seconds") == 30 &&
               measured("crossfade_topic_retention_used_ratio") < 0.5 &&
               world.modern.value("SELECT count(*) FROM stock") == "1";
    })) << world.logs();
    EXPECT_EQ(world.crossfade({"status"}).exit_code, 0);
}

}  // namespace
}  // namespace crossfade
