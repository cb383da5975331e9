#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "lib/model/change.hpp"
#include "lib/model/lsn.hpp"

// How a proxy learns that the follower has what it waits for: a logical message in the authority's WAL asks
// (model::telling_prefix), and who applies the stream tells on a channel of the follower, by the transaction that
// applies it.
namespace crossfade::store {

// What such a message says: who asks, and which one of his it is. He is told of it by these. Its place would not do:
// after a failover LSNs come a second time, and what an old primary had there would pass for it.
struct mark {
    std::uint64_t asker = 0;   // drawn at random by each who asks
    std::uint64_t number = 0;  // from 1, rising

    friend bool operator==(const mark&, const mark&) = default;
};
std::string to_string(const mark& of);
// Empty for what is none: those of the flips' and of older proxies say nothing.
std::optional<mark> parse_mark(std::string_view text);

// Who asks; for one thread.
class marker {
  public:
    marker();
    mark next() { return {asker_, ++newest_}; }
    bool has_made(const mark& one) const { return one.asker == asker_; }

  private:
    std::uint64_t asker_;
    std::uint64_t newest_ = 0;
};

// The expression that asks, in the transaction behind which who applies is to tell; its value is the mark's LSN.
inline std::string ask_to_be_told_sql(std::string_view content = {}) {
    return "pg_logical_emit_message(true, '" + std::string{model::telling_prefix} + "', '" + std::string{content} +
           "')";
}
inline std::string ask_to_be_told_sql(const mark& one) {
    return ask_to_be_told_sql(to_string(one));
}

// The channel's name, which LISTEN needs in quotes.
inline constexpr std::string_view applied_channel = "crossfade.applied";

// $1 the channel, $2 the payload. To be run in the transaction that applies.
inline constexpr std::string_view tell_applied_sql = "SELECT pg_notify($1::text, $2::text)";

// That the follower has what is in front of this mark, and of those that its asker has made before.
std::string applied_payload(std::string_view stream, const mark& newest);
// Empty where it is about another stream, or nobody of ours has sent it.
std::optional<mark> read_applied(std::string_view payload, std::string_view stream);
// For a mark that says nothing: how far the stream is applied, which is what older proxies go by.
inline std::string applied_payload(std::string_view stream, model::lsn end) {
    return model::to_string(end) + ' ' + std::string{stream};
}

// On the same channel, in a transaction that has left out rows or written down that a table isn't as the authority's,
// and in front of what it tells: crossfade.tables and crossfade.drift are to be looked at before later news are
// believed.
inline std::string amiss_payload(std::string_view stream) {
    return "amiss " + std::string{stream};
}
inline bool reads_amiss(std::string_view payload, std::string_view stream) {
    return payload == amiss_payload(stream);
}

}  // namespace crossfade::store
