#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <csignal>

#include "tests/integration/capture/rig.hpp"
#include "tests/support/eventually.hpp"

namespace crossfade::proxy::capture {
namespace {

using namespace std::chrono_literals;

class capture_takeover : public one_table {
  protected:
    capture_takeover() : one_table("takeover") {}
};

TEST_F(capture_takeover, a_killed_publisher_is_followed_by_another_and_nothing_is_lost) {
    prometheus::Registry metrics;
    stream_publisher second{stream_.settings(), metrics};
    int written = 0;
    for (int round = 0; round < 3; ++round) {
        auto first = stream_.spawn_publisher();
        ASSERT_TRUE(support::eventually(10s, [&] { return stream_.slot_active(); }));
        if (round == 0) {
            second.start();
            ASSERT_TRUE(support::eventually(10s, [&] { return second.status().state == publisher_state::standby; }));
        }
        for (int i = 0; i < 100; ++i) {
            // Of several rows, so that some are cut in the middle.
            stream_.sql("INSERT INTO takeover.a SELECT generate_series(" + std::to_string(written + 1) + ", " +
                        std::to_string(written + 20) + ')');
            written += 20;
            if (i == 70) first.signal(SIGKILL);
        }
        first.wait_exit(5s);
        if (round == 0) {
            // Within seconds of the death.
            EXPECT_TRUE(support::eventually(5s, [&] { return second.status().state == publisher_state::publishing; }));
            second.stop();
        }
    }
    auto last = stream_.spawn_publisher();
    ASSERT_TRUE(support::eventually(30s, [&] { return read().rows().size() == static_cast<std::size_t>(written); }))
        << read().rows().size() << " of " << written;
    const auto reader = read();
    EXPECT_THAT(reader.faults(), testing::IsEmpty());
    for (int i = 0; i < written; ++i)
        ASSERT_EQ(reader.rows()[static_cast<std::size_t>(i)], "insert a (" + std::to_string(i + 1) + ')');
    RecordProperty("repeats", static_cast<int>(reader.repeats()));
}

TEST_F(capture_takeover, one_that_stops_in_order_leaves_no_repeats) {
    for (int round = 0; round < 3; ++round) {
        prometheus::Registry metrics;
        stream_publisher publisher{stream_.settings(), metrics};
        publisher.start();
        ASSERT_TRUE(support::eventually(10s, [&] { return publisher.status().state == publisher_state::publishing; }));
        for (int i = 1; i <= 50; ++i)
            stream_.sql("INSERT INTO takeover.a VALUES (" + std::to_string(round * 50 + i) + ')');
        ASSERT_TRUE(support::eventually(
            10s, [&] { return read().rows().size() == static_cast<std::size_t>(round * 50 + 50); }));
        publisher.stop();
        EXPECT_EQ(publisher.status().state, publisher_state::off);
        ASSERT_TRUE(support::eventually(5s, [&] { return !stream_.slot_active(); }));
    }
    const auto reader = read();
    EXPECT_THAT(reader.faults(), testing::IsEmpty());
    EXPECT_EQ(reader.repeats(), 0U);
}

}  // namespace
}  // namespace crossfade::proxy::capture
