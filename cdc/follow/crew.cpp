#include "cdc/follow/crew.hpp"

#include <spdlog/spdlog.h>

#include <utility>

namespace crossfade::cdc::follow {

namespace {

using namespace std::chrono_literals;
using steady = std::chrono::steady_clock;

constexpr auto look_up = 100ms;
constexpr auto note_interval = 1s;
constexpr auto join_again = 5s;

std::string list_of(const kafka::group_member::partitions& which) {
    std::string text;
    for (const auto each : which) text += (text.empty() ? "" : ", ") + std::to_string(each);
    return text;
}

}  // namespace

crew::crew(std::function<settings::snapshot()> in_force, status_board& board, metrics& measured,
           std::function<void()> on_records)
    : in_force_(std::move(in_force)),
      at_start_(in_force_()),
      board_(board),
      measured_(measured),
      on_records_(std::move(on_records)) {}

crew::~crew() {
    stop();
}

void crew::start() {
    if (at_start_->config.stream.by_key()) {
        thread_ = std::jthread{[this](const std::stop_token& stopping) { run(stopping); }};
    } else {
        follow(0);
    }
}

void crew::stop() {
    if (thread_.joinable()) {
        thread_.request_stop();
        thread_.join();
    }
    partitions all;
    for (const auto& [partition, each] : followers_) all.push_back(partition);
    leave(all);
}

void crew::nudge() {
    const std::lock_guard hold{mutex_};
    for (const auto& [partition, each] : followers_) each->nudge();
}

void crew::follow(int partition) {
    const std::lock_guard hold{mutex_};
    auto& mine = followers_[partition];
    if (mine) return;
    mine = std::make_unique<stream_follower>(partition, in_force_, board_, measured_, on_records_);
    mine->start();
    measured_.partitions.Set(static_cast<double>(followers_.size()));
}

void crew::leave(const partitions& which) {
    std::vector<std::unique_ptr<stream_follower>> leaving;
    {
        const std::lock_guard hold{mutex_};
        for (const auto partition : which) {
            const auto found = followers_.find(partition);
            if (found == followers_.end()) continue;
            leaving.push_back(std::move(found->second));
            followers_.erase(found);
        }
        measured_.partitions.Set(static_cast<double>(followers_.size()));
    }
    for (const auto& each : leaving) each->ask_to_stop();
    leaving.clear();
    for (const auto partition : which) board_.forget(partition);
}

void crew::run(const std::stop_token& stopping) {
    const auto& config = at_start_->config;
    const auto& stream = config.stream.name;
    const kafka::group_member::handlers tell{[&](const partitions& given) {
                                                 spdlog::info("stream {}: given partitions {}", stream, list_of(given));
                                                 for (const auto partition : given) follow(partition);
                                             },
                                             [&](const partitions& taken) {
                                                 if (!taken.empty())
                                                     spdlog::info("stream {}: gives up partitions {}", stream,
                                                                  list_of(taken));
                                                 leave(taken);
                                             }};
    while (!stopping.stop_requested()) {
        auto joined = kafka::group_member::join(config.kafka, config.stream.topic(), "crossfade-" + stream, tell);
        if (joined) {
            serve(stopping, **joined);
        } else {
            describe(follower_state::waiting, "Kafka: " + kafka::to_string(joined.error()));
            wait_.wait(stopping, join_again);
        }
    }
}

void crew::serve(const std::stop_token& stopping, kafka::group_member& member) {
    std::string trouble = "has not joined its consumer group yet";
    auto noted_at = steady::now();
    while (!stopping.stop_requested()) {
        const auto polled = member.poll(look_up);
        if (!polled) trouble = "Kafka: " + kafka::to_string(polled.error());
        if (member.admitted()) {
            describe(follower_state::standby, "its consumer group has given it no partition");
        } else {
            describe(follower_state::waiting, trouble);
        }
        if (!polled && polled.error().fatal) return;
        if (steady::now() - noted_at < note_interval) continue;
        noted_at = steady::now();
        std::map<std::int32_t, std::int64_t> next;
        for (const auto& [partition, each] : board_.read().partitions) next[partition] = each.next_offset;
        member.note_offsets(next);
    }
}

void crew::describe(follower_state now, const std::string& reason) {
    bool news = false;
    board_.update([&](follower_status& status) {
        if (!status.partitions.empty()) return;
        news = status.now != now || status.reason != reason;
        status.now = now;
        status.reason = reason;
    });
    if (!news) return;
    measured_.state(board_.read().now);
    spdlog::info("stream {}: {}: {}", at_start_->config.stream.name, to_string(now), reason);
}

}  // namespace crossfade::cdc::follow
