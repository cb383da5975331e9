#include "proxy/mirror/follower_watch.hpp"

#include <spdlog/spdlog.h>

#include <algorithm>

#include "lib/pgclient/notified.hpp"
#include "lib/retry/backoff.hpp"
#include "proxy/mirror/outfit.hpp"

namespace crossfade::proxy::mirror {

namespace {

using namespace std::chrono_literals;
using std::chrono::milliseconds;

// From waiting for news, to see whether to stop, or whether some may be missing.
constexpr milliseconds look_up{50};
constexpr milliseconds look_up_idle{500};
constexpr milliseconds ask_again{200};  // where somebody waits for so long, whether modern is there, and a mark anew
constexpr milliseconds shortest_look{1};
constexpr milliseconds longest_look{20};

// A connection that is tried again and again, with its troubles said once.
bool connect(std::optional<pgclient::connection>& to, const std::string& dsn, const char* what, std::string& said) {
    if (to) return true;
    auto opened = pgclient::connection::open(dsn, as_mirror());
    if (opened) {
        to.emplace(std::move(*opened));
        said.clear();
        return true;
    }
    if (const auto why = pgclient::to_string(opened.error()); why != said) {
        spdlog::warn("mirror: {}: {}", what, why);
        said = why;
    }
    return false;
}

}  // namespace

follower_watch::follower_watch(std::function<settings::snapshot()> in_force, prometheus::Registry& metrics)
    : in_force_(std::move(in_force)),
      waiting_(gauge(metrics, "crossfade_mirror_waiting",
                     "Sessions whose transaction is committed by legacy and not yet known to be on modern")),
      degraded_(
          gauge(metrics, "crossfade_mirror_degraded", "1: modern was too slow or away, and answers don't wait for it")),
      marks_(prometheus::BuildCounter()
                 .Name("crossfade_mirror_marks_total")
                 .Help("Marks written to legacy's WAL to learn when modern has what is before them")
                 .Register(metrics)
                 .Add({})),
      added_seconds_(prometheus::BuildHistogram()
                         .Name("crossfade_mirror_added_seconds")
                         .Help("How long answers waited for modern")
                         .Register(metrics)
                         .Add({}, prometheus::Histogram::BucketBoundaries{0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025,
                                                                          0.05, 0.1, 0.25, 0.5, 1, 2.5, 5})) {
    auto& ends = prometheus::BuildCounter()
                     .Name("crossfade_mirror_waits_total")
                     .Help("Transactions under mirror, by whether their answer waited until modern had them")
                     .Register(metrics);
    std::ranges::transform(wait_ends, ends_.begin(), [&](wait_end how) {
        return &ends.Add({{"result", std::string{to_string(how)}}});
    });
    if (config()->config.flags.has(settings::write_strategy::mirror)) start();
}

bool follower_watch::wait_for_follower(waiting_list::release then, clock::duration waited) {
    const auto timeout = config()->config.proxy.mirror_timeout;
    std::unique_lock hold{mutex_};
    if (stopped_) return false;
    start();
    if (!list_.enter(clock::now() - waited, timeout, std::move(then))) {
        ends_[static_cast<std::size_t>(wait_end::degraded)]->Increment();
        return false;
    }
    waiting_.Increment();
    if (list_.wants_mark()) changed_.notify_all();
    return true;
}

follower_watch::state follower_watch::now() const {
    const std::lock_guard hold{mutex_};
    return {list_.degraded(), list_.waiting()};
}

void follower_watch::start() {
    if (started_) return;
    started_ = true;
    marks_thread_ = std::jthread{[this](const std::stop_token& stopping) { make_marks(stopping); }};
    listens_thread_ = std::jthread{[this](const std::stop_token& stopping) { listen(stopping); }};
    clock_thread_ = std::jthread{[this](const std::stop_token& stopping) { look_at_clock(stopping); }};
}

void follower_watch::stop() {
    for (auto* each : {&clock_thread_, &marks_thread_, &listens_thread_}) each->request_stop();
    for (auto* each : {&clock_thread_, &marks_thread_, &listens_thread_})
        if (each->joinable()) each->join();
    std::unique_lock hold{mutex_};
    stopped_ = true;
    list_.give_up(clock::now());
    tell(hold);
}

void follower_watch::make_marks(const std::stop_token& stopping) {
    retry::backoff again{50ms, 1s};
    std::string said;
    connect(legacy_, config()->config.legacy.dsn, "marks can't be written to legacy", said);
    while (!stopping.stop_requested()) {
        {
            std::unique_lock hold{mutex_};
            if (!changed_.wait(hold, stopping, [this] { return list_.wants_mark(); })) return;
            list_.mark_begun();
        }
        std::optional<std::uint64_t> number;
        if (connect(legacy_, config()->config.legacy.dsn, "marks can't be written to legacy", said))
            number = ask_mark();
        {
            std::unique_lock hold{mutex_};
            list_.mark_made(number, clock::now());
            tell(hold);
        }
        if (number) {
            marks_.Increment();
            again.reset();
        } else {
            pause(stopping, again.next());
        }
    }
}

std::optional<std::uint64_t> follower_watch::ask_mark() {
    // A transaction of its own: its commit flushes the message, and is behind all that was committed before.
    const auto one = marker_.next();
    const auto got = legacy_->exec("SELECT " + store::ask_to_be_told_sql(one));
    if (!got) {
        spdlog::warn("mirror: marks can't be written to legacy: {}", pgclient::to_string(got.error()));
        legacy_.reset();
        return std::nullopt;
    }
    return one.number;
}

void follower_watch::listen(const std::stop_token& stopping) {
    retry::backoff again{50ms, 1s};
    std::string said;
    auto asked = clock::now();
    while (!stopping.stop_requested()) {
        const bool fresh = !modern_;
        if (!connect(modern_, config()->config.modern.dsn, "modern can't be listened to", said)) {
            pause(stopping, again.next());
            continue;
        }
        bool well = true;
        const bool somebody_waits = now().waiting > 0;
        if (const auto time = clock::now(); fresh || (somebody_waits && time - asked >= ask_again)) {
            asked = time;
            // Once more it changes nothing, and who answers is there.
            well = modern_->exec("LISTEN \"" + std::string{store::applied_channel} + '"').has_value();
            const std::lock_guard hold{mutex_};
            list_.news_missed();
            changed_.notify_all();
        }
        if (well && hear(somebody_waits ? look_up : look_up_idle)) {
            again.reset();
            continue;
        }
        modern_.reset();
        pause(stopping, again.next());
    }
}

bool follower_watch::hear(milliseconds patience) {
    const auto told = pgclient::notified(*modern_, patience);
    if (!told) return false;
    std::optional<std::uint64_t> newest;
    const auto settings = config();
    for (const auto& each : *told)
        if (const auto one = store::read_applied(each, settings->config.stream.name); one && marker_.has_made(*one))
            newest = one->number;
    news(newest);
    return true;
}

void follower_watch::news(std::optional<std::uint64_t> applied) {
    if (!applied) return;
    std::unique_lock hold{mutex_};
    list_.applied(*applied, clock::now());
    tell(hold);
}

void follower_watch::look_at_clock(const std::stop_token& stopping) {
    while (!stopping.stop_requested()) {
        const auto timeout = config()->config.proxy.mirror_timeout;
        std::unique_lock hold{mutex_};
        if (!changed_.wait(hold, stopping, [this] { return list_.waiting() > 0 || list_.degraded(); })) return;
        list_.look_at_clock(clock::now(), timeout);
        if (list_.wants_mark()) changed_.notify_all();  // a probe
        tell(hold);
        pause(stopping, std::clamp(timeout / 20, shortest_look, longest_look));
    }
}

void follower_watch::tell(std::unique_lock<std::mutex>& hold) {
    const auto ended = list_.take_ended();
    const bool degraded = list_.degraded();
    const bool news = degraded != std::exchange(said_degraded_, degraded);
    hold.unlock();
    if (news) {
        degraded_.Set(degraded ? 1 : 0);
        if (degraded)
            spdlog::warn(
                "mirror: modern had not what was committed within proxy.mirror_timeout: answers don't wait for "
                "it any more, the stream brings the rows");
        else
            spdlog::info("mirror: modern keeps up again: answers wait for it");
    }
    for (const auto& each : ended) {
        waiting_.Decrement();
        ends_[static_cast<std::size_t>(each.how)]->Increment();
        added_seconds_.Observe(std::chrono::duration<double>(each.took).count());
        each.tell(each.how);
    }
}

void follower_watch::pause(const std::stop_token& stopping, milliseconds time) {
    std::unique_lock hold{mutex_};
    changed_.wait_for(hold, stopping, time, [] { return false; });
}

}  // namespace crossfade::proxy::mirror
