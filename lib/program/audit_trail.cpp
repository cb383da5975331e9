#include "lib/program/audit_trail.hpp"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>
#include <utility>

#include "lib/retry/backoff.hpp"
#include "lib/settings/turned.hpp"

namespace crossfade::program {
namespace {

using namespace std::chrono_literals;

// For each of the steps at each of the two databases: connection and statement.
constexpr std::chrono::seconds patience{3};
// An entry's time is that of its being written; from here on it says how much earlier that was which it tells of.
constexpr std::chrono::seconds worth_saying{2};
// Nothing is begun any more so long after stop().
constexpr std::chrono::seconds farewell{5};
// A reload can change a thousand keys; the log has them all.
constexpr std::size_t most_lines = 200;

boost::json::array lines(const std::vector<std::string>& of) {
    boost::json::array all;
    for (const auto& each : of) {
        if (all.size() == most_lines) {
            all.emplace_back("and " + std::to_string(of.size() - most_lines) + " more");
            break;
        }
        all.emplace_back(each);
    }
    return all;
}

}  // namespace

audit_trail::audit_trail(std::string program, std::function<settings::snapshot()> in_force,
                         prometheus::Registry& registry)
    : program_(std::move(program)),
      in_force_(std::move(in_force)),
      lost_(prometheus::BuildCounter()
                .Name("crossfade_audit_lost_total")
                .Help("Entries of the audit log that could not be written.")
                .Register(registry)
                .Add({})),
      number_(prometheus::BuildGauge()
                  .Name("crossfade_audit_waiting")
                  .Help("Entries of the audit log that are not written yet.")
                  .Register(registry)
                  .Add({})),
      thread_([this] { work(); }) {}

void audit_trail::stop() {
    {
        const std::lock_guard alone(mutex_);
        ending_ = true;
        if (!until_) until_ = clock::now() + farewell;
    }
    changed_.notify_all();
    if (thread_.joinable()) thread_.join();
}

void audit_trail::note(store::audit_entry entry) {
    entry.stream = in_force_()->config.stream.name;
    entry.program = program_;
    waiting next{std::move(entry), clock::now()};
    std::unique_lock lock(mutex_);
    if (ending_ || waiting_.size() == most_waiting) {
        lock.unlock();
        return lose(next, "too many are waiting already, or the program is ending");
    }
    waiting_.push_back(std::move(next));
    number_.Set(static_cast<double>(waiting_.size()));
    lock.unlock();
    changed_.notify_all();
}

void audit_trail::note_reload(std::string_view trigger, std::string_view by, const settings::reload_report& report) {
    if (report.outcome == settings::reload_outcome::unchanged) return;
    boost::json::object after{{"epoch", report.epoch}, {"changes", lines(report.changes)}};
    if (!report.restart.empty()) after["at_the_next_start"] = lines(report.restart);
    if (!report.problems.empty()) after["problems"] = lines(report.problems);
    note({.stream = {},
          .by_whom = std::string{by},
          .program = {},
          .action = "flags reload",
          .scope = "by " + std::string{trigger},
          .reason = {},
          .before_json = {},
          .after_json = boost::json::serialize(after),
          .outcome = std::string{settings::to_string(report.outcome)}});
}

void audit_trail::work() {
    retry::backoff pauses{1s, 30s};
    std::unique_lock lock(mutex_);
    for (;;) {
        changed_.wait(lock, [this] { return ending_ || !waiting_.empty(); });
        if (waiting_.empty()) return;
        // Stays where it is meanwhile: what waits is counted, and nobody else takes from the front.
        const auto& next = waiting_.front();
        const bool last_try = ending_;
        const bool too_late = until_ && clock::now() > *until_;
        lock.unlock();
        auto became = too_late ? fate::later : bring(next);
        if (became == fate::later && last_try) {
            lose(next, "the program is ending");
            became = fate::never;
        }
        lock.lock();
        if (became == fate::later) {
            changed_.wait_for(lock, pauses.next(), [this] { return ending_; });
            continue;
        }
        pauses.reset();
        waiting_.pop_front();
        number_.Set(static_cast<double>(waiting_.size()));
    }
}

audit_trail::fate audit_trail::bring(const waiting& next) {
    auto entry = next.entry;
    const auto late = std::chrono::floor<std::chrono::seconds>(clock::now() - next.since);
    if (late >= worth_saying) entry.outcome += " (" + std::to_string(late.count()) + " s before it was written)";

    const auto now = in_force_();
    const auto& config = now->config;
    const auto first = config.authority();
    const auto second = settings::other(first);
    const auto refused = write(config.database_of(first).dsn, entry);
    if (!refused) return fate::kept;
    const auto refused_too = write(config.database_of(second).dsn, entry);
    if (!refused_too) return fate::kept;
    if (refused->transient() || refused_too->transient()) return fate::later;
    lose(next, to_string(*refused) + (store::audit_is_missing(*refused) ? "; crossfade init makes it" : ""));
    return fate::never;
}

std::optional<pgclient::failure> audit_trail::write(const std::string& dsn, const store::audit_entry& entry) const {
    auto opened = pgclient::connection::open(
        dsn, {.application_name = "crossfade audit", .connect_timeout = patience, .silence = patience});
    if (!opened) return opened.error();
    const auto bounded = opened->exec("SET statement_timeout = '" + std::to_string(patience.count()) + "s'");
    if (!bounded) return bounded.error();
    const auto written = store::append_audit(*opened, entry);
    return written ? std::nullopt : std::optional{written.error()};
}

void audit_trail::lose(const waiting& next, std::string_view why) {
    lost_.Increment();
    spdlog::error("no entry in crossfade.audit of {} by {}: {}", next.entry.action,
                  next.entry.by_whom.empty() ? "somebody" : next.entry.by_whom, why);
}

}  // namespace crossfade::program
