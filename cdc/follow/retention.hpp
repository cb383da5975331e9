#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>

namespace crossfade::cdc::follow {

// How long the topic keeps its messages: its settings retention.ms and retention.bytes; empty: without end.
struct retention_limits {
    std::optional<std::chrono::milliseconds> time;
    std::optional<std::int64_t> bytes;

    friend bool operator==(const retention_limits&, const retention_limits&) = default;
};
// Of the settings by name. One that is missing, no number or negative is no limit.
retention_limits limits_of(const std::map<std::string, std::string>& settings);

// What is known of the topic at one moment.
struct topic_place {
    std::int64_t low = 0;                          // first offset that is there
    std::int64_t high = 0;                         // one after the last
    std::int64_t next = 0;                         // where the follower is
    std::optional<std::chrono::milliseconds> age;  // of the message at `next`; empty: there is none, or it isn't known
};

// How near the next event to be applied is to being deleted.
struct retention_outlook {
    std::optional<double> age_seconds;        // of the next event
    std::optional<double> retention_seconds;  // what the topic keeps
    // The share of the retention that is used up, of time or of size, whichever is more: 1 and more means that it may
    // be deleted at any moment. 0 when everything is applied.
    double used = 0;
    bool gone = false;  // the topic has deleted what the follower needs
    std::string warning;
    std::string way_out;

    friend bool operator==(const retention_outlook&, const retention_outlook&) = default;
};

// From here on there is a warning.
inline constexpr double retention_alarm = 0.5;

// Pure. By size only once the topic has begun to delete (low > 0): Kafka tells a reader no bytes, so what is not
// applied yet is set against what is there.
// `anew`: what an operator does when events are gone.
retention_outlook judge_retention(
    const topic_place& at, const retention_limits& limits, const std::string& topic,
    const std::string& anew = "copy the tables anew and go on from there: crossfade backfill --resync");

}  // namespace crossfade::cdc::follow
