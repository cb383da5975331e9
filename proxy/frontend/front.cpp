#include "proxy/frontend/front.hpp"

#include <spdlog/spdlog.h>
#include <unistd.h>

#include <algorithm>
#include <boost/asio/post.hpp>
#include <thread>

namespace crossfade::proxy::frontend {
namespace {

unsigned loops_wanted(unsigned configured) {
    return configured > 0 ? configured : std::max(1U, std::thread::hardware_concurrency());
}

}  // namespace

front::front(asio::io_context& home, std::function<settings::snapshot()> in_force, prometheus::Registry& metrics,
             const std::vector<int>& passed)
    : home_(home),
      around_(std::move(in_force)),
      place_(passed.empty() ? settings::to_string(around_.current()->config.proxy.listen)
                            : "the service manager's sockets"),
      metrics_(metrics),
      listener_(home, around_.current()->config.proxy, passed,
                [this](int connected, int address_family) { take(connected, address_family); }),
      drain_deadline_(home),
      authorities_(around_.current()->config.flags.assigned()) {
    around_.keeper.take(around_.current()->config);
    around_.certificates = std::make_shared<encryption>(encryption::of(around_.current()->config).value());
    const auto wanted = loops_wanted(around_.current()->config.proxy.threads);
    for (unsigned made = 0; made < wanted; ++made) {
        relays_.push_back(std::make_unique<relay_loop>(around_));
        loops_.push_back(std::make_unique<event_loop>(around_, *relays_.back(), [this] {
            if (draining()) asio::post(home_, [this] { look_whether_drained(); });
        }));
    }
    around_.cancel_held = [this](const pgwire::cancel_request& by) {
        asio::post(home_, [this, by] {
            for (auto& loop : loops_) loop->cancel_held(by);
        });
    };
}

front::~front() {
    loops_.clear();
}

void front::start() {
    listener_.start();
    spdlog::info("listening on {} with {} event loops", place_, loops_.size());
    if (const auto& why = relays_.front()->without_ring(); !why.empty())
        spdlog::info("no io_uring: {}; each message is sent by itself", why);
}

void front::reloaded() {
    around_.keeper.take(around_.current()->config);
    // The files were looked at before the configuration was taken; they may have changed again since.
    if (auto read = encryption::of(around_.current()->config)) {
        std::atomic_store(&around_.certificates,
                          std::shared_ptr<const encryption>(std::make_shared<encryption>(std::move(*read))));
    } else {
        spdlog::error("certificates stay as they were: {}", read.error().text);
    }
    around_.generation.fetch_add(1, std::memory_order_release);
    if (auto now = around_.current()->config.flags.assigned(); std::exchange(authorities_, now) != now)
        for (auto& loop : loops_) loop->look_at_authority();
}

void front::take(int connected, int address_family) {
    if (connections() >= around_.current()->config.proxy.max_sessions + greeting_room) {
        ::close(connected);
        turned_away_.fetch_add(1, std::memory_order_relaxed);
        return;
    }
    const auto least = std::min_element(loops_.begin(), loops_.end(), [](const auto& left, const auto& right) {
        return left->connections() < right->connections();
    });
    (*least)->adopt(connected, address_family);
}

unsigned front::connections() const {
    unsigned all = 0;
    for (const auto& loop : loops_) all += loop->connections();
    return all;
}

void front::drain(std::function<void()> done) {
    const auto limit = around_.current()->config.proxy.drain_timeout;
    spdlog::info("stopping: {} sessions, those in a transaction have {} ms", sessions(), limit.count());
    draining_ = true;
    drained_ = std::move(done);
    listener_.stop();
    for (auto& loop : loops_) loop->drain();
    drain_deadline_.expires_after(limit);
    drain_deadline_.async_wait([this](error_code cancelled) {
        if (cancelled) return;
        spdlog::warn("proxy.drain_timeout is over: closing {} sessions in the middle of a transaction", sessions());
        cut();
    });
    look_whether_drained();
}

void front::cut() {
    for (auto& loop : loops_) loop->cut();
}

void front::look_whether_drained() {
    if (connections() > 0 || !drained_) return;
    drain_deadline_.cancel();
    std::exchange(drained_, nullptr)();
}

totals front::traffic() const {
    totals sum;
    for (const auto& loop : loops_) add(sum, loop->stats());
    for (const auto& loop : relays_) add(sum, loop->stats());
    return sum;
}

std::vector<console::limit_facts> front::limits() const {
    const auto snapshot = around_.current();
    const auto& proxy = snapshot->config.proxy;
    const auto bound = [](std::string name, std::string unit, std::uint64_t used, std::uint64_t limit,
                          std::string setting) {
        return console::limit_facts{std::move(name), std::move(unit), used, std::nullopt, limit, std::move(setting)};
    };
    const auto& keeper = around_.keeper;
    const auto now = traffic();
    const std::uint64_t loops = relays_.size();
    return {bound("sessions", "sessions", sessions(), proxy.max_sessions, "proxy.max_sessions"),
            bound("connections", "connections", connections(), proxy.max_sessions + greeting_room, ""),
            bound("console sessions", "sessions", around_.consoles.load(std::memory_order_relaxed),
                  proxy.console.max_sessions, "proxy.console.max_sessions"),
            bound("memory", "bytes", around_.memory.held(), proxy.max_memory, "proxy.max_memory"),
            bound("waiting log-ins of legacy", "log-ins", keeper.desk_of(settings::side::legacy).waiting(),
                  credential_desk::most_waiting, ""),
            bound("waiting log-ins of modern", "log-ins", keeper.desk_of(settings::side::modern).waiting(),
                  credential_desk::most_waiting, ""),
            bound("failed log-ins", "users", keeper.attempts().remembered(std::chrono::steady_clock::now()),
                  keeper.attempts().room(), ""),
            bound("setting names", "names", now.setting_names, loops * portrait::setting_names::most, "")};
}

std::vector<console::memory_facts> front::memory() const {
    return {{"event loops", sizeof(event_loop) + sizeof(relay_loop) + sizeof(scratch_space), loops_.size()},
            {"failed log-ins", around_.keeper.attempts().bytes(), 1},
            {"password keys", around_.keeper.keys().bytes(), 1}};
}

void front::update_metrics() {
    const auto snapshot = around_.current();
    const auto& proxy = snapshot->config.proxy;
    metrics_.update({.traffic = traffic(),
                     .turned_away = turned_away_.load(std::memory_order_relaxed),
                     .logins_held_back = around_.keeper.held_back(),
                     .limits = limits(),
                     .statements_limit = relays_.size() * proxy.statement_cache_entries,
                     .statement_bytes_limit = relays_.size() * proxy.statement_cache_bytes});
    const auto certificates = std::atomic_load(&around_.certificates);
    if (certificates->listener) metrics_.certificate_expires(certificates->listener->expires());
}

void front::retire(std::function<void()> done) {
    spdlog::info("stopping when the last of {} sessions has left", sessions());
    draining_ = true;
    drained_ = std::move(done);
    listener_.stop();
    look_whether_drained();
}

void front::hold(console::hold_set holds) {
    const bool any = !holds.empty();
    std::atomic_store(&around_.holds, std::make_shared<const console::hold_set>(std::move(holds)));
    around_.any_holds.store(any, std::memory_order_release);
    for (auto& loop : loops_) loop->look_at_holds();
}

void front::rely_on_authority(settings::side which, std::chrono::steady_clock::time_point until) {
    if (!around_.authority_of(which).renew(until)) return;
    for (auto& loop : loops_) loop->look_at_holds();
}

void front::look_at_authority() {
    if (std::ranges::none_of(around_.authority, &authority_lease::patience_is_over)) return;
    for (auto& loop : loops_) loop->look_at_holds();
}

// Has each loop asked, adds up what they tell, and calls `then` in home_ when all have.
template <class Sum, class Ask, class Add>
void front::gather(Ask ask, Add add, std::function<void(Sum)> then) {
    struct gathering {
        Sum sum{};
        std::size_t awaited;
        Add add;
        std::function<void(Sum)> then;
    };
    const auto gathered = std::make_shared<gathering>(gathering{{}, loops_.size(), std::move(add), std::move(then)});
    for (const auto& loop : loops_)
        ask(*loop, [this, gathered](Sum part) {
            asio::post(home_, [gathered, part = std::move(part)]() mutable {
                gathered->add(gathered->sum, std::move(part));
                if (--gathered->awaited == 0) gathered->then(std::move(gathered->sum));
            });
        });
}

void front::list_sessions(std::function<void(std::vector<console::session_facts>)> then) {
    using sessions = std::vector<console::session_facts>;
    gather<sessions>([](event_loop& loop, auto told) { loop.list(std::move(told)); },
                     [](sessions& all, sessions some) { std::move(some.begin(), some.end(), std::back_inserter(all)); },
                     [then = std::move(then)](sessions all) {
                         std::ranges::sort(all, {}, &console::session_facts::id);
                         then(std::move(all));
                     });
}

void front::end_session(std::uint64_t id, std::function<void(bool)> then) {
    gather<bool>([id](event_loop& loop, auto told) { loop.kill(id, std::move(told)); },
                 [](bool& found, bool here) { found = found || here; }, std::move(then));
}

}  // namespace crossfade::proxy::frontend
