#include "proxy/capture/source_monitor.hpp"

#include <spdlog/spdlog.h>

#include <array>

#include "lib/pgoutput/assembler.hpp"

namespace crossfade::proxy::capture {

namespace {

using clock = std::chrono::steady_clock;
constexpr std::chrono::seconds patience{5};  // for one answer
// WAL of other tables moves no slot: a heartbeat behind so much of it does. Looked at so often that a server that
// writes 100 MiB a second writes as much between two looks.
constexpr std::chrono::milliseconds wal_interval{40};
constexpr std::size_t most_wal = std::size_t{4} << 20;

bool server_is_leaving(const pgclient::failure& what) {
    return what.sqlstate == "57P01" || what.sqlstate == "57P02" || what.sqlstate == "57P03";
}

}  // namespace

source_monitor::source_monitor(pgclient::connection connection, const settings::configuration& config,
                               status_board& board)
    : config_(config), board_(board), connection_(std::move(connection)), thread_([this] { run(); }) {}

source_monitor::~source_monitor() {
    stop_.raise();
    thread_.join();
}

void source_monitor::run() noexcept {
    try {
        auto next_beat = clock::now();
        for (;;) {
            const auto due = std::min(next_beat, clock::now() + wal_interval);
            if (stop_.wait(std::chrono::ceil<std::chrono::milliseconds>(due - clock::now()))) return;
            if (!connection_) reopen();
            // From now, not from when it was due: what was missed is not made up for.
            if (clock::now() >= next_beat) {
                beat("");
                next_beat = clock::now() + config_.stream.heartbeat_interval;
            } else {
                beat_behind_much_wal();
            }
        }
    } catch (const std::exception& failed) {
        spdlog::error("heartbeats of stream {} have ended: {}", config_.stream.name, failed.what());
    }
}

void source_monitor::reopen() {
    pgclient::open_options options;
    options.application_name = "crossfade-heartbeat";
    auto opened = pgclient::connection::open(config_.legacy.dsn, options);
    if (!opened) return note(opened.error(), false);
    connection_.emplace(std::move(*opened));
}

void source_monitor::beat(const std::string& condition) {
    // Not transactional: a transaction is needed by none, and this one reaches the stream without a commit.
    static const std::string sql = "SELECT pg_logical_emit_message(false, " +
                                   pgclient::quote_literal(pgoutput::heartbeat_prefix) +
                                   ", (extract(epoch FROM clock_timestamp()) * 1000000)::bigint::text)";
    std::optional<pgclient::rows> answer;
    note(ask(sql + condition, answer), true);
    if (answer && answer->size() == 1) last_beat_ = answer->text(0, 0);
}

void source_monitor::beat_behind_much_wal() {
    if (last_beat_.empty()) return;
    beat(" WHERE pg_wal_lsn_diff(pg_current_wal_insert_lsn(), " + pgclient::quote_literal(last_beat_) + ") > " +
         std::to_string(most_wal));
}

std::optional<pgclient::failure> source_monitor::ask(const std::string& sql, std::optional<pgclient::rows>& answer) {
    if (!connection_) return std::nullopt;  // said when it was lost
    auto* const conn = connection_->native();
    const auto deadline = clock::now() + patience;
    if (PQsendQuery(conn, sql.c_str()) == 0) return connection_->failure_of(nullptr);
    while (PQisBusy(conn) != 0) {
        const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - clock::now());
        if (left.count() <= 0) return pgclient::failure{"08006", "no answer in time", {}, {}, {}};
        std::array<pollfd, 2> waited{{{PQsocket(conn), POLLIN, 0}, {stop_.fd(), POLLIN, 0}}};
        ::poll(waited.data(), waited.size(), static_cast<int>(left.count()));
        if ((waited[1].revents & POLLIN) != 0) return std::nullopt;
        if (waited[0].revents != 0 && PQconsumeInput(conn) == 0) return connection_->failure_of(nullptr);
    }
    std::optional<pgclient::failure> failed;
    while (auto* const one = PQgetResult(conn)) {
        pgclient::rows got{one};
        if (PQresultStatus(one) == PGRES_TUPLES_OK) {
            answer.emplace(std::move(got));
        } else {
            failed = connection_->failure_of(one);
        }
    }
    return failed;
}

void source_monitor::note(const std::optional<pgclient::failure>& failed, bool heartbeat) {
    if (!failed) {
        if (connection_) in_trouble_ = false;
        return;
    }
    if (heartbeat) board_.heartbeat_failed();
    if (!in_trouble_) spdlog::warn("heartbeats of stream {}: {}", config_.stream.name, pgclient::to_string(*failed));
    in_trouble_ = true;
    if (server_is_leaving(*failed)) server_leaves_.raise();
    if (failed->connection_lost()) connection_.reset();
}

}  // namespace crossfade::proxy::capture
