#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include "lib/events/codec.hpp"
#include "lib/kafka/producer.hpp"
#include "tests/integration/capture/rig.hpp"
#include "tests/support/eventually.hpp"
#include "tests/support/kafka.hpp"

namespace crossfade::proxy::capture {
namespace {

using namespace std::chrono_literals;

// A stream that the publisher is to bring to Kafka whole whatever happens.
class capture_trouble : public one_table {
  protected:
    capture_trouble() : one_table("trouble") {}

    // Whether exactly the rows 1..count have arrived, without a gap.
    bool arrived(int count) {
        const auto reader = read();
        EXPECT_THAT(reader.faults(), testing::IsEmpty());
        return reader.rows().size() >= static_cast<std::size_t>(count);
    }
    bool eventually_in(publisher_state state, std::chrono::milliseconds most = 15s) {
        return support::eventually(most, [&] { return publisher_.status().state == state; });
    }

    prometheus::Registry metrics_;
    stream_publisher publisher_{stream_.settings(), metrics_};
};

TEST_F(capture_trouble, without_a_slot_it_waits_for_init) {
    stream_.sql("SELECT pg_drop_replication_slot('" + stream_.stream().slot() + "')");
    publisher_.start();
    ASSERT_TRUE(support::eventually(10s, [&] { return !publisher_.status().way_out.empty(); }));
    EXPECT_EQ(publisher_.status().state, publisher_state::waiting);
    EXPECT_EQ(publisher_.status().way_out, "run `crossfade init`");
    stream_.make_slot();
    EXPECT_TRUE(eventually_in(publisher_state::publishing));
}

TEST_F(capture_trouble, while_kafka_is_away_the_slot_stays_where_it_is) {
    publisher_.start();
    insert(1, 20);
    ASSERT_TRUE(support::eventually(20s, [&] { return arrived(20); }));
    kafka_.set_down(true);
    insert(21, 40);
    // Also proof that the status is told: it has been silent for some seconds.
    ASSERT_TRUE(support::eventually(20s, [&] { return !publisher_.status().reason.empty(); }));
    EXPECT_EQ(publisher_.status().state, publisher_state::publishing);
    EXPECT_GT(publisher_.status().unacknowledged_events, 0U);
    const auto confirmed = stream_.confirmed();
    EXPECT_LT(confirmed, publisher_.status().published_lsn);
    insert(41, 60);
    EXPECT_EQ(stream_.confirmed(), confirmed);
    EXPECT_TRUE(stream_.slot_active());

    kafka_.set_down(false);
    EXPECT_TRUE(support::eventually(30s, [&] { return arrived(60); }));
    EXPECT_TRUE(support::eventually(10s, [&] { return publisher_.status().reason.empty(); }));
    EXPECT_TRUE(support::eventually(10s, [&] { return stream_.confirmed() > confirmed; }));
}

TEST_F(capture_trouble, it_waits_for_kafka_without_taking_the_slot) {
    kafka_.set_down(true);
    publisher_.start();
    ASSERT_TRUE(support::eventually(20s, [&] { return publisher_.status().reason.find("Kafka") != std::string::npos; }))
        << publisher_.status().reason;
    EXPECT_EQ(publisher_.status().state, publisher_state::waiting);
    EXPECT_FALSE(stream_.slot_active());
    kafka_.set_down(false);
    EXPECT_TRUE(eventually_in(publisher_state::publishing, 20s));
}

TEST_F(capture_trouble, a_refused_delivery_begins_again_from_the_slot) {
    publisher_.start();
    insert(1, 10);
    ASSERT_TRUE(support::eventually(20s, [&] { return arrived(10); }));
    kafka_.fail_requests(0, {RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED});
    insert(11, 30);
    EXPECT_TRUE(support::eventually(30s, [&] { return arrived(30); }));
}

TEST_F(capture_trouble, an_event_that_kafka_will_never_take_stops_it_loudly) {
    publisher_.start();
    insert(1, 5);
    ASSERT_TRUE(support::eventually(20s, [&] { return arrived(5); }));
    kafka_.fail_requests(0, {RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE});
    insert(6, 6);
    ASSERT_TRUE(eventually_in(publisher_state::stopped));
    EXPECT_NE(publisher_.status().way_out.find("max.message.bytes"), std::string::npos);
}

TEST_F(capture_trouble, a_topic_that_lost_its_tail_is_noticed) {
    publisher_.start();
    insert(1, 20);
    ASSERT_TRUE(support::eventually(20s, [&] { return arrived(20); }));
    const auto events = read_topic(stream_.settings()->config);
    publisher_.stop();
    ASSERT_TRUE(support::eventually(10s, [&] { return !stream_.slot_active(); }));

    // What an unclean election leaves: the same topic without its newest events.
    support::mock_kafka other;
    other.create_topic(stream_.stream().topic(), 1);
    auto producer = kafka::producer::open(other.config(), 1000).value();
    events::relation_encoder relations;
    for (std::size_t i = 0; i < events.size() / 2; ++i)
        ASSERT_TRUE(producer.produce(stream_.stream().topic(), 0, "", events::encode(events[i], relations), {}, i));
    ASSERT_TRUE(
        support::eventually(10s, [&] { return producer.poll(100ms).has_value() && producer.unacknowledged() == 0; }));

    auto settings = std::make_shared<settings::in_force>(*stream_.settings());
    settings->config.kafka = other.config();
    prometheus::Registry metrics;
    stream_publisher late{settings, metrics};
    late.start();
    ASSERT_TRUE(support::eventually(20s, [&] { return late.status().state == publisher_state::stopped; }))
        << late.status().reason;
    EXPECT_NE(late.status().reason.find("missing"), std::string::npos);
    EXPECT_FALSE(late.status().way_out.empty());
}

TEST_F(capture_trouble, an_emptied_topic_is_a_gap_to_the_reader) {
    publisher_.start();
    insert(1, 20);
    ASSERT_TRUE(support::eventually(20s, [&] { return arrived(20); }));
    publisher_.stop();
    ASSERT_TRUE(support::eventually(10s, [&] { return !stream_.slot_active(); }));

    support::mock_kafka other;
    other.create_topic(stream_.stream().topic(), 1);
    auto settings = std::make_shared<settings::in_force>(*stream_.settings());
    settings->config.kafka = other.config();
    prometheus::Registry metrics;
    stream_publisher late{settings, metrics};
    late.start();
    insert(21, 21);
    ASSERT_TRUE(support::eventually(20s, [&] { return !read_topic(settings->config).empty(); }));
    exactly_once_reader reader{start_};
    reader.take(read_topic(settings->config));
    EXPECT_THAT(reader.faults(), testing::Contains(testing::StartsWith("a gap")));
    EXPECT_TRUE(reader.rows().empty());
}

// A cluster of its own, because it is taken down.
class capture_of_a_failing_source : public testing::Test {
  protected:
    capture_of_a_failing_source() {
        source_.start();
        stream_.emplace("failing", kafka_.config(), source_);
        kafka_.create_topic(stream_->stream().topic(), 1);
        stream_->table("a", "id int PRIMARY KEY");
        stream_->make_slot();
        start_ = stream_->confirmed();
        publisher_.emplace(stream_->settings(), metrics_);
        publisher_->start();
    }
    void insert(int from, int to) {
        for (int id = from; id <= to; ++id) stream_->sql("INSERT INTO failing.a VALUES (" + std::to_string(id) + ')');
    }
    bool arrived(std::size_t count) {
        exactly_once_reader reader{start_};
        reader.take(read_topic(stream_->settings()->config));
        EXPECT_THAT(reader.faults(), testing::IsEmpty());
        EXPECT_LE(reader.rows().size(), count);
        return reader.rows().size() == count;
    }

