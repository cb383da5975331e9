#include "cdc/apply/pipeline.hpp"

#include <poll.h>

#include <utility>

namespace crossfade::cdc::apply {

namespace {

using clock = std::chrono::steady_clock;
constexpr std::chrono::seconds answer_to_cancel{5};  // from a server that isn't there it never comes

}  // namespace

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
    if (next.copy) return copy(next);
    if (failed_) return;  // as a server leaves out what follows a failure
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
    std::optional<clock::time_point> cancelled;
    pgclient::silence_watch silence{over_};
    for (;;) {
        const int unsent = PQflush(conn);
        if (unsent < 0) return false;
        if (unsent == 0 && (!until_readable || PQisBusy(conn) == 0)) return true;
        pollfd wait{PQsocket(conn), static_cast<short>(POLLIN | (unsent == 1 ? POLLOUT : 0)), 0};
        const int ready = poll(&wait, 1, 100);
        if (ready > 0) silence.heard();
        if (ready == 0) {
            if (auto broken = silence.given_up()) {
                failed_ = std::move(*broken);
                return false;
            }
        }
        if (ready > 0 && (wait.revents & (POLLIN | POLLERR | POLLHUP)) != 0 && PQconsumeInput(conn) == 0) return false;
        if (ready == 0 && !cancelled && interrupted_ && interrupted_()) {
            cancelled = clock::now();
            over_.cancel();
        }
        if (ready == 0 && cancelled && clock::now() - *cancelled > answer_to_cancel) {
            over_.break_off();
            return false;
        }
    }
}

// A copy ends the pipeline, as libpq takes none within one, and what follows begins another.
void pipeline::copy(const statement& next) {
    settle();
    if (failed_) return;
    auto* conn = over_.native();
    const auto& data = *next.parameters.front();
    broken_ = PQsetnonblocking(conn, 1) != 0 || PQsendQuery(conn, next.sql.c_str()) != 1 || !pump(true);
    pgclient::rows got{broken_ ? nullptr : PQgetResult(conn)};
    if (PQresultStatus(got.native()) == PGRES_COPY_IN) {
        broken_ = PQputCopyData(conn, data.data(), static_cast<int>(data.size())) != 1 ||
                  PQputCopyEnd(conn, nullptr) != 1 || !pump(true);
        got = pgclient::rows{broken_ ? nullptr : PQgetResult(conn)};
    }
    if (!broken_ && PQresultStatus(got.native()) == PGRES_COMMAND_OK) {
        answers_.push_back({std::move(got), next.expected});
    } else if (!broken_) {
        failed_ = over_.failure_of(got.native());
    }
    while (!broken_) {
        if (!pump(true)) {
            broken_ = true;
        } else if (const pgclient::rows rest{PQgetResult(conn)}; rest.native() == nullptr) {
            break;
        }
    }
    broken_ = broken_ || PQsetnonblocking(conn, 0) != 0;
    note_break();
}

// Sends what there is and takes the answers.
void pipeline::settle() {
    if (!entered_) return;
    auto* conn = over_.native();
    const auto slots = std::exchange(slots_, {});
    broken_ = broken_ || PQpipelineSync(conn) != 1;

    for (const auto& each : slots) {
        if (broken_ || !pump(true)) break;
        pgclient::rows got{PQgetResult(conn)};
        if (got.native() == nullptr) {
            broken_ = true;
            break;
        }
        const auto status = PQresultStatus(got.native());
        if (status == PGRES_FATAL_ERROR && !failed_) failed_ = over_.failure_of(got.native());
        if (each.what == awaited::result && !failed_) answers_.push_back({std::move(got), each.expected});
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
    // What was prepared after a failure does not exist.
    if (failed_)
        for (const auto& sql : fresh_) prepared_.erase(sql);
    fresh_.clear();
    note_break();
}

void pipeline::note_break() {
    auto* conn = over_.native();
    if (PQstatus(conn) == CONNECTION_OK && !std::exchange(broken_, false)) return;
    broken_ = false;
    if (failed_ && failed_->connection_lost()) return;
    failed_ = over_.failure_of(nullptr);
    failed_->sqlstate = "08006";
    if (PQstatus(conn) == CONNECTION_OK) failed_->message = "the connection lost its place in the pipeline";
}

pgclient::result<std::vector<pipeline::answer>> pipeline::run(std::vector<answer>* before) {
    settle();
    auto answers = std::exchange(answers_, {});
    if (!failed_) return answers;
    if (before != nullptr) *before = std::move(answers);
    return *std::exchange(failed_, std::nullopt);
}

}  // namespace crossfade::cdc::apply
