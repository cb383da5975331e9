#include "proxy/publish/topic_tail.hpp"

#include <gtest/gtest.h>

#include "lib/events/codec.hpp"
#include "lib/kafka/producer.hpp"
#include "tests/support/kafka.hpp"

namespace crossfade::proxy::publish {
namespace {

// Promoted at 1600.
const slot_place slot{7, {3, {{1, model::lsn{400}}, {2, model::lsn{1600}}}}, model::lsn{1000}, model::lsn{9000}};

TEST(topic_tail_judgement, the_first_event_follows_on_the_tail) {
    for (const std::uint64_t end : {1000, 1500, 1600}) {
        EXPECT_EQ(*judge(topic_tail{7, 2, model::lsn{end}}, slot, "t"), model::lsn{end});  // promoted since
        EXPECT_EQ(*judge(topic_tail{7, 3, model::lsn{end}}, slot, "t"), model::lsn{end});
    }
    EXPECT_EQ(*judge(topic_tail{7, 3, model::lsn{9000}}, slot, "t"), model::lsn{9000});
    EXPECT_EQ(*judge(std::nullopt, slot, "t"), model::lsn{1000});
}

TEST(topic_tail_judgement, what_cannot_be_followed_on_says_why_and_what_to_do) {
    struct {
        topic_tail tail;
        tail_problem::kind expected;
    } const cases[]{
        {{7, 2, model::lsn{999}}, tail_problem::kind::lost},
        {{7, 2, model::lsn{}}, tail_problem::kind::lost},
        {{8, 2, model::lsn{5000}}, tail_problem::kind::foreign},
        {{7, 4, model::lsn{5000}}, tail_problem::kind::foreign},
        // Published by the old primary, and never by the one that was promoted.
        {{7, 2, model::lsn{1601}}, tail_problem::kind::diverged},
        {{7, 1, model::lsn{1200}}, tail_problem::kind::diverged},
        // The same timeline at an earlier time.
        {{7, 3, model::lsn{9001}}, tail_problem::kind::diverged},
    };
    for (const auto& one : cases) {
        const auto got = judge(one.tail, slot, "crossfade.app.changes");
        ASSERT_FALSE(got);
        EXPECT_EQ(got.error().what, one.expected);
        EXPECT_NE(got.error().reason.find("crossfade.app.changes"), std::string::npos);
        EXPECT_FALSE(got.error().way_out.empty());
    }
}

topic_tail ends_with(std::uint64_t commit, std::uint64_t end, std::uint32_t xid) {
    topic_tail tail{7, 3, model::lsn{end}};
    if (xid != 0) tail.last = last_published{model::lsn{commit}, {}, xid, {}};
    return tail;
}

TEST(topic_tail_judgement, of_many_partitions_the_newest_transaction_has_to_come_again) {
    const auto again = judge_by_key(
        {ends_with(1199, 1200, 0), ends_with(1700, 1700, 5), ends_with(1800, 1800, 6), std::nullopt}, slot, "t");
    ASSERT_TRUE(again);
    ASSERT_TRUE(*again);
    EXPECT_EQ((*again)->xid, 6U);
    // Nothing that the slot is past comes again.
    const auto past = judge_by_key({ends_with(990, 1010, 5), ends_with(1199, 1200, 0)}, slot, "t");
    ASSERT_TRUE(past);
    EXPECT_FALSE(*past);
}

// Where nothing but heartbeats is at the ends.
TEST(topic_tail_judgement, of_many_partitions_heartbeats_have_to_come_again) {
    const auto beat = [](std::uint64_t commit, std::uint64_t end) {
        topic_tail tail{7, 3, model::lsn{end}};
        tail.last = last_published{model::lsn{commit}, model::lsn{end}, 0, {}};
        return std::optional{tail};
    };
    const auto newest = judge_by_key({beat(1499, 1500), beat(0, 1700), beat(1599, 1600)}, slot, "t");
    ASSERT_TRUE(newest && *newest);
    EXPECT_EQ((*newest)->end_lsn, model::lsn{1700});
    EXPECT_FALSE(*judge_by_key({beat(999, 1000), beat(0, 1000)}, slot, "t")) << "the slot is past them";
    EXPECT_TRUE(*judge_by_key({beat(0, 1001)}, slot, "t"));
}

TEST(topic_tail_judgement, one_partition_that_lost_its_end_is_enough) {
    const auto lost = judge_by_key({ends_with(1700, 1700, 5), ends_with(989, 990, 0)}, slot, "t");
    ASSERT_FALSE(lost);
    EXPECT_EQ(lost.error().what, tail_problem::kind::lost);
    EXPECT_NE(lost.error().reason.find("topic t/1 "), std::string::npos) << lost.error().reason;
}

// A topic of one partition, and what is read of its end.
class topic_tail_of : public testing::Test {
  protected:
    topic_tail_of() { kafka_.create_topic("changes", 1); }

