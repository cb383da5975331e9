#include "cdc/apply/pipeline.hpp"

#include <poll.h>

#include <memory>
#include <utility>

namespace crossfade::cdc::apply {

pipeline::pipeline(pgclient::connection& over, std::function<bool()> interrupted)
    : over_(over), interrupted_(std::move(interrupted)) {}

// Between two runs the connection is an ordinary one, on which others may query.
void pipeline::enter() {
    auto* conn = over_.native();
    if (prepared_.size() >= most_prepared && PQtransactionStatus(conn) == PQTRANS_IDLE) {
        if (auto done = over_.exec("DEALLOCATE ALL"); done) prepared_.clear();
    }
    entered_ = true;
    // Non-blocking, as a server that waits for us to read its answers would otherwise wait for ever on us writing.
    broken_ = PQsetnonblocking(conn, 1) != 0 || PQenterPipelineMode(conn) != 1;
}

void pipeline::add(const statement& next) {
    if (!entered_) enter();
    auto* conn = over_.native();
    auto [known, fresh] = prepared_.try_emplace(next.sql);
    if (fresh) {
        known->second = "cf" + std::to_string(++names_);
        fresh_.push_back(next.sql);
        broken_ = broken_ || PQsendPrepare(conn, known->second.c_str(), next.sql.c_str(), 0, nullptr) != 1;
        slots_.push_back({awaited::prepare, std::nullopt});
    }
    std::vector<const char*> values;
    values.reserve(next.parameters.size());
    for (const auto& value : next.parameters) values.push_back(value ? value->c_str() : nullptr);
    broken_ = broken_ || PQsendQueryPrepared(conn, known->second.c_str(), static_cast<int>(values.size()),
                                             values.data(), nullptr, nullptr, 0) != 1;
    slots_.push_back({awaited::result, next.expected});
    // Lets the server begin while the rest is being made.
    broken_ = broken_ || PQflush(conn) < 0;
}

bool pipeline::pump(bool until_readable) {
    auto* conn = over_.native();
    bool cancelled = false;
    for (;;) {
        const int unsent = PQflush(conn);
        if (unsent < 0) return false;
        if (unsent == 0 && (!until_readable || PQisBusy(conn) == 0)) return true;
        pollfd wait{PQsocket(conn), static_cast<short>(POLLIN | (unsent == 1 ? POLLOUT : 0)), 0};
        const int ready = poll(&wait, 1, 100);
        if (ready > 0 && (wait.revents & (POLLIN | POLLERR | POLLHUP)) != 0 && PQconsumeInput(conn) == 0) return false;
        if (ready == 0 && !cancelled && interrupted_ && interrupted_()) {
            cancelled = true;
            const std::unique_ptr<PGcancel, void (*)(PGcancel*)> cancel{PQgetCancel(conn), &PQfreeCancel};
            char why[256];
            if (cancel) PQcancel(cancel.get(), why, sizeof why);
        }
    }
}

pgclient::result<std::vector<pipeline::answer>> pipeline::run(std::vector<answer>* before) {
    if (!entered_) return std::vector<answer>{};
    auto* conn = over_.native();
    const auto slots = std::exchange(slots_, {});
    broken_ = broken_ || PQpipelineSync(conn) != 1;

    std::vector<answer> answers;
    answers.reserve(slots.size());
    std::optional<pgclient::failure> failed;
    for (const auto& each : slots) {
        if (broken_ || !pump(true)) break;
        pgclient::rows got{PQgetResult(conn)};
        if (got.native() == nullptr) {
            broken_ = true;
            break;
        }
        const auto status = PQresultStatus(got.native());
        if (status == PGRES_FATAL_ERROR && !failed) {
            failed = over_.failure_of(got.native());
            if (before != nullptr) *before = std::exchange(answers, {});
        }
        if (each.what == awaited::result) answers.push_back({std::move(got), each.expected});
        // Each answer is followed by a null result.
        if (!pump(true)) {
            broken_ = true;
            break;
        }
        if (PQgetResult(conn) != nullptr) broken_ = true;
    }
    if (!broken_ && pump(true)) {
        const pgclient::rows sync{PQgetResult(conn)};
        broken_ = sync.native() == nullptr || PQresultStatus(sync.native()) != PGRES_PIPELINE_SYNC;
    }
    entered_ = false;
    broken_ = broken_ || PQexitPipelineMode(conn) != 1 || PQsetnonblocking(conn, 0) != 0;
    if (PQstatus(conn) != CONNECTION_OK || broken_) {
        if (failed && failed->connection_lost()) return *failed;
        auto lost = over_.failure_of(nullptr);
        lost.sqlstate = "08006";
        if (PQstatus(conn) == CONNECTION_OK) lost.message = "the connection lost its place in the pipeline";
        return lost;
    }
    if (failed) {
        // What was prepared after the failure does not exist.
        for (const auto& sql : fresh_) prepared_.erase(sql);
        fresh_.clear();
        return *failed;
    }
    fresh_.clear();
    return answers;
}

}  // namespace crossfade::cdc::apply
