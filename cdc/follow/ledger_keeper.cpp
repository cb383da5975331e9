#include "cdc/follow/ledger_keeper.hpp"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <array>

#include "lib/failpoint/failpoint.hpp"
#include "lib/pgwire/array_literal.hpp"
#include "lib/store/schema.hpp"

namespace crossfade::cdc::follow {

namespace {

constexpr std::chrono::milliseconds interval{5000};
constexpr int letters_at_a_time = 100;
constexpr int most_series = 1000;
constexpr std::chrono::seconds delivery_timeout{10};
constexpr std::size_t most_named = 20;

std::string ids_of(const std::set<std::int64_t>& letters) {
    pgwire::array_literal ids;
    for (const auto id : letters) ids.add(std::to_string(id));
    return ids.take();
}

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
        } else if (db) {
            // Another brings them, and says so.
            too_large_.clear();
            measured_.dead_letters_too_large.Set(0);
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

// What was discarded, replayed or copied meanwhile counts no more.
pgclient::result<void> ledger_keeper::forget_gone(pgclient::connection& db) {
    if (!too_large_.empty()) {
        auto left =
            db.exec("SELECT id FROM crossfade.dead_letters WHERE id = ANY ($1::bigint[])", {ids_of(too_large_)});
        if (!left) return left.error();
        too_large_.clear();
        for (int i = 0; i < left->size(); ++i) too_large_.insert(left->integer(i, 0).value_or(0));
    }
    measured_.dead_letters_too_large.Set(static_cast<double>(too_large_.size()));
    return {};
}

void ledger_keeper::leave_out(std::int64_t id, std::string_view table) {
    too_large_.insert(id);
    measured_.dead_letters_too_large.Set(static_cast<double>(too_large_.size()));
    if (too_large_.size() > most_named) return;
    spdlog::warn(
        "dead letter {} of {} is larger than topic {} takes, and is in crossfade.dead_letters alone: raise"
        " max.message.bytes of the topic, and start crossfade-cdc again",
        id, table, config_.stream.dead_letter_topic());
}

ledger_keeper::sending ledger_keeper::send(const pgclient::rows& letters, const std::stop_token& stopping) {
    sending made;
    const auto failed = [&](const kafka::failure& of) {
        made.why = kafka::to_string(of);
        made.too_large = kafka::cause(of) == RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE;
    };
    if (!producer_) {
        auto opened = kafka::producer::open(config_.kafka, letters_at_a_time * 2);
        if (!opened) {
            failed(opened.error());
            return made;
        }
        producer_ = std::make_unique<kafka::producer>(std::move(*opened));
    }
    for (int i = 0; i < letters.size(); ++i) {
        const auto id = letters.integer(i, 0).value_or(0);
        const std::array<kafka::producer::header, 2> headers{
            {{"crossfade-sqlstate", letters.text(i, 2)}, {"crossfade-reason", letters.text(i, 3)}}};
        auto queued = producer_->produce(config_.stream.dead_letter_topic(), 0, letters.text(i, 4), letters.bytes(i, 1),
                                         headers, static_cast<std::uint64_t>(id));
        if (queued) continue;
        // Nothing was sent of it, and the others go on.
        if (queued.error().local && queued.error().code == RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE)
            leave_out(id, letters.text(i, 4));
        else
            failed(queued.error());
    }
    const auto until = std::chrono::steady_clock::now() + delivery_timeout;
    while (producer_->unacknowledged() > 0 && made.why.empty() && !stopping.stop_requested()) {
        auto delivered = producer_->poll(std::chrono::milliseconds{200});
        if (!delivered) {
            failed(delivered.error());
            break;
        }
        for (const auto& each : *delivered) {
            if (each.acknowledged)
                made.acknowledged.insert(static_cast<std::int64_t>(each.sequence));
            else
                failed(each.error);
        }
        if (std::chrono::steady_clock::now() > until && made.why.empty()) made.why = "the broker does not answer";
    }
    return made;
}

pgclient::result<bool> ledger_keeper::publish_letters(const std::stop_token& stopping, pgclient::connection& db) {
    if (auto left = forget_gone(db); !left) return left.error();
    int one_by_one = 0;
    while (!stopping.stop_requested()) {
        auto got = db.exec(
            "SELECT id, event, sqlstate, reason, table_name FROM crossfade.dead_letters"
            " WHERE stream = $1 AND published_at IS NULL AND id <> ALL ($2::bigint[]) ORDER BY id LIMIT " +
                std::to_string(one_by_one > 0 ? 1 : letters_at_a_time),
            {config_.stream.name, ids_of(too_large_)});
        if (!got) return got.error();
        if (got->empty()) return true;
        one_by_one = std::max(one_by_one - 1, 0);

        const auto left_out = too_large_.size();
        const auto sent = send(*got, stopping);
        failpoint::pass("letters.sent");
        auto marked = db.exec("UPDATE crossfade.dead_letters SET published_at = now() WHERE id = ANY ($1::bigint[])",
                              {ids_of(sent.acknowledged)});
        if (!marked) return marked.error();
        if (sent.why.empty()) {
            said_.clear();
            if (sent.acknowledged.empty() && too_large_.size() == left_out) return false;  // the producer is full
            continue;
        }
        if (producer_) producer_->abandon();
        producer_.reset();
        if (!sent.too_large) {
            if (sent.why != std::exchange(said_, sent.why))
                spdlog::warn("dead letters wait for their topic: {}", sent.why);
            return false;
        }
        // Those that are sent together fail together.
        if (got->size() == 1)
            leave_out(got->integer(0, 0).value_or(0), got->text(0, 4));
        else
            one_by_one = letters_at_a_time;
    }
    return false;
}

}  // namespace crossfade::cdc::follow