    // Rows `from` to `to` of the transaction that follows what ended at 1000, and isn't finished.
    void cut_off(std::uint64_t publisher, std::uint64_t from, std::uint64_t to) {
        for (auto ordinal = from; ordinal <= to; ++ordinal) {
            auto event = event_of(publisher, 5000, ordinal);
            if (ordinal == 1) event.previous = model::lsn{1000};
            send(event);
        }
    }
    void whole() {
        auto event = event_of(1, 900, 1);
        event.previous = model::lsn{900};
        event.last = true;
        event.end_lsn = model::lsn{1000};
        send(event);
    }
    std::optional<topic_tail> read(std::int64_t look_back) {
        settle();
        return read_tails(kafka_.config(), {"changes"}, model::lsn{1000}, look_back, std::chrono::seconds{20})
            .value()
            .front();
    }

    // A partition's newest event: what has to come again.
    std::optional<last_published> read_partition(model::change_event newest) {
        newest.partition_previous = model::place{};
        send(newest);
        settle();
        return read_tails(kafka_.config(), {.topic = "changes", .by_key = true}, model::lsn{1000}, 100,
                          std::chrono::seconds{20})
            .value()
            .front()
            .value()
            .last;
    }
    static model::change_event heartbeat_at(std::uint64_t previous, std::uint64_t end) {
        auto event = event_of(1, end - 1, 0);
        event.body = model::heartbeat{};
        event.previous = model::lsn{previous};
        event.last = true;
        event.end_lsn = model::lsn{end};
        return event;
    }

  protected:
    static model::change_event event_of(std::uint64_t publisher, std::uint64_t commit, std::uint64_t ordinal) {
        model::change_event event;
        event.at = {7, 3, model::lsn{commit}, ordinal};
        event.publisher = publisher;
        event.body = model::logical_message{"crossfade.mark", "x"};
        return event;
    }
    void settle() {
        while (producer_.unacknowledged() > 0) static_cast<void>(producer_.poll(std::chrono::milliseconds{50}).value());
    }
    void send(const model::change_event& event) {
        static_cast<void>(
            producer_.produce("changes", 0, "", events::encode(event, relations_), {}, sequence_++).value());
    }

    support::mock_kafka kafka_;
    kafka::producer producer_ = kafka::producer::open(kafka_.config(), 1000).value();
    events::relation_encoder relations_;
    std::uint64_t sequence_ = 0;
};

TEST_F(topic_tail_of, a_transaction_that_was_cut_off_is_what_went_before) {
    whole();
    cut_off(2, 1, 12);
    const auto tail = read(4);
    ASSERT_TRUE(tail);
    EXPECT_EQ(tail->end_lsn, model::lsn{1000});
}

// Of the publisher before, which was cut off in the same transaction.
TEST_F(topic_tail_of, messages_that_came_late_are_in_between) {
    whole();
    cut_off(2, 1, 4);
    cut_off(3, 1, 1);
    cut_off(2, 5, 7);
    cut_off(3, 2, 12);
    const auto tail = read(4);
    ASSERT_TRUE(tail);
    EXPECT_EQ(tail->end_lsn, model::lsn{1000});
}

// A server that was set back has something else where they were, though no row is at any partition's end.
TEST_F(topic_tail_of, a_partition_ends_with_a_heartbeat_that_has_to_come_again) {
    const auto of_the_wal = read_partition(heartbeat_at(1500, 2000));
    ASSERT_TRUE(of_the_wal);
    EXPECT_EQ(of_the_wal->commit_lsn, model::lsn{1999});
    EXPECT_EQ(of_the_wal->end_lsn, model::lsn{2000});
    const auto behind_a_transaction = read_partition(heartbeat_at(2500, 2500));
    ASSERT_TRUE(behind_a_transaction);
    EXPECT_EQ(behind_a_transaction->commit_lsn, model::lsn{});
    EXPECT_EQ(behind_a_transaction->end_lsn, model::lsn{2500});
    auto marker = heartbeat_at(3000, 3000);
    marker.publisher = model::resync_publisher;
    EXPECT_FALSE(read_partition(marker));
}

}  // namespace
}  // namespace crossfade::proxy::publish
