#include "lib/kafka/producer.hpp"

#include <spdlog/spdlog.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cerrno>
#include <system_error>

#include "lib/kafka/event.hpp"

namespace crossfade::kafka {

namespace {

struct destroy_headers {
    void operator()(rd_kafka_headers_t* of) const { rd_kafka_headers_destroy(of); }
};
using headers_handle = std::unique_ptr<rd_kafka_headers_t, destroy_headers>;

struct destroy_error {
    void operator()(rd_kafka_error_t* of) const { rd_kafka_error_destroy(of); }
};

std::map<std::string, std::string> properties_for(const settings::kafka& config, unsigned max_unacknowledged) {
    std::map<std::string, std::string> properties{
        {"acks", "all"},
        {"enable.idempotence", "true"},
        // A failed batch stops the producer instead of letting the next one through before it is sent again.
        {"enable.gapless.guarantee", "true"},
        {"message.timeout.ms", "0"},
        // Room for one more than produce() lets in, so that the count that decides is ours.
        {"queue.buffering.max.messages", std::to_string(max_unacknowledged + 1)},
        {"delivery.report.only.error", "false"},
    };
    const std::map<std::string, std::string> unless_configured{
        // A row waits this long for others to share its request: it is part of the stream's lag, and without any
        // wait a burst of small transactions costs a request each.
        {"linger.ms", "1"},
        // The largest row. The topic's max.message.bytes (or the broker's message.max.bytes, by default 1 MiB) is the
        // limit that counts in the end; batches of several rows stay below 1 MB by batch.size.
        {"message.max.bytes", std::to_string(largest_message)},
        {"queue.buffering.max.kbytes", std::to_string(256 << 10)},
    };
    for (const auto& [name, value] : unless_configured)
        if (!config.properties.contains(name)) properties.emplace(name, value);
    return properties;
}

// librdkafka's variadic produce as an array; the union has no constructors.
rd_kafka_vu_t argument(rd_kafka_vtype_t type) {
    rd_kafka_vu_t made{};
    made.vtype = type;
    return made;
}

}  // namespace

producer::descriptor::~descriptor() {
    if (fd_ >= 0) ::close(fd_);
}

producer::producer(client_handle client, queue_handle queue, descriptor wakeup, unsigned max_unacknowledged)
    : wakeup_fd_(std::move(wakeup)),
      client_(std::move(client)),
      queue_(std::move(queue)),
      max_unacknowledged_(max_unacknowledged) {}

producer& producer::operator=(producer&& other) noexcept {
    std::swap(wakeup_fd_, other.wakeup_fd_);
    std::swap(client_, other.client_);
    std::swap(queue_, other.queue_);
    std::swap(topics_, other.topics_);
    std::swap(max_unacknowledged_, other.max_unacknowledged_);
    std::swap(unacknowledged_, other.unacknowledged_);
    std::swap(transient_errors_, other.transient_errors_);
    std::swap(last_error_, other.last_error_);
    return *this;
}

result<producer> producer::open(const settings::kafka& config, unsigned max_unacknowledged) {
    // Readable from the start: what is in the queue already when the descriptor is tied to it wakes nobody.
    descriptor wakeup{::eventfd(1, EFD_NONBLOCK | EFD_CLOEXEC)};
    if (wakeup.get() < 0)
        return failure{RD_KAFKA_RESP_ERR__CRIT_SYS_RESOURCE, "eventfd: " + std::system_category().message(errno),
                       false};
    auto client = make_client(RD_KAFKA_PRODUCER, config, properties_for(config, max_unacknowledged));
    if (!client) return client.error();
    queue_handle queue{rd_kafka_queue_get_main(client->get())};
    constexpr std::uint64_t one = 1;
    rd_kafka_queue_io_event_enable(queue.get(), wakeup.get(), &one, sizeof(one));
    return producer{std::move(*client), std::move(queue), std::move(wakeup), max_unacknowledged};
}

result<rd_kafka_topic_t*> producer::handle_of(const std::string& topic) {
    const auto found = std::ranges::find(
        topics_, topic, [](const auto& each) -> auto& { return each.first; });
    if (found != topics_.end()) return found->second.get();
    topic_handle made{rd_kafka_topic_new(client_.get(), topic.c_str(), nullptr)};
    if (!made) return failure_of(client_.get(), rd_kafka_last_error());
    return topics_.emplace_back(topic, std::move(made)).second.get();
}

result<producer::outcome> producer::produce(const std::string& topic, std::int32_t partition, std::string_view key,
                                            std::string_view payload, std::span<const header> headers,
                                            std::uint64_t sequence) {
    if (unacknowledged_ >= max_unacknowledged_) return outcome::queue_full;
    const auto to = handle_of(topic);
    if (!to) return to.error();

    headers_handle carried;
    if (!headers.empty()) {
        carried.reset(rd_kafka_headers_new(headers.size()));
        for (const auto& [name, value] : headers)
            // Without an address it would be null instead of empty.
            rd_kafka_header_add(carried.get(), name.data(), static_cast<ssize_t>(name.size()),
                                value.empty() ? "" : value.data(), static_cast<ssize_t>(value.size()));
    }

    std::array arguments{argument(RD_KAFKA_VTYPE_RKT),      argument(RD_KAFKA_VTYPE_PARTITION),
                         argument(RD_KAFKA_VTYPE_MSGFLAGS), argument(RD_KAFKA_VTYPE_VALUE),
                         argument(RD_KAFKA_VTYPE_KEY),      argument(RD_KAFKA_VTYPE_OPAQUE),
                         argument(RD_KAFKA_VTYPE_HEADERS)};
    arguments[0].u.rkt = *to;
    arguments[1].u.i32 = partition;
    arguments[2].u.i = RD_KAFKA_MSG_F_COPY;
    arguments[3].u.mem.ptr = payload.empty() ? nullptr : const_cast<char*>(payload.data());  // copied, see F_COPY
    arguments[3].u.mem.size = payload.size();
    arguments[4].u.mem.ptr = key.empty() ? nullptr : const_cast<char*>(key.data());
    arguments[4].u.mem.size = key.size();
    static_assert(sizeof(void*) == sizeof(sequence));
    arguments[5].u.ptr = std::bit_cast<void*>(sequence);
    arguments[6].u.headers = carried.get();
    const std::size_t count = arguments.size() - (carried ? 0 : 1);

    const std::unique_ptr<rd_kafka_error_t, destroy_error> error{
        rd_kafka_produceva(client_.get(), arguments.data(), count)};
    if (!error) {
        static_cast<void>(carried.release());  // the message has them now
        ++unacknowledged_;
        return outcome::queued;
    }
    const auto code = rd_kafka_error_code(error.get());
    if (code == RD_KAFKA_RESP_ERR__QUEUE_FULL) return outcome::queue_full;  // queue.buffering.max.kbytes
    auto what = failure_of(client_.get(), code);
    if (!what.fatal) what.message = rd_kafka_error_string(error.get());
    what.local = true;
    return what;
}

result<std::vector<delivery>> producer::poll(std::chrono::milliseconds timeout) {
    // First the descriptor, then all of the queue: librdkafka writes again only for a queue that was empty.
    std::uint64_t count = 0;
    if (::read(wakeup_fd_.get(), &count, sizeof(count)) < 0 && errno != EAGAIN && errno != EINTR)
        return failure{RD_KAFKA_RESP_ERR__CRIT_SYS_RESOURCE, "eventfd: " + std::system_category().message(errno), true};

    std::vector<delivery> deliveries;
    const auto until = std::chrono::steady_clock::now() + timeout;
    for (;;) {
        // Log lines and passing errors don't end the wait for a delivery.
        const auto left = std::chrono::ceil<std::chrono::milliseconds>(until - std::chrono::steady_clock::now());
        const int wait = deliveries.empty() && left.count() > 0 ? static_cast<int>(left.count()) : 0;
        const event_handle event{rd_kafka_queue_poll(queue_.get(), wait)};
        if (!event) return deliveries;
        switch (rd_kafka_event_type(event.get())) {
            case RD_KAFKA_EVENT_DR:
                deliveries.reserve(deliveries.size() + rd_kafka_event_message_count(event.get()));
                while (const auto* message = rd_kafka_event_message_next(event.get())) {
                    --unacknowledged_;
                    auto& one = deliveries.emplace_back();
                    one.sequence = std::bit_cast<std::uint64_t>(message->_private);
                    one.acknowledged = message->err == RD_KAFKA_RESP_ERR_NO_ERROR &&
                                       rd_kafka_message_status(message) == RD_KAFKA_MSG_STATUS_PERSISTED;
                    if (!one.acknowledged) one.error = failure_of(client_.get(), message->err);
                }
                break;
            case RD_KAFKA_EVENT_ERROR: {
                auto what = failure_of(client_.get(), event.get());
                if (what.fatal) return what;
                ++transient_errors_;
                last_error_ = std::move(what);
                break;
            }
            case RD_KAFKA_EVENT_LOG:
                log_line(event.get());
                break;
            default:
                break;
        }
    }
}

void producer::abandon() {
    // Blocking would wait for the broker threads, which may be connecting.
    rd_kafka_purge(client_.get(), RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT | RD_KAFKA_PURGE_F_NON_BLOCKING);
}

}  // namespace crossfade::kafka
