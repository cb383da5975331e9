#include "lib/kafka/client.hpp"

#include <gmock/gmock.h>

#include <stdexcept>

namespace crossfade::kafka {
namespace {

using testing::HasSubstr;
using testing::Not;

TEST(make_client, names_a_refused_property_without_its_value) {
    const struct {
        std::string name, value;
    } refused[] = {{"compression.type", "hunter2"}, {"no.such.property", "hunter2"}, {"socket.timeout.ms", "hunter2"}};
    for (const auto& [name, value] : refused) {
        const auto made = make_client(RD_KAFKA_PRODUCER, {"127.0.0.1:1", {{name, value}}}, {});
        ASSERT_FALSE(made) << name;
        EXPECT_THAT(made.error().message, HasSubstr(name));
        EXPECT_THAT(made.error().message, Not(HasSubstr(value)));
    }
}

TEST(make_client, fails_for_properties_that_do_not_go_together) {
    const auto made =
        make_client(RD_KAFKA_PRODUCER, {"127.0.0.1:1", {{"acks", "1"}}}, {{"enable.idempotence", "true"}});
    ASSERT_FALSE(made);
    EXPECT_THAT(to_string(made.error()), HasSubstr("acks"));
}

TEST(make_client, required_properties_win_over_configured_ones) {
    const settings::kafka config{"127.0.0.1:1", {{"enable.idempotence", "false"}, {"linger.ms", "7"}}};
    const auto made = make_client(RD_KAFKA_PRODUCER, config, {{"enable.idempotence", "true"}});
    ASSERT_TRUE(made);
    const auto in_force = [&](const char* name) {
        std::array<char, 64> value{};
        std::size_t size = value.size();
        rd_kafka_conf_get(rd_kafka_conf(made->get()), name, value.data(), &size);
        return std::string{value.data()};
    };
    EXPECT_EQ(in_force("enable.idempotence"), "true");
    EXPECT_EQ(in_force("linger.ms"), "7");
    EXPECT_EQ(in_force("bootstrap.servers"), "127.0.0.1:1");
}

TEST(failure, becomes_an_exception_where_nobody_looked) {
    const result<int> failed{failure{RD_KAFKA_RESP_ERR__TIMED_OUT, "no answer", true}};
    EXPECT_THROW(failed.value(), std::runtime_error);
    EXPECT_EQ(to_string(failed.error()), "no answer (_TIMED_OUT, fatal)");
}

}  // namespace
}  // namespace crossfade::kafka
