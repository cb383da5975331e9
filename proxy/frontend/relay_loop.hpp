#pragma once

#include <sys/epoll.h>

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <thread>
#include <unordered_set>
#include <vector>

#include "proxy/frontend/busy_poll.hpp"
#include "proxy/frontend/front_metrics.hpp"
#include "proxy/frontend/surroundings.hpp"
#include "proxy/frontend/transport.hpp"
#include "proxy/portrait/notebook.hpp"

namespace crossfade::proxy::frontend {

class session;

// One of a session's sockets, as a relay_loop knows it.
struct watched_socket {
    enum class peer : std::uint8_t { client, server, follower };
    session* of = nullptr;  // null: what is still told of it means nothing
    peer what = peer::client;
    bool wants_room = false;
};

// One thread and the sessions whose bytes it moves, from their login to their goodbye. It waits for their sockets by
// epoll itself, each of which is registered once and then costs a message one receive and one send: Asio would ask a
// socket in vain, or re-arm it, after each message.
class relay_loop {
  public:
    // Throws std::system_error when the kernel gives no epoll.
    explicit relay_loop(surroundings& around);
    // No session may be left.
    ~relay_loop();
    relay_loop(const relay_loop&) = delete;
    relay_loop& operator=(const relay_loop&) = delete;

    // From any thread; the tasks are run in the loop's, in their order.
    void post(std::function<void()> task);
    // Until all that were posted have been run.
    void wait_for_tasks();
    // From the thread that owns the session, which gives it away by this.
    void adopt(std::shared_ptr<session> one);

    const loop_stats& stats() const { return stats_; }
    // Why the kernel gives it no io_uring, where one was wanted.
    const std::string& without_ring() const { return without_ring_; }

    // In the loop's thread, for its sessions.
    loop_stats& counters() { return stats_; }
    scratch_space& scratch() { return *scratch_; }
    portrait::notebook& notes() { return notes_; }
    // False: the kernel refuses.
    bool watch(int socket, watched_socket& as);
    // Whether to be told when there is room in the socket again.
    void want_room(int socket, watched_socket& as, bool wanted);
    void forget(int socket, watched_socket& as);
    // Calls session::carry() after the others had their turn.
    void again(session& one) { tired_.push_back(&one); }
    // Calls session::go_on_behind() when what this round has for the peers is on its way.
    void behind(session& one) { behind_.push_back(&one); }
    // At the latest, or as soon as that is worth the look at all sessions.
    void look_at_clock_by(std::chrono::steady_clock::time_point when);
    // The session goes back to where it came from, once what is under way here is over.
    void release(session& one);

  private:
    void run();
    void run_tasks();
    int wait(std::span<epoll_event> into);
    void send_home();
    void deliver();
    void look_at_clock();
    int patience() const;

    surroundings& around_;
    loop_stats stats_;
    std::unique_ptr<scratch_space> scratch_ = std::make_unique<scratch_space>();
    std::string without_ring_;
    portrait::notebook notes_;
    busy_poll busy_;
    int epoll_ = -1;
    int wake_ = -1;  // an eventfd
    std::unordered_set<std::shared_ptr<session>> sessions_;
    std::vector<session*> tired_;
    std::vector<session*> behind_;
    std::vector<std::shared_ptr<session>> released_;
    std::chrono::steady_clock::time_point next_look_{};  // at the clock: one for all sessions
    std::mutex mutex_;
    std::vector<std::function<void()>> tasks_;
    bool stopping_ = false;  // in the loop's thread
    std::thread thread_;
};

}  // namespace crossfade::proxy::frontend
