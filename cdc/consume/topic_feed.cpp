#include "cdc/consume/topic_feed.hpp"

#include <utility>

namespace crossfade::cdc::consume {

namespace {

using std::chrono::milliseconds;

constexpr std::size_t most_messages = 500;  // a lot: few enough that the first are applied while the next are decoded
constexpr milliseconds look_up{100};        // from waiting for messages, to see whether to stop
constexpr milliseconds answer_time{1000};   // of a broker that is there
// Without a message, before the broker is asked whether it is there; and for its answer, before it counts as gone.
// librdkafka has no error for a connection that is made and broken again and again, and waits a minute for an answer.
constexpr milliseconds silence{3000};
constexpr milliseconds patience{3000};

}  // namespace

topic_feed::topic_feed(kafka::partition_reader& from, events::relation_decoder& relations, std::size_t most_bytes)
    : from_(from), relations_(relations), most_bytes_(most_bytes) {
    thread_ = std::jthread{[this](const std::stop_token& stopping) { run(stopping); }};
}

topic_feed::~topic_feed() {
    thread_.request_stop();
}

delivery topic_feed::take(milliseconds time) {
    std::unique_lock hold{mutex_};
    if (!changed_.wait_for(hold, time, [this] { return !items_.empty(); })) return nothing_yet{};
    if (auto* thrown = std::get_if<std::exception_ptr>(&items_.front())) std::rethrow_exception(*thrown);
    auto first = std::move(std::get<delivery>(items_.front()));
    items_.pop_front();
    if (const auto* lot = std::get_if<event_lot>(&first)) bytes_ -= lot->bytes;
    hold.unlock();
    changed_.notify_all();
    return first;
}

std::size_t topic_feed::held_bytes() const {
    const std::lock_guard hold{mutex_};
    return bytes_;
}

void topic_feed::run(const std::stop_token& stopping) {
    try {
        while (!stopping.stop_requested() && make_room(stopping) && read(stopping)) {
        }
    } catch (...) {
        put(std::current_exception());
    }
}

bool topic_feed::make_room(const std::stop_token& stopping) {
    std::unique_lock hold{mutex_};
    if (bytes_ < most_bytes_) return true;
    return changed_.wait(hold, stopping, [this] { return bytes_ <= most_bytes_ / 2; });
}

bool topic_feed::read(const std::stop_token& stopping) {
    auto messages = from_.read(most_messages, look_up);
    if (!messages) {
        if (messages.error().fatal) {
            put(unreadable{std::move(messages.error())});
            return false;
        }
        away_ = true;
        put(broker_lost{std::move(messages.error())});
        std::unique_lock hold{mutex_};
        changed_.wait_for(hold, stopping, look_up, [] { return false; });
        return true;
    }
    const auto now = std::chrono::steady_clock::now();
    if (!messages->empty()) {
        heard_ = now;
    } else if (!away_ && now - heard_ > silence) {
        heard_ = now;
        auto sign_of_life = from_.query_watermarks(patience);
        if (!sign_of_life && !stopping.stop_requested()) {
            away_ = true;
            put(broker_lost{std::move(sign_of_life.error())});
        }
        return true;
    }
    if (away_) {
        // An empty answer is no sign of life.
        if (messages->empty() && !from_.query_watermarks(answer_time)) return true;
        away_ = false;
        heard_ = now;
        put(broker_regained{});
    }
    event_lot lot;
    lot.events.reserve(messages->size());
    std::optional<no_event> bad;
    for (const auto& message : *messages) {
        auto decoded = events::decode(message.payload(), relations_);
        if (!decoded) {
            bad = no_event{message.offset()};
            break;
        }
        const auto size = message.payload().size();
        lot.bytes += size;
        lot.events.push_back({std::move(*decoded), message.offset(), size});
    }
    if (!lot.events.empty()) put(std::move(lot));
    if (bad) put(*bad);
    return !bad;
}

void topic_feed::put(item next) {
    {
        const std::lock_guard hold{mutex_};
        if (const auto* what = std::get_if<delivery>(&next)) {
            const auto is_loss = [](const item& of) {
                const auto* held = std::get_if<delivery>(&of);
                return held != nullptr && std::holds_alternative<broker_lost>(*held);
            };
            // While nobody takes them, losses would pile up.
            if (!items_.empty() && is_loss(next) && is_loss(items_.back())) items_.pop_back();
            if (const auto* lot = std::get_if<event_lot>(what)) bytes_ += lot->bytes;
        }
        items_.push_back(std::move(next));
    }
    changed_.notify_all();
}

}  // namespace crossfade::cdc::consume
