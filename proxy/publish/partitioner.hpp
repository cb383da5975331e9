#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "lib/model/change.hpp"

namespace crossfade::proxy::publish {

// Where the events of a stream go that is ordered by key (docs/adr/0020). What is about one row goes to the partition
// of its key, by the hash that Kafka's own producers use. What isn't is a barrier and goes to all, and an UPDATE that
// takes a row from one partition to another is one for these two. Heartbeats go to all, too. Each event is told what
// its partition got before.
//
// Which events are barriers, another publisher that sends them again has to decide in the same way, so it depends on
// the event alone. What this one can't know or has seen change, how a table's rows were divided before, is said by
// `after_others`. Pure: no I/O, no clock.
class partitioner {
  public:
    // Tables of which it is remembered how they are divided; beyond it that begins anew.
    static constexpr std::size_t most_tables = 10'000;
    // WAL without a heartbeat after which one is added, so that the slot moves while a backlog is published.
    static constexpr std::uint64_t most_unmarked = std::uint64_t{4} << 20;

    // `begins`: everything before it is in all partitions, of which there are 1 and more.
    partitioner(int partitions, model::lsn begins);

    std::int32_t partitions() const { return static_cast<std::int32_t>(partitions_.size()); }

    // Who gets an event.
    struct route {
        std::int32_t first = -1;   // -1: all
        std::int32_t second = -1;  // -1: nobody else
    };
    // By the event's message key.
    route route_of(const model::change_event& event, std::string_view key) const;
    // Makes it the next event of that partition: sets what an event has of its partition.
    void place(model::change_event& event, std::int32_t partition);
    // The heartbeat that is to follow an event now, if one is. Told of each event, once it is placed everywhere.
    std::optional<model::change_event> follow_up(const model::change_event& placed);

  private:
    struct state {
        model::place previous;
        std::uint32_t timeline = 0;
    };
    struct division {
        std::shared_ptr<const model::relation> rel;
        model::place since;
        std::vector<bool> said;  // by partition
    };
    // Sets after_others where this partition has to be told.
    void say_since_when(model::change_event& event, std::int32_t partition);
    division& learn(const std::shared_ptr<const model::relation>& rel);

    std::vector<state> partitions_;
    std::unordered_map<std::uint32_t, division> tables_;           // by oid
    std::unordered_map<model::table_name, std::uint32_t> owners_;  // of names: the newest table that had it
    model::place begins_;                                          // the place of all that isn't known
    model::place newest_;                                          // of the events placed anywhere
    std::uint32_t timeline_ = 0;                                   // of the newest event
    std::vector<model::timeline_end> left_;                        // those that led to it
    model::lsn marked_;                                            // end of the last heartbeat
};

}  // namespace crossfade::proxy::publish
