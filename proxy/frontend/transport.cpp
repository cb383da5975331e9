#include "proxy/frontend/transport.hpp"

#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

namespace crossfade::proxy::frontend {
namespace {

// Answers of TLS itself (to a peer that asks for new keys again and again) that a peer doesn't read.
constexpr std::size_t most_unsent_answers = std::size_t{64} << 10;

// How much the socket took; nothing when the connection is broken.
std::optional<std::size_t> send_now(int to, std::string_view bytes) {
    std::size_t sent = 0;
    while (sent < bytes.size()) {
        const auto count = ::send(to, bytes.data() + sent, bytes.size() - sent, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (count >= 0) {
            sent += static_cast<std::size_t>(count);
        } else if (errno == EAGAIN || errno == EWOULDBLOCK) {
            break;
        } else if (errno != EINTR) {
            return std::nullopt;
        }
    }
    return sent;
}

}  // namespace

transport& transport::operator=(transport&& other) noexcept {
    close();
    socket_ = std::move(other.socket_);
    outside_ = std::exchange(other.outside_, -1);
    tls_ = std::move(other.tls_);
    unsent_ = std::move(other.unsent_);
    return *this;
}

void transport::leave_asio() {
    if (!socket_.is_open()) return;
    error_code never;  // nothing waits, so there is nothing to cancel
    outside_ = socket_.release(never);
}

void transport::return_to_asio() {
    if (outside_ < 0) return;
    sockaddr_storage own{};
    socklen_t length = sizeof own;
    ::getsockname(outside_, reinterpret_cast<sockaddr*>(&own), &length);
    error_code failed;
    socket_.assign({own.ss_family, 0}, outside_, failed);
    if (failed) {
        close();
        return;
    }
    outside_ = -1;
    socket_.non_blocking(true, failed);
}

asio::awaitable<std::optional<std::string>> transport::secure(std::unique_ptr<tls::engine> engine, std::string first) {
    std::string out;
    std::array<char, 4096> chunk;
    engine->feed(first);
    for (;;) {
        const auto step = engine->handshake(out);
        if (!out.empty()) {
            if (!send_raw(out)) co_return std::string{};
            const auto failed = co_await flush();
            if (failed) co_return std::string{};
            out.clear();
        }
        if (step == tls::engine::outcome::done) break;
        if (step != tls::engine::outcome::wants_more) co_return engine->reason();

        const auto [failed, read] = co_await socket_.async_receive(asio::buffer(chunk), use_result);
        if (failed) co_return std::string{};
        engine->feed({chunk.data(), read});
    }
    tls_ = std::move(engine);
    co_return std::nullopt;
}

asio::awaitable<transport::arrival> transport::read_some(std::span<char> into) {
    if (!tls_) {
        const auto [failed, read] = co_await socket_.async_receive(asio::buffer(into.data(), into.size()), use_result);
        co_return arrival{failed, read};
    }
    std::array<char, 4096> chunk;
    for (;;) {
        std::optional<error_code> ended;
        const auto plain = next(into, ended);
        if (!plain.empty()) {
            tls_->keep();  // a further record of the chunk
            co_return arrival{{}, plain.size()};
        }
        if (ended) co_return arrival{*ended, 0};
        const auto [failed, read] = co_await socket_.async_receive(asio::buffer(chunk), use_result);
        if (failed) co_return arrival{failed, 0};
        feed({chunk.data(), read});
    }
}

void transport::feed(std::string_view received) {
    if (tls_) {
        tls_->feed(received);
    } else {
        fed_ = received;
    }
}

std::string_view transport::next(std::span<char> into, std::optional<error_code>& ended) {
    if (!tls_) return std::exchange(fed_, {});
    std::string answers;
    const auto [what, count] = tls_->read(into, answers);
    if (!answers.empty() && (!send_raw(answers) || unsent_.size() > most_unsent_answers))
        ended = asio::error::connection_aborted;
    if (what == tls::engine::outcome::closed) ended = asio::error::eof;
    if (what == tls::engine::outcome::failed) ended = asio::error::connection_aborted;
    return {into.data(), count};
}

bool transport::send_raw(std::string_view bytes, outbox* out) {
    settle();
    if (unsent_.empty() && out != nullptr && out->take(*this, bytes)) {
        lies_in_ = out;
        return true;
    }
    if (unsent_.empty()) {
        const auto sent = send_now(descriptor(), bytes);
        if (!sent) return false;
        bytes.remove_prefix(*sent);
    }
    unsent_.append(bytes);
    return true;
}

bool transport::push() {
    const auto sent = send_now(descriptor(), unsent_);
    if (!sent) return false;
    if (*sent == unsent_.size()) {
        // Freed, which an assignment doesn't do: an idle session holds no buffer.
        std::string{}.swap(unsent_);
    } else {
        unsent_.erase(0, *sent);
    }
    return true;
}

bool transport::send(std::string_view plain, outbox* out) {
    if (!tls_) return send_raw(plain, out);
    // Most of what goes to a peer is short; a loop's own buffer would save its allocation, and be one more to share.
    std::string sealed;
    sealed.reserve(plain.size() + 128);
    return tls_->write(plain, sealed) && send_raw(sealed, out);
}

void transport::settle() {
    if (lies_in_ != nullptr) lies_in_->deliver();
}

void transport::delivered(std::string_view left_over) {
    lies_in_ = nullptr;
    unsent_.assign(left_over);
}

asio::awaitable<error_code> transport::flush() {
    while (!all_sent()) {
        if (!push()) co_return error_code{asio::error::broken_pipe};
        if (all_sent()) break;
        const auto [interrupted] = co_await socket_.async_wait(stream_socket::wait_write, use_result);
        // A cancelled wait goes on as long as the socket is open: cancel() on a socket is how its reader is woken.
        if (interrupted && !socket_.is_open()) co_return interrupted;
    }
    co_return error_code{};
}

asio::awaitable<error_code> transport::write(std::string_view plain) {
    if (!send(plain)) co_return error_code{asio::error::broken_pipe};
    if (all_sent()) co_return error_code{};
    const auto failed = co_await flush();
    co_return failed;
}

void transport::write_last_words(std::string_view plain) {
    if (!send(plain)) return;
    shut_down();
}

void transport::shut_down() {
    settle();
    if (tls_) {
        std::string goodbye;
        tls_->close(goodbye);
        // Whether it arrives is the peer's luck: what counts was sent before.
        static_cast<void>(send_raw(goodbye));
    }
    ::shutdown(descriptor(), SHUT_WR);  // of a connection that is gone it says so, and nobody asks
}

asio::awaitable<void> transport::finish() {
    shut_down();
    error_code failed;
    std::array<char, 4096> ignored;
    while (!failed) {
        const auto [ended, read] = co_await socket_.async_receive(asio::buffer(ignored), use_result);
        failed = ended;
    }
}

void transport::close() {
    settle();
    error_code ignored;  // closing frees the descriptor whatever it says
    socket_.close(ignored);
    if (outside_ >= 0) ::close(std::exchange(outside_, -1));
}

}  // namespace crossfade::proxy::frontend
