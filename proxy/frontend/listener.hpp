#pragma once

#include <sys/types.h>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "lib/settings/settings.hpp"

namespace crossfade::proxy::frontend {

// Accepts connections and hands the bare descriptors on, so that each can be given to an event loop of its own.
class listener {
  public:
    using hand_over = std::function<void(int connected, int address_family)>;

    // Binds every address of proxy.listen's host (or a Unix socket, where host is a directory). Throws
    // std::system_error that names the address; with EADDRINUSE where somebody listens there, unless proxy.reuse_port.
    // `passed`: sockets that listen already, from the service manager; where there are any, they are taken over and
    // the address isn't looked at.
    listener(boost::asio::io_context& context, const settings::proxy& by, const std::vector<int>& passed,
             hand_over take);
    ~listener();  // removes the Unix socket

    void start();
    // Those that wait in the kernel's queue are still taken (closing would reset them), then no more. In that of a
    // passed socket they wait on, for the next process.
    void stop();

    std::uint16_t port() const { return port_; }  // the one bound, for an endpoint with port 0

  private:
    struct door {
        boost::asio::posix::stream_descriptor socket;
        int address_family;
    };
    boost::asio::awaitable<void> accept(std::size_t index);

    boost::asio::io_context& context_;
    hand_over take_;
    std::vector<door> doors_;
    bool were_passed_;  // by who listens on
    std::string unix_path_;
    std::optional<std::pair<dev_t, ino_t>> unix_file_;
    std::uint16_t port_ = 0;
};

}  // namespace crossfade::proxy::frontend
