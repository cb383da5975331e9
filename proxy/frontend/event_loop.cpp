#include "proxy/frontend/event_loop.hpp"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/post.hpp>
#include <exception>

namespace crossfade::proxy::frontend {
namespace {

// How late a timeout may be noticed.
constexpr std::chrono::milliseconds clock_interval{250};

// Started by value: a spawned coroutine must not refer to what its caller owns.
asio::awaitable<std::optional<session_end>> live(std::shared_ptr<session> one) {
    co_return co_await one->run();
}

}  // namespace

event_loop::event_loop(surroundings& around, std::function<void()> on_session_end)
    : around_(around),
      on_session_end_(std::move(on_session_end)),
      // One thread alone does I/O on this context; others only post to it.
      context_(BOOST_ASIO_CONCURRENCY_HINT_UNSAFE_IO),
      work_(context_.get_executor()),
      clock_(context_) {
    look_at_clock();
    thread_ = std::thread{[this] { context_.run(); }};
}

event_loop::~event_loop() {
    cut();
    asio::post(context_, [this] { clock_.cancel(); });
    work_.reset();
    thread_.join();
}

void event_loop::adopt(int connected, int address_family) {
    connections_.fetch_add(1, std::memory_order_relaxed);
    asio::post(context_, [this, connected, address_family] { start(connected, address_family); });
}

void event_loop::start(int connected, int address_family) {
    stream_socket client{context_};
    client.assign({address_family, 0}, connected);
    auto one = std::make_shared<session>(std::move(client), around_, stats_, *scratch_);
    sessions_.insert(one);
    asio::co_spawn(context_, live(one), [this, one](const std::exception_ptr& thrown, std::optional<session_end> end) {
        if (thrown) {
            end = session_end::failed;
            try {
                std::rethrow_exception(thrown);
            } catch (const std::exception& fault) {
                spdlog::error("a session failed: {}", fault.what());
            }
        }
        if (end) stats_.ended[static_cast<std::size_t>(*end)].add(1);
        sessions_.erase(one);
        connections_.fetch_sub(1, std::memory_order_relaxed);
        on_session_end_();
    });
    if (draining_) one->drain();
}

void event_loop::look_at_clock() {
    clock_.expires_after(clock_interval);
    clock_.async_wait([this](error_code cancelled) {
        if (cancelled) return;
        const auto snapshot = around_.current();
        const auto& limits = snapshot->config.proxy;
        if ((limits.idle_timeout + limits.idle_in_transaction_timeout + limits.query_timeout).count() > 0) {
            const auto now = std::chrono::steady_clock::now();
            for (const auto& one : sessions_) one->look_at_clock(now, limits);
        }
        look_at_clock();
    });
}

void event_loop::drain() {
    asio::post(context_, [this] {
        draining_ = true;
        for (const auto& one : sessions_) one->drain();
    });
}

void event_loop::cut() {
    asio::post(context_, [this] {
        draining_ = true;
        for (const auto& one : sessions_) one->cut();
    });
}

void event_loop::look_at_holds() {
    asio::post(context_, [this] {
        for (const auto& one : sessions_) one->look_at_holds();
    });
}

void event_loop::list(std::function<void(std::vector<console::session_facts>)> then) {
    asio::post(context_, [this, then = std::move(then)] {
        std::vector<console::session_facts> all;
        for (const auto& one : sessions_)
            if (one->listed()) all.push_back(one->facts());
        then(std::move(all));
    });
}

void event_loop::kill(std::uint64_t id, std::function<void(bool)> then) {
    asio::post(context_, [this, id, then = std::move(then)] {
        const auto found = std::find_if(sessions_.begin(), sessions_.end(),
                                        [id](const auto& one) { return one->listed() && one->id() == id; });
        if (found != sessions_.end()) (*found)->kill();
        then(found != sessions_.end());
    });
}

}  // namespace crossfade::proxy::frontend
