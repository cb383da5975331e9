// The follower and its topic come apart: one of them is an earlier one, or another. What is there still is applied
// once; a gap is never gone over.
#include <gmock/gmock.h>
#include <librdkafka/rdkafka.h>

#include <array>
#include <filesystem>

#include "lib/kafka/admin.hpp"
#include "lib/kafka/consumer.hpp"
#include "lib/kafka/producer.hpp"
#include "tests/chaos/landscape.hpp"
#include "tests/integration/stream/status_of.hpp"
#include "tests/support/eventually.hpp"

namespace crossfade {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;

const std::string topic = "crossfade.app.changes";
const std::string all_rows = "SELECT count(*) || ' ' || coalesce(sum(id), 0) FROM public.stock";

class the_topic : public testing::Test {
  protected:
    void SetUp() override {
        if (!support::kafka_broker::available()) GTEST_SKIP() << "no Kafka: script/bootstrap --kafka";
        world_.emplace(chaos::landscape_options{.schema = "CREATE TABLE stock (id int PRIMARY KEY, note text);"});
    }

    void insert(int from, int to) const {
        for (int id = from; id <= to; ++id)
            world_->legacy.exec("INSERT INTO public.stock VALUES (" + std::to_string(id) + ", 'x')");
    }
    bool equal() const {
        return support::eventually(60s,
                                   [&] { return world_->legacy.value(all_rows) == world_->modern.value(all_rows); });
    }
    // Stops, with the way out that helps.
    void expect_stopped(const support::crossfade_program& program, const std::string& reason) const {
        EXPECT_TRUE(support::eventually(60s, [&] { return status_of(program, "state") == "stopped"; }))
            << world_->logs();
        EXPECT_THAT(status_of(program, "reason"), HasSubstr(reason));
        EXPECT_THAT(status_of(program, "way_out"), HasSubstr("crossfade backfill --resync"));
        const auto status = world_->crossfade({"status"});
        EXPECT_EQ(status.exit_code, 1);
        EXPECT_THAT(status.output, HasSubstr("crossfade backfill --resync"));
    }
    // Until the stopped crossfade-cdc has looked a second time for something that was done about it.
    bool follower_has_looked_again() const {
        const auto since = world_->modern.value("SELECT now() + interval '1100 ms'");
        return support::eventually(20s, [&] {
            return world_->modern.value(
                       "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'crossfade-cdc' AND query LIKE "
                       "'%crossfade.progress%' AND query_start > '" +
                       since + "'") != "0";
        });
    }
    void resync(const std::vector<std::string>& more = {}) {
        std::vector<std::string> command{"backfill", "--resync"};
        command.insert(command.end(), more.begin(), more.end());
        const auto done = world_->crossfade(command);
        ASSERT_EQ(done.exit_code, 0) << done.output << done.errors << world_->logs();
        // By themselves: nobody has to start the programs again.
        EXPECT_TRUE(support::eventually(60s, [&] {
            return status_of(world_->proxy, "state") == "publishing" && status_of(world_->cdc, "state") == "applying";
        })) << world_->logs();
        insert(9001, 9020);
        EXPECT_TRUE(equal()) << world_->logs();
        // Once, and not before there was a reason.
        const auto log = world_->cdc.log();
        const std::string goes_on = "progress is another one";
        EXPECT_EQ(log.find(goes_on), log.rfind(goes_on)) << log;
        EXPECT_EQ(world_->complaints(), "");
    }

