#pragma once

#include <chrono>
#include <string>
#include <string_view>
#include <vector>

#include "lib/model/change.hpp"

// The shape in which Debezium's PostgreSQL connector writes changes as JSON without schemas, for readers who know that
// one; docs/events.md says what is the same and what isn't. The contract between Crossfade's own programs is
// codec.hpp's: this one leaves things out (publisher, previous, column types), and nothing of ours reads it.
namespace crossfade::events {

// As the Kafka header "crossfade-schema" carries it.
inline constexpr std::string_view envelope_version = "json-1";

// What an UPDATE didn't touch of a TOASTed value and the WAL therefore doesn't have.
inline constexpr std::string_view unavailable_value = "__debezium_unavailable_value";

// What the messages' keys are good for.
enum class envelope_keys {
    of_rows,     // the replica identity's columns, as Debezium has them with a topic for each table
    compactable  // the table is in the key, by the field of Debezium's ByLogicalTableRouter; whatever has no identity
                 // has a key that comes once, and a tombstone follows each deleted row: Kafka may compact the topic
};
inline constexpr std::string_view table_field = "__dbz__physicalTableIdentifier";

// Of the logical message, the only one with ordinal 0, that a resync leaves in the topic: what comes behind it may be
// of another server, or of one that was set back, so that its places need not be greater than those before. Readers
// compare with its place from there on, and what they have is to be had anew.
inline constexpr std::string_view resync_prefix = "crossfade.resync";

// For the envelope's `source`.
struct envelope_source {
    std::string version;   // of the program that writes
    std::string name;      // Debezium's topic.prefix: "crossfade.<stream>"
    std::string database;  // on the authority
    envelope_keys keys = envelope_keys::of_rows;
};

struct envelope {
    std::string table;  // "public.orders"; empty for a logical message
    std::string key;    // JSON; empty where there is none: of_rows without an identity that has columns, TRUNCATE
    std::string value;  // JSON; empty: a tombstone
};

// A reader tells repeats by `source`: timeline, lsn, ordinal and part, in this order, only ever grow but for what is
// sent again, and behind a resync. The part counts an event's messages, of which a publisher may have sent some when it
// died.
//
// The event's messages, in order: none for a heartbeat, one for each table of a TRUNCATE, two for an UPDATE that
// changes the key (a delete of the old one, a create of the new one), else one. With compactable keys a tombstone
// follows each delete of a row that has an identity; it isn't counted. Never fails. `now`: becomes ts_ms.
std::vector<envelope> envelopes(const model::change_event& event, const envelope_source& source,
                                std::chrono::sys_time<std::chrono::milliseconds> now);

}  // namespace crossfade::events
