#include <gmock/gmock.h>

#include <algorithm>
#include <limits>

#include "lib/kafka/consumer.hpp"
#include "lib/kafka/producer.hpp"
#include "tests/support/eventually.hpp"
#include "tests/support/kafka.hpp"

namespace crossfade::kafka {
namespace {

using namespace std::chrono_literals;
using support::eventually;
constexpr std::int16_t fetch_request = 1;

class reading : public testing::Test {
  protected:
    reading() { cluster_.create_topic("changes", 1); }

    void publish(int from, int to, std::size_t padding = 0, int batch = std::numeric_limits<int>::max()) {
        auto out = producer::open(cluster_.config(), 200'000).value();
        while (from < to) {
            const auto end = from + std::min(batch, to - from);
            for (; from < end; ++from)
                out.produce("changes", 0, "", std::to_string(from) + std::string(padding, ' '), {}, 0).value();
            eventually(20s, [&] { return out.poll(5ms).value().empty() && out.unacknowledged() == 0; });
            ASSERT_EQ(out.unacknowledged(), 0U);
        }
    }

    partition_reader open() { return partition_reader::open(cluster_.config(), "changes", 0, "test").value(); }

    // The numbers published, as they come, until there are `count`, or a fatal failure, which is kept.
    std::vector<int> collect(partition_reader& from, std::size_t count) {
        std::vector<int> numbers;
        eventually(20s, [&] {
            const auto some = from.read(64, 100ms);
            if (!some && some.error().fatal) fatal_ = some.error();
            if (some)
                for (const auto& one : *some) numbers.push_back(std::stoi(std::string{one.payload()}));
            return fatal_.has_value() || numbers.size() >= count;
        });
        return numbers;
    }

    static std::vector<int> numbers(int from, int to) {
        std::vector<int> all;
        for (int i = from; i < to; ++i) all.push_back(i);
        return all;
    }

    support::mock_kafka cluster_;
    std::optional<failure> fatal_;
};

TEST_F(reading, goes_on_from_any_offset) {
    publish(0, 300);
    auto from = open();
    for (const int offset : {0, 120, 299, 5}) {  // back as well, with messages fetched ahead
        from.seek(offset, 5s).value();
        EXPECT_EQ(collect(from, static_cast<std::size_t>(300 - offset)), numbers(offset, 300)) << offset;
    }
}

TEST_F(reading, gives_no_message_of_the_place_before_a_seek) {
    publish(0, 3000);
    auto from = open();
    from.seek(0, 5s).value();
    ASSERT_EQ(from.read(1, 5s).value().size(), 1U);  // the rest of the batch waits in the queue
    for (const int offset : {2000, 10, 1500}) {
        from.seek(offset, 5s).value();
        const auto some = from.read(1, 5s);
        ASSERT_TRUE(some);
        ASSERT_EQ(some->size(), 1U);
        EXPECT_EQ(some->front().offset(), offset);
    }
}

TEST_F(reading, waits_for_what_comes_and_no_longer) {
    publish(0, 1);
    auto from = open();
    from.seek(0, 5s).value();
    ASSERT_EQ(collect(from, 1).size(), 1U);
    EXPECT_TRUE(from.read(10, 20ms).value().empty());

    publish(1, 2);
    const auto begin = std::chrono::steady_clock::now();
    EXPECT_EQ(from.read(1000, 30s).value().size(), 1U);  // not until a thousand are there
    EXPECT_LT(std::chrono::steady_clock::now() - begin, 10s);
}

TEST_F(reading, refuses_an_offset_outside_the_watermarks) {
    publish(0, 10);
    auto from = open();
    const auto there = from.query_watermarks(5s).value();
    EXPECT_EQ(there.low, 0);
    EXPECT_EQ(there.high, 10);
    EXPECT_TRUE(from.seek(10, 5s));
    for (const int offset : {11, -1}) {
        const auto sought = from.seek(offset, 5s);
        ASSERT_FALSE(sought) << offset;
        EXPECT_EQ(sought.error().code, RD_KAFKA_RESP_ERR_OFFSET_OUT_OF_RANGE);
        EXPECT_TRUE(sought.error().fatal);
    }
}

// librdkafka alone would look once a second whether its queue has room again: minutes, here.
TEST_F(reading, waits_for_no_queue_that_has_been_full) {
    struct {
        const char* property;
        const char* limit;
        int messages;
        std::size_t padding;
    } const full[] = {{"queued.min.messages", "10", 800, 0}, {"queued.max.messages.kbytes", "4", 800, 1024}};
    int from = 0;
    for (const auto& by : full) {
        SCOPED_TRACE(by.property);
        auto config = cluster_.config();
        config.properties = {{"fetch.message.max.bytes", "2000"}, {by.property, by.limit}};
        auto reader = partition_reader::open(config, "changes", 0, "test").value();
        publish(from, from + by.messages, by.padding, 20);  // a fetch brings whole batches
        reader.seek(from, 5s).value();
        EXPECT_EQ(collect(reader, static_cast<std::size_t>(by.messages)), numbers(from, from + by.messages));
        from += by.messages;
    }
}

TEST_F(reading, stops_when_the_topic_loses_what_comes_next) {
    auto config = cluster_.config();
    config.properties = {{"fetch.message.max.bytes", "10000"},
                         {"queued.min.messages", "1"}};  // little is fetched ahead
    auto from = partition_reader::open(config, "changes", 0, "test").value();
    publish(0, 100, 1024);
    from.seek(0, 5s).value();
    ASSERT_EQ(from.read(1, 5s).value().size(), 1U);
    publish(100, 12'000, 1024);  // beyond the mock cluster's 5 MB: the next ones are gone

    const auto got = collect(from, 12'000);
    ASSERT_TRUE(fatal_) << "read " << got.size();
    EXPECT_EQ(fatal_->code, RD_KAFKA_RESP_ERR_OFFSET_OUT_OF_RANGE);
    EXPECT_EQ(got, numbers(1, 1 + static_cast<int>(got.size()))) << "something was skipped";
    const auto again = from.read(10, 100ms);
    ASSERT_FALSE(again) << "it went on after a gap";
    EXPECT_TRUE(again.error().fatal);

    // The way out is somebody's decision, made by seek().
    fatal_.reset();
    const auto low = from.query_watermarks(5s).value().low;
    from.seek(low, 5s).value();
    EXPECT_EQ(collect(from, 1).front(), low);
}

TEST_F(reading, starts_after_what_the_topic_has_dropped) {
    constexpr int count = 6'000;  // of 1 KiB: beyond the mock cluster's 5 MB
    publish(0, count, 1024);
    auto from = open();
    const auto there = from.query_watermarks(5s).value();
    ASSERT_GT(there.low, 0);
    EXPECT_EQ(there.high, count);
    EXPECT_EQ(from.seek(0, 5s).error().code, RD_KAFKA_RESP_ERR_OFFSET_OUT_OF_RANGE);
    from.seek(there.low, 5s).value();
    EXPECT_EQ(collect(from, static_cast<std::size_t>(count - there.low)), numbers(static_cast<int>(there.low), count));
}

TEST_F(reading, survives_a_broker_that_comes_and_goes) {
    publish(0, 5);
    auto from = open();
    from.seek(0, 5s).value();
    ASSERT_EQ(collect(from, 5).size(), 5U);
    cluster_.set_down(true);
    EXPECT_TRUE(eventually(10s, [&] {
        const auto some = from.read(10, 50ms);
        return !some && !some.error().fatal;
    })) << "nobody is told that the broker is away";
    EXPECT_FALSE(from.query_watermarks(200ms));
    cluster_.set_down(false);
    publish(5, 8);
    EXPECT_EQ(collect(from, 3), numbers(5, 8));
}

TEST_F(reading, survives_fetches_that_fail) {
    publish(0, 50);
    auto from = open();
    cluster_.fail_requests(fetch_request, {RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION, RD_KAFKA_RESP_ERR__TRANSPORT,
                                           RD_KAFKA_RESP_ERR_REQUEST_TIMED_OUT});
    from.seek(0, 5s).value();
    EXPECT_EQ(collect(from, 50), numbers(0, 50));
    EXPECT_FALSE(fatal_);
}

TEST_F(reading, can_be_replaced_and_leaves_a_note) {
    publish(0, 5);
    auto from = open();
    from.seek(0, 5s).value();
    collect(from, 5);
    from.note_offset(5);
    from.note_offset(5);
    from = open();
    from.seek(2, 5s).value();
    EXPECT_EQ(collect(from, 3), numbers(2, 5));
}

TEST_F(reading, takes_what_producers_are_allowed_to_send) {
    auto config = cluster_.config();
    for (const auto* allowed : {"134217728", "2000", "1000000000"}) {
        config.properties["message.max.bytes"] = allowed;
        const auto opened = partition_reader::open(config, "changes", 0, "test");
        EXPECT_TRUE(opened) << allowed << ": " << to_string(opened.error());
    }
}

}  // namespace
}  // namespace crossfade::kafka
