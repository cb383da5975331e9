#include "lib/kafka/client.hpp"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <stdexcept>

#include "lib/kafka/event.hpp"

namespace crossfade::kafka {

namespace {

struct destroy_conf {
    void operator()(rd_kafka_conf_t* of) const { rd_kafka_conf_destroy(of); }
};
using conf_handle = std::unique_ptr<rd_kafka_conf_t, destroy_conf>;

// librdkafka's own text repeats the value, which may be a secret.
std::optional<failure> set(rd_kafka_conf_t* conf, const std::string& name, const std::string& value) {
    std::array<char, 512> unused{};
    switch (rd_kafka_conf_set(conf, name.c_str(), value.c_str(), unused.data(), unused.size())) {
        case RD_KAFKA_CONF_OK:
            return std::nullopt;
        case RD_KAFKA_CONF_UNKNOWN:
            return failure{RD_KAFKA_RESP_ERR__INVALID_ARG, "librdkafka knows no property " + name, false};
        default:
            return failure{RD_KAFKA_RESP_ERR__INVALID_ARG, "librdkafka refuses the value of property " + name, false};
    }
}

constexpr int debug_level = 7;
// That enable.gapless.guarantee is experimental: it is we who ask for it. That a producer's property means nothing to a
// consumer, and the reverse: one list of properties serves both.
constexpr std::array<std::string_view, 2> said_at_every_start{"enable.gapless.guarantee",
                                                              "property and will be ignored by this"};

spdlog::level::level_enum level_of(int syslog_level) {
    // Its errors (3) are of one broker's connection, which it mends by itself.
    if (syslog_level <= 2) return spdlog::level::err;
    if (syslog_level <= 4) return spdlog::level::warn;
    return syslog_level <= 6 ? spdlog::level::info : spdlog::level::debug;
}

}  // namespace

std::uint64_t largest_message_of(const settings::kafka& config) {
    constexpr std::uint64_t most = 1'000'000'000;  // of librdkafka's
    const auto found = config.properties.find("message.max.bytes");
    if (found == config.properties.end()) return largest_message;
    std::uint64_t bytes = 0;
    const auto& text = found->second;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), bytes);
    return error != std::errc{} || end != text.data() + text.size() ? largest_message : std::min(bytes, most);
}

std::string to_string(const failure& what) {
    return what.message + " (" + rd_kafka_err2name(what.code) + (what.fatal ? ", fatal)" : ")");
}

rd_kafka_resp_err_t cause(const failure& of) {
    if (of.code != RD_KAFKA_RESP_ERR__GAPLESS_GUARANTEE) return of.code;
    for (const auto known : {RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE, RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED,
                             RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART})
        if (of.message.find(rd_kafka_err2str(known)) != std::string::npos) return known;
    return of.code;
}

void throw_exception_from_error(const failure& what, const boost::source_location&) {
    throw std::runtime_error(to_string(what));
}

result<client_handle> make_client(rd_kafka_type_t type, const settings::kafka& config,
                                  const std::map<std::string, std::string>& required, const group_callbacks& group) {
    conf_handle conf{rd_kafka_conf_new()};
    const auto set_all = [&](const std::map<std::string, std::string>& properties) -> std::optional<failure> {
        for (const auto& [name, value] : properties)
            if (auto refused = set(conf.get(), name, value)) return refused;
        return std::nullopt;
    };
    if (auto refused = set_all({{"client.id", "crossfade"},
                                {"socket.keepalive.enable", "true"},
                                {"socket.nagle.disable", "true"},
                                // The default of 10 s would be most of the lag after a broker's restart.
                                {"reconnect.backoff.max.ms", "1000"}}))
        return *refused;
    if (auto refused = set_all(config.properties)) return *refused;
    if (auto refused = set_all(required)) return *refused;
    if (auto refused = set_all({{"bootstrap.servers", config.brokers}, {"log.queue", "true"}})) return *refused;
    if (group.rebalanced != nullptr) {
        rd_kafka_conf_set_opaque(conf.get(), group.context);
        rd_kafka_conf_set_rebalance_cb(conf.get(), group.rebalanced);
    }
    // Events instead of callbacks: librdkafka's threads never run our code.
    rd_kafka_conf_set_events(conf.get(), RD_KAFKA_EVENT_DR | RD_KAFKA_EVENT_ERROR | RD_KAFKA_EVENT_LOG);

    std::array<char, 512> reason{};
    client_handle made{rd_kafka_new(type, conf.get(), reason.data(), reason.size())};
    if (!made) return failure{rd_kafka_last_error(), reason.data(), false};
    static_cast<void>(conf.release());            // rd_kafka_new takes it, but only when it succeeds
    rd_kafka_set_log_queue(made.get(), nullptr);  // to the main queue
    return made;
}

failure failure_of(rd_kafka_t* client, rd_kafka_resp_err_t code) {
    std::array<char, 512> reason{};
    const auto fatal = rd_kafka_fatal_error(client, reason.data(), reason.size());
    if (fatal != RD_KAFKA_RESP_ERR_NO_ERROR) return {fatal, reason.data(), true};
    return {code, rd_kafka_err2str(code), false};
}

failure failure_of(rd_kafka_t* client, rd_kafka_event_t* error_event) {
    auto what = failure_of(client, rd_kafka_event_error(error_event));
    if (!what.fatal) what.message = rd_kafka_event_error_string(error_event);
    return what;
}

failure explained(rd_kafka_t* client, rd_kafka_resp_err_t code) {
    auto what = failure_of(client, code);
    const auto reason = drain(client);
    if (!reason) return what;
    if (what.fatal || reason->fatal) {
        what.message += ": " + reason->message;
        return what;
    }
    switch (reason->code) {
        case RD_KAFKA_RESP_ERR__AUTHENTICATION:
            return {reason->code,
                    reason->message + "; see sasl.mechanism, sasl.username and sasl.password in kafka.properties",
                    false};
        case RD_KAFKA_RESP_ERR__SSL:
            return {reason->code, reason->message + "; see security.protocol and ssl.ca.location in kafka.properties",
                    false};
        default:
            what.message += ": " + reason->message;
            return what;
    }
}

void log_line(rd_kafka_event_t* log_event) {
    const char* facility = nullptr;
    const char* text = nullptr;
    int level = 0;
    if (rd_kafka_event_log(log_event, &facility, &text, &level) != 0) return;
    for (const auto known : said_at_every_start) {
        if (std::string_view{text}.find(known) != std::string_view::npos) level = debug_level;
    }
    spdlog::log(level_of(level), "librdkafka {}: {}", facility, text);
}

std::optional<failure> drain(rd_kafka_t* client) {
    const queue_handle queue{rd_kafka_queue_get_main(client)};
    std::optional<failure> seen;
    while (const event_handle event{rd_kafka_queue_poll(queue.get(), 0)}) {
        if (rd_kafka_event_type(event.get()) == RD_KAFKA_EVENT_LOG) log_line(event.get());
        if (rd_kafka_event_type(event.get()) != RD_KAFKA_EVENT_ERROR) continue;
        auto what = failure_of(client, event.get());
        // "All brokers are down" comes after the errors that say why.
        if (!seen || what.fatal || what.code != RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN) seen = std::move(what);
    }
    return seen;
}

}  // namespace crossfade::kafka
