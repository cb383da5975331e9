#include "cdc/consume/topic_feed.hpp"

#include <gtest/gtest.h>

#include "lib/kafka/producer.hpp"
#include "tests/support/eventually.hpp"
#include "tests/support/kafka.hpp"

namespace crossfade::cdc::consume {
namespace {

using namespace std::chrono_literals;
using support::eventually;

class feeding : public testing::Test {
  protected:
    feeding() { cluster_.create_topic("changes", 1); }

    static std::string beat(std::uint64_t number, std::size_t padding) {
        events::relation_encoder relations;
        model::change_event event;
        event.at = {7, 1, model::lsn{1000 + number}, 0};
        event.body = model::logical_message{"padding", std::string(padding, 'x')};
        return events::encode(event, relations);
    }

    void publish(const std::vector<std::string>& messages) {
        auto out = kafka::producer::open(cluster_.config(), 200'000).value();
        for (const auto& each : messages) out.produce("changes", 0, "", each, {}, 0).value();
        eventually(20s, [&] { return out.poll(100ms).value().empty() && out.unacknowledged() == 0; });
        ASSERT_EQ(out.unacknowledged(), 0U);
    }

    void publish(std::size_t from, std::size_t to, std::size_t padding = 0) {
        std::vector<std::string> messages;
        for (auto i = from; i < to; ++i) messages.push_back(beat(i, padding));
        publish(messages);
    }

    kafka::partition_reader open(std::int64_t offset = 0) {
        auto reader = kafka::partition_reader::open(cluster_.config(), "changes", 0, "test").value();
        reader.seek(offset, 5s).value();
        return reader;
    }

    // The next that is something.
    static delivery next(topic_feed& feed) {
        delivery got;
        eventually(20s, [&] {
            got = feed.take(100ms);
            return !std::holds_alternative<nothing_yet>(got);
        });
        return got;
    }

    static std::vector<std::int64_t> offsets(topic_feed& feed, std::size_t count) {
        std::vector<std::int64_t> all;
        while (all.size() < count) {
            const auto got = next(feed);
            const auto* lot = std::get_if<event_lot>(&got);
            if (lot == nullptr) break;
            for (const auto& each : lot->events) all.push_back(each.offset);
        }
        return all;
    }

    static std::vector<std::int64_t> range(std::int64_t from, std::int64_t to) {
        std::vector<std::int64_t> all;
        for (; from < to; ++from) all.push_back(from);
        return all;
    }

    support::mock_kafka cluster_;
    events::relation_decoder relations_;
};

TEST_F(feeding, gives_every_event_in_its_order) {
    publish(0, 5000);
    auto reader = open(20);
    topic_feed feed{reader, relations_, 1 << 20};
    EXPECT_EQ(offsets(feed, 4980), range(20, 5000));
    EXPECT_EQ(feed.held_bytes(), 0U);
    EXPECT_TRUE(std::holds_alternative<nothing_yet>(feed.take(0ms)));
}

TEST_F(feeding, reads_no_further_ahead_than_its_bound) {
    publish(0, 4000, 1000);
    const auto each = beat(0, 1000).size();
    auto reader = open();
    const std::size_t bound = 600 * each;
    topic_feed feed{reader, relations_, bound};
    ASSERT_TRUE(eventually(20s, [&] { return feed.held_bytes() >= bound; }));
    std::vector<std::int64_t> all;
    while (all.size() < 4000) {
        EXPECT_LE(feed.held_bytes(), bound + 500 * (each + 4));
        const auto got = next(feed);
        ASSERT_TRUE(std::holds_alternative<event_lot>(got));
        for (const auto& one : std::get<event_lot>(got).events) all.push_back(one.offset);
    }
    EXPECT_EQ(all, range(0, 4000));
}

TEST_F(feeding, takes_one_message_that_is_larger_than_the_bound) {
    publish(0, 3, 100'000);
    auto reader = open();
    topic_feed feed{reader, relations_, 1000};
    EXPECT_EQ(offsets(feed, 3), range(0, 3));
}

TEST_F(feeding, ends_behind_the_events_before_a_message_that_is_none) {
    std::vector<std::string> messages;
    for (std::uint64_t i = 0; i < 700; ++i) messages.push_back(i == 650 ? "no event" : beat(i, 0));
    publish(messages);
    auto reader = open();
    topic_feed feed{reader, relations_, 1 << 20};
    EXPECT_EQ(offsets(feed, 650), range(0, 650));
    const auto got = next(feed);
    ASSERT_TRUE(std::holds_alternative<no_event>(got));
    EXPECT_EQ(std::get<no_event>(got).offset, 650);
    EXPECT_TRUE(std::holds_alternative<nothing_yet>(feed.take(200ms)));
}

TEST_F(feeding, ends_at_a_gap) {
    publish(0, 100);
    auto reader = open();
    cluster_.fail_requests(1, std::vector<rd_kafka_resp_err_t>(20, RD_KAFKA_RESP_ERR_OFFSET_OUT_OF_RANGE));
    topic_feed feed{reader, relations_, 1 << 20};
    delivery got = next(feed);
    while (std::holds_alternative<event_lot>(got)) got = next(feed);
    ASSERT_TRUE(std::holds_alternative<unreadable>(got));
    EXPECT_TRUE(std::get<unreadable>(got).why.fatal);
}

TEST_F(feeding, says_when_the_broker_is_gone_and_when_it_is_back) {
    publish(0, 10);
    auto reader = open();
    topic_feed feed{reader, relations_, 1 << 20};
    EXPECT_EQ(offsets(feed, 10), range(0, 10));
    cluster_.set_down(true);
    EXPECT_TRUE(std::holds_alternative<broker_lost>(next(feed)));
    cluster_.set_down(false);
    delivery got = next(feed);
    while (std::holds_alternative<broker_lost>(got)) got = next(feed);
    EXPECT_TRUE(std::holds_alternative<broker_regained>(got)) << "before any message has come";
    publish(10, 20);
    EXPECT_EQ(offsets(feed, 10), range(10, 20));
}

TEST_F(feeding, says_when_the_broker_says_nothing) {
    publish(0, 10);
    auto reader = open();
    topic_feed feed{reader, relations_, 1 << 20};
    EXPECT_EQ(offsets(feed, 10), range(0, 10));
    cluster_.set_delay(60s);
    EXPECT_TRUE(std::holds_alternative<broker_lost>(next(feed))) << "librdkafka alone would say so after a minute";
}

TEST_F(feeding, is_not_worried_by_a_topic_that_gets_nothing) {
    publish(0, 1);
    auto reader = open();
    topic_feed feed{reader, relations_, 1 << 20};
    EXPECT_EQ(offsets(feed, 1), range(0, 1));
    EXPECT_TRUE(std::holds_alternative<nothing_yet>(feed.take(8s)));
}

TEST_F(feeding, can_end_while_it_is_full) {
    publish(0, 2000, 1000);
    auto reader = open();
    topic_feed feed{reader, relations_, 10'000};
    ASSERT_TRUE(eventually(20s, [&] { return feed.held_bytes() >= 10'000; }));
}

}  // namespace
}  // namespace crossfade::cdc::consume
