#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "lib/settings/load.hpp"

namespace crossfade::program {

// What systemd and its like want to know of a service, by sd_notify(3)'s protocol: a datagram of lines NAME=value to
// the socket that $NOTIFY_SOCKET names. Without that variable nothing is sent; what can't be sent is lost, as a service
// manager that isn't there is none of our faults. Thread-safe.
class service_manager {
  public:
    // `own_pid`: the process that $WATCHDOG_PID may name.
    service_manager(const settings::environment& env, long own_pid);

    // `status` is one line for people, as `systemctl status` shows it.
    void ready(std::string_view status) const { tell("READY=1\n", status); }
    // A reload has begun; ready() says that it is over.
    void reloading() const;
    // From then on the manager's patience (TimeoutStopSec=) counts, or `within` where that is longer: who isn't gone by
    // then is killed.
    void stopping(std::string_view status, std::chrono::microseconds within = {}) const;
    void status(std::string_view status) const { tell("", status); }
    void alive() const { tell("WATCHDOG=1\n", {}); }

    // How often alive() is awaited; nothing where nobody watches. Half of it is a good rhythm.
    std::optional<std::chrono::microseconds> watchdog() const { return watchdog_; }

  private:
    void tell(std::string lines, std::string_view status) const;

    std::string socket_;  // a path, or "@" and an abstract name
    std::optional<std::chrono::microseconds> watchdog_;
};

// A listening socket that the service manager has opened for us.
struct passed_socket {
    int descriptor = -1;
    std::string name;  // FileDescriptorName=; "unknown" where there is none

    friend bool operator==(const passed_socket&, const passed_socket&) = default;
};

// Those that $LISTEN_FDS, $LISTEN_PID and $LISTEN_FDNAMES speak of, by sd_listen_fds(3); none when they are meant for
// another process or make no sense. Pure: nothing is looked at but the variables.
std::vector<passed_socket> passed_sockets(const settings::environment& env, long own_pid);

// The same for this process, made close-on-exec and non-blocking. Throws std::system_error for a descriptor that isn't
// there.
std::vector<passed_socket> take_passed_sockets(const settings::environment& env);

}  // namespace crossfade::program
