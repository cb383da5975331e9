#include "proxy/publish/overlap.hpp"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace crossfade::proxy::publish {
namespace {

struct sent {
    std::uint64_t commit = 0;
    std::uint64_t end = 0;  // 0: not the transaction's last event
    std::uint32_t xid = 0;
};

model::change_event event_of(const sent& one) {
    model::change_event event;
    event.at.commit_lsn = model::lsn{one.commit};
    event.end_lsn = model::lsn{one.end};
    event.last = one.end != 0;
    event.xid = one.xid;
    event.commit_time = model::source_time{std::chrono::microseconds{one.xid}};
    return event;
}

std::size_t admitted(const last_published& expected, const std::vector<sent>& events) {
    overlap tested{expected};
    std::size_t count = 0;
    while (count < events.size() && tested.admits(event_of(events[count]))) ++count;
    return count;
}

TEST(overlap, what_the_topic_ends_with_has_to_come_again) {
    // The topic ends with transaction 7, from 100 to 120.
    const last_published expected{model::lsn{100}, model::lsn{120}, 7,
                                  model::source_time{std::chrono::microseconds{7}}};
    struct {
        const char* what;
        std::vector<sent> events;
        std::size_t admitted;
    } const cases[]{
        {"the same again", {{60, 80, 6}, {100, 0, 7}, {100, 120, 7}, {120, 140, 8}, {200, 210, 9}}, 5},
        {"nothing but it", {{100, 120, 7}, {120, 140, 8}}, 2},
        {"another transaction at its place", {{100, 0, 8}, {100, 120, 8}}, 1},
        {"one that ends there, and begins elsewhere", {{90, 120, 7}}, 0},
        {"one that lies across its end", {{60, 80, 6}, {110, 0, 8}, {110, 130, 8}}, 2},
        {"its place is left out", {{60, 80, 6}, {120, 0, 8}}, 1},
        {"nothing comes before what is new", {{300, 310, 9}}, 0},
    };
    for (const auto& one : cases) EXPECT_EQ(admitted(expected, one.events), one.admitted) << one.what;
    EXPECT_TRUE(overlap{std::nullopt}.admits(event_of({300, 310, 9})));
}

// Where the stream is ordered by key an event doesn't say where its transaction ends.
TEST(overlap, of_a_stream_that_is_ordered_by_key) {
    const last_published expected{model::lsn{100}, {}, 7, model::source_time{std::chrono::microseconds{7}}};
    struct {
        const char* what;
        std::vector<sent> events;
        std::size_t admitted;
    } const cases[]{
        {"the same again", {{60, 80, 6}, {79, 80, 0}, {100, 0, 7}, {100, 120, 7}, {120, 140, 8}}, 5},
        {"another transaction at its place", {{60, 80, 6}, {100, 0, 8}}, 1},
        {"its place is left out", {{60, 80, 6}, {101, 0, 8}}, 1},
    };
    for (const auto& one : cases) EXPECT_EQ(admitted(expected, one.events), one.admitted) << one.what;
}

// A heartbeat behind a transaction says when it was committed and where it ended, and no more.
TEST(overlap, of_a_transaction_that_is_known_by_its_end) {
    const last_published expected{{}, model::lsn{120}, 0, model::source_time{std::chrono::microseconds{7}}};
    EXPECT_EQ(expected.place(), model::lsn{119});
    struct {
        const char* what;
        std::vector<sent> events;
        std::size_t admitted;
    } const cases[]{
        {"the same again", {{60, 80, 6}, {100, 0, 7}, {100, 120, 7}, {120, 140, 8}}, 4},
        {"another transaction at its place", {{60, 80, 6}, {100, 120, 8}}, 1},
        {"one that lies across its end", {{60, 80, 6}, {110, 130, 8}}, 1},
        {"its place is left out", {{60, 80, 6}, {120, 0, 8}}, 1},
    };
    for (const auto& one : cases) EXPECT_EQ(admitted(expected, one.events), one.admitted) << one.what;
}

}  // namespace
}  // namespace crossfade::proxy::publish
