#pragma once

#include <array>
#include <boost/asio/post.hpp>
#include <cstddef>
#include <cstring>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "proxy/frontend/transport.hpp"

namespace crossfade::proxy::frontend {

// What an inspector says of a chunk.
struct inspection {
    std::size_t forward = 0;   // this many bytes go on; the rest comes again in front of the next chunk, and is short
    bool stop = false;         // after these, no more
    std::string_view instead;  // when it isn't empty: what goes on in the place of those bytes
    bool hold = false;         // not now: nothing goes on, and the same chunk is inspected again by the next call
};

enum class relay_end {
    from_closed,  // the sender has ended its side
    from_failed,  // the connection to the sender is broken
    to_failed,    // the one to the receiver is
    interrupted,  // the wait was cancelled, or the inspector said hold; nothing is lost, call again
    stopped,      // the inspector said so
};

// Moves bytes one way until one of the ends above: reads what there is, has it inspected, writes all of it, then reads
// on, so that a slow reader stops its sender and nobody else. `held` keeps what wasn't forwarded between calls. All
// that is referred to must outlive the call.
template <class Inspector>
asio::awaitable<relay_end> relay(transport& from, transport& to, std::string& held, scratch_space& scratch,
                                 Inspector& inspect) {
    constexpr int turns_in_a_row = 8;
    // Most messages fit in here. Asio remembers that a socket gave less than was asked for, and then waits without
    // asking it again: a message costs one wait, one receive, one send.
    std::array<char, 512> first;
    int turns = 0;
    bool more = false;  // the socket gave all that was asked for
    std::optional<error_code> ended;
    bool again = !held.empty();  // the inspector may have held it back
    for (;;) {
        std::string_view chunk;
        if (from.tls() != nullptr || !held.empty()) {
            std::memcpy(scratch.plain.data(), held.data(), held.size());
            auto filled = held.size();
            while (filled < scratch.plain.size()) {
                const auto rest = std::span{scratch.plain}.subspan(filled);
                const auto next = from.next(rest, ended);
                if (next.empty()) break;
                if (next.data() != rest.data()) std::memcpy(rest.data(), next.data(), next.size());
                filled += next.size();
            }
            if (filled > held.size() || std::exchange(again, false)) chunk = {scratch.plain.data(), filled};
        } else {
            chunk = from.next({}, ended);
        }

        if (!chunk.empty()) {
            const auto verdict = inspect(chunk);
            const auto going = verdict.instead.empty() ? chunk.substr(0, verdict.forward) : verdict.instead;
            held.assign(chunk.substr(verdict.forward));
            if (verdict.hold) co_return relay_end::interrupted;
            if (!going.empty() && !to.send(going)) co_return relay_end::to_failed;
            if (!to.all_sent()) {
                const auto failed = co_await to.flush();
                if (failed) co_return relay_end::to_failed;
            }
            if (verdict.stop) co_return relay_end::stopped;
        }
        if (ended) co_return *ended == asio::error::eof ? relay_end::from_closed : relay_end::from_failed;

        std::size_t received = 0;
        if (!more) {
            turns = 0;
            const auto [failed, read] = co_await from.socket().async_receive(asio::buffer(first), use_result);
            if (failed == asio::error::operation_aborted) co_return relay_end::interrupted;
            if (failed) co_return failed == asio::error::eof ? relay_end::from_closed : relay_end::from_failed;
            if (read < first.size()) {
                from.feed({first.data(), read});
                continue;
            }
            std::memcpy(scratch.received.data(), first.data(), read);
            received = read;
        } else if (++turns == turns_in_a_row) {
            turns = 0;
            co_await asio::post(use_result);
        }
        error_code failed;
        const auto room = std::span{scratch.received}.subspan(received);
        received += from.socket().receive(asio::buffer(room.data(), room.size()), 0, failed);
        more = received == scratch.received.size();
        // Told once what was received before it has gone on.
        if (failed && failed != asio::error::would_block) ended = failed;
        from.feed({scratch.received.data(), received});
    }
}

}  // namespace crossfade::proxy::frontend
