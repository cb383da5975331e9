#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "lib/model/position.hpp"
#include "lib/model/table_name.hpp"
#include "lib/model/timeline.hpp"

namespace crossfade::model {

using source_time = std::chrono::sys_time<std::chrono::microseconds>;

enum class replica_identity { primary_key, nothing, full, index };

struct column {
    std::string name;
    std::uint32_t type_oid = 0;
    std::int32_t type_modifier = -1;
    bool key = false;  // part of the replica identity

    friend bool operator==(const column&, const column&) = default;
};

// One version of a table as the source described it.
struct relation {
    std::uint32_t oid = 0;
    table_name table;
    replica_identity identity = replica_identity::primary_key;
    std::vector<column> columns;

    friend bool operator==(const relation&, const relation&) = default;
};

enum class cell_kind : char {
    null = 'n',
    unchanged = 'u',  // a TOAST value that the UPDATE did not touch: its value is not in the WAL
    text = 't',
};

struct cell {
    cell_kind kind = cell_kind::null;
    std::string text;  // PostgreSQL's text output; empty unless kind is text

    friend bool operator==(const cell&, const cell&) = default;
};

// One cell a column of the relation, in its order.
using row = std::vector<cell>;

enum class row_operation { insert, update, remove };
enum class before_image { absent, key, whole };

struct row_change {
    std::shared_ptr<const relation> rel;
    row_operation operation = row_operation::insert;
    before_image before_kind = before_image::absent;
    row before;  // the columns outside the key are null when before_kind is key
    row after;   // empty for remove
};

struct truncate {
    std::vector<std::shared_ptr<const relation>> relations;
    bool cascade = false;
    bool restart_identity = false;
};

struct logical_message {
    std::string prefix;
    std::string content;
};
// Of the messages by which a proxy asks to be told when the stream is applied up to there (lib/store/applied.hpp).
inline constexpr std::string_view telling_prefix = "crossfade.mirror";

struct heartbeat {
    source_time emitted_at;
};

// The publisher of the event that a resync leaves in the topic: what comes before it was copied, and not all of it need
// be there. The others draw theirs at random.
inline constexpr std::uint64_t resync_publisher = 0;

// What one Kafka message carries; proto/crossfade/v1/events.proto explains the fields and the rules.
struct change_event {
    position at;
    std::uint64_t publisher = 0;
    std::optional<lsn> previous;
    std::vector<timeline_end> left;  // the timelines that led to this one, where the publisher comes to it
    bool last = false;
    lsn end_lsn;
    source_time commit_time;
    std::uint32_t xid = 0;
    // In a stream that is ordered by key alone: what its publisher sent to this partition before; where the other
    // partitions have to be before it is applied; whether it is in several of them, and in which, if not in all.
    std::optional<place> partition_previous = {};
    std::optional<place> after_others = {};
    bool barrier = false;
    std::vector<std::uint32_t> barrier_partitions = {};
    std::variant<row_change, truncate, logical_message, heartbeat> body;
};

}  // namespace crossfade::model
