#pragma once

#include <atomic>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <thread>
#include <unordered_set>
#include <vector>

#include "proxy/frontend/changeover_queue.hpp"
#include "proxy/frontend/front_metrics.hpp"
#include "proxy/frontend/relay_loop.hpp"
#include "proxy/frontend/session.hpp"
#include "proxy/frontend/surroundings.hpp"

namespace crossfade::proxy::frontend {

// One thread in which sessions greet, log in and say goodbye, by Asio; between the two they ride on `relay`.
class event_loop {
  public:
    // `on_session_end` is called in the loop's thread after each session. `relay` outlives the loop.
    event_loop(surroundings& around, relay_loop& relay, std::function<void()> on_session_end);
    ~event_loop();  // closes what is left and waits for it

    // From any thread. Takes the descriptor.
    void adopt(int connected, int address_family);
    void drain();
    void cut();
    void look_at_holds();
    // The authority isn't the one that it was.
    void look_at_authority();
    void cancel_held(pgwire::cancel_request by);
    // `then` is called in the loop's thread.
    void list(std::function<void(std::vector<console::session_facts>)> then);
    void kill(std::uint64_t id, std::function<void(bool found)> then);

    // For its sessions, from any thread.
    void take_back(std::shared_ptr<session> one);
    void send_cancel(settings::snapshot in_force, pgwire::cancel_request request,
                     std::optional<settings::side> to = std::nullopt);
    // For its sessions, in its thread.
    loop_stats& counters() { return stats_; }
    changeover_queue& changeovers() { return changeovers_; }

    // Connections, those that haven't greeted yet included.
    unsigned connections() const { return connections_.load(std::memory_order_relaxed); }
    const loop_stats& stats() const { return stats_; }

  private:
    using command = std::function<void(session&)>;

    void start(int connected, int address_family);
    void let_go_over();
    void see_off(const std::shared_ptr<session>& one);
    // `thrown` by what the session did last, or null.
    void go_on(const std::shared_ptr<session>& one, const std::exception_ptr& thrown);
    // Has the thread that owns the session carry it out.
    void tell(std::shared_ptr<session> one, command what);
    void tell_all(const command& what);

    surroundings& around_;
    relay_loop& relay_;
    std::function<void()> on_session_end_;
    loop_stats stats_;
    std::atomic<unsigned> connections_{0};
    std::unordered_set<std::shared_ptr<session>> sessions_;  // the loop's thread alone
    bool draining_ = false;                                  // likewise
    asio::io_context context_;
    asio::executor_work_guard<asio::io_context::executor_type> work_;
    changeover_queue changeovers_;  // the loop's thread alone; has timers of the context
    std::thread thread_;
};

}  // namespace crossfade::proxy::frontend
