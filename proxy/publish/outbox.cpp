#include "proxy/publish/outbox.hpp"

#include <chrono>
#include <numeric>
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
    if (json_) {
        const auto position = model::to_string(event.at);
        // Before the event itself, whose acknowledgement is what confirms.
        const auto now = std::chrono::floor<std::chrono::milliseconds>(std::chrono::system_clock::now());
        for (auto& each : events::envelopes(event, json_->source, now)) {
            letter copy{destination::json, 0, std::move(each.key), std::move(each.value), {}, 0};
            copy.headers = {{"crossfade-schema", std::string{events::envelope_version}},
                            {"crossfade-position", position},
                            {"crossfade-table", std::move(each.table)}};
            post(std::move(copy), {});
        }
    }
    if (by_key_) return put_by_key(event);
    // One partition: commit order is kept whole.
    post_event(event, events::message_key(event), 0, event.last ? event.end_lsn : model::lsn{});
}

// What is confirmed is what every partition has an event behind, so that none can lose its end without notice.
void outbox::put_by_key(model::change_event& event) {
    auto key = events::message_key(event);
    const auto to = by_key_->route_of(event, key);
    if (to.first >= 0 && to.second < 0) {
        by_key_->place(event, to.first);
        post_event(event, std::move(key), to.first, {});
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
            post_event(event, key, each, complete ? event.end_lsn : model::lsn{});
        }
    }
    if (auto next = by_key_->follow_up(event)) put_by_key(*next);
}

void outbox::post_event(const model::change_event& event, std::string key, std::int32_t partition,
                        model::lsn complete) {
    letter one{destination::events, partition, std::move(key), events::encode(event, relations_), {}, 0};
    one.headers = {{"crossfade-schema", std::string{events::schema_version}},
                   {"crossfade-position", model::to_string(event.at)}};
    post(std::move(one), complete);
}

void outbox::post(letter&& one, model::lsn end_lsn) {
    one.sequence = acks_.produced(end_lsn, one.key.size() + one.payload.size());
    waiting_.push_back(std::move(one));
}

kafka::result<void> outbox::send() {
    to_be_sent_ = waiting_.size();
    return hand_over();
}

kafka::result<void> outbox::hand_over() {
    for (; to_be_sent_ > 0; --to_be_sent_, waiting_.pop_front()) {
        const auto& one = waiting_.front();
        const auto& topic = one.to == destination::json ? json_->topic : topic_;
        const auto done = producer_.produce(topic, one.partition, one.key, one.payload, one.headers, one.sequence);
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
