#pragma once

#include <array>
#include <boost/asio/post.hpp>
#include <cstddef>
#include <cstring>
#include <span>
#include <string>
#include <string_view>

#include "proxy/frontend/sockets.hpp"

namespace crossfade::proxy::frontend {

// Room for one chunk, shared by all sessions of an event loop: in use only between two waits, so that an idle session
// holds no buffer.
using scratch_space = std::array<char, std::size_t{64} << 10>;

// What an inspector says of a chunk.
struct inspection {
    std::size_t forward = 0;  // this many bytes go on; the rest comes again in front of the next chunk, and is short
    bool stop = false;        // after these, no more
};

enum class relay_end {
    from_closed,  // the sender has ended its side
    from_failed,  // the connection to the sender is broken
    to_failed,    // the one to the receiver is
    interrupted,  // the wait was cancelled; nothing is lost, call again
    stopped,      // the inspector said so
};

// Moves bytes one way until one of the ends above: reads what there is, has it inspected, writes all of it, then reads
// on, so that a slow reader stops its sender and nobody else. `held` keeps what wasn't forwarded between calls. All
// that is referred to must outlive the call.
template <class Inspector>
asio::awaitable<relay_end> relay(stream_socket& from, stream_socket& to, std::string& held, scratch_space& scratch,
                                 Inspector& inspect) {
    constexpr int turns_in_a_row = 8;
    int turns = 0;
    for (;;) {
        std::memcpy(scratch.data(), held.data(), held.size());
        const auto room = std::span{scratch}.subspan(held.size());
        error_code failed;
        const auto read = from.receive(asio::buffer(room.data(), room.size()), 0, failed);
        if (failed == asio::error::would_block) {
            turns = 0;
            const auto [interrupted] = co_await from.async_wait(stream_socket::wait_read, use_result);
            if (interrupted) co_return relay_end::interrupted;
            continue;
        }
        if (failed) co_return failed == asio::error::eof ? relay_end::from_closed : relay_end::from_failed;

        const std::string_view chunk{scratch.data(), held.size() + read};
        const auto verdict = inspect(chunk);
        auto going = chunk.substr(0, verdict.forward);
        held.assign(chunk.substr(verdict.forward));

        if (!going.empty()) going.remove_prefix(to.send(asio::buffer(going), 0, failed));
        if (failed && failed != asio::error::would_block) co_return relay_end::to_failed;
        if (!going.empty()) {
            // Others use the scratch space while we wait.
            const std::string rest{going};
            failed = co_await write_all(to, rest);
            if (failed) co_return relay_end::to_failed;
        }
        if (verdict.stop) co_return relay_end::stopped;

        if (read < room.size()) {
            // The socket is most likely empty: asking it once more would cost a call for each message.
            turns = 0;
            const auto [interrupted] = co_await from.async_wait(stream_socket::wait_read, use_result);
            if (interrupted) co_return relay_end::interrupted;
        } else if (++turns == turns_in_a_row) {
            turns = 0;
            co_await asio::post(use_result);
        }
    }
}

}  // namespace crossfade::proxy::frontend
