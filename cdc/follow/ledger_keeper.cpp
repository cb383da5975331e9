#include "cdc/follow/ledger_keeper.hpp"

#include <spdlog/spdlog.h>

#include <array>
#include <map>

#include "lib/failpoint/failpoint.hpp"
#include "lib/pgwire/array_literal.hpp"
#include "lib/store/schema.hpp"

namespace crossfade::cdc::follow {

namespace {

constexpr std::chrono::milliseconds interval{5000};
constexpr int letters_at_a_time = 100;
constexpr int most_series = 1000;
constexpr std::chrono::seconds delivery_timeout{10};

}  // namespace

ledger_keeper::ledger_keeper(settings::configuration config, status_board& board, metrics& measured)
    : config_(std::move(config)), board_(board), measured_(measured) {}

void ledger_keeper::start() {
    thread_ = std::jthread{[this](const std::stop_token& stopping) { run(stopping); }};
}

void ledger_keeper::stop() {
    if (!thread_.joinable()) return;
    thread_.request_stop();
    thread_.join();
}

void ledger_keeper::run(const std::stop_token& stopping) {
    std::optional<pgclient::connection> db;
    pgclient::open_options options;
    options.application_name = "crossfade-cdc ledger";
    options.silence = config_.stream.silence_timeout;
    while (!stopping.stop_requested()) {
        if (!db) {
            mine_ = false;
            if (auto opened = pgclient::connection::open(config_.modern.dsn, options)) db.emplace(std::move(*opened));
        }
        if (db) {
            // Without the schema, or the database, the follower says so; here it is only tried again.
            if (!count_drift(*db)) db.reset();
        }
        if (db && is_mine(*db)) {
            const auto published = publish_letters(stopping, *db);
            if (!published) db.reset();
        }
        wait_.wait(stopping, interval);
    }
    if (producer_) producer_->abandon();
}

pgclient::result<void> ledger_keeper::count_drift(pgclient::connection& db) {
    auto got = db.exec(
        "SELECT tenant, table_name, kind, state, count(*) FROM crossfade.drift WHERE stream = $1"
        " GROUP BY 1, 2, 3, 4 ORDER BY 5 DESC LIMIT " +
            std::to_string(most_series),
        {config_.stream.name});
    if (!got) return got.error();
    std::vector<drift_count> counts;
    counts.reserve(static_cast<std::size_t>(got->size()));
    for (int i = 0; i < got->size(); ++i) {
        counts.push_back({std::string{got->text(i, 0)}, std::string{got->text(i, 1)}, std::string{got->text(i, 2)},
                          std::string{got->text(i, 3)}, got->integer(i, 4).value_or(0)});
    }
    auto letters = db.exec("SELECT count(*) FROM crossfade.dead_letters WHERE stream = $1", {config_.stream.name});
    if (!letters) return letters.error();
    auto paused = db.exec(
        "SELECT count(DISTINCT table_name), (SELECT count(*) FROM crossfade.dead_letters l WHERE l.stream = $1"
        " AND l.operation <> 'ddl' AND l.table_name IN (SELECT table_name FROM crossfade.dead_letters WHERE stream = $1"
        " AND operation = 'ddl')) FROM crossfade.dead_letters WHERE stream = $1 AND operation = 'ddl'",
        {config_.stream.name});
    if (!paused) return paused.error();
    measured_.paused(paused->integer(0, 0).value_or(0), paused->integer(0, 1).value_or(0));
    measured_.drift(counts);
    measured_.dead_letters_waiting.Set(static_cast<double>(letters->integer(0, 0).value_or(0)));
    board_.update([&](follower_status& status) {
        status.drift = counts;
        status.dead_letters = letters->integer(0, 0).value_or(0);
    });
    return {};
}

bool ledger_keeper::is_mine(pgclient::connection& db) {
    if (!config_.stream.by_key()) return board_.read().now != follower_state::standby;
    if (mine_) return true;
    const auto locked = db.exec("SELECT pg_try_advisory_lock($1::int, $2::int)",
                                store::lock_key(store::lock::dead_letters, config_.stream.name));
    mine_ = locked && locked->boolean(0, 0);
    return mine_;
}

pgclient::result<bool> ledger_keeper::publish_letters(const std::stop_token& stopping, pgclient::connection& db) {
    while (!stopping.stop_requested()) {
        auto got = db.exec(
            "SELECT id, event, sqlstate, reason, table_name FROM crossfade.dead_letters"
            " WHERE stream = $1 AND published_at IS NULL ORDER BY id LIMIT " +
                std::to_string(letters_at_a_time),
            {config_.stream.name});
        if (!got) return got.error();
        if (got->empty()) return true;

        std::string why;
        std::map<std::uint64_t, bool> acknowledged;
        if (!producer_) {
            auto made = kafka::producer::open(config_.kafka, letters_at_a_time * 2);
            if (made) {
                producer_ = std::make_unique<kafka::producer>(std::move(*made));
            } else {
                why = kafka::to_string(made.error());
            }
        }
        for (int i = 0; producer_ && i < got->size(); ++i) {
            const std::array<kafka::producer::header, 2> headers{
                {{"crossfade-sqlstate", got->text(i, 2)}, {"crossfade-reason", got->text(i, 3)}}};
            auto queued = producer_->produce(config_.stream.dead_letter_topic(), 0, got->text(i, 4), got->bytes(i, 1),
                                             headers, static_cast<std::uint64_t>(got->integer(i, 0).value_or(0)));
            if (!queued) why = kafka::to_string(queued.error());
        }
        const auto until = std::chrono::steady_clock::now() + delivery_timeout;
        while (producer_ && producer_->unacknowledged() > 0 && why.empty() && !stopping.stop_requested()) {
            auto delivered = producer_->poll(std::chrono::milliseconds{200});
            if (!delivered) {
                why = kafka::to_string(delivered.error());
                break;
            }
            for (const auto& each : *delivered) {
                if (each.acknowledged) {
                    acknowledged[each.sequence] = true;
                } else {
                    why = kafka::to_string(each.error);
                }
            }
            if (std::chrono::steady_clock::now() > until) why = "the broker does not answer";
        }
        failpoint::pass("letters.sent");
        pgwire::array_literal ids;
        for (const auto& [id, done] : acknowledged) ids.add(std::to_string(id));
        auto marked = db.exec("UPDATE crossfade.dead_letters SET published_at = now() WHERE id = ANY ($1::bigint[])",
                              {ids.take()});
        if (!marked) return marked.error();
        if (!why.empty()) {
            if (producer_) producer_->abandon();
            producer_.reset();
            if (why != std::exchange(said_, why)) spdlog::warn("dead letters wait for their topic: {}", why);
            return false;
        }
        said_.clear();
    }
    return false;
}

}  // namespace crossfade::cdc::follow
