#include "cdc/follow/topic_watch.hpp"

#include <spdlog/spdlog.h>

#include "lib/kafka/admin.hpp"
#include "lib/settings/directions.hpp"
#include "lib/store/progress.hpp"

namespace crossfade::cdc::follow {

namespace {

using steady = std::chrono::steady_clock;
using std::chrono::milliseconds;

constexpr milliseconds interval{10000};
constexpr std::chrono::minutes limits_hold{1};  // somebody may change the topic's settings at any time
constexpr milliseconds patience{5000};
constexpr double said_again = 0.1;  // a warning is logged again when this much more is used up

prometheus::Gauge& gauge(prometheus::Registry& in, const std::string& stream, const char* name, const char* help) {
    return prometheus::BuildGauge().Name(name).Help(help).Register(in).Add({{"stream", stream}});
}

// For one message: nothing more is to be fetched for it.
settings::kafka sparing(settings::kafka config) {
    config.properties["queued.min.messages"] = "1";
    config.properties["fetch.message.max.bytes"] = "1024";
    return config;
}

}  // namespace

topic_watch::topic_watch(settings::configuration config, status_board& board, prometheus::Registry& registry)
    : config_(std::move(config)),
      board_(board),
      age_(gauge(registry, config_.stream.name, "crossfade_topic_next_event_age_seconds",
                 "Age of the next event to be applied")),
      retention_(
          gauge(registry, config_.stream.name, "crossfade_topic_retention_seconds", "How long the topic keeps events")),
      used_(gauge(registry, config_.stream.name, "crossfade_topic_retention_used_ratio",
                  "Share of the topic's retention that the next event has used up")) {}

void topic_watch::start() {
    thread_ = std::jthread{[this](const std::stop_token& stopping) { run(stopping); }};
}

void topic_watch::stop() {
    if (!thread_.joinable()) return;
    thread_.request_stop();
    thread_.join();
}

void topic_watch::run(const std::stop_token& stopping) {
    std::string said;
    while (!stopping.stop_requested()) {
        ask_progress();
        if (!next_offsets_.empty()) {
            // What was known stays as it was.
            if (const auto found = look()) {
                tell(*found);
                said.clear();
            } else if (const auto why = kafka::to_string(found.error()); why != said) {
                spdlog::warn("how long the topic keeps events is not known: {}", why);
                said = why;
            }
        }
        wait_.wait(stopping, interval);
    }
}

void topic_watch::ask_progress() {
    if (!modern_) {
        pgclient::open_options options;
        options.application_name = "crossfade-cdc retention";
        options.connect_timeout = std::chrono::seconds{2};
        if (auto opened = pgclient::connection::open(config_.modern.dsn, options)) modern_.emplace(std::move(*opened));
    }
    if (!modern_) return;
    for (int i = 0; i < config_.stream.topic_partitions(); ++i) {
        const auto found = store::load_progress(*modern_, config_.stream.name, i);
        if (!found) {
            modern_.reset();
            return;
        }
        if (*found && (*found)->topic == config_.stream.topic()) next_offsets_[i] = (*found)->next_offset;
    }
}

kafka::result<retention_outlook> topic_watch::look() {
    const auto topic = config_.stream.topic();
    if (!limits_read_ || steady::now() - *limits_read_ > limits_hold) {
        const auto settings = kafka::topic_settings(config_.kafka, topic, patience);
        if (!settings) return settings.error();
        limits_ = limits_of(*settings);
        limits_read_ = steady::now();
    }
    auto reader = kafka::partition_reader::open(sparing(config_.kafka), topic, 0, "crossfade-retention");
    if (!reader) return reader.error();
    std::optional<retention_outlook> worst;
    for (const auto& [partition, next] : next_offsets_) {
        auto found = look(*reader, partition, next);
        if (!found) return found;
        if (!worst || (found->gone && !worst->gone) || found->used > worst->used) worst = std::move(*found);
    }
    return std::move(*worst);
}

kafka::result<retention_outlook> topic_watch::look(kafka::partition_reader& reader, int partition, std::int64_t next) {
    reader.turn_to(partition);
    const auto marks = reader.query_watermarks(patience);
    if (!marks) return marks.error();
    topic_place at{marks->low, marks->high, next, {}};
    if (at.low <= at.next && at.next < at.high) {
        if (const auto sought = reader.seek(at.next, patience); !sought) return sought.error();
        const auto read = reader.read(1, patience);
        if (!read) return read.error();
        if (!read->empty())
            if (const auto written = read->front().written_at())
                at.age = std::chrono::duration_cast<milliseconds>(std::chrono::system_clock::now() - *written);
    }
    const auto topic = config_.stream.topic();
    if (config_.source != settings::side::legacy)
        return judge_retention(at, limits_, topic, settings::begin_back_anew(config_));
    return judge_retention(at, limits_, config_.stream.by_key() ? topic + '/' + std::to_string(partition) : topic);
}

void topic_watch::tell(const retention_outlook& found) {
    age_.Set(found.age_seconds.value_or(0));
    retention_.Set(found.retention_seconds.value_or(0));
    used_.Set(found.used);
    board_.update([&](follower_status& status) { status.retention = found; });
    if (found.warning.empty()) {
        if (said_ > 0) spdlog::info("stream {}: the events to apply are young enough again", config_.stream.name);
        said_ = 0;
    } else if (said_ == 0 || found.used >= said_ + said_again) {
        said_ = found.used;
        spdlog::warn("stream {}: {}; {}", config_.stream.name, found.warning, found.way_out);
    }
}

}  // namespace crossfade::cdc::follow
