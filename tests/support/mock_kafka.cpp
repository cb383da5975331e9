#include <array>
#include <stdexcept>

#include "tests/support/kafka.hpp"

namespace crossfade::support {

mock_kafka::mock_kafka() {
    std::array<char, 512> reason{};
    rd_kafka_conf_t* conf = rd_kafka_conf_new();
    rd_kafka_conf_set(conf, "log_level", "0", reason.data(), reason.size());
    owner_.reset(rd_kafka_new(RD_KAFKA_PRODUCER, conf, reason.data(), reason.size()));
    if (!owner_) {
        rd_kafka_conf_destroy(conf);
        throw std::runtime_error(reason.data());
    }
    cluster_.reset(rd_kafka_mock_cluster_new(owner_.get(), 1));
    if (!cluster_) throw std::runtime_error("librdkafka makes no mock cluster");
}

std::string mock_kafka::brokers() const {
    return rd_kafka_mock_cluster_bootstraps(cluster_.get());
}

void mock_kafka::create_topic(const std::string& name, int partitions) {
    const auto code = rd_kafka_mock_topic_create(cluster_.get(), name.c_str(), partitions, 1);
    if (code != RD_KAFKA_RESP_ERR_NO_ERROR) throw std::runtime_error(name + ": " + rd_kafka_err2str(code));
}

void mock_kafka::fail_requests(std::int16_t api_key, const std::vector<rd_kafka_resp_err_t>& errors) {
    rd_kafka_mock_push_request_errors_array(cluster_.get(), api_key, errors.size(), errors.data());
}

void mock_kafka::set_down(bool down) {
    constexpr std::int32_t all = -1;
    down ? rd_kafka_mock_broker_set_down(cluster_.get(), all) : rd_kafka_mock_broker_set_up(cluster_.get(), all);
}

void mock_kafka::set_delay(std::chrono::milliseconds round_trip) {
    constexpr std::int32_t all = -1;
    rd_kafka_mock_broker_set_rtt(cluster_.get(), all, static_cast<int>(round_trip.count()));
}

}  // namespace crossfade::support
