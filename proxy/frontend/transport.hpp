#pragma once

#include <array>
#include <cstddef>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "lib/tls/engine.hpp"
#include "proxy/frontend/outbox.hpp"
#include "proxy/frontend/sockets.hpp"

namespace crossfade::proxy::frontend {

// Room for what is under way, shared by all sessions of an event loop: in use only between two waits, so that an idle
// session holds no buffer.
struct scratch_space {
    static constexpr std::size_t received_size = std::size_t{64} << 10;
    static constexpr std::size_t plain_size = std::size_t{96} << 10;
    // What may be under TLS in front of what is received: a record that came in pieces (16 KiB) and the start-up
    // packet's followers (10 KiB).
    static constexpr std::size_t most_sealed = std::size_t{26} << 10;

    std::array<char, received_size> received;
    // All that was received and what it decrypts to, behind what was held back.
    std::array<char, plain_size> plain;
    std::string rewritten;  // what goes on in the place of a chunk
    outbox out;
};

// A connection to a client or a database, in the clear or under TLS. At first Asio waits for its socket: one coroutine
// reads and one writes at a time, on the event loop that the socket belongs to. While it has left Asio, whoever owns
// the session alone uses it, from any one thread, by the functions that don't wait.
class transport {
  public:
    explicit transport(stream_socket socket) : socket_(std::move(socket)) {}
    transport(transport&& other) noexcept
        : socket_(std::move(other.socket_)),
          outside_(std::exchange(other.outside_, -1)),
          tls_(std::move(other.tls_)),
          unsent_(std::move(other.unsent_)) {}
    transport& operator=(transport&& other) noexcept;
    ~transport() { close(); }

    stream_socket& socket() { return socket_; }
    bool is_open() const { return outside_ >= 0 || socket_.is_open(); }
    int descriptor() const {
        // Asio's accessor isn't const.
        return outside_ >= 0 ? outside_ : const_cast<stream_socket&>(socket_).native_handle();
    }
    const tls::engine* tls() const { return tls_.get(); }

    // Asio forgets the socket, and takes it again. Nothing may wait for it. A closed one stays closed.
    void leave_asio();
    void return_to_asio();

    // Runs the handshake; `first` are bytes that came already. The reason when it fails, empty when the peer is gone.
    asio::awaitable<std::optional<std::string>> secure(std::unique_ptr<tls::engine> engine, std::string first);

    // Plain bytes for a caller who wants few of them: waits for at least one. asio::error::eof at the peer's end.
    struct arrival {
        error_code failed;
        std::size_t bytes = 0;
    };
    asio::awaitable<arrival> read_some(std::span<char> into);

    asio::awaitable<error_code> write(std::string_view plain);
    // Sends what can be sent without waiting, and doesn't say whether anybody got it.
    void write_last_words(std::string_view plain);

    // Tells the peer that nothing follows and reads what it still sends, so that closing doesn't reset the connection
    // before the peer has read our last words. Ends with the peer's end, or when the socket is closed.
    asio::awaitable<void> finish();
    // Nothing follows; what the peer sends is still read.
    void shut_down();
    void close();

    // For lanes. Takes ciphertext (or the bytes themselves) that were received.
    void feed(std::string_view received);
    // The next plain bytes of what was fed, in `into` or where they were received. Empty: no more. `ended` is set by
    // TLS's own end or failure.
    std::string_view next(std::span<char> into, std::optional<error_code>& ended);
    // Sends as much as the socket takes; what is left over waits in here for push(). False: the connection is broken.
    // By `out`, where it is open, that shows later, once it has delivered.
    bool send(std::string_view plain, outbox* out = nullptr);
    // Has the outbox send what it took for us.
    void settle();
    // For the outbox: this much the socket did not take.
    void delivered(std::string_view left_over);
    // Sends of what is left over as much as the socket takes.
    bool push();
    bool all_sent() const { return unsent_.empty(); }

    // Bytes that wait for the peer to read.
    std::size_t waiting() const { return unsent_.size(); }

  private:
    bool send_raw(std::string_view bytes, outbox* out = nullptr);
    asio::awaitable<error_code> flush();

    stream_socket socket_;
    int outside_ = -1;  // the socket, while Asio doesn't have it
    std::unique_ptr<tls::engine> tls_;
    std::string_view fed_;
    std::string unsent_;         // in the order in which TLS made it
    outbox* lies_in_ = nullptr;  // what goes in front of those
};

}  // namespace crossfade::proxy::frontend
