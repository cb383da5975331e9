// WAL that legacy keeps for a stream that doesn't get on.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/integration/capture/rig.hpp"
#include "tests/support/eventually.hpp"

namespace crossfade::proxy::capture {
namespace {

using namespace std::chrono_literals;
using settings::wal_action;
using testing::HasSubstr;

class capture_budget : public one_table {
  protected:
    capture_budget() : one_table("budget") {}

    settings::snapshot with(wal_action action) const {
        auto settings = std::make_shared<settings::in_force>(*stream_.settings());
        settings->config.stream.retained_wal_budget = std::size_t{32} << 20;
        settings->config.stream.retained_wal_action = action;
        return settings;
    }
    // Segments of 16 MiB.
    void write_wal(int segments) {
        for (int i = 0; i < segments; ++i) {
            insert(++newest_);
            stream_.sql("SELECT pg_switch_wal()");
        }
    }
    std::string slots() {
        return stream_.sql("SELECT count(*) FROM pg_replication_slots WHERE slot_name = '" + stream_.stream().slot() +
                           "'")[0][0];
    }
    static bool eventually_in(const stream_publisher& publisher, publisher_state state) {
        return support::eventually(30s, [&] { return publisher.status().state == state; });
    }

    int newest_ = 0;
    prometheus::Registry metrics_;
};

TEST_F(capture_budget, that_is_used_up_is_said_until_it_is_not) {
    stream_publisher publisher{with(wal_action::alert), metrics_};
    publisher.start();
    ASSERT_TRUE(eventually_in(publisher, publisher_state::publishing));
    kafka_.set_down(true);
    write_wal(4);
    ASSERT_TRUE(support::eventually(20s, [&] { return !publisher.status().wal_warning.empty(); }));
    EXPECT_THAT(publisher.status().wal_warning, HasSubstr("stream.retained_wal_budget is 32 MiB"));
    EXPECT_GT(publisher.status().retained_wal_bytes, std::size_t{32} << 20);
    EXPECT_EQ(slots(), "1");
    kafka_.set_down(false);
    EXPECT_TRUE(support::eventually(60s, [&] {
        insert(++newest_);
        stream_.sql("CHECKPOINT");
        return publisher.status().wal_warning.empty();
    })) << publisher.status().wal_warning;
    EXPECT_EQ(read().faults().size(), 0U);
}

TEST_F(capture_budget, that_is_used_up_costs_the_slot_where_that_is_wanted) {
    prometheus::Registry metrics;
    stream_publisher publisher{with(wal_action::drop_slot), metrics_};
    stream_publisher other{with(wal_action::drop_slot), metrics};
    publisher.start();
    ASSERT_TRUE(eventually_in(publisher, publisher_state::publishing));
    other.start();
    ASSERT_TRUE(eventually_in(other, publisher_state::standby));
    kafka_.set_down(true);
    write_wal(4);
    // Whichever of them does it.
    ASSERT_TRUE(support::eventually(30s, [&] { return slots() == "0"; })) << publisher.status().reason;
    ASSERT_TRUE(support::eventually(30s, [&] {
        return publisher.status().state == publisher_state::stopped || other.status().state == publisher_state::stopped;
    })) << publisher.status().reason;
    const auto& status = publisher.status().state == publisher_state::stopped ? publisher.status() : other.status();
    EXPECT_THAT(status.reason, HasSubstr("it was dropped (stream.retained_wal_action: drop-slot)"));
    EXPECT_THAT(status.way_out, HasSubstr("crossfade backfill --resync"));
    EXPECT_TRUE(support::eventually(20s, [&] { return publisher.status().retained_wal_bytes == 0; }));
    // Nobody makes one by himself.
    EXPECT_NE(publisher.status().state, publisher_state::publishing);
    EXPECT_NE(other.status().state, publisher_state::publishing);
}

TEST_F(capture_budget, that_has_cost_the_slot_is_over_when_the_stream_begins_anew) {
    stream_publisher publisher{with(wal_action::drop_slot), metrics_};
    publisher.start();
    insert(++newest_);
    ASSERT_TRUE(eventually_in(publisher, publisher_state::publishing));
    ASSERT_TRUE(support::eventually(20s, [&] { return read().rows().size() == 1; }));
    kafka_.set_down(true);
    write_wal(4);
    ASSERT_TRUE(eventually_in(publisher, publisher_state::stopped)) << publisher.status().reason;
    kafka_.set_down(false);
    // The publisher lets go of it first.
    ASSERT_TRUE(support::eventually(20s, [&] { return slots() == "0"; }));
    // As `crossfade backfill --resync` does.
    stream_.make_slot();
    const auto begin = stream_.confirmed();
    EXPECT_EQ(publisher.status().state, publisher_state::stopped);
    place_resync_mark(stream_.settings()->config, begin);
    ASSERT_TRUE(eventually_in(publisher, publisher_state::publishing)) << publisher.status().reason;
    // Nor is it held against the new one that the old one was dropped.
    stream_.sql("SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots WHERE slot_name = '" +
                stream_.stream().slot() + "'");
    insert(++newest_);
    const auto newest = "insert a (" + std::to_string(newest_) + ")";
    EXPECT_TRUE(support::eventually(30s, [&] {
        const auto rows = read().rows();
        return !rows.empty() && rows.back().find(newest) != std::string::npos;
    })) << publisher.status().reason;
    EXPECT_EQ(publisher.status().state, publisher_state::publishing);
}

// It holds the slot's place although nothing is read.
TEST_F(capture_budget, is_watched_while_kafka_lets_nobody_publish) {
    kafka_.set_down(true);
    stream_publisher publisher{with(wal_action::drop_slot), metrics_};
    publisher.start();
    ASSERT_TRUE(eventually_in(publisher, publisher_state::waiting));
    EXPECT_EQ(slots(), "1");
    write_wal(4);
    EXPECT_TRUE(eventually_in(publisher, publisher_state::stopped)) << publisher.status().reason;
    EXPECT_EQ(slots(), "0");
}

}  // namespace
}  // namespace crossfade::proxy::capture
