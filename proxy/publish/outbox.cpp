#include "proxy/publish/outbox.hpp"

#include <array>
#include <chrono>
#include <numeric>
#include <span>
#include <utility>

namespace crossfade::proxy::publish {

kafka::result<outbox> outbox::open(const settings::kafka& config, const std::string& topic, const limits& most,
                                   std::optional<json_copy> json, std::optional<partitioner> by_key) {
    auto producer = kafka::producer::open(config, most.events);
    if (!producer) return producer.error();
    return outbox{std::move(*producer), topic, most, std::move(json), std::move(by_key)};
}

bool outbox::full() const {
    return acks_.unacknowledged_events() >= most_.events || acks_.unacknowledged_bytes() >= most_.bytes;
}

void outbox::put(model::change_event& event) {
    // Before the event itself, whose acknowledgement is what confirms.
    if (json_) put_json(event);
    if (by_key_) return put_by_key(event);
    // One partition: commit order is kept whole.
    post_event(event, 0, event.last ? event.end_lsn : model::lsn{});
}

void outbox::put_json(const model::change_event& event) {
    const auto now = std::chrono::floor<std::chrono::milliseconds>(std::chrono::system_clock::now());
    for (const auto& each : events::envelopes(event, json_->source, now)) {
        auto& bytes = waiting_.bytes();
        letters::parts made;
        model::append(bytes, event.at);
        made.position = waiting_.cut();
        bytes += each.table;
        made.table = waiting_.cut();
        bytes += each.key;
        made.key = waiting_.cut();
        bytes += each.value;
        made.payload = waiting_.cut();
        post(letters::destination::json, 0, made, {});
    }
}

// What is confirmed is what every partition has an event behind, so that none can lose its end without notice.
void outbox::put_by_key(model::change_event& event) {
    const auto to = by_key_->route_of(event, events::message_key(event));
    if (to.first >= 0 && to.second < 0) {
        by_key_->place(event, to.first);
        post_event(event, to.first, {});
    } else {
        const bool heartbeat = std::holds_alternative<model::heartbeat>(event.body);
        event.barrier = !heartbeat;
        std::vector<std::int32_t> all{to.first, to.second};
        if (to.first >= 0) {
            event.barrier_partitions.assign(all.begin(), all.end());
        } else {
            all.resize(static_cast<std::size_t>(by_key_->partitions()));
            std::iota(all.begin(), all.end(), 0);
        }
        for (const auto each : all) {
            by_key_->place(event, each);
            const bool complete = heartbeat && each == all.back();
            post_event(event, each, complete ? event.end_lsn : model::lsn{});
        }
    }
    if (auto next = by_key_->follow_up(event)) put_by_key(*next);
}

void outbox::post_event(const model::change_event& event, std::int32_t partition, model::lsn complete) {
    auto& bytes = waiting_.bytes();
    letters::parts made;
    model::append(bytes, event.at);
    made.position = waiting_.cut();
    events::append_message_key(event, bytes);
    made.key = waiting_.cut();
    events::encode(event, relations_, bytes);
    made.payload = waiting_.cut();
    post(letters::destination::events, partition, made, complete);
}

void outbox::post(letters::destination to, std::int32_t partition, const letters::parts& made, model::lsn complete) {
    waiting_.push(to, partition, acks_.produced(complete, made.key + made.payload), made);
}

kafka::result<void> outbox::send() {
    to_be_sent_ = waiting_.size();
    return hand_over();
}

kafka::result<void> outbox::hand_over() {
    for (; to_be_sent_ > 0; --to_be_sent_, waiting_.pop()) {
        const auto one = waiting_.front();
        const bool json = one.to == letters::destination::json;
        const std::array<kafka::producer::header, 3> headers{
            {{"crossfade-schema", json ? events::envelope_version : events::schema_version},
             {"crossfade-position", one.position},
             {"crossfade-table", one.table}}};
        const auto done = producer_.produce(json ? json_->topic : topic_, one.partition, one.key, one.payload,
                                            std::span{headers}.first(json ? 3 : 2), one.sequence);
        if (!done) return done.error();
        if (*done == kafka::producer::outcome::queue_full) break;
    }
    return {};
}

kafka::result<void> outbox::settle(std::chrono::milliseconds timeout) {
    const auto answers = producer_.poll(timeout);
    if (!answers) return answers.error();
    for (const auto& answer : *answers) {
        if (!answer.acknowledged) return answer.error;
        acks_.acknowledged(answer.sequence);
    }
    return hand_over();
}

}  // namespace crossfade::proxy::publish
