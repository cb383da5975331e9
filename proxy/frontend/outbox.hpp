#pragma once

#include <liburing.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace crossfade::proxy::frontend {

class session;
class transport;

// What the sessions of a loop send in one round: handed to the kernel in one call, by io_uring. After each send() of
// its own the kernel may let whom it has just woken run first; so it does once a round (docs/adr/0012). One thread's.
class outbox {
  public:
    // Messages that are longer are not worth their copy.
    static constexpr std::size_t longest = 4096;

    // Without a ring, and takes nothing.
    outbox() = default;
    ~outbox();
    outbox(const outbox&) = delete;
    outbox& operator=(const outbox&) = delete;

    // Why the kernel gives no ring (it is too old, or forbids it); empty: it gave one.
    std::string open();
    bool is_open() const { return open_; }

    // For whom the following is taken.
    void on_behalf_of(session& one) { speaker_ = &one; }
    // Takes a copy. False: to be sent by the caller himself. A connection has one message in here at a time, and stays
    // where it is until deliver() has told it what the socket took.
    bool take(transport& to, std::string_view bytes);
    void deliver();

    // Those of whose messages something was left over since this was last asked.
    std::vector<session*> left_over() { return std::exchange(left_over_, {}); }
    void forget(session& one) { std::erase(left_over_, &one); }

  private:
    static constexpr unsigned most = 64;
    static constexpr std::size_t room = std::size_t{64} << 10;

    struct message {
        transport* to;
        session* of;
        std::size_t at;
        std::size_t size;
        std::size_t taken;  // by the socket
    };

    void send_alone(message& one);
    void send_together();
    void close();

    bool open_ = false;
    io_uring ring_{};
    session* speaker_ = nullptr;
    std::vector<message> messages_;
    std::vector<session*> left_over_;
    std::size_t used_ = 0;
    std::array<char, room> bytes_;
};

}  // namespace crossfade::proxy::frontend
