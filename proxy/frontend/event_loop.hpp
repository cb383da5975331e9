#pragma once

#include <atomic>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <functional>
#include <memory>
#include <thread>
#include <unordered_set>
#include <vector>

#include "proxy/frontend/front_metrics.hpp"
#include "proxy/frontend/relay.hpp"
#include "proxy/frontend/session.hpp"
#include "proxy/frontend/surroundings.hpp"

namespace crossfade::proxy::frontend {

// One thread and the sessions that live on it.
class event_loop {
  public:
    // `on_session_end` is called in the loop's thread after each session.
    event_loop(surroundings& around, std::function<void()> on_session_end);
    ~event_loop();  // closes what is left and waits for it

    // From any thread. Takes the descriptor.
    void adopt(int connected, int address_family);
    void drain();
    void cut();
    void look_at_holds();
    // `then` is called in the loop's thread.
    void list(std::function<void(std::vector<console::session_facts>)> then);
    void kill(std::uint64_t id, std::function<void(bool found)> then);

    // Connections, those that haven't greeted yet included.
    unsigned connections() const { return connections_.load(std::memory_order_relaxed); }
    const loop_stats& stats() const { return stats_; }

  private:
    void start(int connected, int address_family);
    void look_at_clock();

    surroundings& around_;
    std::function<void()> on_session_end_;
    loop_stats stats_;
    std::unique_ptr<scratch_space> scratch_ = std::make_unique<scratch_space>();
    std::atomic<unsigned> connections_{0};
    std::unordered_set<std::shared_ptr<session>> sessions_;  // the loop's thread alone
    bool draining_ = false;                                  // likewise
    asio::io_context context_;
    asio::executor_work_guard<asio::io_context::executor_type> work_;
    asio::steady_timer clock_;  // of the timeouts: one for all sessions, so that no message sets or cancels any
    std::thread thread_;
};

}  // namespace crossfade::proxy::frontend
