#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <cstdint>
#include <mutex>
#include <optional>

#include "lib/program/configuration_reload.hpp"
#include "proxy/admin/operator_desk.hpp"
#include "proxy/frontend/front.hpp"
#include "proxy/handover/authority_watch.hpp"

namespace crossfade::proxy::admin {

// What a flip wants of this proxy, done in the thread of `home` for the watch's, which asks how far it is.
class flip_hold {
  public:
    // What is given outlives this, and this the watch.
    flip_hold(boost::asio::io_context& home, frontend::front& front, operator_desk& desk,
              program::configuration_reload& reload);

    handover::authority_watch::obedience obedience();
    // From now on whoever waits in vain for news of the authority is let go.
    void patrol();

  private:
    void begin(const settings::flag_scope& moving);
    void end(std::optional<settings::decision> decided);
    void count(std::uint64_t hold, const console::scope& held);
    std::optional<std::size_t> busy();
    void note(std::uint64_t hold, std::optional<std::size_t> busy);

    boost::asio::io_context& home_;
    frontend::front& front_;
    operator_desk& desk_;
    program::configuration_reload& reload_;
    boost::asio::steady_timer look_again_;
    boost::asio::steady_timer patrol_;
    std::mutex mutex_;
    std::uint64_t hold_ = 0;  // which of them this is; counts those of an earlier one say nothing
    bool holds_ = false;
    std::optional<std::size_t> busy_;
};

}  // namespace crossfade::proxy::admin
