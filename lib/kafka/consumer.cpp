#include "lib/kafka/consumer.hpp"

#include <algorithm>
#include <array>
#include <cstdlib>
#include <utility>

#include "lib/kafka/event.hpp"
#include "lib/kafka/partition_list.hpp"

namespace crossfade::kafka {

namespace {

std::map<std::string, std::string> properties_for(const settings::kafka& config, const std::string& group) {
    std::map<std::string, std::string> properties{
        {"group.id", group},
        {"enable.auto.commit", "false"},
        {"enable.auto.offset.store", "false"},
        {"auto.offset.reset", "error"},
        {"isolation.level", "read_committed"},
        {"allow.auto.create.topics", "false"},
        {"check.crcs", "true"},
        {"enable.partition.eof", "false"},
    };
    const auto fetched = std::max<std::uint64_t>(largest_message, largest_message_of(config));
    const std::map<std::string, std::string> unless_configured{
        // An answer as soon as there is one byte. While there is none the broker keeps the connection to itself for
        // this long, and a question for the watermarks waits behind it.
        {"fetch.min.bytes", "1"},
        {"fetch.wait.max.ms", "50"},
        {"fetch.error.backoff.ms", "20"},
        // See keep_fetching() for what happens at these limits.
        {"queued.min.messages", "30000"},
        {"queued.max.messages.kbytes", std::to_string(16 << 10)},
        {"fetch.message.max.bytes", std::to_string(1 << 20)},
        // What the producer's message.max.bytes lets in must come out again; librdkafka refuses less.
        {"fetch.max.bytes", std::to_string(fetched)},
        {"receive.message.max.bytes", std::to_string(fetched + (96U << 20U))},
    };
    for (const auto& [name, value] : unless_configured)
        if (!config.properties.contains(name)) properties.emplace(name, value);
    return properties;
}

failure failure_of_message(rd_kafka_t* client, const rd_kafka_message_t& error) {
    auto what = failure_of(client, error.err);
    if (what.fatal) return what;
    what.message = rd_kafka_message_errstr(&error);
    switch (error.err) {
        case RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET:
            what.code = RD_KAFKA_RESP_ERR_OFFSET_OUT_OF_RANGE;
            [[fallthrough]];
        case RD_KAFKA_RESP_ERR_OFFSET_OUT_OF_RANGE:
        // librdkafka goes on after the batch that it couldn't read: to us that is a gap.
        case RD_KAFKA_RESP_ERR__BAD_MSG:
        case RD_KAFKA_RESP_ERR__BAD_COMPRESSION:
            what.fatal = true;
            break;
        default:
            break;
    }
    return what;
}

constexpr std::chrono::seconds note_interval{1};
constexpr std::chrono::milliseconds hint_timeout{1000};

std::size_t number_of(rd_kafka_t* client, const char* property) {
    std::array<char, 32> value{};
    auto size = value.size();
    if (rd_kafka_conf_get(rd_kafka_conf(client), property, value.data(), &size) != RD_KAFKA_CONF_OK) return 0;
    return std::strtoull(value.data(), nullptr, 10);
}

}  // namespace

std::optional<std::chrono::sys_time<std::chrono::milliseconds>> message::written_at() const {
    rd_kafka_timestamp_type_t type = RD_KAFKA_TIMESTAMP_NOT_AVAILABLE;
    const auto at = rd_kafka_message_timestamp(message_.get(), &type);
    if (type == RD_KAFKA_TIMESTAMP_NOT_AVAILABLE || at < 0) return std::nullopt;
    return std::chrono::sys_time<std::chrono::milliseconds>{std::chrono::milliseconds{at}};
}

partition_reader::partition_reader(client_handle client, queue_handle queue, std::string topic, std::int32_t partition)
    : client_(std::move(client)),
      queue_(std::move(queue)),
      topic_(std::move(topic)),
      partition_(partition),
      full_at_(number_of(client_.get(), "queued.min.messages")),
      much_bytes_((number_of(client_.get(), "queued.max.messages.kbytes") << 10) / 4) {}

partition_reader& partition_reader::operator=(partition_reader&& other) noexcept {
    std::swap(client_, other.client_);
    std::swap(queue_, other.queue_);
    std::swap(topic_, other.topic_);
    std::swap(partition_, other.partition_);
    std::swap(full_at_, other.full_at_);
    std::swap(much_bytes_, other.much_bytes_);
    std::swap(was_full_, other.was_full_);
    std::swap(taken_bytes_, other.taken_bytes_);
    std::swap(pending_, other.pending_);
    std::swap(noted_at_, other.noted_at_);
    return *this;
}

result<partition_reader> partition_reader::open(const settings::kafka& config, const std::string& topic,
                                                std::int32_t partition, const std::string& group) {
    auto client = make_client(RD_KAFKA_CONSUMER, config, properties_for(config, group));
    if (!client) return client.error();
    // Messages come through this queue, log lines and errors of the whole client through the main one.
    queue_handle queue{rd_kafka_queue_get_consumer(client->get())};
    return partition_reader{std::move(*client), std::move(queue), topic, partition};
}

result<void> partition_reader::seek(std::int64_t offset, std::chrono::milliseconds timeout) {
    const auto there = query_watermarks(timeout);
    if (!there) return there.error();
    if (offset < there->low || offset > there->high)
        return failure{RD_KAFKA_RESP_ERR_OFFSET_OUT_OF_RANGE,
                       "offset " + std::to_string(offset) + " of " + topic_ + '/' + std::to_string(partition_) +
                           " lies outside " + std::to_string(there->low) + ".." + std::to_string(there->high),
                       true};
    pending_.reset();
    const auto list = one_partition(topic_, partition_, offset);
    const auto code = rd_kafka_assign(client_.get(), list.get());
    if (code != RD_KAFKA_RESP_ERR_NO_ERROR) return failure_of(client_.get(), code);
    return {};
}

result<std::vector<message>> partition_reader::read(std::size_t most, std::chrono::milliseconds timeout) {
    if (pending_ && pending_->fatal) return *pending_;
    pending_ = drain(client_.get());
    if (pending_ && pending_->fatal) return *pending_;

    std::vector<rd_kafka_message_t*> raw(most);
    const auto take = [&](std::size_t from, std::size_t count, std::chrono::milliseconds wait) -> std::size_t {
        const auto got =
            rd_kafka_consume_batch_queue(queue_.get(), static_cast<int>(wait.count()), raw.data() + from, count);
        return got > 0 ? static_cast<std::size_t>(got) : 0;
    };
    // It waits the whole timeout for a full batch; so the first is waited for alone.
    std::size_t count = most == 0 ? 0 : take(0, 1, timeout);
    if (count == 1 && most > 1) count += take(1, most - 1, std::chrono::milliseconds{0});

    std::vector<message> messages;
    messages.reserve(count);
    for (std::size_t i = 0; i < count; ++i) {
        message_handle one{raw[i]};
        if (one->err == RD_KAFKA_RESP_ERR_NO_ERROR) {
            // Past an error that can't be continued nothing may be handed out: it would look like the next message.
            if (!pending_ || !pending_->fatal) messages.emplace_back(std::move(one));
        } else if (!pending_ || !pending_->fatal) {
            pending_ = failure_of_message(client_.get(), *one);
        }
    }
    keep_fetching(messages);
    // A fatal error stays until the next seek(); one that passes has passed if messages came all the same.
    if (messages.empty() && pending_) return *pending_;
    return messages;
}

// librdkafka before 2.2 stops fetching when its queue is full, and then looks only once a second whether there is room
// again (fetch.queue.backoff.ms came with 2.2), unless there is something else to ask of the broker. So it is asked for
// something: when the queue has been full by number and is at half of that, and when it is empty although much was
// taken, as it may have been full by bytes.
void partition_reader::keep_fetching(const std::vector<message>& taken) {
    const auto left = rd_kafka_queue_length(queue_.get());
    for (const auto& each : taken) taken_bytes_ += each.payload().size();
    was_full_ = was_full_ || left + taken.size() >= full_at_;
    const bool room = was_full_ && left < full_at_ / 2;
    const bool dry = left == 0 && taken_bytes_ >= much_bytes_;
    if (!room && !dry) return;
    was_full_ = false;
    taken_bytes_ = 0;
    static_cast<void>(ask_offset(RD_KAFKA_OFFSET_END, hint_timeout));
}

result<watermarks> partition_reader::query_watermarks(std::chrono::milliseconds timeout) {
    const auto until = std::chrono::steady_clock::now() + timeout;
    const auto low = ask_offset(RD_KAFKA_OFFSET_BEGINNING, timeout);
    if (!low) return low.error();
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(until - std::chrono::steady_clock::now());
    const auto high = ask_offset(RD_KAFKA_OFFSET_END, left);
    if (!high) return high.error();
    return watermarks{*low, *high};
}

result<std::int64_t> partition_reader::ask_offset(std::int64_t end, std::chrono::milliseconds timeout) {
    // Not rd_kafka_query_watermark_offsets(): before librdkafka 2.3 it waits without end for a broker that is away
    // (confluentinc/librdkafka#4460). The two ends are "times" of their own in ListOffsets.
    const auto list = one_partition(topic_, partition_, end);
    auto code = rd_kafka_offsets_for_times(client_.get(), list.get(), std::max(1, static_cast<int>(timeout.count())));
    const auto& answered = list->elems[0];
    if (code == RD_KAFKA_RESP_ERR_NO_ERROR) code = answered.err;
    if (code == RD_KAFKA_RESP_ERR_NO_ERROR && answered.offset >= 0) return answered.offset;
    if (code == RD_KAFKA_RESP_ERR_NO_ERROR) code = RD_KAFKA_RESP_ERR__NO_OFFSET;
    auto what = explained(client_.get(), code);
    what.message = "no watermarks of " + topic_ + '/' + std::to_string(partition_) + ": " + what.message;
    return what;
}

void partition_reader::note_offset(std::int64_t next) {
    const auto now = std::chrono::steady_clock::now();
    if (noted_at_ && now - *noted_at_ < note_interval) return;
    noted_at_ = now;
    const auto list = one_partition(topic_, partition_, next);
    // Asynchronous, and nobody relies on it: an error here is not worth a word.
    static_cast<void>(rd_kafka_commit(client_.get(), list.get(), 1));
}

}  // namespace crossfade::kafka
