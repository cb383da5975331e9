#include "lib/kafka/admin.hpp"

#include <gmock/gmock.h>

#include "tests/support/kafka.hpp"
#include "tests/support/ports.hpp"

namespace crossfade::kafka {
namespace {

using namespace std::chrono_literals;

TEST(admin, describes_cluster_and_topics) {
    support::mock_kafka cluster;
    cluster.create_topic("changes", 3);
    const auto described = describe_cluster(cluster.config(), 5s).value();
    EXPECT_EQ(described.brokers, 1);
    EXPECT_FALSE(described.id.empty());
    EXPECT_EQ(describe_topic(cluster.config(), "changes", 5s).value().partitions, 3);
}

TEST(admin, asking_for_a_topic_does_not_make_it) {
    support::mock_kafka cluster;
    EXPECT_EQ(describe_topic(cluster.config(), "nothing", 5s).value().partitions, 0);
    EXPECT_EQ(describe_topic(cluster.config(), "nothing", 5s).value().partitions, 0);
}

TEST(admin, creating_a_topic_that_is_there_says_so) {
    support::mock_kafka cluster;
    cluster.create_topic("changes", 1);
    EXPECT_EQ(create_topic(cluster.config(), "changes", 1, -1, {}, 5s).value(), topic_creation::existed);
}

TEST(admin, creating_a_topic_where_the_broker_can_not_is_told) {
    support::mock_kafka cluster;
    const auto made = create_topic(cluster.config(), "changes", 1, -1, {}, 2s);
    EXPECT_FALSE(made);
}

TEST(admin, says_why_nobody_answers) {
    const settings::kafka nobody{"127.0.0.1:" + std::to_string(support::free_port()), {}};
    const auto described = describe_cluster(nobody, 500ms);
    ASSERT_FALSE(described);
    EXPECT_THAT(described.error().message, testing::HasSubstr("Connection refused"));
}

}  // namespace
}  // namespace crossfade::kafka
