#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <csignal>
#include <fstream>

#include "lib/kafka/consumer.hpp"
#include "tests/integration/capture/rig.hpp"
#include "tests/support/eventually.hpp"
#include "tests/support/kafka.hpp"

namespace crossfade::proxy::capture {
namespace {

using namespace std::chrono_literals;

long peak_memory_kb(pid_t pid) {
    std::ifstream status{"/proc/" + std::to_string(pid) + "/status"};
    for (std::string line; std::getline(status, line);)
        if (line.starts_with("VmHWM:")) return std::stol(line.substr(6));
    return -1;
}

// A real broker: the mock one forgets what goes beyond 5 MB.
class capture_of_much : public testing::Test {
  protected:
    void SetUp() override {
        if (!support::kafka_broker::available()) GTEST_SKIP() << "no Kafka broker here: script/bootstrap brings it";
        kafka_.emplace();
        kafka_->start();
        stream_.emplace("large", kafka_->config());
        kafka_->create_topic(stream_->stream().topic(), 1);
        stream_->table("a", "id int PRIMARY KEY, v text");
        stream_->make_slot();
        start_ = stream_->confirmed();
    }
    std::int64_t events_in_topic() {
        auto reader = kafka::partition_reader::open(kafka_->config(), stream_->stream().topic(), 0, "test").value();
        const auto marks = reader.query_watermarks(5s);
        return marks ? marks->high - marks->low : 0;
    }
    exactly_once_reader read() {
        exactly_once_reader reader{start_};
        reader.take(read_topic(stream_->settings()->config));
        return reader;
    }

    std::optional<support::kafka_broker> kafka_;
    std::optional<stream_fixture> stream_;
    model::lsn start_;
};

TEST_F(capture_of_much, a_transaction_of_200000_rows_takes_bounded_memory_and_survives_a_kill) {
    stream_->sql("INSERT INTO large.a SELECT i, repeat('x', 500) FROM generate_series(1, 200000) i");
    {
        auto cut = stream_->spawn_publisher();
        ASSERT_TRUE(support::eventually(60s, [&] { return events_in_topic() > 20000; }));
        cut.signal(SIGKILL);
        cut.wait_exit(5s);
    }
    ASSERT_TRUE(support::eventually(10s, [&] { return !stream_->slot_active(); }));
    auto whole = stream_->spawn_publisher();
    const auto wal = *model::parse_lsn(stream_->sql("SELECT pg_current_wal_lsn()")[0][0]);
    ASSERT_TRUE(support::eventually(90s, [&] { return stream_->confirmed() >= wal; }));
    const auto peak = peak_memory_kb(whole.pid());
    RecordProperty("peak_memory_kb", static_cast<int>(peak));
    EXPECT_GT(peak, 0);
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
    EXPECT_LT(peak, 256 * 1024);
#endif
    const auto reader = read();
    EXPECT_THAT(reader.faults(), testing::IsEmpty());
    EXPECT_EQ(reader.rows().size(), 200000U);
}

TEST_F(capture_of_much, a_broker_killed_under_load_costs_nothing) {
    prometheus::Registry metrics;
    stream_publisher publisher{stream_->settings(), metrics};
    publisher.start();
    int written = 0;
    for (int round = 0; round < 3; ++round) {
        for (int i = 0; i < 300; ++i) {
            ++written;
            stream_->sql("INSERT INTO large.a VALUES (" + std::to_string(written) + ", 'x')");
            if (i == 150) kafka_->kill9();
        }
        kafka_->restart();
    }
    ASSERT_TRUE(support::eventually(60s, [&] { return read().rows().size() >= static_cast<std::size_t>(written); }));
    const auto reader = read();
    EXPECT_THAT(reader.faults(), testing::IsEmpty());
    EXPECT_EQ(reader.rows().size(), static_cast<std::size_t>(written));
}

}  // namespace
}  // namespace crossfade::proxy::capture
