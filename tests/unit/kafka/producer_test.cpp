#include "lib/kafka/producer.hpp"

#include <gmock/gmock.h>
#include <poll.h>

#include "lib/kafka/consumer.hpp"
#include "tests/support/eventually.hpp"
#include "tests/support/kafka.hpp"

namespace crossfade::kafka {
namespace {

using namespace std::chrono_literals;
using support::eventually;
constexpr std::int16_t produce_request = 0;
constexpr unsigned plenty = 1000;

class publishing : public testing::Test {
  protected:
    publishing() { cluster_.create_topic("changes", 1); }

    static void send(producer& to, std::uint64_t first, std::uint64_t count) {
        for (auto sequence = first; sequence < first + count; ++sequence) {
            const auto outcome = to.produce("changes", 0, "key", std::to_string(sequence), {}, sequence);
            ASSERT_TRUE(outcome) << to_string(outcome.error());
            ASSERT_EQ(*outcome, producer::outcome::queued);
        }
    }

    // Deliveries until there are `count` of them, or a fatal failure, which is kept.
    std::vector<delivery> collect(producer& from, std::size_t count) {
        std::vector<delivery> all;
        eventually(15s, [&] {
            auto some = from.poll(100ms);
            if (!some) {
                fatal_ = some.error();
                return true;
            }
            all.insert(all.end(), some->begin(), some->end());
            return all.size() >= count;
        });
        return all;
    }

