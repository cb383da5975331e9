#pragma once

#include <boost/system/result.hpp>
#include <functional>
#include <optional>
#include <string_view>
#include <unordered_map>

#include "lib/pgoutput/message.hpp"

namespace crossfade::pgoutput {

// Prefix of the transactional messages that are events, and of the non-transactional one that is a heartbeat.
inline constexpr std::string_view mark_prefix = "crossfade";
inline constexpr std::string_view heartbeat_prefix = "crossfade.heartbeat";

// What the source must never send. The stream can't be read on from there.
struct violation {
    std::string_view reason;
};
[[noreturn]] void throw_exception_from_error(const violation& what, const boost::source_location& where);

// Turns one connection's messages into events: gives them their positions, their `last` and their `previous`.
// No clock, no I/O: the same messages make the same events.
class assembler {
  public:
    struct source {
        std::uint64_t system_identifier = 0;
        model::timeline_history timelines;
        std::uint64_t publisher = 0;
        model::lsn previous;  // end_lsn of what the topic holds already
    };
    // `leaves_out`: whether nothing of a transaction is to be published that comes from the origin of that name. What
    // is left out leaves no more trace than what nobody captures.
    explicit assembler(source from, std::function<bool(std::string_view)> leaves_out = {})
        : source_(std::move(from)), leaves_out_(std::move(leaves_out)), previous_(source_.previous) {}

    // At most one event follows from a message, and it may be the one before: a transaction's newest event is held back
    // until it is known whether another follows.
    boost::system::result<std::optional<model::change_event>, violation> take(message&& from);

  private:
    using outcome = boost::system::result<std::optional<model::change_event>, violation>;

    outcome on(begin&& from);
    outcome on(commit&& from);
    outcome on(origin&& from);
    outcome on(relation&& from);
    outcome on(type&&) { return std::nullopt; }
    outcome on(row_message&& from);
    outcome on(truncate&& from);
    outcome on(logical_message&& from);
    outcome on_heartbeat(const logical_message& from);

    model::change_event at(model::lsn position, std::uint64_t ordinal);
    outcome hold(decltype(model::change_event::body) body);

    source source_;
    std::function<bool(std::string_view)> leaves_out_;
    std::uint32_t timeline_ = 0;  // of the newest event
    model::lsn previous_;
    model::lsn newest_;  // end of the newest transaction or heartbeat on this connection, published or not
    std::unordered_map<std::uint32_t, std::shared_ptr<const model::relation>> relations_;
    std::optional<begin> transaction_;
    bool left_out_ = false;  // the transaction
    std::uint64_t ordinal_ = 0;
    std::optional<model::change_event> held_;
};

}  // namespace crossfade::pgoutput