    // One request of the admin API, and its answer.
    template <class Ask>
    void administer(Ask ask) const {
        const auto client = kafka::make_client(RD_KAFKA_PRODUCER, world_->broker.config(), {}).value();
        const kafka::queue_handle queue{rd_kafka_queue_new(client.get())};
        ask(client.get(), queue.get());
        const kafka::event_handle event{rd_kafka_queue_poll(queue.get(), 20000)};
        if (!event || rd_kafka_event_error(event.get()) != RD_KAFKA_RESP_ERR_NO_ERROR)
            throw std::runtime_error("the broker refused");
    }
    void delete_events_before(std::int64_t offset) const {
        auto* partitions = rd_kafka_topic_partition_list_new(1);
        rd_kafka_topic_partition_list_add(partitions, topic.c_str(), 0)->offset = offset;
        auto* asked = rd_kafka_DeleteRecords_new(partitions);
        rd_kafka_topic_partition_list_destroy(partitions);
        administer([&](auto* client, auto* queue) { rd_kafka_DeleteRecords(client, &asked, 1, nullptr, queue); });
        rd_kafka_DeleteRecords_destroy(asked);
    }
    void set_largest_message(const std::string& bytes) const {
        support::alter_topic(world_->broker.config(), topic, {{"max.message.bytes", bytes}});
    }
    void make_topic_anew() const {
        auto* asked = rd_kafka_DeleteTopic_new(topic.c_str());
        administer([&](auto* client, auto* queue) { rd_kafka_DeleteTopics(client, &asked, 1, nullptr, queue); });
        rd_kafka_DeleteTopic_destroy(asked);
        ASSERT_TRUE(support::eventually(30s, [&] {
            const auto made = kafka::create_topic(world_->broker.config(), topic, 1, 1, {}, 10s);
            return made && *made == kafka::topic_creation::created;
        }));
    }
    kafka::partition_reader reader() const {
        return kafka::partition_reader::open(world_->broker.config(), topic, 0, "crossfade-test").value();
    }
    std::int64_t high() const { return reader().query_watermarks(10s).value().high; }
    std::int64_t next_offset() const {
        return std::stoll(world_->modern.value("SELECT next_offset FROM crossfade.progress"));
    }

    // Modern as it is now, to be restored later. crossfade-cdc is stopped meanwhile, and afterwards.
    void back_up_modern() {
        world_->cdc.stop();
        world_->modern.stop();
        copy(world_->modern.data_dir(), backup_.path() / "data");
        world_->modern.start();
        world_->cdc.start();
    }
    void restore_modern() {
        world_->cdc.stop();
        world_->modern.stop();
        copy(backup_.path() / "data", world_->modern.data_dir());
        world_->modern.start();
    }

    std::optional<chaos::landscape> world_;

  private:
    static void copy(const std::filesystem::path& from, const std::filesystem::path& to) {
        std::filesystem::remove_all(to);
        ASSERT_EQ(support::run({"cp", "-a", from.string(), to.string()}, 1min).exit_code, 0);
    }

