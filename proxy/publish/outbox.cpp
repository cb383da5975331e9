#include "proxy/publish/outbox.hpp"

#include <utility>

namespace crossfade::proxy::publish {

kafka::result<outbox> outbox::open(const settings::kafka& config, const std::string& topic, const limits& most) {
    auto producer = kafka::producer::open(config, most.events);
    if (!producer) return producer.error();
    return outbox{std::move(*producer), topic, most};
}

bool outbox::full() const {
    return refused_ || acks_.unacknowledged_events() >= most_.events || acks_.unacknowledged_bytes() >= most_.bytes;
}

kafka::result<void> outbox::put(const model::change_event& event) {
    letter one{events::message_key(event), events::encode(event, relations_), model::to_string(event.at), 0};
    one.sequence = acks_.produced(event.last ? event.end_lsn : model::lsn{}, one.key.size() + one.payload.size());
    return hand_over(std::move(one));
}

kafka::result<void> outbox::hand_over(letter&& one) {
    const std::vector<kafka::producer::header> headers{
        {"crossfade-schema", std::string{events::schema_version}},
        {"crossfade-position", one.position},
    };
    // One partition: commit order is kept whole.
    const auto done = producer_.produce(topic_, 0, one.key, one.payload, headers, one.sequence);
    if (!done) return done.error();
    if (*done == kafka::producer::outcome::queue_full) refused_ = std::move(one);
    return {};
}

kafka::result<void> outbox::settle(std::chrono::milliseconds timeout) {
    const auto answers = producer_.poll(timeout);
    if (!answers) return answers.error();
    for (const auto& answer : *answers) {
        if (!answer.acknowledged) return answer.error;
        acks_.acknowledged(answer.sequence);
    }
    if (refused_) return hand_over(*std::exchange(refused_, std::nullopt));
    return {};
}

}  // namespace crossfade::proxy::publish
