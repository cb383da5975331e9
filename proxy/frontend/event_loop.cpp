#include "proxy/frontend/event_loop.hpp"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/post.hpp>

namespace crossfade::proxy::frontend {
namespace {

// Started by value: a spawned coroutine must not refer to what its caller owns.
asio::awaitable<void> live(std::shared_ptr<session> one) {
    co_await one->run();
}

asio::awaitable<void> take_leave(std::shared_ptr<session> one) {
    co_await one->take_leave();
}

asio::awaitable<void> go_over(std::shared_ptr<session> one) {
    co_await one->go_over();
}

}  // namespace

event_loop::event_loop(surroundings& around, relay_loop& relay, std::function<void()> on_session_end)
    : around_(around),
      relay_(relay),
      on_session_end_(std::move(on_session_end)),
      // One thread alone does I/O on this context; others only post to it.
      context_(BOOST_ASIO_CONCURRENCY_HINT_UNSAFE_IO),
      work_(context_.get_executor()) {
    thread_ = std::thread{[this] { context_.run(); }};
}

event_loop::~event_loop() {
    cut();
    work_.reset();
    thread_.join();
    // What was told to sessions that had gone home by then comes back to this loop.
    relay_.wait_for_tasks();
}

void event_loop::adopt(int connected, int address_family) {
    connections_.fetch_add(1, std::memory_order_relaxed);
    asio::post(context_, [this, connected, address_family] { start(connected, address_family); });
}

void event_loop::start(int connected, int address_family) {
    stream_socket client{context_};
    client.assign({address_family, 0}, connected);
    auto one = std::make_shared<session>(std::move(client), around_, *this);
    sessions_.insert(one);
    asio::co_spawn(context_, live(one), [this, one](const std::exception_ptr& thrown) { go_on(one, thrown); });
    if (draining_) one->drain();
}

void event_loop::take_back(std::shared_ptr<session> one) {
    asio::post(context_, [this, one = std::move(one)] {
        if (one->goes_over()) {
            changeovers_.add(one, one->client_waits() ? changeover_queue::urgency::client_waits
                                                      : changeover_queue::urgency::nobody_waits);
            return let_go_over();
        }
        see_off(one);
    });
}

void event_loop::see_off(const std::shared_ptr<session>& one) {
    asio::co_spawn(context_, take_leave(one), [this, one](const std::exception_ptr& thrown) { go_on(one, thrown); });
}

void event_loop::let_go_over() {
    while (const auto one = changeovers_.next())
        asio::co_spawn(context_, go_over(one), [this, one](const std::exception_ptr& thrown) {
            changeovers_.gone();
            // Whom to say goodbye to takes its time, and nobody's turn.
            thrown || one->may_ride() ? go_on(one, thrown) : see_off(one);
            let_go_over();
        });
}

void event_loop::look_at_authority() {
    asio::post(context_, [this] {
        changeovers_.forget_surveys();
        tell_all([](session& one) { one.look_at_authority(); });
    });
}

void event_loop::go_on(const std::shared_ptr<session>& one, const std::exception_ptr& thrown) {
    auto end = one->end();
    if (thrown) {
        end = session_end::failed;
        try {
            std::rethrow_exception(thrown);
        } catch (const std::exception& fault) {
            spdlog::error("a session failed: {}", fault.what());
        }
    } else if (one->may_ride()) {
        one->leave_home(relay_);
        return relay_.adopt(one);
    }
    if (end) stats_.ended[static_cast<std::size_t>(*end)].add(1);
    sessions_.erase(one);
    connections_.fetch_sub(1, std::memory_order_relaxed);
    on_session_end_();
}

void event_loop::send_cancel(settings::snapshot in_force, pgwire::cancel_request request,
                             std::optional<settings::side> to) {
    asio::post(context_, [this, in_force = std::move(in_force), request = std::move(request), to] {
        // A connection of its own, with its own deadline and end: the session that waits isn't touched.
        auto courier = std::make_shared<session>(stream_socket{context_}, around_, *this);
        asio::co_spawn(context_, session::send_cancel(std::move(courier), in_force, request, to),
                       [](const std::exception_ptr& thrown) {
                           if (thrown) spdlog::error("a cancel failed");
                       });
    });
}

void event_loop::tell(std::shared_ptr<session> one, command what) {
    auto* const owner = one->rides_on();
    if (owner == nullptr) return what(*one);
    owner->post([this, owner, one = std::move(one), what = std::move(what)]() mutable {
        if (one->rides_on() == owner) {
            what(*one);
            one->carry();
        } else {
            // It has gone home meanwhile. Moved along: the last to hold it has to be its own thread.
            asio::post(context_, [this, one = std::move(one), what = std::move(what)]() mutable {
                tell(std::move(one), std::move(what));
            });
        }
    });
}

void event_loop::tell_all(const command& what) {
    for (const auto& one : sessions_) tell(one, what);
}

void event_loop::drain() {
    asio::post(context_, [this] {
        draining_ = true;
        tell_all([](session& one) { one.drain(); });
    });
}

void event_loop::cut() {
    asio::post(context_, [this] {
        draining_ = true;
        tell_all([](session& one) { one.cut(); });
    });
}

void event_loop::look_at_holds() {
    asio::post(context_, [this] { tell_all([](session& one) { one.look_at_holds(); }); });
}

void event_loop::cancel_held(pgwire::cancel_request by) {
    asio::post(context_, [this, by = std::move(by)] { tell_all([by](session& one) { one.cancel_held(by); }); });
}

void event_loop::list(std::function<void(std::vector<console::session_facts>)> then) {
    struct gathering {
        std::function<void(std::vector<console::session_facts>)> then;
        std::vector<console::session_facts> all;
        std::size_t awaited;
    };
    asio::post(context_, [this, then = std::move(then)] {
        const auto gathered = std::make_shared<gathering>(gathering{then, {}, sessions_.size()});
        if (sessions_.empty()) return then({});
        tell_all([this, gathered](session& one) {
            std::optional<console::session_facts> facts;
            if (one.listed()) facts = one.facts();
            asio::post(context_, [gathered, facts = std::move(facts)]() mutable {
                if (facts) gathered->all.push_back(std::move(*facts));
                if (--gathered->awaited == 0) gathered->then(std::move(gathered->all));
            });
        });
    });
}

void event_loop::kill(std::uint64_t id, std::function<void(bool)> then) {
    asio::post(context_, [this, id, then = std::move(then)] {
        const auto found = std::find_if(sessions_.begin(), sessions_.end(),
                                        [id](const auto& one) { return one->listed() && one->id() == id; });
        if (found != sessions_.end()) tell(*found, [](session& one) { one.kill(); });
        then(found != sessions_.end());
    });
}

}  // namespace crossfade::proxy::frontend
