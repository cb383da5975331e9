#include "proxy/capture/slot_watch.hpp"

#include <spdlog/spdlog.h>

namespace crossfade::proxy::capture {

namespace {

using namespace std::chrono_literals;

constexpr auto interval = 3s;
constexpr auto patience = 4s;         // for one answer
constexpr auto next_attempt = 200ms;  // to drop a slot that somebody reads

}  // namespace

slot_watch::slot_watch(const settings::configuration& config, status_board& board) : config_(config), board_(board) {}

slot_watch::~slot_watch() {
    stop_.raise();
    if (thread_.joinable()) thread_.join();
}

void slot_watch::start() {
    if (!thread_.joinable()) thread_ = std::thread([this] { run(); });
}

std::optional<setback> slot_watch::verdict() const {
    const std::lock_guard lock{guard_};
    return verdict_;
}

void slot_watch::forget_verdict() {
    const std::lock_guard lock{guard_};
    if (!dropping_) verdict_.reset();
}

void slot_watch::run() noexcept {
    try {
        do {
            look();
        } while (!stop_.wait(dropping_ ? std::chrono::milliseconds{next_attempt} : interval));
    } catch (const std::exception& failed) {
        spdlog::error("nobody looks at slot {} any more: {}", config_.stream.slot(), failed.what());
    }
}

void slot_watch::look() {
    if (!connection_) {
        pgclient::open_options options;
        options.application_name = "crossfade-slot-watch";
        options.silence = patience;
        auto opened = pgclient::connection::open(config_.legacy.dsn, options);
        if (!opened) return;  // the publisher says it
        connection_.emplace(std::move(*opened));
    }
    const auto answer = connection_->exec(kept_wal_query(config_.stream));
    if (!answer) return connection_.reset();
    const auto found = read_kept_wal(*answer);
    dropping_ = dropping_ && found;
    board_.retained(found.value_or(kept_wal{}), config_.stream.retained_wal_budget);
    const auto warning = found ? judge_wal(*found, config_) : wal_warning{};
    say(warning);
    if (warning.over_budget && config_.stream.retained_wal_action == settings::wal_action::drop_slot) drop(*found);
}

void slot_watch::say(const wal_warning& found) {
    board_.warn_of_wal(found.reason, found.way_out);
    const auto kind = found.over_budget ? "budget" : found.reason;
    if (kind == said_) return;
    said_ = kind;
    if (found.reason.empty()) {
        spdlog::info("slot {}: {} keeps no more WAL for it than it may", config_.stream.slot(), config_.source_name());
    } else {
        spdlog::error("{}; {}", found.reason, found.way_out);
    }
}

void slot_watch::drop(const kept_wal& of) {
    dropping_ = true;  // before the verdict, which is not to be forgotten meanwhile
    {
        const std::lock_guard lock{guard_};
        if (!verdict_) verdict_ = dropped(of, config_);
    }
    const auto name = pgclient::quote_literal(config_.stream.slot());
    if (of.reader != 0) {
        // A reader of ours, here or in another proxy: the role is the same.
        const auto ended = connection_->exec(
            "SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots"
            " WHERE slot_name = " +
            name + " AND active_pid IS NOT NULL");
        if (!ended)
            spdlog::error("slot {}: its reader can't be ended: {}", config_.stream.slot(), to_string(ended.error()));
    }
    const auto done = connection_->exec("SELECT pg_drop_replication_slot(" + name + ')');
    dropping_ = !done;
    if (done) {
        spdlog::error("slot {} was dropped: it kept {} MiB of WAL on {}", config_.stream.slot(), of.bytes >> 20U,
                      config_.source_name());
    } else if (done.error().sqlstate != "55006" /* object_in_use: once more */) {
        spdlog::error("slot {} can't be dropped: {}", config_.stream.slot(), to_string(done.error()));
    }
}

}  // namespace crossfade::proxy::capture
