#include "proxy/admin/operator_desk.hpp"

#include <spdlog/spdlog.h>

#include <boost/asio/post.hpp>
#include <numeric>
#include <tuple>
#include <utility>

namespace crossfade::proxy::admin {
namespace {

namespace commands = console::commands;
using console::answer;
using console::done;
using console::failure;
using console::instant;
using std::chrono::microseconds;

constexpr std::chrono::seconds sampling_period{60};
// A reload can change a thousand keys; an operator reads the first of them.
constexpr std::size_t most_notices = 50;

instant now() {
    return std::chrono::floor<microseconds>(std::chrono::system_clock::now());
}

console::traffic sums_of(const frontend::totals& from) {
    console::traffic sums;
    for (const auto& each : from.by_strategy) {
        sums.transactions += each.transactions;
        sums.queries += std::accumulate(each.query_buckets.begin(), each.query_buckets.end(), std::uint64_t{0});
        sums.query_time += std::chrono::floor<microseconds>(std::chrono::nanoseconds{each.query_nanoseconds});
    }
    sums.bytes_from_clients = from.bytes_to_server;
    sums.bytes_to_clients = from.bytes_to_client;
    return sums;
}

console::stream_facts stream_of(const std::string& name, const capture::publisher_status& status) {
    return {.name = name,
            .state = std::string{capture::to_string(status.state)},
            .reason = status.reason,
            .way_out = status.way_out,
            .confirmed_lsn = model::to_string(status.confirmed_lsn),
            .published_lsn = model::to_string(status.published_lsn),
            .unacknowledged_events = status.unacknowledged_events,
            .retained_wal_bytes = status.retained_wal_bytes};
}

// What is ordered, and what it is about; of what is neither a question nor a reload.
std::pair<std::string, std::string> named(const console::request& of) {
    const auto held = [](const console::scope& what) {
        const auto names = console::to_string(what);
        return names.empty() ? std::string{"everything"} : names;
    };
    if (const auto* killed = std::get_if<commands::kill>(&of.what))
        return {"kill", "session " + std::to_string(killed->session)};
    if (const auto* paused = std::get_if<commands::pause>(&of.what)) return {"pause", held(paused->what)};
    if (const auto* resumed = std::get_if<commands::resume>(&of.what)) return {"resume", held(resumed->what)};
    return {"shutdown", "the proxy"};
}

void add_notices(std::vector<std::string>& to, const std::string& what, const std::vector<std::string>& all) {
    for (const auto& each : all) {
        if (to.size() == most_notices) {
            to.emplace_back("and more: the log has all of it");
            return;
        }
        if (to.size() < most_notices) to.push_back(what + each);
    }
}

}  // namespace

operator_desk::operator_desk(boost::asio::io_context& home, frontend::front& front,
                             program::configuration_reload& reload, program::audit_trail& trail,
                             const capture::stream_publisher* publisher, prometheus::Registry& registry,
                             std::function<void(console::shutdown_waits_for)> shut_down)
    : home_(home),
      front_(front),
      reload_(reload),
      trail_(trail),
      publisher_(publisher),
      shut_down_(std::move(shut_down)),
      pauses_(home, front, registry),
      ledger_(reload.current()->config.modern.dsn, reload.current()->config.stream.name),
      older_{now(), {}},
      newer_(older_),
      sampling_(home) {
    keep_sample();
}

void operator_desk::keep_sample() {
    sampling_.expires_after(sampling_period);
    sampling_.async_wait([this](boost::system::error_code cancelled) {
        if (cancelled) return;
        older_ = std::exchange(newer_, {now(), sums_of(front_.traffic())});
        keep_sample();
    });
}

console::traffic_facts operator_desk::traffic() const {
    return {.database = "*", .now = sums_of(front_.traffic()), .before = older_.sums, .apart = now() - older_.at};
}

void operator_desk::carry_out(console::request what, std::function<void(answer)> then) {
    boost::asio::post(home_, [this, what = std::move(what), then = std::move(then)]() mutable {
        if (const auto* asked = std::get_if<console::ask_facts>(&what.what))
            return look_up(asked->what, std::move(then));
        if (std::holds_alternative<commands::reload>(what.what)) return then(do_reload(what.by));
        then = audited(what, std::move(then));
        if (const auto* killed = std::get_if<commands::kill>(&what.what)) {
            spdlog::warn("console: {} ends session {}", what.by, killed->session);
            return kill(killed->session, std::move(then));
        }
        if (const auto* how = std::get_if<commands::shutdown>(&what.what)) {
            spdlog::warn("console: {} shuts the proxy down", what.by);
            then(done{});
            return shut_down_(how->what);
        }
        if (auto* held = std::get_if<commands::pause>(&what.what))
            return pauses_.begin(std::move(held->what), std::move(what.by), reload_.current()->config, std::move(then));
        then(pauses_.end(std::get<commands::resume>(what.what).what));
    });
}

void operator_desk::look_up(console::subject what, taker then) {
    const auto wanted = console::needs_of(what);
    auto told = std::make_shared<console::facts>();
    told->now = now();
    told->in_force = reload_.current();
    if (wanted.holds) told->holds = pauses_.in_force();
    const auto& config = told->in_force->config;
    if (wanted.traffic) told->traffic = {traffic()};
    if (wanted.stream && publisher_ != nullptr) told->stream = stream_of(config.stream.name, publisher_->status());
    if (wanted.limits) told->limits = front_.limits();
    if (wanted.memory) told->memory = front_.memory();
    if (wanted.limits && publisher_ != nullptr)
        told->limits.push_back({.name = "unacknowledged events",
                                .unit = "events",
                                .used = publisher_->status().unacknowledged_events,
                                .most_used = std::nullopt,
                                .limit = config.proxy.max_unacknowledged_events,
                                .setting = "proxy.max_unacknowledged_events"});
    if (wanted.sessions) return add_sessions(wanted, std::move(told), std::move(then));
    add_drift(wanted, std::move(told), then);
}

void operator_desk::add_sessions(console::needs wanted, shared_facts into, taker then) {
    front_.list_sessions(
        [this, wanted, into = std::move(into), then = std::move(then)](std::vector<console::session_facts> all) {
            into->sessions = std::move(all);
            add_drift(wanted, into, then);
        });
}

void operator_desk::add_drift(console::needs wanted, shared_facts into, const taker& then) {
    if (!wanted.drift) return then(std::move(*into));
    const auto& config = into->in_force->config.proxy.console;
    ledger_.read(config.query_timeout, config.max_rows, [into, then](drift_ledger::found found) {
        if (!found)
            return then(failure{"58000", "the modern database does not tell", pgclient::to_string(found.error()), {}});
        into->drift = std::move(*found);
        then(std::move(*into));
    });
}

operator_desk::taker operator_desk::audited(const console::request& what, taker then) {
    store::audit_entry entry;
    entry.by_whom = what.by;
    std::tie(entry.action, entry.scope) = named(what);
    return [this, entry = std::move(entry), then = std::move(then)](answer got) mutable {
        const auto* failed = std::get_if<failure>(&got);
        entry.outcome = failed != nullptr ? "failed: " + failed->message : "done";
        trail_.note(std::move(entry));
        then(std::move(got));
    };
}

answer operator_desk::do_reload(const std::string& by) {
    const auto report = reload_.run("console", by);
    std::vector<std::string> notices;
    if (report.outcome == settings::reload_outcome::refused) {
        add_notices(notices, "", report.problems);
        std::string detail;
        for (const auto& each : notices) detail += (detail.empty() ? "" : "\n") + each;
        return failure{"F0000", "the configuration is refused, and what was in force stays in force", detail, {}};
    }
    notices.push_back("configuration " + std::string{settings::to_string(report.outcome)} + ", epoch " +
                      std::to_string(report.epoch));
    add_notices(notices, "", report.changes);
    add_notices(notices, "at the next start: ", report.restart);
    return done{std::move(notices)};
}

void operator_desk::kill(std::uint64_t id, taker then) {
    front_.end_session(id, [id, then = std::move(then)](bool found) {
        if (found) return then(done{});
        then(failure{"42704", "there is no session " + std::to_string(id), {}, "SHOW SESSIONS lists them."});
    });
}

}  // namespace crossfade::proxy::admin
