#include "proxy/publish/outbox.hpp"

#include <gtest/gtest.h>

#include "lib/kafka/consumer.hpp"
#include "tests/support/eventually.hpp"
#include "tests/support/kafka.hpp"

namespace crossfade::proxy::publish {
namespace {

using namespace std::chrono_literals;

model::change_event row(std::uint64_t ordinal, bool last, const std::string& id) {
    static const auto rel = std::make_shared<const model::relation>(
        model::relation{1, {"public", "a"}, model::replica_identity::primary_key, {{"id", 23, -1, true}}});
    model::change_event event;
    event.at = {7, 1, model::lsn{1000}, ordinal};
    event.last = last;
    if (last) event.end_lsn = model::lsn{1100};
    event.body = model::row_change{
        rel, model::row_operation::insert, model::before_image::absent, {}, {{model::cell_kind::text, id}}};
    return event;
}

kafka::result<void> put(outbox& into, model::change_event event) {
    into.put(event);
    return into.send();
}

class topic_outbox : public testing::Test {
  protected:
    topic_outbox() {
        cluster_.create_topic("changes", 1);
        cluster_.create_topic("json", 1);
    }

    outbox open(unsigned events) {
        return outbox::open(cluster_.config(), "changes", {events, 1 << 20},
                            outbox::json_copy{"json", {"1.0", "crossfade.app", "shop"}})
            .value();
    }

    std::vector<std::string> keys(const std::string& topic, std::size_t count) {
        auto reader = kafka::partition_reader::open(cluster_.config(), topic, 0, "test").value();
        reader.seek(0, 5s).value();
        std::vector<std::string> all;
        support::eventually(10s, [&] {
            if (const auto some = reader.read(100, 100ms))
                for (const auto& message : *some) all.emplace_back(message.key());
            return all.size() >= count;
        });
        return all;
    }

    support::mock_kafka cluster_;
};

TEST_F(topic_outbox, confirms_what_both_topics_have) {
    auto out = open(100);
    cluster_.set_down(true);
    ASSERT_TRUE(put(out, row(1, false, "1")));
    ASSERT_TRUE(put(out, row(2, true, "2")));
    EXPECT_EQ(out.acks().unacknowledged_events(), 4U);
    EXPECT_EQ(out.acks().published(), model::lsn{1100});
    ASSERT_TRUE(out.settle(10ms));
    EXPECT_EQ(out.acks().confirmed(), model::lsn{});
    cluster_.set_down(false);
    EXPECT_TRUE(support::eventually(
        20s, [&] { return out.settle(50ms).has_value() && out.acks().confirmed() == model::lsn{1100}; }));
    EXPECT_EQ(out.acks().unacknowledged_events(), 0U);
    EXPECT_EQ(keys("json", 2), (std::vector<std::string>{R"({"id":1})", R"({"id":2})"}));
    EXPECT_EQ(keys("changes", 2), (std::vector<std::string>{{"public.a\0"
                                                             "1:1",
                                                             12},
                                                            {"public.a\0"
                                                             "1:2",
                                                             12}}));
}

TEST_F(topic_outbox, keeps_an_events_messages_together_when_the_queue_is_full) {
    // Room for three messages: the second event's own waits.
    auto out = open(3);
    cluster_.set_down(true);
    ASSERT_TRUE(put(out, row(1, false, "1")));
    ASSERT_FALSE(out.full());
    ASSERT_TRUE(put(out, row(2, true, "2")));
    EXPECT_TRUE(out.full());
    cluster_.set_down(false);
    EXPECT_TRUE(support::eventually(
        20s, [&] { return out.settle(50ms).has_value() && out.acks().confirmed() == model::lsn{1100}; }));
    EXPECT_FALSE(out.full());
    EXPECT_EQ(keys("json", 2).size(), 2U);
    EXPECT_EQ(keys("changes", 2).size(), 2U);
}

TEST_F(topic_outbox, writes_no_json_unless_asked) {
    auto out = outbox::open(cluster_.config(), "changes", {100, 1 << 20}, std::nullopt).value();
    ASSERT_TRUE(put(out, row(1, true, "1")));
    EXPECT_EQ(out.acks().unacknowledged_events(), 1U);
    EXPECT_TRUE(support::eventually(
        20s, [&] { return out.settle(50ms).has_value() && out.acks().confirmed() == model::lsn{1100}; }));
    EXPECT_EQ(keys("changes", 1).size(), 1U);
}

}  // namespace
}  // namespace crossfade::proxy::publish
