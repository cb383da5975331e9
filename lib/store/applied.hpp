#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "lib/model/change.hpp"
#include "lib/model/lsn.hpp"

// How a proxy learns that the follower has what it waits for: a logical message in the authority's WAL asks
// (model::telling_prefix), and who applies the stream tells on a channel of the follower, by the transaction that
// applies it.
namespace crossfade::store {

// The expression that asks, in the transaction behind which who applies is to tell; its value is the mark's LSN.
inline std::string ask_to_be_told_sql() {
    return "pg_logical_emit_message(true, '" + std::string{model::telling_prefix} + "', '')";
}

// The channel's name, which LISTEN needs in quotes, and the payload: the stream's name and how far it is applied.
inline constexpr std::string_view applied_channel = "crossfade.applied";

// $1 the channel, $2 the payload. To be run in the transaction that applies.
inline constexpr std::string_view tell_applied_sql = "SELECT pg_notify($1::text, $2::text)";
inline std::string applied_payload(std::string_view stream, model::lsn end) {
    return model::to_string(end) + ' ' + std::string{stream};
}
// Empty where it is about another stream, or nobody of ours has sent it.
inline std::optional<model::lsn> read_applied(std::string_view payload, std::string_view stream) {
    const auto space = payload.find(' ');
    if (space == std::string_view::npos || payload.substr(space + 1) != stream) return std::nullopt;
    const auto end = model::parse_lsn(payload.substr(0, space));
    if (!end) return std::nullopt;
    return *end;
}

}  // namespace crossfade::store
