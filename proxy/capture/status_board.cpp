#include "proxy/capture/status_board.hpp"

#include <spdlog/spdlog.h>

#include <limits>

namespace crossfade::proxy::capture {

namespace {

constexpr std::array wal_states{"reserved", "extended", "unreserved", "lost"};
constexpr std::array kinds{"insert", "update", "delete", "truncate", "message", "heartbeat"};

std::size_t kind_of(const model::change_event& event) {
    if (const auto* row = std::get_if<model::row_change>(&event.body)) return static_cast<std::size_t>(row->operation);
    return 2 + event.body.index();
}

prometheus::Labels labels(const std::string& stream, prometheus::Labels more = {}) {
    more.emplace("stream", stream);
    return more;
}

prometheus::Gauge& gauge(prometheus::Registry& metrics, const std::string& stream, const char* name, const char* help) {
    return prometheus::BuildGauge().Name(name).Help(help).Register(metrics).Add(labels(stream));
}

}  // namespace

std::string_view to_string(publisher_state state) {
    switch (state) {
        case publisher_state::waiting:
            return "waiting";
        case publisher_state::standby:
            return "standby";
        case publisher_state::publishing:
            return "publishing";
        case publisher_state::stopped:
            return "stopped";
        case publisher_state::completed:
            return "completed";
        case publisher_state::off:
            break;
    }
    return "off";
}

status_board::status_board(prometheus::Registry& metrics, std::string stream, std::size_t most_events,
                           std::size_t most_bytes)
    : stream_(std::move(stream)),
      stopped_(gauge(metrics, stream_, "crossfade_stream_stopped",
                     "1 when the stream has stopped and an operator must act, see /api/v1/status")),
      unacknowledged_events_(gauge(metrics, stream_, "crossfade_publish_unacknowledged_events",
                                   "Events given to Kafka and not acknowledged yet")),
      unacknowledged_bytes_(gauge(metrics, stream_, "crossfade_publish_unacknowledged_bytes",
                                  "Bytes of the events given to Kafka and not acknowledged yet")),
      retained_bytes_(
          gauge(metrics, stream_, "crossfade_slot_retained_bytes", "WAL that the stream's slot keeps on its source")),
      retained_budget_(gauge(metrics, stream_, "crossfade_slot_retained_budget_bytes", "What it may keep")),
      wal_left_(gauge(metrics, stream_, "crossfade_slot_wal_left_bytes",
                      "WAL that may be written until max_slot_wal_keep_size makes the slot lose some")),
      slot_idle_(gauge(metrics, stream_, "crossfade_slot_idle_seconds", "Time since nobody reads the slot")),
      lag_bytes_(gauge(metrics, stream_, "crossfade_publish_lag_bytes",
                       "WAL between the source's newest and what is confirmed to be in Kafka")),
      heartbeat_failures_(prometheus::BuildCounter()
                              .Name("crossfade_heartbeat_failures_total")
                              .Help("Heartbeats that could not be written to the source")
                              .Register(metrics)
                              .Add(labels(stream_))) {
    gauge(metrics, stream_, "crossfade_publish_unacknowledged_limit", "Events at which reading from the source pauses")
        .Set(static_cast<double>(most_events));
    gauge(metrics, stream_, "crossfade_publish_unacknowledged_bytes_limit",
          "Bytes at which reading from the source pauses")
        .Set(static_cast<double>(most_bytes));
    auto& states = prometheus::BuildGauge()
                       .Name("crossfade_publisher_state")
                       .Help("1 for the publisher's current state")
                       .Register(metrics);
    for (std::size_t i = 0; i < states_.size(); ++i)
        states_[i] = &states.Add(labels(stream_, {{"state", std::string{to_string(static_cast<publisher_state>(i))}}}));
    auto& kept = prometheus::BuildGauge()
                     .Name("crossfade_slot_wal_status")
                     .Help("1 for what the source says of the slot's WAL")
                     .Register(metrics);
    for (std::size_t i = 0; i < wal_states_.size(); ++i)
        wal_states_[i] = &kept.Add(labels(stream_, {{"status", wal_states[i]}}));
    wal_left_.Set(std::numeric_limits<double>::infinity());
    auto& published = prometheus::BuildCounter()
                          .Name("crossfade_events_published_total")
                          .Help("Events given to Kafka, repeats after a reconnection included")
                          .Register(metrics);
    for (std::size_t i = 0; i < published_.size(); ++i)
        published_[i] = &published.Add(labels(stream_, {{"kind", kinds[i]}}));
    show(publisher_state::off);
}

void status_board::show(publisher_state state) {
    for (std::size_t i = 0; i < states_.size(); ++i) states_[i]->Set(static_cast<std::size_t>(state) == i ? 1 : 0);
    stopped_.Set(state == publisher_state::stopped ? 1 : 0);
}

publisher_status status_board::read() const {
    const std::lock_guard lock{guard_};
    return now_;
}

void status_board::enter(const setback& from) {
    const std::lock_guard lock{guard_};
    const bool news = now_.state != from.state || now_.reason != from.reason;
    now_.state = from.state;
    now_.reason = from.reason;
    now_.way_out = from.way_out;
    now_.unacknowledged_events = 0;
    unacknowledged_events_.Set(0);
    unacknowledged_bytes_.Set(0);
    show(from.state);
    if (!news) return;
    const auto level = from.state == publisher_state::stopped   ? spdlog::level::err
                       : from.state == publisher_state::waiting ? spdlog::level::warn
                                                                : spdlog::level::info;
    spdlog::log(level, "publisher of stream {}: {}{}{}{}{}", stream_, to_string(from.state),
                from.reason.empty() ? "" : ": ", from.reason, from.way_out.empty() ? "" : "; way out: ", from.way_out);
}

void status_board::enter_publishing(model::lsn confirmed) {
    const std::lock_guard lock{guard_};
    now_.state = publisher_state::publishing;
    now_.reason.clear();
    now_.way_out.clear();
    now_.confirmed_lsn = confirmed;
    show(publisher_state::publishing);
    spdlog::info("publisher of stream {}: publishing", stream_);
}

void status_board::blocked(const std::string& reason, const std::string& way_out) {
    const std::lock_guard lock{guard_};
    if (now_.reason.empty() && !reason.empty()) spdlog::warn("publisher of stream {}: {}", stream_, reason);
    if (!now_.reason.empty() && reason.empty()) spdlog::info("publisher of stream {}: goes on", stream_);
    now_.reason = reason;
    now_.way_out = way_out;
}

void status_board::progress(const publish::ack_tracker& acks, model::lsn server_end) {
    const std::lock_guard lock{guard_};
    if (acks.confirmed() > now_.confirmed_lsn) now_.confirmed_lsn = acks.confirmed();
    if (acks.published().value != 0) now_.published_lsn = acks.published();
    now_.unacknowledged_events = acks.unacknowledged_events();
    unacknowledged_events_.Set(static_cast<double>(acks.unacknowledged_events()));
    unacknowledged_bytes_.Set(static_cast<double>(acks.unacknowledged_bytes()));
    if (now_.confirmed_lsn.value != 0)
        lag_bytes_.Set(
            server_end > now_.confirmed_lsn ? static_cast<double>(server_end.value - now_.confirmed_lsn.value) : 0);
}

void status_board::published(const model::change_event& event) {
    published_[kind_of(event)]->Increment();
}

void status_board::heartbeat_failed() {
    heartbeat_failures_.Increment();
}

void status_board::retained(const kept_wal& now, std::size_t budget) {
    const std::lock_guard lock{guard_};
    now_.retained_wal_bytes = now.bytes;
    retained_bytes_.Set(static_cast<double>(now.bytes));
    retained_budget_.Set(static_cast<double>(budget));
    wal_left_.Set(now.left ? static_cast<double>(*now.left) : std::numeric_limits<double>::infinity());
    slot_idle_.Set(now.idle_seconds);
    for (std::size_t i = 0; i < wal_states_.size(); ++i) wal_states_[i]->Set(now.status == wal_states[i] ? 1 : 0);
}

void status_board::warn_of_wal(const std::string& reason, const std::string& way_out) {
    const std::lock_guard lock{guard_};
    now_.wal_warning = reason;
    now_.wal_way_out = way_out;
}

}  // namespace crossfade::proxy::capture
