#include "proxy/admin/drift_ledger.hpp"

#include <utility>

namespace crossfade::proxy::admin {
namespace {

using console::drift_facts;
using console::instant;

constexpr const char* sums =
    "SELECT tenant, table_name, kind, state, count(*),"
    " (extract(epoch FROM min(first_seen)) * 1000000)::bigint, (extract(epoch FROM max(last_seen)) * 1000000)::bigint"
    " FROM crossfade.drift WHERE stream = $1 GROUP BY 1, 2, 3, 4 ORDER BY 1, 2, 3, 4 LIMIT $2";

std::optional<instant> time_at(const pgclient::rows& rows, int row, int column) {
    const auto micros = rows.integer(row, column);
    if (!micros) return std::nullopt;
    return instant{std::chrono::microseconds{*micros}};
}

}  // namespace

drift_ledger::drift_ledger(std::string dsn, std::string stream)
    : dsn_(std::move(dsn)), stream_(std::move(stream)), thread_([this] { work(); }) {}

void drift_ledger::stop() {
    {
        const std::lock_guard alone(mutex_);
        ending_ = true;
    }
    changed_.notify_all();
    if (thread_.joinable()) thread_.join();
}

void drift_ledger::read(std::chrono::milliseconds timeout, unsigned most_rows, taker then) {
    {
        const std::lock_guard alone(mutex_);
        if (waiting_.size() < most_waiting) {
            waiting_.push_back({timeout, most_rows, std::move(then)});
            changed_.notify_all();
            return;
        }
    }
    then(pgclient::failure{
        .sqlstate = "53000", .message = "others are asking already", .table = {}, .column = {}, .constraint = {}});
}

void drift_ledger::work() {
    std::unique_lock lock(mutex_);
    for (;;) {
        changed_.wait(lock, [this] { return ending_ || !waiting_.empty(); });
        if (waiting_.empty()) return;
        const auto next = std::move(waiting_.front());
        waiting_.pop_front();
        const bool too_late = ending_;
        lock.unlock();
        next.then(too_late ? found{pgclient::failure{.sqlstate = "57P01",
                                                     .message = "the proxy is ending",
                                                     .table = {},
                                                     .column = {},
                                                     .constraint = {}}}
                           : look(next));
        lock.lock();
    }
}

drift_ledger::found drift_ledger::look(const errand& wanted) const {
    const auto seconds = std::chrono::ceil<std::chrono::seconds>(wanted.timeout);
    auto opened = pgclient::connection::open(dsn_, {.application_name = "crossfade-proxy console",
                                                    .connect_timeout = std::max(seconds, decltype(seconds){2}),
                                                    .silence = wanted.timeout});
    if (!opened) return opened.error();
    const auto bounded = opened->exec("SET statement_timeout = " + std::to_string(wanted.timeout.count()));
    if (!bounded) return bounded.error();
    const auto rows = opened->exec(sums, {stream_, std::to_string(wanted.most_rows)});
    if (!rows) return rows.error();
    std::vector<drift_facts> all;
    for (int row = 0; row < rows->size(); ++row)
        all.push_back({std::string{rows->text(row, 0)}, std::string{rows->text(row, 1)},
                       std::string{rows->text(row, 2)}, std::string{rows->text(row, 3)},
                       rows->integer(row, 4).value_or(0), time_at(*rows, row, 5), time_at(*rows, row, 6)});
    return all;
}

}  // namespace crossfade::proxy::admin
