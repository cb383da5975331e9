#pragma once

#include <librdkafka/rdkafka.h>

#include <boost/system/result.hpp>
#include <map>
#include <memory>
#include <string>
#include <string_view>

#include "lib/settings/settings.hpp"

namespace crossfade::kafka {

// What librdkafka answered. Messages are librdkafka's own; they name brokers, topics and properties, never payloads.
struct failure {
    rd_kafka_resp_err_t code = RD_KAFKA_RESP_ERR_NO_ERROR;
    std::string message;
    // The client instance is of no use any more (fenced, out of sequence, authorisation): make a new one.
    bool fatal = false;
    // It was this client that refused, before anything was sent.
    bool local = false;
};
std::string to_string(const failure& what);
// enable.gapless.guarantee makes one fatal error of whatever a request failed of; what that was is only in its text.
rd_kafka_resp_err_t cause(const failure& of);
[[noreturn]] void throw_exception_from_error(const failure& what, const boost::source_location& where);

// The largest message that is produced (message.max.bytes) unless configured, and what a topic has to take for it:
// its max.message.bytes counts the batch that the message is sent in.
inline constexpr unsigned largest_message = 64U << 20U;
inline constexpr unsigned batch_overhead = 1U << 20U;
// As kafka.properties has it. What is no number counts as not configured: librdkafka refuses it by itself.
std::uint64_t largest_message_of(const settings::kafka& config);

template <class T>
using result = boost::system::result<T, failure>;

struct destroy_client {
    void operator()(rd_kafka_t* of) const { rd_kafka_destroy(of); }
};
struct destroy_message {
    void operator()(rd_kafka_message_t* of) const { rd_kafka_message_destroy(of); }
};
struct destroy_event {
    void operator()(rd_kafka_event_t* of) const { rd_kafka_event_destroy(of); }
};
struct destroy_queue {
    void operator()(rd_kafka_queue_t* of) const { rd_kafka_queue_destroy(of); }
};
using client_handle = std::unique_ptr<rd_kafka_t, destroy_client>;
using message_handle = std::unique_ptr<rd_kafka_message_t, destroy_message>;
using event_handle = std::unique_ptr<rd_kafka_event_t, destroy_event>;
using queue_handle = std::unique_ptr<rd_kafka_queue_t, destroy_queue>;

// What a client is asked to do by callbacks, which run in rd_kafka_consumer_poll() and rd_kafka_consumer_close() alone.
using rebalance_callback = void (*)(rd_kafka_t*, rd_kafka_resp_err_t, rd_kafka_topic_partition_list_t*, void*);
struct group_callbacks {
    rebalance_callback rebalanced = nullptr;
    void* context = nullptr;
};

// Makes a client: `required` properties are Crossfade's own and win; config.properties follow as they stand;
// librdkafka's log goes to spdlog. Fails for a property that librdkafka refuses, naming it but not its value.
result<client_handle> make_client(rd_kafka_type_t type, const settings::kafka& config,
                                  const std::map<std::string, std::string>& required,
                                  const group_callbacks& group = {});

}  // namespace crossfade::kafka
