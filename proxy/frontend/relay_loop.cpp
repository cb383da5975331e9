#include "proxy/frontend/relay_loop.hpp"

#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <future>
#include <span>
#include <system_error>

#include "proxy/frontend/session.hpp"

namespace crossfade::proxy::frontend {
namespace {

// How late a timeout may be noticed.
constexpr std::chrono::milliseconds clock_interval{250};
constexpr std::chrono::milliseconds shortest_clock_interval{20};

constexpr std::uint32_t told_of = EPOLLIN | EPOLLRDHUP | EPOLLET;

int checked(int descriptor, const char* what) {
    if (descriptor < 0) throw std::system_error(errno, std::generic_category(), what);
    return descriptor;
}

}  // namespace

relay_loop::relay_loop(surroundings& around)
    : around_(around),
      notes_({.entries = around.current()->config.proxy.statement_cache_entries,
              .bytes = around.current()->config.proxy.statement_cache_bytes}),
      epoll_(checked(::epoll_create1(EPOLL_CLOEXEC), "epoll_create1")),
      wake_(checked(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK), "eventfd")) {
    if (around.current()->config.proxy.io_uring) without_ring_ = scratch_->out.open();
    epoll_event here{.events = EPOLLIN | EPOLLET, .data = {.ptr = nullptr}};
    checked(::epoll_ctl(epoll_, EPOLL_CTL_ADD, wake_, &here), "epoll_ctl");
    thread_ = std::thread{[this] { run(); }};
}

relay_loop::~relay_loop() {
    post([this] { stopping_ = true; });
    thread_.join();
    ::close(wake_);
    ::close(epoll_);
}

void relay_loop::post(std::function<void()> task) {
    bool first = false;
    {
        const std::lock_guard lock{mutex_};
        first = tasks_.empty();
        tasks_.push_back(std::move(task));
    }
    const std::uint64_t one = 1;
    // Can't fail: the counter would have to be near 2^64.
    if (first) static_cast<void>(::write(wake_, &one, sizeof one));
}

void relay_loop::wait_for_tasks() {
    std::promise<void> done;
    post([&done] { done.set_value(); });
    done.get_future().wait();
}

void relay_loop::adopt(std::shared_ptr<session> one) {
    post([this, one = std::move(one)]() mutable {
        auto& taken = **sessions_.insert(std::move(one)).first;
        taken.ride(*this);
    });
}

bool relay_loop::watch(int socket, watched_socket& as) {
    epoll_event here{.events = told_of, .data = {.ptr = &as}};
    return ::epoll_ctl(epoll_, EPOLL_CTL_ADD, socket, &here) == 0;
}

void relay_loop::want_room(int socket, watched_socket& as, bool wanted) {
    if (as.wants_room == wanted) return;
    as.wants_room = wanted;
    epoll_event here{.events = told_of | (wanted ? std::uint32_t{EPOLLOUT} : 0U), .data = {.ptr = &as}};
    ::epoll_ctl(epoll_, EPOLL_CTL_MOD, socket, &here);  // of a registered socket it can't fail
}

void relay_loop::forget(int socket, watched_socket& as) {
    as.of = nullptr;
    ::epoll_ctl(epoll_, EPOLL_CTL_DEL, socket, nullptr);
}

void relay_loop::release(session& one) {
    std::erase(tired_, &one);
    std::erase(behind_, &one);
    scratch_->out.forget(one);
    // Kept until this round's events are all looked at: some may be the session's.
    if (auto found = sessions_.extract(one.shared_from_this())) released_.push_back(std::move(found.value()));
}

void relay_loop::run() {
    std::array<epoll_event, 256> events;
    while (!stopping_) {
        const int count = wait(events);
        bool woken = false;
        for (int index = 0; index < count; ++index) {
            const auto& event = events[static_cast<std::size_t>(index)];
            const auto* socket = static_cast<const watched_socket*>(event.data.ptr);
            if (socket == nullptr) {
                woken = true;
            } else if (socket->of != nullptr) {
                socket->of->on_ready(socket->what, event.events);
            }
        }
        if (!tired_.empty()) {
            for (auto* const one : std::exchange(tired_, {})) one->carry();
        }
        send_home();
        if (woken) run_tasks();
        look_at_clock();
        send_home();
        deliver();
    }
}

int relay_loop::wait(std::span<epoll_event> into) {
    const auto ask = [&](int milliseconds) {
        return ::epoll_wait(epoll_, into.data(), static_cast<int>(into.size()), milliseconds);
    };
    if (!busy_.allowed() || !tired_.empty()) return ask(patience());
    const auto began = std::chrono::steady_clock::now();
    auto now = began;
    int count = 0;
    if (const auto worth = busy_.worth(); worth > busy_poll::duration::zero()) {
        for (count = ask(0); count == 0 && now - began < worth; count = ask(0)) now = std::chrono::steady_clock::now();
        (count == 0 ? stats_.busy_polls_in_vain : stats_.busy_polls_answered).add(1);
    }
    if (count == 0) {
        count = ask(patience());
        now = std::chrono::steady_clock::now();
    }
    const auto* const of = count == 1 ? static_cast<const watched_socket*>(into.front().data.ptr) : nullptr;
    busy_.told(of == nullptr ? nullptr : of->of, of != nullptr && of->what == watched_socket::peer::server,
               now - began);
    return count;
}

void relay_loop::deliver() {
    scratch_->out.deliver();
    for (auto* const one : scratch_->out.left_over()) again(*one);
    // Who leaves by it is kept until the next round.
    for (auto* const one : std::exchange(behind_, {})) one->go_on_behind();
}

void relay_loop::send_home() {
    // Moved along: the last to hold a session has to be its own thread.
    for (auto& one : std::exchange(released_, {})) session::go_home(std::move(one));
}

void relay_loop::run_tasks() {
    std::uint64_t count = 0;
    static_cast<void>(::read(wake_, &count, sizeof count));
    std::vector<std::function<void()>> tasks;
    {
        const std::lock_guard lock{mutex_};
        tasks.swap(tasks_);
    }
    for (auto& task : tasks) {
        task();
        task = nullptr;
        send_home();
    }
}

int relay_loop::patience() const {
    if (!tired_.empty()) return 0;
    if (sessions_.empty()) return -1;
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(next_look_ - std::chrono::steady_clock::now());
    return static_cast<int>(std::clamp(left, std::chrono::milliseconds{0}, clock_interval).count());
}

void relay_loop::look_at_clock_by(std::chrono::steady_clock::time_point when) {
    next_look_ = std::min(next_look_, std::max(when, std::chrono::steady_clock::now() + shortest_clock_interval));
}

void relay_loop::look_at_clock() {
    const auto now = std::chrono::steady_clock::now();
    if (now < next_look_) return;
    next_look_ = now + clock_interval;
    const auto snapshot = around_.current();
    busy_.allow(std::chrono::microseconds{snapshot->config.proxy.busy_poll_us});
    for (auto next = sessions_.begin(); next != sessions_.end();) {
        // Steps on first: the session may leave by it.
        auto& one = **next++;
        one.look_at_clock(now, snapshot->config.proxy);
    }
}

}  // namespace crossfade::proxy::frontend
