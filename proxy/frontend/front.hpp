#pragma once

#include <prometheus/registry.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "lib/settings/reload.hpp"
#include "proxy/frontend/event_loop.hpp"
#include "proxy/frontend/front_metrics.hpp"
#include "proxy/frontend/listener.hpp"
#include "proxy/frontend/surroundings.hpp"

namespace crossfade::proxy::frontend {

// The clients' side of the proxy: listens, and runs the sessions on event loops of its own. Its functions are called in
// the thread of `home`, if nothing else is said.
class front {
  public:
    // Binds. `in_force` gives the configuration in force, from any thread; listen and threads are those at
    // construction. Throws std::system_error when the address can't be had, std::runtime_error when a certificate
    // can't be used.
    // `passed`: as for listener.
    front(boost::asio::io_context& home, std::function<settings::snapshot()> in_force, prometheus::Registry& metrics,
          const std::vector<int>& passed = {});
    ~front();

    // Who knows what the follower has. Before start(); stopped before the front ends.
    void mirror_by(mirror::follower_watch& follower, mirror::keeper& keeper) {
        around_.follower = &follower;
        around_.mirror_keeper = &keeper;
    }

    // Who knows how modern is, so that reads may go there. Likewise; outlives the front.
    void read_by(reading::follower_view& view) { around_.view = &view; }

    void start();

    // After a reload, or a change of the authority: sessions take the new configuration when they are idle next, new
    // ones get the certificates that the files hold now. Sessions on a database that isn't the authority any more go
    // over to the one that is, idle ones at once. Any thread, one at a time.
    void reloaded();

    // Takes no more connections, lets transactions finish up to proxy.drain_timeout, closes the rest, then calls `done`
    // once.
    void drain(std::function<void()> done);
    // During drain(): doesn't wait any longer.
    void cut();

    // Stops listening and calls `done` when the last client has left, consoles included; cut() ends the waiting.
    void retire(std::function<void()> done);

    // These pauses are in force now.
    void hold(console::hold_set holds);
    // Any thread: what is known of what that side is the authority of holds good so long.
    void rely_on_authority(settings::side which, std::chrono::steady_clock::time_point until);
    // Now and then, where that is said: lets go who has waited for it in vain.
    void look_at_authority();

    // For the console, from `home`; answered there, too, the sessions in the order of their ids.
    void list_sessions(std::function<void(std::vector<console::session_facts>)> then);
    void end_session(std::uint64_t id, std::function<void(bool found)> then);
    // From here on there are consoles. `desk` outlives the front.
    void open_desk(console::provider& desk) { around_.desk.store(&desk, std::memory_order_release); }

    // Where it listens, for people.
    const std::string& place() const { return place_; }

    // Any thread.
    totals traffic() const;
    // Every bound on what all sessions do together, and how near it is.
    std::vector<console::limit_facts> limits() const;
    // What is there whatever the sessions do.
    std::vector<console::memory_facts> memory() const;
    unsigned sessions() const { return around_.sessions.open(); }
    bool draining() const { return draining_.load(std::memory_order_relaxed); }
    // Brings the registry's metrics up to date: call it before they are read.
    void update_metrics();

  private:
    // Connections that haven't said yet what they want, beyond the sessions.
    static constexpr unsigned greeting_room = 128;

    void take(int connected, int address_family);
    unsigned connections() const;
    void look_whether_drained();
    template <class Sum, class Ask, class Add>
    void gather(Ask ask, Add add, std::function<void(Sum)> then);

    boost::asio::io_context& home_;
    surroundings around_;
    std::string place_;
    front_metrics metrics_;
    std::vector<std::unique_ptr<relay_loop>> relays_;
    std::vector<std::unique_ptr<event_loop>> loops_;  // one for each of those
    listener listener_;
    boost::asio::steady_timer drain_deadline_;
    std::atomic<std::uint64_t> turned_away_{0};
    std::atomic<bool> draining_{false};
    settings::assignment authorities_;  // of the configuration that reloaded() saw last
    std::function<void()> drained_;
};

}  // namespace crossfade::proxy::frontend