    support::mock_kafka cluster_;
    std::optional<failure> fatal_;
};

TEST_F(publishing, is_acknowledged_in_order) {
    auto to = producer::open(cluster_.config(), plenty).value();
    send(to, 7, 500);
    EXPECT_EQ(to.unacknowledged(), 500U);
    const auto deliveries = collect(to, 500);
    ASSERT_EQ(deliveries.size(), 500U);
    for (std::size_t i = 0; i < deliveries.size(); ++i) {
        EXPECT_TRUE(deliveries[i].acknowledged);
        EXPECT_EQ(deliveries[i].sequence, 7 + i);
    }
    EXPECT_EQ(to.unacknowledged(), 0U);
}

TEST_F(publishing, carries_key_payload_and_headers) {
    auto to = producer::open(cluster_.config(), plenty).value();
    const std::string odd{"a\0b", 3};
    const std::array<producer::header, 2> headers{{{"crossfade-schema", "1"}, {"empty", ""}}};
    ASSERT_TRUE(to.produce("changes", 0, odd, odd + "!", headers, 1));
    ASSERT_EQ(collect(to, 1).size(), 1U);
    auto from = partition_reader::open(cluster_.config(), "changes", 0, "test").value();
    from.seek(0, 5s).value();
    const auto read = from.read(10, 5s).value();
    ASSERT_EQ(read.size(), 1U);
    EXPECT_EQ(read[0].key(), odd);
    EXPECT_EQ(read[0].payload(), odd + "!");
}

TEST_F(publishing, says_queue_full_at_its_bound_and_takes_more_after_acknowledgements) {
    constexpr unsigned bound = 10;
    auto to = producer::open(cluster_.config(), bound).value();
    cluster_.set_down(true);
    send(to, 0, bound);
    EXPECT_EQ(to.produce("changes", 0, "key", "one too many", {}, bound).value(), producer::outcome::queue_full);
    EXPECT_EQ(to.unacknowledged(), bound);
    cluster_.set_down(false);
    EXPECT_EQ(collect(to, bound).size(), bound);
    send(to, bound, 1);
    EXPECT_EQ(collect(to, 1).size(), 1U);
}

TEST_F(publishing, waits_for_a_broker_that_is_away) {
    auto to = producer::open(cluster_.config(), plenty).value();
    send(to, 0, 1);
    ASSERT_EQ(collect(to, 1).size(), 1U);
    cluster_.set_down(true);
    send(to, 1, 5);
    EXPECT_TRUE(eventually(10s, [&] { return to.poll(50ms).value().empty() && to.transient_errors() > 0; }));
    EXPECT_FALSE(to.last_error().fatal);
    EXPECT_EQ(to.unacknowledged(), 5U);
    cluster_.set_down(false);
    const auto deliveries = collect(to, 5);
    ASSERT_EQ(deliveries.size(), 5U);
    for (const auto& one : deliveries) EXPECT_TRUE(one.acknowledged) << to_string(one.error);
}

// Errors that the broker may answer a Produce with, and whether the producer can live with it.
struct broker_error {
    rd_kafka_resp_err_t code;
    bool survived;
};

class broker_errors : public publishing, public testing::WithParamInterface<broker_error> {};

TEST_P(broker_errors, are_mended_or_told) {
    auto to = producer::open(cluster_.config(), plenty).value();
    cluster_.fail_requests(produce_request, {GetParam().code});
    send(to, 0, 3);
    const auto deliveries = collect(to, 3);
    const bool all_acknowledged =
        deliveries.size() == 3 &&
        std::all_of(deliveries.begin(), deliveries.end(), [](const auto& one) { return one.acknowledged; });
    const bool told = fatal_ || std::any_of(deliveries.begin(), deliveries.end(),
                                            [](const auto& one) { return !one.acknowledged && one.error.code != 0; });
    EXPECT_EQ(all_acknowledged, GetParam().survived) << (fatal_ ? to_string(*fatal_) : "");
    EXPECT_EQ(told, !GetParam().survived);
}

INSTANTIATE_TEST_SUITE_P(kafka, broker_errors,
                         testing::Values(broker_error{RD_KAFKA_RESP_ERR__TRANSPORT, true},
                                         broker_error{RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION, true},
                                         broker_error{RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS, true},
                                         broker_error{RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS_AFTER_APPEND, true},
                                         broker_error{RD_KAFKA_RESP_ERR_REQUEST_TIMED_OUT, true},
                                         broker_error{RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED, false},
                                         broker_error{RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE, false},
                                         broker_error{RD_KAFKA_RESP_ERR_OUT_OF_ORDER_SEQUENCE_NUMBER, false},
                                         broker_error{RD_KAFKA_RESP_ERR_INVALID_PRODUCER_EPOCH, false}),
                         [](const auto& tested) { return std::string{rd_kafka_err2name(tested.param.code)}; });

TEST_F(publishing, refuses_at_once_what_is_larger_than_configured) {
    auto config = cluster_.config();
    config.properties["message.max.bytes"] = "2000";
    auto to = producer::open(config, plenty).value();
    const std::array<producer::header, 1> headers{{{"h", "v"}}};
    const auto outcome = to.produce("changes", 0, "key", std::string(3000, 'x'), headers, 1);
    ASSERT_FALSE(outcome);
    EXPECT_EQ(outcome.error().code, RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE);
    EXPECT_TRUE(outcome.error().local);
    EXPECT_EQ(to.unacknowledged(), 0U);
}

TEST_F(publishing, wakes_a_loop_through_its_descriptor) {
    auto to = producer::open(cluster_.config(), plenty).value();
    for (std::uint64_t round = 0; round < 20; ++round) {
        send(to, round, 1);
        bool delivered = false;
        while (!delivered) {
            pollfd wakeup{to.wakeup_fd(), POLLIN, 0};
            ASSERT_EQ(::poll(&wakeup, 1, 10'000), 1) << "no wake-up in round " << round;
            delivered = !to.poll(0ms).value().empty();
        }
    }
}

TEST_F(publishing, ends_quickly_when_it_gives_up) {
    const auto begin = std::chrono::steady_clock::now();
    {
        auto to = producer::open(cluster_.config(), plenty).value();
        cluster_.set_down(true);
        send(to, 0, 100);
        to.abandon();
    }
    EXPECT_LT(std::chrono::steady_clock::now() - begin, 5s);
}

TEST_F(publishing, can_be_replaced_by_a_new_one) {
    auto to = producer::open(cluster_.config(), plenty).value();
    send(to, 0, 3);
    to = producer::open(cluster_.config(), plenty).value();
    EXPECT_EQ(to.unacknowledged(), 0U);
    send(to, 10, 1);
    const auto deliveries = collect(to, 1);
    ASSERT_EQ(deliveries.size(), 1U);
    EXPECT_EQ(deliveries[0].sequence, 10U);
}

}  // namespace
}  // namespace crossfade::kafka