    support::postgres_cluster source_{{.durable = true}};
    support::mock_kafka kafka_;
    std::optional<stream_fixture> stream_;
    prometheus::Registry metrics_;
    std::optional<stream_publisher> publisher_;
    model::lsn start_;
};

TEST_F(capture_of_a_failing_source, is_not_held_up_in_its_shutdown) {
    insert(1, 50);
    ASSERT_TRUE(support::eventually(20s, [&] { return arrived(50); }));
    insert(51, 60);
    auto began = std::chrono::steady_clock::now();
    source_.stop();
    EXPECT_LT(std::chrono::steady_clock::now() - began, 8s);
    source_.start();
    insert(61, 70);
    EXPECT_TRUE(support::eventually(30s, [&] { return arrived(70); }));

    // Nor while nothing can be confirmed.
    kafka_.set_down(true);
    insert(71, 80);
    ASSERT_TRUE(support::eventually(20s, [&] { return publisher_->status().unacknowledged_events > 0; }));
    began = std::chrono::steady_clock::now();
    source_.stop();
    EXPECT_LT(std::chrono::steady_clock::now() - began, 8s);
    kafka_.set_down(false);
    source_.start();
    EXPECT_TRUE(support::eventually(30s, [&] { return arrived(80); }));
}

// As behind a network that drops what the server sends, and acknowledges it in our place: the server hears us, and ends
// nothing. Here it stands still, and TCP acknowledges for it.
TEST_F(capture_of_a_failing_source, is_left_when_it_says_nothing) {
    publisher_.reset();
    stream_->silence_timeout(1s);
    publisher_.emplace(stream_->settings(), metrics_);
    publisher_->start();
    insert(1, 20);
    ASSERT_TRUE(support::eventually(20s, [&] { return arrived(20); }));
    const auto walsender = std::stoi(stream_->sql("SELECT active_pid FROM pg_replication_slots").at(0).at(0));
    ASSERT_EQ(::kill(walsender, SIGSTOP), 0);
    insert(21, 40);
    const bool left =
        support::eventually(20s, [&] { return publisher_->status().state != publisher_state::publishing; });
    ::kill(walsender, SIGCONT);
    EXPECT_TRUE(left);
    EXPECT_TRUE(support::eventually(30s, [&] { return arrived(40); }));
}

// Nobody writes, and heartbeats are rare: a server that is asked answers, and is not left.
TEST_F(capture_of_a_failing_source, is_not_left_while_there_is_nothing_to_say) {
    publisher_.reset();
    stream_->silence_timeout(1s);
    stream_->heartbeat_interval(1min);
    publisher_.emplace(stream_->settings(), metrics_);
    publisher_->start();
    insert(1, 1);
    ASSERT_TRUE(support::eventually(20s, [&] { return arrived(1); }));
    EXPECT_FALSE(support::eventually(4s, [&] { return publisher_->status().state != publisher_state::publishing; }));
}

// A backlog of other tables' WAL: for longer than it may say nothing, the server has a row now and then.
TEST_F(capture_of_a_failing_source, is_not_left_while_it_is_behind_and_has_little_to_say) {
    publisher_.reset();
    stream_->silence_timeout(1s);
    stream_->sql("CREATE TABLE failing.other (n int)");
    stream_->sql(
        "CREATE PROCEDURE failing.work() LANGUAGE plpgsql AS $$ BEGIN FOR i IN 1..4000 LOOP"
        " INSERT INTO failing.a VALUES (i); INSERT INTO failing.other SELECT generate_series(1, 500); COMMIT;"
        " END LOOP; END $$");
    stream_->sql("CALL failing.work()");
    const auto end = model::parse_lsn(stream_->sql("SELECT pg_current_wal_insert_lsn()").at(0).at(0)).value();
    publisher_.emplace(stream_->settings(), metrics_);
    publisher_->start();
    ASSERT_TRUE(support::eventually(20s, [&] { return publisher_->status().state == publisher_state::publishing; }));
    const auto began = std::chrono::steady_clock::now();
    bool left = false;
    EXPECT_TRUE(support::eventually(60s, [&] {
        left = left || publisher_->status().state != publisher_state::publishing;
        return left || stream_->confirmed() >= end;
    }));
    EXPECT_FALSE(left) << publisher_->status().reason;
    EXPECT_GT(std::chrono::steady_clock::now() - began, 1s) << "it was too short to show anything";
}

TEST_F(capture_of_a_failing_source, f03_goes_on_after_a_crash_that_moves_the_slot_back) {
    for (int round = 0; round < 3; ++round) {
        insert(round * 20 + 1, round * 20 + 20);
        source_.kill9();
        source_.restart();
    }
    EXPECT_TRUE(support::eventually(30s, [&] { return arrived(60); }));
}

}  // namespace
}  // namespace crossfade::proxy::capture