    support::temp_dir backup_;
};

TEST_F(the_topic, has_what_a_restored_follower_needs_to_go_on) {
    insert(1, 50);
    ASSERT_TRUE(equal()) << world_->logs();
    back_up_modern();
    insert(51, 150);
    world_->legacy.exec("UPDATE public.stock SET note = 'y' WHERE id <= 25; DELETE FROM public.stock WHERE id > 140");
    ASSERT_TRUE(equal()) << world_->logs();
    restore_modern();
    ASSERT_EQ(world_->modern.value("SELECT count(*) FROM stock"), "50");
    world_->cdc.start();
    EXPECT_EQ(world_->settle(60s), "") << world_->logs();
    EXPECT_EQ(world_->complaints(), "");
}

TEST_F(the_topic, no_longer_has_what_a_restored_follower_needs) {
    insert(1, 20);
    ASSERT_TRUE(equal()) << world_->logs();
    back_up_modern();
    insert(21, 60);
    ASSERT_TRUE(equal()) << world_->logs();
    restore_modern();
    delete_events_before(next_offset() + 10);
    world_->cdc.start();
    expect_stopped(world_->cdc, "the topic no longer has offset");
    EXPECT_EQ(world_->modern.value("SELECT count(*) FROM stock"), "20");
    EXPECT_TRUE(follower_has_looked_again());
    resync();
}

TEST_F(the_topic, takes_larger_messages_after_all) {
    set_largest_message("100000");
    insert(1, 20);
    ASSERT_TRUE(equal()) << world_->logs();
    world_->legacy.exec(
        "INSERT INTO public.stock SELECT 21, string_agg(md5(n::text), '') FROM generate_series(1, 30000) n");
    EXPECT_TRUE(support::eventually(60s, [&] { return status_of(world_->proxy, "state") == "stopped"; }))
        << world_->logs();
    EXPECT_THAT(status_of(world_->proxy, "reason"), HasSubstr("an event is larger than topic " + topic));
    EXPECT_THAT(status_of(world_->proxy, "way_out"), HasSubstr("raise max.message.bytes"));
    set_largest_message("10000000");
    EXPECT_TRUE(equal()) << world_->logs();
    EXPECT_EQ(world_->settle(60s), "");
    EXPECT_EQ(world_->complaints(), "");
}

// What was sent of the transaction before that event is there once more after each.
TEST_F(the_topic, is_not_filled_by_attempts_in_vain) {
    set_largest_message("1100000");  // and a batch of them
    insert(1, 20);
    ASSERT_TRUE(equal()) << world_->logs();
    const auto attempts = [&] {
        const auto log = world_->proxy.log();
        const std::string begun = "publisher of stream app: publishing\n";
        int count = 0;
        for (auto at = log.find(begun); at != std::string::npos; at = log.find(begun, at + 1)) ++count;
        return count;
    };
    const auto before = attempts();
    const auto end = high();
    world_->legacy.exec(
        "BEGIN; INSERT INTO public.stock SELECT n, repeat('x', 100) FROM generate_series(21, 6020) n;"
        "INSERT INTO public.stock SELECT 7000, string_agg(md5(n::text), '') FROM generate_series(1, 200000) n; COMMIT");
    ASSERT_TRUE(support::eventually(60s, [&] { return status_of(world_->proxy, "state") == "stopped"; }))
        << world_->logs();
    EXPECT_FALSE(support::eventually(15s, [&] { return attempts() > before + 2; })) << world_->logs();
    EXPECT_GT(high(), end + 1000);
    EXPECT_LE(high(), end + 2 * 6001);
    EXPECT_EQ(status_of(world_->proxy, "state"), "stopped");

    set_largest_message("10000000");
    EXPECT_TRUE(equal()) << world_->logs();
    EXPECT_EQ(world_->settle(60s), "");
    EXPECT_EQ(world_->complaints(), "");
}

// Deleted and made again, and as many events have come since: the follower's offset is there.
TEST_F(the_topic, of_the_same_name_is_another_one) {
    insert(1, 50);
    ASSERT_TRUE(equal()) << world_->logs();
    world_->cdc.stop();
    world_->proxy.stop();
    make_topic_anew();
    world_->proxy.start();
    int id = 51;
    ASSERT_TRUE(support::eventually(90s, [&] {
        insert(id, id + 20);
        id += 21;
        return high() > next_offset() + 10;
    }));
    const auto before = world_->modern.value(all_rows);
    world_->cdc.start();
    expect_stopped(world_->cdc, "follows");
    EXPECT_EQ(world_->modern.value(all_rows), before);
    resync();
}

// While both programs run, and nothing is written but heartbeats.
TEST_F(the_topic, is_made_anew_behind_the_follower_s_back) {
    insert(1, 50);
    ASSERT_TRUE(equal()) << world_->logs();
    make_topic_anew();
    EXPECT_TRUE(support::eventually(60s, [&] { return status_of(world_->cdc, "state") == "stopped"; }))
        << world_->logs();
    EXPECT_THAT(status_of(world_->cdc, "way_out"), HasSubstr("crossfade backfill --resync"));
    resync({"--live"});
}

// What an unclean leader election leaves, or a broker's disk of yesterday.
TEST_F(the_topic, has_lost_its_newest_events) {
    insert(1, 50);
    ASSERT_TRUE(equal()) << world_->logs();
    world_->cdc.stop();
    insert(51, 100);
    ASSERT_TRUE(support::eventually(30s, [&] { return high() >= next_offset() + 50; }));
    world_->proxy.stop();
    std::vector<std::string> events;
    {
        auto from = reader();
        const auto end = from.query_watermarks(10s).value().high;
        from.seek(0, 10s).value();
        while (static_cast<std::int64_t>(events.size()) < end)
            for (const auto& each : from.read(1000, 1s).value()) events.emplace_back(each.payload());
    }
    make_topic_anew();
    auto producer = kafka::producer::open(world_->broker.config(), 10000).value();
    events.resize(events.size() - 20);
    for (std::size_t i = 0; i < events.size(); ++i) producer.produce(topic, 0, "", events[i], {}, i).value();
    ASSERT_TRUE(support::eventually(20s, [&] {
        static_cast<void>(producer.poll(100ms));
        return producer.unacknowledged() == 0;
    }));
    world_->proxy.start();
    world_->cdc.start();
    expect_stopped(world_->proxy, "what lies between is missing");
    // What is there is applied, and nothing else.
    EXPECT_TRUE(support::eventually(30s, [&] { return next_offset() == high(); })) << world_->logs();
    // Whoever is killed on the way has begun nothing.
    const auto killed =
        world_->crossfade({"backfill", "--resync", "--live"}, {{"CROSSFADE_FAILPOINT", "backfill.marked"}});
    EXPECT_NE(killed.exit_code, 0) << killed.output;
    EXPECT_EQ(status_of(world_->proxy, "state"), "stopped");
    resync({"--live"});
}

}  // namespace
}  // namespace crossfade
