#include "proxy/publish/outbox.hpp"

#include <chrono>
#include <utility>

namespace crossfade::proxy::publish {

kafka::result<outbox> outbox::open(const settings::kafka& config, const std::string& topic, const limits& most,
                                   std::optional<json_copy> json) {
    auto producer = kafka::producer::open(config, most.events);
    if (!producer) return producer.error();
    return outbox{std::move(*producer), topic, most, std::move(json)};
}

bool outbox::full() const {
    return !waiting_.empty() || acks_.unacknowledged_events() >= most_.events ||
           acks_.unacknowledged_bytes() >= most_.bytes;
}

kafka::result<void> outbox::put(const model::change_event& event) {
    const auto position = model::to_string(event.at);
    if (json_) {
        // Before the event itself, whose acknowledgement is what confirms.
        const auto now = std::chrono::floor<std::chrono::milliseconds>(std::chrono::system_clock::now());
        for (auto& each : events::envelopes(event, json_->source, now)) {
            letter copy{destination::json, std::move(each.key), std::move(each.value), {}, 0};
            copy.headers = {{"crossfade-schema", std::string{events::envelope_version}},
                            {"crossfade-position", position},
                            {"crossfade-table", std::move(each.table)}};
            if (const auto done = post(std::move(copy), {}); !done) return done;
        }
    }
    letter one{destination::events, events::message_key(event), events::encode(event, relations_), {}, 0};
    one.headers = {{"crossfade-schema", std::string{events::schema_version}}, {"crossfade-position", position}};
    return post(std::move(one), event.last ? event.end_lsn : model::lsn{});
}

kafka::result<void> outbox::post(letter&& one, model::lsn end_lsn) {
    one.sequence = acks_.produced(end_lsn, one.key.size() + one.payload.size());
    waiting_.push_back(std::move(one));
    return hand_over();
}

kafka::result<void> outbox::hand_over() {
    for (; !waiting_.empty(); waiting_.pop_front()) {
        const auto& one = waiting_.front();
        const auto& topic = one.to == destination::json ? json_->topic : topic_;
        // One partition: commit order is kept whole.
        const auto done = producer_.produce(topic, 0, one.key, one.payload, one.headers, one.sequence);
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
