#pragma once

#include <boost/system/result.hpp>
#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "lib/kafka/consumer.hpp"
#include "lib/model/change.hpp"
#include "proxy/publish/overlap.hpp"

namespace crossfade::proxy::publish {

// The newest thing that the topic holds whole.
struct topic_tail {
    std::uint64_t system_identifier = 0;
    std::uint32_t timeline = 0;
    model::lsn end_lsn;
    std::optional<last_published> last{};  // empty where it is only known where that ends, and after a resync
};

// Why a topic can't be published to.
struct tail_problem {
    enum class kind {
        unreachable,  // Kafka didn't answer: the same again may succeed
        foreign,      // something else writes there, or another cluster did
        diverged,     // legacy no longer has what the topic has
        lost,         // acknowledged events are missing
    };
    kind what = kind::unreachable;
    std::string reason;
    std::string way_out;
};
[[noreturn]] void throw_exception_from_error(const tail_problem& what, const boost::source_location& where);

template <class T>
using tail_result = boost::system::result<T, tail_problem>;

// Which topic of which kind. Of one that is ordered by key each partition has an end of its own, and each event is
// whole there: what is before its commit is in the partition, and at a transaction's last event what is before its end.
struct tail_of {
    std::string topic;
    int partitions = 1;
    bool by_key = false;
};

// Reads the end of each partition; nullopt when it holds nothing. Looks back over at most `look_back` messages until it
// meets a transaction that ends at or after `confirmed`: messages of a publisher that died may have arrived late,
// behind those of its successor, and as many as that one had unacknowledged at most.
tail_result<std::vector<std::optional<topic_tail>>> read_tails(const settings::kafka& config, const tail_of& what,
                                                               model::lsn confirmed, std::int64_t look_back,
                                                               std::chrono::milliseconds timeout);

// Where the slot is, on which cluster.
struct slot_place {
    std::uint64_t system_identifier = 0;
    model::timeline_history timelines;
    model::lsn confirmed;
    model::lsn wal_end;             // as far as it is on the server's disk
    std::string source = "legacy";  // whose it is, for messages
    std::string begin_anew = {};    // what is done where nothing else helps; empty: the stream's usual way
};

// Everything before the slot's confirmed position must be in the topic, and what is in the topic must be in legacy's
// history. Returns the first event's `previous`. Pure.
tail_result<model::lsn> judge(const std::optional<topic_tail>& tail, const slot_place& slot, const std::string& topic);

// The same of every partition of a topic that is ordered by key. Returns what the slot has to bring once more, where
// there is something: the newest transaction that any of them has. Pure.
tail_result<std::optional<last_published>> judge_by_key(const std::vector<std::optional<topic_tail>>& tails,
                                                        const slot_place& slot, const std::string& topic);

}  // namespace crossfade::proxy::publish
