#pragma once

#include <sys/eventfd.h>
#include <sys/poll.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <system_error>

namespace crossfade::proxy::capture {

// A flag that can be waited for together with sockets. Raised once, never lowered; any thread.
class stop_signal {
  public:
    stop_signal() : fd_(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)) {
        if (fd_ < 0) throw std::system_error(errno, std::generic_category(), "eventfd");
    }
    stop_signal(const stop_signal&) = delete;
    stop_signal& operator=(const stop_signal&) = delete;
    ~stop_signal() { ::close(fd_); }

    void raise() {
        // Fails only when the counter is full, and then it is raised already.
        static_cast<void>(::eventfd_write(fd_, 1));
    }
    bool raised() const { return wait(std::chrono::milliseconds{0}); }
    // Whether it was raised within `most`.
    bool wait(std::chrono::milliseconds most) const {
        pollfd waited{fd_, POLLIN, 0};
        return ::poll(&waited, 1, static_cast<int>(std::max(most.count(), decltype(most.count()){0}))) > 0;
    }
    int fd() const { return fd_; }

  private:
    int fd_;
};

}  // namespace crossfade::proxy::capture
