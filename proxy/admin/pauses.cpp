#include "proxy/admin/pauses.hpp"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <utility>

namespace crossfade::proxy::admin {
namespace {

using console::answer;
using console::done;
using console::failure;
using console::instant;
using console::scope;
using namespace std::chrono_literals;

// How often sessions are looked at while a PAUSE waits for them.
constexpr auto look_again = 20ms;
constexpr std::size_t most_named = 20;

instant now() {
    return std::chrono::floor<std::chrono::microseconds>(std::chrono::system_clock::now());
}

std::string shown(const scope& of) {
    const auto names = console::to_string(of);
    return names.empty() ? "everything" : names;
}

std::optional<failure> objection(const scope& what, const settings::configuration& config) {
    if (what.group && !config.flags.groups().contains(*what.group))
        return failure{"42704",
                       "there is no group " + console::to_string({*what.group, {}, {}}).substr(6),
                       {},
                       "SHOW FLAGS lists them."};
    if (what.tenant && config.tenants.session == settings::tenant_source::none)
        return failure{"55000", "sessions have no tenants: tenants.session is none", {}, {}};
    return std::nullopt;
}

std::string listed(const std::vector<std::uint64_t>& ids) {
    std::string all;
    for (std::size_t each = 0; each < std::min(ids.size(), most_named); ++each)
        all += (all.empty() ? "" : ", ") + std::to_string(ids[each]);
    return ids.size() > most_named ? all + ", …" : all;
}

failure still_busy(const std::vector<std::uint64_t>& sessions) {
    return {"55006", std::to_string(sessions.size()) + " sessions are still in a transaction, and nothing new is held",
            "Sessions: " + listed(sessions), "KILL them or wait, and PAUSE again."};
}

}  // namespace

struct pauses::attempt {
    scope what;
    std::optional<console::hold> before;  // of the same scope
    std::chrono::steady_clock::time_point deadline;
    boost::asio::steady_timer timer;
    taker then;
};

pauses::pauses(boost::asio::io_context& home, frontend::front& front, prometheus::Registry& registry)
    : home_(home),
      front_(front),
      next_end_(home),
      number_(prometheus::BuildGauge().Name("crossfade_pauses").Help("Pauses in force.").Register(registry).Add({})),
      expired_(prometheus::BuildCounter()
                   .Name("crossfade_pauses_expired_total")
                   .Help("Pauses that nobody resumed before proxy.pause_max was over.")
                   .Register(registry)
                   .Add({})) {}

void pauses::begin(scope what, std::string by, const settings::configuration& config, taker then) {
    if (auto objected = objection(what, config)) return then(std::move(*objected));
    const auto* before = holds_.find(what);
    if (before == nullptr && holds_.full()) return then(failure{"54000", "too many pauses are in force", {}, {}});
    auto at = std::make_shared<attempt>(attempt{what, before != nullptr ? std::optional{*before} : std::nullopt,
                                                std::chrono::steady_clock::now() + config.proxy.console.pause_wait,
                                                boost::asio::steady_timer{home_}, std::move(then)});
    spdlog::warn("console: {} pauses {}", by, shown(what));
    holds_.add({std::move(what), now(), now() + config.proxy.pause_max, std::move(by)});
    apply();
    look(at);
}

void pauses::look(const std::shared_ptr<attempt>& at) {
    front_.list_sessions([this, at](const std::vector<console::session_facts>& sessions) { judge(at, sessions); });
}

void pauses::judge(const std::shared_ptr<attempt>& at, const std::vector<console::session_facts>& sessions) {
    if (holds_.find(at->what) == nullptr)
        return at->then(failure{"55000", "the pause was ended before everything stood still", {}, {}});
    if (front_.draining()) return give_up(*at, {"57P01", "the proxy is stopping, and nothing new is held", {}, {}});
    const auto busy = console::in_the_way(at->what, sessions);
    if (busy.empty()) return at->then(done{});
    if (std::chrono::steady_clock::now() >= at->deadline) return give_up(*at, still_busy(busy));
    at->timer.expires_after(look_again);
    at->timer.async_wait([this, at](boost::system::error_code cancelled) {
        if (!cancelled) look(at);
    });
}

void pauses::give_up(const attempt& at, failure why) {
    holds_.remove(at.what);
    if (at.before) holds_.add(*at.before);
    apply();
    spdlog::warn("console: no pause of {}: {}", shown(at.what), why.message);
    at.then(std::move(why));
}

answer pauses::end(const scope& what) {
    const bool all = what == scope{};
    const bool any = all ? !holds_.empty() : holds_.remove(what);
    if (!any) return done{{"nothing was held by these names"}};
    if (all) holds_ = {};
    apply();
    spdlog::warn("console: {} goes on", shown(what));
    done told;
    for (const auto& each : holds_.all())
        if (told.notices.size() < most_named) told.notices.push_back("still held: " + shown(each.what));
    return told;
}

void pauses::hold_for_flip(std::optional<scope> held) {
    flip_.reset();
    // Who asks for it also ends it, in his own time.
    if (held) flip_ = console::hold{std::move(*held), now(), instant::max(), "a flip"};
    apply();
}

void pauses::apply() {
    front_.hold(flip_ ? holds_.beside(*flip_) : holds_);
    number_.Set(static_cast<double>(holds_.all().size()));
    if (holds_.empty()) {
        next_end_.cancel();
        return;
    }
    next_end_.expires_after(std::max<instant::duration>(holds_.next_end() - now(), 0us));
    next_end_.async_wait([this](boost::system::error_code cancelled) {
        if (cancelled) return;
        for (const auto& each : holds_.expire(now())) {
            spdlog::warn("proxy.pause_max is over: {}, paused by {}, goes on", shown(each.what), each.by);
            expired_.Increment();
        }
        apply();
    });
}

}  // namespace crossfade::proxy::admin
