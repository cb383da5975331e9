#include "proxy/capture/status_board.hpp"

#include <gtest/gtest.h>

namespace crossfade::proxy::capture {
namespace {

double gauge_of(const prometheus::Registry& metrics, const std::string& name, const std::string& label = {}) {
    for (const auto& family : metrics.Collect()) {
        if (family.name != name) continue;
        for (const auto& metric : family.metric)
            if (label.empty() || metric.label.front().value == label)
                return family.type == prometheus::MetricType::Counter ? metric.counter.value : metric.gauge.value;
    }
    ADD_FAILURE() << "no metric " << name << ' ' << label;
    return -1;
}

TEST(status_board, one_state_at_a_time) {
    prometheus::Registry metrics;
    status_board board{metrics, "app", 10, 20};
    EXPECT_EQ(gauge_of(metrics, "crossfade_publisher_state", "off"), 1);
    board.enter({publisher_state::stopped, "why", "how"});
    EXPECT_EQ(gauge_of(metrics, "crossfade_publisher_state", "off"), 0);
    EXPECT_EQ(gauge_of(metrics, "crossfade_publisher_state", "stopped"), 1);
    EXPECT_EQ(gauge_of(metrics, "crossfade_stream_stopped"), 1);
    EXPECT_EQ(board.read().reason, "why");
    EXPECT_EQ(board.read().way_out, "how");
    board.enter_publishing(model::lsn{70});
    EXPECT_EQ(board.read().confirmed_lsn, model::lsn{70});
    EXPECT_EQ(gauge_of(metrics, "crossfade_stream_stopped"), 0);
    EXPECT_EQ(gauge_of(metrics, "crossfade_publisher_state", "publishing"), 1);
    EXPECT_TRUE(board.read().reason.empty());
    board.enter({publisher_state::completed, "over", {}});
    EXPECT_EQ(gauge_of(metrics, "crossfade_publisher_state", "completed"), 1);
    EXPECT_EQ(gauge_of(metrics, "crossfade_publisher_state", "publishing"), 0);
}

TEST(status_board, progress_and_bounds) {
    prometheus::Registry metrics;
    status_board board{metrics, "app", 10, 20};
    publish::ack_tracker acks;
    acks.acknowledged(acks.produced(model::lsn{100}, 5));
    acks.produced(model::lsn{200}, 7);
    board.progress(acks, model::lsn{1100});
    EXPECT_EQ(board.read().confirmed_lsn, model::lsn{100});
    EXPECT_EQ(board.read().published_lsn, model::lsn{200});
    EXPECT_EQ(board.read().unacknowledged_events, 1U);
    EXPECT_EQ(gauge_of(metrics, "crossfade_publish_unacknowledged_events"), 1);
    EXPECT_EQ(gauge_of(metrics, "crossfade_publish_unacknowledged_bytes"), 7);
    EXPECT_EQ(gauge_of(metrics, "crossfade_publish_unacknowledged_limit"), 10);
    EXPECT_EQ(gauge_of(metrics, "crossfade_publish_lag_bytes"), 1000);
    // The next connection begins with nothing confirmed: what was, stays.
    board.progress({}, model::lsn{1200});
    EXPECT_EQ(board.read().confirmed_lsn, model::lsn{100});
}

TEST(status_board, events_are_counted_by_kind) {
    prometheus::Registry metrics;
    status_board board{metrics, "app", 10, 20};
    model::change_event event;
    event.body = model::row_change{{}, model::row_operation::remove, {}, {}, {}};
    board.published(event);
    event.body = model::heartbeat{};
    board.published(event);
    board.published(event);
    EXPECT_EQ(gauge_of(metrics, "crossfade_events_published_total", "delete"), 1);
    EXPECT_EQ(gauge_of(metrics, "crossfade_events_published_total", "heartbeat"), 2);
    EXPECT_EQ(gauge_of(metrics, "crossfade_events_published_total", "insert"), 0);
}

}  // namespace
}  // namespace crossfade::proxy::capture
