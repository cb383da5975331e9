#pragma once

#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstring>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "proxy/frontend/transport.hpp"

namespace crossfade::proxy::frontend {

// What an inspector says of a chunk.
struct inspection {
    std::size_t forward = 0;     // this many bytes go on; the rest comes again in front of the next chunk (most_kept)
    bool stop = false;           // after these, no more
    std::string_view instead{};  // when it isn't empty: what goes on in the place of those bytes
    bool drop = false;           // those bytes don't go on, but are done with
    bool hold = false;           // not now: nothing goes on, and the same chunk is inspected again after go_on()
};

enum class lane_end {
    from_closed,    // the sender has ended its side
    from_failed,    // the connection to the sender is broken
    to_failed,      // the one to the receiver is
    stopped,        // the inspector said so
    kept_too_much,  // the inspector wants to see more at once than there is room for
};

enum class progress {
    waits,  // for the sender to send or the receiver to read
    holds,  // the inspector said hold
    tired,  // others have their turn; there may be more
    ended,  // see ended()
};

// One way of a session's bytes: takes what there is, has it inspected and passes all of it on before it takes more, so
// that a slow reader stops its sender and nobody else. Never waits: an event loop calls it when one of the two sockets
// has become ready, which it learns once for each time (EPOLLET). Both transports outlive it, and have left Asio.
class lane {
  public:
    // What an inspector may leave to be seen again with what comes next: one that wants more has lost count.
    static constexpr std::size_t most_kept = scratch_space::plain_size - scratch_space::received_size;

    lane(transport& from, transport& to) : from_(from), to_(to) {}

    // The sender's socket has bytes, or its end.
    void arrived(bool at_its_end) {
        readable_ = true;
        at_its_end_ = at_its_end_ || at_its_end;
    }
    // Bytes that came before the lane was there, of any length.
    void begin_with(std::string bytes) {
        again_ = false;
        std::string{}.swap(held_);
        early_ = bytes.empty() ? nullptr : std::make_unique<std::string>(std::move(bytes));
    }
    // Of the lane from a sender in whose place another one is now, and which has nothing under way: what came of the
    // new one already.
    void begin_anew(std::string bytes) {
        readable_ = true;
        at_its_end_ = false;
        last_.reset();
        ended_.reset();
        begin_with(std::move(bytes));
    }
    // Of the lane to a receiver in whose place another one is now: what it had taken is somebody else's matter.
    void receiver_is_another() {
        if (ended_ == lane_end::to_failed) ended_.reset();
    }
    // What the inspector has held may be inspected again.
    void go_on() { again_ = true; }

    template <class Inspector>
    progress advance(Inspector& inspect, scratch_space& scratch) {
        constexpr int turns_in_a_row = 8;
        if (ended_) return progress::ended;
        for (int turn = 0; turn < turns_in_a_row; ++turn) {
            if (!to_.all_sent()) {
                if (!to_.push()) return end(lane_end::to_failed);
                if (!to_.all_sent()) return progress::waits;
            }
            const bool has_more = again_ || early_;
            if (!has_more && last_) return end(*last_);
            if (!has_more && !readable_) return progress::waits;
            if (!again_ && held_.size() > most_kept) return end(lane_end::kept_too_much);

            const auto chunk = take(scratch);
            if (chunk.empty()) continue;
            const auto verdict = inspect(chunk);
            const auto going = verdict.instead.empty() ? chunk.substr(0, verdict.forward) : verdict.instead;
            keep(chunk.substr(verdict.forward));
            if (verdict.hold) return progress::holds;
            if (!verdict.drop && !going.empty() && !to_.send(going, &scratch.out)) return end(lane_end::to_failed);
            if (!verdict.stop) continue;
            last_ = lane_end::stopped;
            early_.reset();
        }
        return progress::tired;
    }

    std::optional<lane_end> ended() const { return ended_; }
    // What the inspector has left to be seen again.
    std::string_view held() const { return held_; }
    // Nothing of a message waits here for its rest.
    bool holds_nothing() const { return held_.empty() && !early_; }
    std::size_t memory() const { return held_.capacity() + (early_ ? sizeof *early_ + early_->capacity() : 0); }

  private:
    progress end(lane_end how) {
        ended_ = how;
        return progress::ended;
    }

    void keep(std::string_view rest) {
        // An idle session holds no buffer.
        if (rest.empty() && held_.capacity() > sizeof(std::string)) {
            std::string{}.swap(held_);  // an assignment would keep the memory
        } else {
            held_.assign(rest);
        }
    }

    // What was kept, and behind it what came early, or what the socket has. Empty: nothing new.
    std::string_view take(scratch_space& scratch) {
        auto room = std::span{scratch.plain};
        std::memcpy(room.data(), held_.data(), held_.size());
        auto filled = held_.size();
        if (std::exchange(again_, false)) return {room.data(), filled};
        if (early_) return {room.data(), filled + take_early(room.subspan(filled))};
        const bool tls = from_.tls() != nullptr;
        // All that it decrypts to has to have room, as what is left unread lies where the next session receives.
        const auto most = std::min(scratch.received.size(), room.size() - filled - scratch_space::most_sealed);
        const auto target =
            tls ? std::span{scratch.received}.first(most) : room.subspan(filled, scratch.received.size());
        const auto received = receive(target);
        if (!tls) return received == 0 ? std::string_view{} : std::string_view{room.data(), filled + received};

        from_.feed({scratch.received.data(), received});
        std::optional<error_code> over;
        while (filled < room.size()) {
            const auto next = from_.next(room.subspan(filled), over);
            if (next.empty()) break;
            filled += next.size();
        }
        if (over) last_ = *over == asio::error::eof ? lane_end::from_closed : lane_end::from_failed;
        return filled == held_.size() ? std::string_view{} : std::string_view{room.data(), filled};
    }

    std::size_t take_early(std::span<char> into) {
        const auto count = early_->copy(into.data(), into.size());
        early_->erase(0, count);
        if (early_->empty()) early_.reset();
        return count;
    }

    std::size_t receive(std::span<char> into) {
        const auto count = ::recv(from_.descriptor(), into.data(), into.size(), MSG_DONTWAIT);
        if (count > 0) {
            // Less than was asked for: the socket was empty then, and what comes later is told anew (epoll(7)). Its
            // end, if that is what was told, may have been behind those bytes already.
            if (static_cast<std::size_t>(count) < into.size() && !at_its_end_) readable_ = false;
            return static_cast<std::size_t>(count);
        }
        if (count == 0) {
            last_ = lane_end::from_closed;
        } else if (errno == EAGAIN || errno == EWOULDBLOCK) {
            readable_ = false;
        } else if (errno != EINTR) {
            last_ = lane_end::from_failed;
        }
        return 0;
    }

    transport& from_;
    transport& to_;
    std::string held_;
    std::unique_ptr<std::string> early_;  // behind that, in front of what the socket has
    bool readable_ = true;                // what came before the first wait isn't told
    bool at_its_end_ = false;
    bool again_ = false;
    std::optional<lane_end> last_;  // once what is under way has gone on
    std::optional<lane_end> ended_;
};

}  // namespace crossfade::proxy::frontend
