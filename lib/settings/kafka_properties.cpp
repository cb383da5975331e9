#include "lib/settings/kafka_properties.hpp"

#include <librdkafka/rdkafka.h>

#include <array>
#include <memory>

namespace crossfade::settings {
namespace {

struct reserved {
    std::string_view name;
    std::string_view reason;
};

constexpr std::string_view no_loss = "nothing may be lost: Crossfade sets it itself";
constexpr std::string_view no_repeat = "nothing may be lost or doubled: Crossfade sets it itself";
constexpr std::string_view own_offsets = "the place to read from is in the follower's progress, not in Kafka";
constexpr std::string_view own_group = "crossfade-cdc names its group after the stream";
constexpr std::string_view own_queues = "answers come through queues that Crossfade owns";

// Aliases too: librdkafka lets the later one win.
constexpr reserved reserved_properties[] = {
    {"bootstrap.servers", "kafka.brokers says it"},
    {"metadata.broker.list", "kafka.brokers says it"},
    {"enable.idempotence", no_repeat},
    {"enable.gapless.guarantee", no_loss},
    {"acks", no_loss},
    {"request.required.acks", no_loss},
    {"retries", no_loss},
    {"message.send.max.retries", no_loss},
    {"message.timeout.ms", "a message waits for as long as the broker is away; giving up on one would be a gap"},
    {"delivery.timeout.ms", "a message waits for as long as the broker is away; giving up on one would be a gap"},
    {"max.in.flight", no_repeat},
    {"max.in.flight.requests.per.connection", no_repeat},
    {"queuing.strategy", no_repeat},
    {"transactional.id", "the follower's progress makes repeats harmless; a Kafka transaction would only hide events"},
    {"queue.buffering.max.messages", "proxy.max_unacknowledged_events says it"},
    {"delivery.report.only.error", "the slot moves by what Kafka has acknowledged, so every answer counts"},
    {"allow.auto.create.topics", "crossfade init makes the topics; one made by accident has the wrong partitions"},
    {"auto.offset.reset", "an offset that is gone is a gap, which stops the stream and is never skipped"},
    {"isolation.level", no_repeat},
    {"check.crcs", "a broken message has to be seen: Crossfade sets it itself"},
    {"enable.auto.commit", own_offsets},
    {"auto.commit.enable", own_offsets},
    {"auto.commit.interval.ms", own_offsets},
    {"enable.auto.offset.store", own_offsets},
    {"offset.store.method", own_offsets},
    {"offset.store.path", own_offsets},
    {"offset.store.sync.interval.ms", own_offsets},
    {"group.id", own_group},
    {"group.instance.id", own_group},
    {"group.protocol", own_group},
    {"partition.assignment.strategy", own_group},
    {"enable.partition.eof", own_queues},
    {"enabled_events", own_queues},
    {"log.queue", own_queues},
    {"plugin.library.paths", "code that is loaded from a configuration file could break every promise"},
    {"test.mock.num.brokers", "events for a broker in memory would be lost"},
};

struct destroy_conf {
    void operator()(rd_kafka_conf_t* of) const { rd_kafka_conf_destroy(of); }
};

}  // namespace

std::optional<std::string_view> reserved_property(std::string_view name) {
    for (const auto& each : reserved_properties)
        if (each.name == name) return each.reason;
    return std::nullopt;
}

std::optional<std::string> property_objection(const std::string& name, const std::string& value) {
    const std::unique_ptr<rd_kafka_conf_t, destroy_conf> conf(rd_kafka_conf_new());
    // librdkafka's own words are dropped: they repeat the value.
    std::array<char, 512> dropped{};
    switch (rd_kafka_conf_set(conf.get(), name.c_str(), value.c_str(), dropped.data(), dropped.size())) {
        case RD_KAFKA_CONF_OK:
            return std::nullopt;
        case RD_KAFKA_CONF_UNKNOWN:
            return "a property of librdkafka " + std::string(rd_kafka_version_str());
        case RD_KAFKA_CONF_INVALID:
            break;
    }
    return "a value that librdkafka takes for this property (see its CONFIGURATION.md)";
}

}  // namespace crossfade::settings
